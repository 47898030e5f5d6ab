"""Measurements through wrappers: limits end rows, not runs; recorded runs need no model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Interrupted, PredictorUnavailable, Status, TranscriptMismatch
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Ball, Reference
from blackbox_boundary.wrappers import (
    Allowance,
    BudgetPredictor,
    CountingPredictor,
    InputNoise,
    LedgerPredictor,
    MonitorPredictor,
    ReplayPredictor,
    Rounded,
)
from blackbox_boundary.wrappers.degrade import _Defence

X = np.random.default_rng(0).normal(scale=0.3, size=(12, 3))
COLUMNS = (
    "l1",
    "l2",
    "linf",
    "lo",
    "hi",
    "home",
    "flipped",
    "status",
    "n_predictions",
    "n_gradients",
    "flip_points",
)


def model():
    """A ball of radius one: the boundary is met in every direction."""
    predictor = Reference(Ball(np.zeros(3), 1.0))
    predictor.fingerprint = "ball"
    return predictor


def assert_same(got, expected):
    """Bit for bit."""
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name), err_msg=name)


@settings(max_examples=40, deadline=None)
@given(max_calls=st.integers(0, 40), batch_size=st.integers(1, 13), estimated=st.booleans())
def test_a_limit_on_calls_ends_rows_with_a_status(max_calls, batch_size, estimated):
    """Nothing exceeds the limit, counts are what was sent, and reported brackets hold."""
    inner = CountingPredictor(without_gradients() if estimated else model())
    limited = BudgetPredictor(inner, Allowance(max_calls=max_calls))
    distances = measure(limited, X, batch_size=batch_size)
    free = measure(without_gradients() if estimated else model(), X, batch_size=batch_size)
    n_calls = inner.n_prediction_calls + inner.n_gradient_calls
    assert n_calls == limited.allowance.n_calls <= max_calls
    assert distances.n_predictions.sum() == inner.n_predictions
    assert distances.n_gradients.sum() == inner.n_gradients
    assert set(distances.status.tolist()) <= {Status.CONVERGED, Status.OUT_OF_BUDGET}
    done = distances.status == Status.CONVERGED
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(distances, name)[done], getattr(free, name)[done])
    assert (distances.hi[~done] >= free.lo[~done]).all()
    if n_calls < max_calls:
        assert done.all()


def without_gradients():
    """The model without its gradients: they are estimated from its scores."""
    kept = _Defence(model(), model().access, "no gradients")
    kept.predict = model().predict
    return kept


def test_no_time_at_all():
    """Every row says so, and nothing was sent."""
    inner = CountingPredictor(model())
    distances = measure(BudgetPredictor(inner, Allowance(max_seconds=0)), X)
    assert (distances.status == Status.OUT_OF_BUDGET).all()
    assert inner.n_predictions == inner.n_gradients == 0


@pytest.mark.parametrize("failure", [PredictorUnavailable("gone"), KeyboardInterrupt()])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, failure):
    """Stopped at every call in turn and resumed: the same bits, each question sent once."""
    expected, sent = measure(model(), X, batch_size=5), CountingPredictor(model())
    for _ in range(200):
        stubborn = CountingPredictor(sent)
        ask, give = stubborn.predict, stubborn.vjp
        left = iter([0])

        def once(answer, left=left):
            def call(*question):
                if next(left, None) is None:
                    raise failure
                return answer(*question)

            return call

        stubborn.predict, stubborn.vjp = once(ask), once(give)
        with LedgerPredictor(stubborn, tmp_path / "l.db") as ledger:
            try:
                got = measure(ledger, X, batch_size=5)
            except (PredictorUnavailable, Interrupted):
                continue
            break
    assert_same(got, expected)
    with LedgerPredictor(CountingPredictor(model()), tmp_path / "clean.db") as ledger:
        measure(ledger, X, batch_size=5)
        assert (sent.n_predictions, sent.n_gradients) == (
            ledger._inner.n_predictions,
            ledger._inner.n_gradients,
        )


def test_a_replay_is_the_run(tmp_path):
    """Without the model, from the file alone; other settings ask what was never asked."""
    with LedgerPredictor(model(), tmp_path / "l.db") as ledger:
        expected = measure(ledger, X)
    with ReplayPredictor(tmp_path / "l.db") as replay:
        again = measure(replay, X)
        assert_same(again, expected)
        assert again.run["fingerprint"] == expected.run["fingerprint"] == "ball"
        with pytest.raises(TranscriptMismatch, match="same data, settings and version") as caught:
            measure(replay, X, bounds=(-0.7, 0.7), batch_size=3)
    assert len(caught.value.partial) == 12


def test_a_limit_inside_the_ledger_lets_a_resumed_run_go_further(tmp_path):
    """Answers are paid for once: each start spends its own allowance on new questions."""
    done = []
    for _ in range(60):
        with LedgerPredictor(
            BudgetPredictor(model(), Allowance(max_queries=30)), tmp_path / "l.db"
        ) as ledger:
            distances = measure(ledger, X)
        done.append(int((distances.status == Status.CONVERGED).sum()))
        if done[-1] == 12:
            break
    assert done[0] < 12
    assert done[-1] == 12
    assert_same(distances, measure(model(), X))


@pytest.mark.parametrize(
    ("defend", "share_with_flip"),
    [
        (lambda m: m, 1.0),
        (lambda m: Rounded(m, 8), 1.0),
        (lambda m: Rounded(m, 2), 0.0),
        (lambda m: InputNoise(m, 1e-9), 1.0),
    ],
)
def test_a_run_is_repeated_behind_a_defence(defend, share_with_flip):
    """Two decimals hide the gradient to estimate; a run that got on is noticed before its end."""
    monitor = MonitorPredictor(defend(model()))
    x = np.tile(X, (8, 1)) + np.arange(96)[:, None] * 1e-3
    distances = measure(monitor, x, estimator="ray")
    assert distances.has_flip.mean() == share_with_flip
    assert 100 < monitor.noticed_at < monitor.n_queries == distances.n_predictions.sum()
