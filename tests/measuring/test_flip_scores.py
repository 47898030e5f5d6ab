"""The score at a flip point is that of the query which confirmed it, at no further cost."""

import numpy as np
import pytest

from blackbox_boundary import Status, measure
from blackbox_boundary.estimators import CATALOGUE
from blackbox_boundary.grid import Grid
from blackbox_boundary.testing import Ball, Linear, Reference

RNG = np.random.default_rng(0)
BALL = Ball(np.zeros(4), 1.0)
FIVE = Linear(RNG.normal(size=(5, 4)), RNG.normal(size=5))
X = RNG.normal(size=(5, 4))
ESTIMATORS = [name for name in CATALOGUE if name not in ("lower_bound", "trees")]


class OnLevels(Reference):
    """A model that takes quarters."""

    grid = Grid(unit=0.25)


def check(found, predictor, n_least=1):
    """Every converged row has the score that its flip point has when it is asked again."""
    converged = found.status == Status.CONVERGED
    assert converged.sum() >= n_least
    assert (np.isfinite(found.flip_top1) == converged).all()
    answer = predictor.predict(found.flip_points[converged])
    np.testing.assert_array_equal(found.flip_top1[converged], answer.scores.max(axis=-1))
    assert (answer.label == found.flipped[converged]).all()


@pytest.mark.parametrize("access", ["logits", "probabilities"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_score_is_that_of_the_flip_point(estimator, access):
    """Bit for bit, for every estimator."""
    predictor = Reference(FIVE, access=access)
    check(measure(predictor, X, estimator=estimator), predictor)


@pytest.mark.parametrize("estimator", ["ray", "tangent", "halfspace"])
def test_score_on_a_grid(estimator):
    """It belongs to the level that was asked, not to the point beside it."""
    predictor = OnLevels(FIVE)
    check(measure(predictor, np.round(4 * X) / 4, estimator=estimator), predictor)


def test_score_of_the_class_aimed_at():
    """It is the model's own score of that class."""
    predictor = Reference(FIVE)
    check(measure(predictor, X, estimator="tangent", towards=2), predictor)


def test_labels_alone_have_no_scores():
    """There is no such column."""
    found = measure(Reference(BALL, access="label"), X[:2], estimator="halfspace")
    assert found.flip_top1 is None
    assert found[0].flip_top1 is None


def test_rows_that_did_not_converge_have_none():
    """A limit ended the search."""
    found = measure(Reference(BALL), X, estimator="ray", max_queries=5)
    assert np.isnan(found.flip_top1[found.status != Status.CONVERGED]).all()


def test_scores_survive_the_file(tmp_path):
    """Saved, read, and written as a column of the table."""
    found = measure(Reference(BALL), X)
    found.save(tmp_path / "d.npz")
    again = type(found).load(tmp_path / "d.npz")
    np.testing.assert_array_equal(again.flip_top1, found.flip_top1)
    found.to_csv(tmp_path / "d.csv")
    assert "flip_top1" in (tmp_path / "d.csv").read_text().splitlines()[0]
