"""A predictor with a ledger answers as the model does, and asks the model each question once."""

import os
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackbox_boundary import (
    Access,
    BadPrediction,
    Differentiable,
    InvalidInput,
    Prediction,
    PredictorUnavailable,
    TranscriptMismatch,
)
from blackbox_boundary.ledger import summarise, verify
from blackbox_boundary.wrappers.budget import Allowance, BudgetPredictor
from blackbox_boundary.wrappers.counting import CountingPredictor
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from .models import WEIGHTS, Linear, Oblivious, rows

BATCHES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 12), min_size=1, max_size=9)),
    min_size=1,
    max_size=8,
)
"""Batches of numbered rows, repeats likely; True: the ledger is closed and opened again before."""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=BATCHES,
    rows_per_call=st.integers(1, 5),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_each_question_is_asked_once(tmp_path, batches, rows_per_call, dtype):
    """In any batches and runs, answers are the model's bits, and no row is sent twice."""
    path, model = Path(tempfile.mkdtemp(dir=tmp_path)) / "l.db", Linear()
    ledger = LedgerPredictor(model, path, rows_per_call=rows_per_call)
    for reopen, numbers in batches:
        if reopen:
            ledger.close()
            ledger = LedgerPredictor(model, path, rows_per_call=rows_per_call)
        x = rows(*numbers, dtype=dtype)
        answer = ledger.predict(x)
        expected = Linear().predict(x)
        np.testing.assert_array_equal(answer.scores, expected.scores, strict=True)
        np.testing.assert_array_equal(answer.label, expected.label, strict=True)
    ledger.close()
    sent = [row.tobytes() for row in model.sent]
    assert (
        len(sent) == len(set(sent)) == len({number for _, numbers in batches for number in numbers})
    )
    report = verify(path)
    assert report.n_asked == report.n_answered == len(sent)


def test_gradients_are_recorded_too(tmp_path):
    """A resumed run gets the same gradients, by row and weights, and asks for none again."""
    x, v = rows(1, 2, 1), np.array([[1.0, -1, 0], [1, -1, 0], [0, 1, -1]])
    with LedgerPredictor(Linear(), tmp_path / "l.db") as ledger:
        assert isinstance(ledger, Differentiable)
        first = ledger.vjp(x, v)
    again = Linear()
    with LedgerPredictor(again, tmp_path / "l.db") as ledger:
        np.testing.assert_array_equal(ledger.vjp(x, v), first, strict=True)
        np.testing.assert_array_equal(first, (v @ WEIGHTS.T.astype(np.float64)).astype(np.float32))
        assert not again.sent_for_gradients
        ledger.predict(x)  # another question than the gradient
        assert len(again.sent) == 2
    assert summarise(tmp_path / "l.db").n_gradients == 3


def test_a_model_without_gradients_stays_without(tmp_path):
    """The ledger adds no capability."""
    with LedgerPredictor(Oblivious(), tmp_path / "l.db") as ledger:
        assert not isinstance(ledger, Differentiable)


def test_tensors_and_arrays_share_the_record(tmp_path):
    """Equal numbers and dtype are one question: torch, NumPy, any byte order, any layout."""
    x = rows(1, 2, 3)

    class Torch(Linear):
        def predict(self, x):
            return super().predict(x.numpy())

        def vjp(self, x, v):
            return torch.as_tensor(super().vjp(x.numpy(), v))

    with LedgerPredictor(Torch(), tmp_path / "l.db") as ledger:
        answer = ledger.predict(torch.as_tensor(x))
        gradient = ledger.vjp(torch.as_tensor(x), np.eye(3))
    assert isinstance(gradient, torch.Tensor)
    with LedgerPredictor(silent := Linear(), tmp_path / "l.db") as ledger:
        for same in (x, np.asfortranarray(x), x.astype(">f4"), np.repeat(x, 2, axis=0)[::2]):
            np.testing.assert_array_equal(ledger.predict(same).scores, answer.scores)
        np.testing.assert_array_equal(ledger.vjp(x, np.eye(3)), gradient.numpy())
        assert not silent.sent
        ledger.predict(x.astype(np.float64))  # another question: a model may answer other bits
        assert len(silent.sent) == 3


@pytest.mark.parametrize("access", list(Access))
def test_every_access_comes_back_as_it_was(tmp_path, access):
    """Labels, top scores and scores are kept to the bit; label -1 of a failed row is an answer."""
    probs = np.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]], np.float32)

    class Model:
        input_shape, n_classes, bounds, fingerprint = (4,), 2, None, "m"

        def predict(self, x):
            label = np.array([1, 0, -1])
            top1 = np.array([0.75, 0.5, 0.1], np.float16) if self.access is Access.TOP1 else None
            return Prediction(label, top1, probs if self.access.has_scores else None)

    model = Model()
    model.access = access
    for _ in range(2):
        with LedgerPredictor(model, tmp_path / "l.db") as ledger:
            answer = ledger.predict(rows(1, 2, 3))
        assert answer.label.tolist() == [1, 0, -1]
        for name in ("top1", "scores"):
            expected, part = getattr(model.predict(None), name), getattr(answer, name)
            assert (part is None) == (expected is None)
            if part is not None:
                np.testing.assert_array_equal(part, expected, strict=True)


