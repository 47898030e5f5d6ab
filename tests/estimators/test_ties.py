"""Rows on the decision boundary itself: their distance is zero, and a flip lies beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Broyden, FlipPoint, Homotopy, Linearised, Ray, Tangent
from blackbox_boundary.grid import Grid

_ESTIMATORS = {
    "ray": Ray(direction="margin"),
    "tangent": Tangent(),
    "tangent linf": Tangent(norm="linf"),
    "tangent l1": Tangent(norm="l1"),
    "flip_point": FlipPoint(),
    "flip_point lagrangian": FlipPoint(method="lagrangian"),
    "homotopy": Homotopy(),
    "linearised": Linearised(),
    "broyden": Broyden(),
}


class _Linear:
    """Linear scores of whole numbers, so that ties are exact in either precision."""

    bounds = None
    weight = np.array([[1.0, 2.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    offset = np.array([0.0, 0.0, -6.0])

    def __init__(self, access: Access) -> None:
        self.access, self.input_shape, self.n_classes = access, (3,), 3

    def predict(self, x: Any) -> Prediction:
        scores = x @ self.weight.T.astype(x.dtype) + self.offset.astype(x.dtype)
        if self.access is Access.PROBABILITIES:
            scores = np.exp(scores - scores.max(axis=1, keepdims=True))
            scores /= scores.sum(axis=1, keepdims=True)
        return Prediction.from_scores(scores)


class _Differentiable(_Linear):
    """The same with its own gradients."""

    def vjp(self, x: Any, v: Any) -> Any:
        if self.access is Access.PROBABILITIES:
            p = self.predict(x).scores
            v = p * (v - (v * p).sum(axis=1, keepdims=True))
        return (v @ self.weight).astype(x.dtype)


class _OnWholeNumbers(_Differentiable):
    """The same for a model that takes whole numbers."""

    grid = Grid()


_TIED = np.array([[2.0, -1.0, 2.0], [3.0, -2.0, 2.0], [0.0, 0.0, 0.0], [5.0, -4.0, 2.0]])
"""Rows whose classes 0 and 1 have equal scores; the third one is behind."""


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("access", [Access.LOGITS, Access.PROBABILITIES])
@pytest.mark.parametrize("model", [_Linear, _Differentiable])
@pytest.mark.parametrize("name", sorted(_ESTIMATORS))
def test_a_row_on_the_boundary_has_a_flip_beside_it(
    name: str, model: Any, access: Access, kind: Any
) -> None:
    """A tie is a distance of zero: the flip found lies within a few roundings of the row."""
    x = _TIED.astype(kind)
    for bounds in (None, (-8.0, 8.0)):
        found = measure(model(access), x, estimator=_ESTIMATORS[name], bounds=bounds)
        assert (found.status == Status.CONVERGED).all(), found.count_by_status()
        assert (found.l2 <= 1e3 * np.finfo(kind).eps * 8).all(), found.l2


@pytest.mark.parametrize("name", sorted(_ESTIMATORS))
def test_on_a_grid_the_flip_of_a_tie_is_a_neighbour(name: str) -> None:
    """No input lies between a row and its neighbours: the flip is one step in one or two inputs."""
    found = measure(
        _OnWholeNumbers(Access.LOGITS), _TIED, estimator=_ESTIMATORS[name], bounds=(-8.0, 8.0)
    )
    assert (found.status == Status.CONVERGED).all(), found.count_by_status()
    assert (found.linf == 1).all()
    assert (found.flip_points == np.round(found.flip_points)).all()


def test_a_tie_ends_a_search_that_could_go_on() -> None:
    """Nothing is nearer than a flip at the row itself, so that no further question is asked."""
    x = _TIED[:2]
    for estimator, most in ((Tangent(), 60), (Broyden(), 300), (FlipPoint(), 40)):
        found = measure(_Differentiable(Access.LOGITS), x, estimator=estimator)
        assert (found.n_predictions + found.n_gradients <= most).all()
