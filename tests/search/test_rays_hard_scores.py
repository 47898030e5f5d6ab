"""With unhelpful scores the search ends where that by labels does, for at most two queries more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, InvalidInput, Prediction, Status, measure
from blackbox_boundary.estimators import Ray

NORMAL, OFFSET = np.array([0.8, -1.1, 0.3, 0.5]), 0.3
WARPS = {
    "plain": lambda m: m,
    "flat": lambda m: m**9,
    "steep": np.cbrt,
    "very steep": lambda m: np.sign(m) * np.abs(m) ** 0.05,
    "labels in disguise": np.sign,
    "lopsided labels": lambda m: np.where(m > 0, 1e6, -1e-6),
    "saturated": lambda m: np.tanh(1e3 * m),
    "nearly constant": lambda m: np.tanh(1e-3 * m),
    "rounded": lambda m: np.round(m, 3),
    "stairs": lambda m: np.round(4 * m) / 4,
    "stairs and a jump": lambda m: np.round(4 * m) / 4 + np.sign(m),
    "jump": lambda m: m + 5 * np.sign(m),
    "kink before": lambda m: np.where(m > 0, 1e4 * m, m),
    "kink behind": lambda m: np.where(m > 0, m, 1e4 * m),
    "exponential": lambda m: np.sign(m) * np.expm1(np.minimum(np.abs(m), 50)),
    "logarithmic": lambda m: np.sign(m) * np.log1p(1e6 * np.abs(m)),
    "waves": lambda m: m * (1.2 + np.sin(40 * m)),
    "fast waves": lambda m: m * (1.001 + np.sin(1e4 * m)),
    "noise": lambda m: m * (1 + 0.5 * np.sin(1e9 * m)),
}


class Warped:
    """A hyperplane whose margin went through a function that keeps its sign."""

    access, n_classes, bounds, input_shape = Access.LOGITS, 2, None, (4,)

    def __init__(self, warp, steepness):
        self.warp, self.steepness = warp, steepness

    def predict(self, x):
        margin = (x * NORMAL).sum(axis=-1) + OFFSET
        warped, label = self.warp(margin), (margin > 0).astype(np.intp)
        least = np.finfo(float).tiny  # of a margin that was warped to nothing
        warped = np.where(label == 1, np.maximum(warped, least), np.minimum(warped, 0))
        return Prediction(label, scores=np.stack([-warped / 2, warped / 2], axis=-1))

    def vjp(self, x, v):
        return self.steepness * np.broadcast_to(NORMAL, x.shape) * (v[:, 1:] - v[:, :1]) / 2


@pytest.mark.parametrize("steepness", [1e-3, 1.0, 1e2], ids="first radius {:g}".format)
@pytest.mark.parametrize("warp", WARPS)
def test_no_scores_mislead_the_search(warp, steepness):
    """Right to the tolerance on every row, and never more than two queries over bisection."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4)) * rng.choice([0.01, 1, 30], size=(400, 1))
    exact = np.abs((x * NORMAL).sum(axis=-1) + OFFSET) / np.linalg.norm(NORMAL)
    model = Warped(WARPS[warp], steepness)
    scores, labels = (
        measure(model, x, estimator=Ray()),
        measure(model, x, estimator=Ray(search_by="paper")),
    )
    for found in (scores, labels):
        assert (found.status == Status.CONVERGED).all()
        np.testing.assert_allclose(found.l2, exact, rtol=2e-6)
    assert (scores.n_predictions - labels.n_predictions).max() <= 2


@pytest.mark.parametrize("warp", WARPS)
def test_slack_is_what_a_row_may_lose(warp):
    """With more of it a row may try longer, and still loses no more than told."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 4)) * rng.choice([0.01, 1, 30], size=(400, 1))
    exact = np.abs((x * NORMAL).sum(axis=-1) + OFFSET) / np.linalg.norm(NORMAL)
    labels = measure(Warped(WARPS[warp], 1.0), x, estimator=Ray(search_by="paper"))
    found = measure(Warped(WARPS[warp], 1.0), x, estimator=Ray(slack=6))
    np.testing.assert_allclose(found.l2, exact, rtol=2e-6)
    assert (found.n_predictions - labels.n_predictions).max() <= 6


def test_slack_pays_where_leads_bend():
    """A lead that flattens before it vanishes: two tries end in bisection, six near the root."""
    x = np.random.default_rng(2).normal(size=(400, 4)) * 3
    model = Warped(lambda margin: np.sinh(np.clip(margin / 3, -30, 30)), 100.0)
    few, more = (measure(model, x, estimator=Ray(slack=slack)) for slack in (2, 6))
    np.testing.assert_allclose(more.l2, few.l2, rtol=2e-6)
    assert more.n_predictions.mean() < 0.6 * few.n_predictions.mean()


def test_slack_is_not_negative():
    """Refused when it is set."""
    with pytest.raises(InvalidInput, match="slack"):
        Ray(slack=-1)


class Saturated:
    """A hyperplane with probabilities in single precision: one rounds to 1, the other to 0."""

    access, n_classes, bounds, input_shape = Access.PROBABILITIES, 2, None, (4,)

    def __init__(self, scale):
        self.scale = scale

    def predict(self, x):
        z = ((x * NORMAL).sum(axis=-1) + OFFSET) * self.scale
        sure = (1 / (1 + np.exp(-np.abs(z)))).astype(np.float32)
        first = np.where(z > 0, sure, 1 - sure)
        return Prediction.from_scores(np.stack([1 - first, first], axis=-1))


@pytest.mark.parametrize("direction", ["margin", "top1"])
@given(st.floats(0.1, 200), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_converged_means_a_closed_bracket_where_probabilities_saturate(direction, scale, seed):
    """Differences of such scores mislead; each finished row has a narrow bracket near the truth."""
    x = np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32)
    found = measure(Saturated(scale), x, estimator=Ray(direction=direction))
    exact = np.abs((x * NORMAL).sum(axis=-1) + OFFSET) / np.linalg.norm(NORMAL)
    done = found.status == Status.CONVERGED
    resolved = 4e-6  # single precision scores of rows at the boundary resolve no more
    assert (found.hi[done] - found.lo[done] <= 0.01 * found.hi[done] + resolved).all()
    assert (found.l2[done] <= 2 * exact[done]).all()
    without = np.isin(found.status, (Status.ZERO_GRADIENT, Status.UNRESOLVED))
    assert (without | done).all()