def test_a_failed_call_is_told_and_asked_again(tmp_path):
    """Rows that a failing model did not answer are recorded as failed; answers are kept."""
    model = Linear()
    working = model.predict
    calls = []

    def failing(x):
        calls.append(len(x))
        if len(calls) == 2:
            raise PredictorUnavailable("key=SECRET refused")
        return working(x)

    model.predict = failing
    with LedgerPredictor(model, tmp_path / "l.db", rows_per_call=2) as ledger:
        with pytest.raises(PredictorUnavailable):
            ledger.predict(rows(0, 1, 2, 3, 4))
        report = summarise(tmp_path / "l.db")
        assert (report.n_answered, report.n_failed, report.n_in_flight) == (2, 2, 0)
        ledger.predict(rows(0, 1, 2, 3, 4))
    assert calls == [2, 2, 2, 1]
    assert verify(tmp_path / "l.db").n_answered == 5
    assert b"SECRET" not in (tmp_path / "l.db").read_bytes()


def test_ctrl_c_releases_the_claim(tmp_path):
    """An interrupted call is recorded as failed, and the same predictor can go on."""
    model = Linear()
    model.predict = lambda x: (_ for _ in ()).throw(KeyboardInterrupt)
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        with pytest.raises(KeyboardInterrupt):
            ledger.predict(rows(1))
        del model.predict
        ledger.predict(rows(1))
    report = verify(tmp_path / "l.db")
    assert (report.n_failed, report.n_answered) == (1, 1)


def test_ctrl_c_during_a_commit_does_not_block_the_rows(tmp_path, monkeypatch):
    """Ctrl-C between a claim on disk and its thread: the next attempt takes the rows back."""
    with LedgerPredictor(model := Linear(), tmp_path / "l.db") as ledger:
        claim = ledger._store.claim

        def interrupted(*question):
            claim(*question)
            raise KeyboardInterrupt

        monkeypatch.setattr(ledger._store, "claim", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.predict(rows(1, 2))
        monkeypatch.undo()
        assert ledger.n_lost == 0
        ledger.predict(rows(1, 2))
        assert ledger.n_lost == len(model.sent) == 2
    assert verify(tmp_path / "l.db").n_lost == 2


def test_what_is_no_answer_is_not_recorded(tmp_path):
    """An answer that the predictor's own declaration excludes never enters the ledger."""
    model = Linear()
    model.predict = lambda x: Prediction(
        np.zeros(len(x) + 1, np.intp), scores=np.zeros((len(x) + 1, 3))
    )
    model.vjp = lambda x, v: x[:, :1]
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        with pytest.raises(BadPrediction):
            ledger.predict(rows(1, 2))
        with pytest.raises(BadPrediction):
            ledger.vjp(rows(1, 2), np.ones((2, 3)))
    report = verify(tmp_path / "l.db")
    assert (report.n_answered, report.n_failed) == (0, 4)


def test_streamed_answers_are_recorded_as_they_arrive(tmp_path):
    """A predictor that answers in parts, in any order, and then fails loses no answer."""

    class Parts(Linear):
        n_parts = 2

        def stream(self, x):
            for part in [slice(2, 4), slice(0, 2), slice(4, 6)][: self.n_parts]:
                yield part, self.predict(x[part])

    model, x = Parts(), rows(0, 1, 2, 3, 4, 5)
    with LedgerPredictor(
        CountingPredictor(BudgetPredictor(model, Allowance(max_queries=8))), tmp_path / "l.db"
    ) as ledger:
        with pytest.raises(BadPrediction, match="2 came without"):
            ledger.predict(x)
        assert len(model.sent) == 4
        model.n_parts = 1
        model.stream = lambda rest: iter([(slice(0, 2), model.predict(rest))])
        answer = ledger.predict(x)
        assert len(model.sent) == 6
    np.testing.assert_array_equal(answer.scores, Linear().predict(x).scores)
    verify(tmp_path / "l.db")


def test_rows_that_are_sent_as_the_same_bytes_are_sent_once(tmp_path):
    """An endpoint of whole numbers is asked each once; a replay knows all rows that round to it."""

    class Rounding(Linear):
        def as_sent(self, x):
            return np.round(x).astype(np.uint8)

        def predict(self, x):
            return super().predict(self.as_sent(x).astype(np.float32))

    x = np.array(
        [[1.1, 2, 3, 4], [0.9, 2, 3, 4], [1, 2, 3, 4], [5, 2, 3, 4], [5, 2, 3, 4]], np.float32
    )
    later = np.array([[1.2, 2, 3, 4], [5.1, 2, 3, 4]], np.float32)
    for reopened in range(2):
        with LedgerPredictor(CountingPredictor(model := Rounding()), tmp_path / "l.db") as ledger:
            np.testing.assert_array_equal(ledger.predict(x).scores, Rounding().predict(x).scores)
            np.testing.assert_array_equal(
                ledger.predict(later).scores, Rounding().predict(later).scores
            )
            assert len(model.sent) == 2 * (1 - reopened)
    with ReplayPredictor(tmp_path / "l.db") as replay:
        np.testing.assert_array_equal(replay.predict(x).scores, Rounding().predict(x).scores)
        np.testing.assert_array_equal(
            replay.predict(later).scores, Rounding().predict(later).scores
        )
        with pytest.raises(TranscriptMismatch):
            replay.predict(x[:1].astype(np.uint8))
    assert verify(tmp_path / "l.db").n_asked == 2


def test_rows_that_are_sent_as_they_are(tmp_path):
    """Where nothing is encoded, nothing more is recorded."""
    model = Linear()
    model.as_sent = lambda x: x
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        ledger.predict(rows(1, 2))
    assert summarise(tmp_path / "l.db").n_entries == 4


def test_a_resolution_comes_back(tmp_path):
    """The resolution of scores is recorded, also where only some answers have one."""

    class Coarse(Linear):
        def predict(self, x):
            answer = super().predict(x)
            fine = x[0, 0] > 5
            return answer if fine else replace(answer, resolution=np.full(len(x), 0.25))

    with LedgerPredictor(Coarse(), tmp_path / "l.db") as ledger:
        ledger.predict(rows(1, 2))
        ledger.predict(rows(7))
        assert np.array_equal(ledger.predict(rows(2, 7, 1)).resolution, [0.25, 0.0, 0.25])


def test_who_waits_says_for_whom(tmp_path, caplog, monkeypatch):
    """A thread that waits for another's answers says so after a while; rows are asked once."""
    monkeypatch.setattr("blackbox_boundary.wrappers.ledger._SAID_AFTER_S", 0.1)
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Linear):
        def predict(self, x):
            asked.set()
            assert go_on.wait(20)
            return super().predict(x)

    (tmp_path / "link.db").symlink_to(tmp_path / "l.db")
    slow = Slow()
    first = LedgerPredictor(slow, tmp_path / "l.db")
    one = threading.Thread(target=first.predict, args=(rows(1, 2),))
    one.start()
    assert asked.wait(20)
    with LedgerPredictor(slow, tmp_path / "link.db") as second:
        two = threading.Thread(target=second.predict, args=(rows(2, 1),))
        two.start()
        two.join(1.0)
        go_on.set()
        two.join(20)
        one.join(20)
    first.close()
    assert len(slow.sent) == 2
    assert f"process {os.getpid()} on {socket.gethostname()}" in caplog.text


