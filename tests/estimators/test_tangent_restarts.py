"""Flat spots, and rows without a first flip: the search goes on, and says what it found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Tangent

D = 6


class Leading:
    """Two classes whose lead, and its gradient, are functions of the rows; every row by itself."""

    access, n_classes, input_shape = Access.LOGITS, 2, (D,)

    def __init__(self, lead, slope, bounds=None):
        self.lead, self.slope, self.bounds = lead, slope, bounds

    def predict(self, x):
        lead = self.lead(np.asarray(x, np.float64))
        return Prediction.from_scores(np.stack([lead / 2, -lead / 2], axis=-1))

    def vjp(self, x, v):
        slope = self.slope(np.asarray(x, np.float64))
        return (slope * ((v[:, 0] - v[:, 1]) / 2)[:, None]).astype(x.dtype)


def cliff(seed):
    """A gentle slope at the rows, a steep one at the boundary elsewhere, and a floor beyond.

    Lead: ``max(1 - 0.02 w.x - clip(5 (u.x - 1), 0, 2), -1)``, unit vectors. The boundary is the
    hyperplane ``0.02 w.x + 5 (u.x - 1) = 1``.
    """
    rng = np.random.default_rng(seed)
    w, u = rng.normal(size=(2, D))
    w /= np.linalg.norm(w)
    u -= (u @ w) * w
    u = u / np.linalg.norm(u) + 0.5 * w  # so that the gentle way down meets the cliff
    u /= np.linalg.norm(u)

    def parts(x):
        return 1 - 0.02 * (x * w).sum(-1), 5 * ((x * u).sum(-1) - 1)

    def lead(x):
        gentle, steep = parts(x)
        return np.maximum(gentle - steep.clip(0, 2), -1)

    def slope(x):
        gentle, steep = parts(x)
        alive = gentle - steep.clip(0, 2) > -1
        down = -0.02 * w - 5 * u * ((steep > 0) & (steep < 2))[:, None]
        return np.where(alive[:, None], down, 0.0)

    normal = 0.02 * w + 5 * u
    return (
        Leading(lead, slope),
        lambda x: (6 - (x * normal).sum(-1)) / np.linalg.norm(normal),
        rng.normal(size=(8, D)) * 0.1,
    )


def hollow():
    """Gradients at rows lead to a plateau that keeps the label; the lowest corner flips it.

    Lead: ``0.2 + relu(0.5 - x0) - 4 relu(0.3 - mean(x1, ...))`` on [0, 1].
    """

    def lead(x):
        low = (0.3 - x[:, 1:].mean(-1)).clip(0)
        return 0.2 + (0.5 - x[:, 0]).clip(0) - 4 * low

    def slope(x):
        down = np.zeros_like(x)
        down[:, 0] = -1.0 * (x[:, 0] < 0.5)
        down[:, 1:] = (4 / (D - 1)) * (x[:, 1:].mean(-1) < 0.3)[:, None]
        return down

    return Leading(lead, slope, bounds=(0.0, 1.0))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_flat_region_beyond_the_boundary_is_left(seed):
    """The first step lands on the floor of zero gradient; the descent returns to the boundary."""
    predictor, distance, x = cliff(seed)
    found = measure(predictor, x, estimator=Tangent())
    assert (found.status == Status.CONVERGED).all()
    assert (found.l2 >= distance(x) * (1 - 1e-6)).all()
    assert (found.l2 <= distance(x) * 1.05).all()


def test_rows_whose_gradient_leads_nowhere_find_the_flip_elsewhere():
    """A corner of the box flips; descents from it end within 5 % of the nearest, by brute force."""
    x = np.random.default_rng(0).uniform(0.7, 0.9, size=(6, D))
    x[:, 0] = 0.1
    found = measure(hollow(), x, estimator=Tangent())
    up = np.linspace(0, 0.4, 401)
    low = 0.3 - (0.2 + (0.4 - up).clip(0)) / 4
    down = (x[:, 1:].mean(-1)[:, None] - low) * np.sqrt(D - 1)
    nearest = np.sqrt(up**2 + down**2).min(-1)
    assert (found.status == Status.CONVERGED).all()
    assert (found.l2 >= nearest * (1 - 1e-6)).all()
    assert (found.l2 <= nearest * 1.05).all()
    assert (found.n_gradients <= 4 * 24).all()


def test_a_row_that_starts_again_does_not_see_its_neighbours():
    """Rows with and without need, together and alone: the same bits, the same counts."""
    x = np.random.default_rng(1).uniform(0.7, 0.9, size=(6, D))
    x[:, 0] = 0.1
    x[::2, 1:] -= 0.5
    predictor = hollow()
    together = measure(predictor, x, estimator=Tangent(rounds=2))
    for row in range(6):
        alone = measure(predictor, x[row : row + 1], estimator=Tangent(rounds=2))
        for column in ("l2", "lo", "hi", "status", "n_predictions", "n_gradients", "flip_points"):
            assert (getattr(together, column)[row] == getattr(alone, column)[0]).all()
    assert len(set(together.n_gradients.tolist())) > 1


@pytest.mark.parametrize("rounds", [1, 12])
def test_zero_gradient_is_said_of_the_row_itself(rounds):
    """A plateau without a flip is NO_FLIP if the row has a gradient, else ZERO_GRADIENT."""
    predictor = Leading(
        lambda x: 0.5 + (1 - x.sum(-1)).clip(0),
        lambda x: -np.ones_like(x) * (x.sum(-1) < 1)[:, None],
        bounds=(0.0, 5.0),
    )
    x = np.array([[0.1] * D, [1.0] * D])
    found = measure(predictor, x, estimator=Tangent(rounds=rounds))
    assert found.status.tolist() == [Status.NO_FLIP, Status.ZERO_GRADIENT]
    assert rounds > 1 or found.n_gradients[1] == 1
