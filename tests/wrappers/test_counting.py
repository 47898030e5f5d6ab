"""What is sent is counted before it is sent, and never twice."""

import threading

import numpy as np
import pytest

from blackbox_boundary import Access, Differentiable, Prediction
from blackbox_boundary.testing import check_predictor
from blackbox_boundary.wrappers.batching import BatchingPredictor
from blackbox_boundary.wrappers.budget import Allowance, BudgetPredictor
from blackbox_boundary.wrappers.counting import CountingPredictor
from blackbox_boundary.wrappers.degrade import InputNoise, LabelOnly, Rounded, ScoreNoise, TopK
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.monitor import MonitorPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from .models import Smooth


def test_queries_calls_and_gradients(tmp_path):
    """Rows and calls, predictions and gradients, each on its own."""
    counted = CountingPredictor(Smooth())
    x = np.ones((5, 2, 3), np.float32)
    counted.predict(x)
    counted.predict(x[:0])
    counted.vjp(x[:2], np.ones((2, 4)))
    assert (
        counted.n_predictions,
        counted.n_prediction_calls,
        counted.n_gradients,
        counted.n_gradient_calls,
    ) == (5, 2, 2, 1)


def test_a_failed_call_has_been_counted():
    """Its rows were sent."""
    model = Smooth()
    model.predict = lambda x: 1 / 0
    counted = CountingPredictor(model)
    with pytest.raises(ZeroDivisionError):
        counted.predict(np.ones((3, 2, 3)))
    assert counted.n_predictions == 3


def test_threads_lose_no_count():
    """Counts from many threads add up."""
    counted, x = CountingPredictor(Smooth()), np.ones((1, 2, 3), np.float32)
    threads = [
        threading.Thread(target=lambda: [counted.predict(x) for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.n_predictions == counted.n_prediction_calls == 1600


@pytest.mark.parametrize(
    "wrap",
    [
        CountingPredictor,
        MonitorPredictor,
        lambda model: BatchingPredictor(model, 2),
        lambda model: BatchingPredictor(model, 3, pad=True),
        lambda model: BudgetPredictor(model, Allowance()),
        LabelOnly,
        lambda model: TopK(model, 1),
        lambda model: TopK(model, 2),
        lambda model: Rounded(model, 3),
        lambda model: ScoreNoise(model, 0.5, seed=1),
        lambda model: InputNoise(model, 0.5, seed=1),
    ],
)
@pytest.mark.parametrize("access", [Access.LOGITS, Access.PROBABILITIES])
def test_a_wrapped_predictor_is_a_predictor(wrap, access):
    """Each wrapper passes the conformance suite, and passes gradients on or does without them."""
    model = Smooth(access)
    wrapped = wrap(model)
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    known = (
        {"dtypes": "noise is drawn by content, dtype included"}
        if isinstance(wrapped, ScoreNoise | InputNoise)
        else {}
    )
    check_predictor(wrapped, x, known=known)
    assert repr(model) in repr(wrapped)
    if isinstance(wrapped, Differentiable):
        v = np.random.default_rng(1).normal(size=(7, 4))
        np.testing.assert_array_equal(wrapped.vjp(x, v), model.vjp(x, v), strict=True)


def test_a_recorded_predictor_is_a_predictor(tmp_path):
    """So are a ledger, and a replay of what was asked."""
    x = np.random.default_rng(0).normal(size=(7, 2, 3)).astype(np.float32)
    with LedgerPredictor(Smooth(), tmp_path / "l.db", rows_per_call=3) as ledger:
        check_predictor(ledger, x)
    with ReplayPredictor(tmp_path / "l.db") as replay:
        expected = Smooth().predict(x)
        np.testing.assert_array_equal(replay.predict(x).scores, expected.scores)


def test_a_model_without_gradients_gets_none():
    """No wrapper adds a capability."""

    class Labels:
        access, input_shape, n_classes, bounds = Access.LABEL, (1,), 2, None

        def predict(self, x):
            return Prediction((x[:, 0] > 0).astype(int))

    for wrapped in (
        CountingPredictor(Labels()),
        BatchingPredictor(Labels(), 2),
        MonitorPredictor(Labels()),
    ):
        assert not isinstance(wrapped, Differentiable)
        assert wrapped.fingerprint is None