def test_threads_share_a_ledger(tmp_path):
    """Eight threads that want the same rows ask each row once, and none waits for ever."""
    model, answers = CountingPredictor(Oblivious()), {}
    with LedgerPredictor(model, tmp_path / "l.db", rows_per_call=3) as ledger:

        def work(name):
            order = np.random.default_rng(name).permutation(40)
            answers[name] = ledger.predict(rows(*order)).label[np.argsort(order)]

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
            assert not thread.is_alive()
    expected = Oblivious().predict(rows(*range(40))).label
    assert all((answers[name] == expected).all() for name in range(8))
    assert model.n_predictions == verify(tmp_path / "l.db").n_asked == 40


def test_large_answers_are_split_and_found(tmp_path):
    """Answers of more than one entry are read whole, also with other rows asked in between."""

    class Wide(Oblivious):
        access, n_classes = Access.LOGITS, 5000

        def predict(self, x):
            return Prediction.from_scores(x[:, :1] + np.arange(5000, dtype=np.float64))

    for _ in range(2):
        with LedgerPredictor(Wide(), tmp_path / "l.db") as ledger:
            answer = ledger.predict(rows(*range(20)))
            np.testing.assert_array_equal(answer.scores, Wide().predict(rows(*range(20))).scores)
            np.testing.assert_array_equal(
                ledger.predict(rows(19, 3)).scores, answer.scores[[19, 3]]
            )
    assert verify(tmp_path / "l.db").n_answered == 20


def test_bad_input_is_refused_before_anything_is_written(tmp_path):
    """A wrong shape, a call of no rows, a model without a name."""
    model = Linear()
    with LedgerPredictor(model, tmp_path / "l.db") as ledger:
        with pytest.raises(InvalidInput, match=r"shape \(n, 4\)"):
            ledger.predict(np.ones((2, 5), np.float32))
        assert len(ledger.predict(rows().reshape(0, 4))) == 0
        assert ledger.vjp(rows().reshape(0, 4), np.ones((0, 3))).shape == (0, 4)
    assert not model.sent
    with pytest.raises(InvalidInput, match="rows_per_call"):
        LedgerPredictor(model, tmp_path / "l.db", rows_per_call=0)
    model.fingerprint = None
    with pytest.raises(InvalidInput, match="fingerprint"):
        LedgerPredictor(model, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
