"""The closest tie by constrained optimisation: exact where known, else with a reason."""

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing, Distances, InvalidInput, Status
from blackbox_boundary.estimators import FlipPoint
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Ball, Linear, Reference

METHODS = pytest.mark.parametrize("method", ["quadratic", "lagrangian"])


def linear(seed=0, d=6, classes=5, **settings):
    """A linear classifier with random weights."""
    rng = np.random.default_rng(seed)
    return Reference(Linear(rng.normal(size=(classes, d)), rng.normal(size=classes)), **settings)


@METHODS
@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_the_closest_tie_of_linear_scores_is_found(method, access):
    """All pairs tried, the nearest is the exact distance; the note names the classes that tie."""
    predictor, x = linear(access=access), np.random.default_rng(1).normal(size=(12, 6)) * 0.5
    found = measure(predictor, x, estimator=FlipPoint(pairs=None, method=method))
    assert np.allclose(found.l2, predictor.distance(x), rtol=2e-3)
    top_two = np.sort(predictor.shape.logits(found.flip_points), axis=-1)[:, -2:]
    assert (top_two[:, 1] - top_two[:, 0] < 1e-2).all()
    assert [str(note) for note in found.note] == [
        f"classes {a} and {b} tie" for a, b in zip(found.home, found.flipped, strict=True)
    ]


def test_an_inner_solver_out_of_steps_is_no_lost_row():
    """200 rows around a ball: a few programmes reach their minimum as they run out of steps."""
    ball, x = Reference(Ball(np.zeros(6), 1.0)), np.random.default_rng(0).normal(size=(200, 6))
    found = measure(ball, x, estimator=FlipPoint(method="quadratic"))
    assert (found.status == Status.CONVERGED).all()
    assert np.allclose(found.l2, ball.distance(x), rtol=1e-3)


@METHODS
def test_a_curved_boundary_is_met(method):
    """From inside and outside a ball, within 1 %."""
    ball, x = Reference(Ball(np.zeros(4), 1.0)), np.random.default_rng(0).normal(size=(20, 4))
    found = measure(ball, x, estimator=FlipPoint(method=method))
    assert (found.status == Status.CONVERGED).all()
    assert np.allclose(found.l2, ball.distance(x), rtol=1e-2)


@METHODS
def test_bounds_hold(method):
    """No flip point outside, also where the nearest tie is."""
    predictor, x = (
        linear(bounds=(-0.5, 0.5)),
        np.random.default_rng(2).uniform(-0.5, 0.5, size=(15, 6)),
    )
    found = measure(predictor, x, estimator=FlipPoint(method=method))
    points = found.flip_points[found.has_flip]
    assert found.has_flip.sum() >= 10
    assert (np.abs(points) <= 0.5).all()
    assert (found.l2[found.has_flip] >= predictor.distance(x)[found.has_flip] * (1 - 1e-9)).all()


@METHODS
def test_what_failed_says_why(method):
    """A boundary outside the box: no flip, and a sentence."""
    predictor = Reference(Linear.hyperplane(np.array([1.0, 0.0]), 5.0), bounds=(-1.0, 1.0))
    found = measure(predictor, np.zeros((1, 2)), estimator=FlipPoint(method=method))
    assert found.status[0] == Status.NO_FLIP
    assert str(found.note[0]).startswith("classes 1 and 0: ")
    expected = (
        "no tie in the linearised programme" if method == "quadratic" else "the scores stay apart"
    )
    assert expected in str(found.note[0])


def test_flat_scores_have_no_tie():
    """A vanishing gradient is named."""
    flat = Reference(Linear(np.zeros((2, 3)), np.array([1.0, 0.0])))
    found = measure(flat, np.ones((1, 3)), estimator="flip_point")
    assert "gradient" in str(found.note[0])


def test_notes_are_kept_on_disk(tmp_path):
    """In the saved result and in the CSV file."""
    found = measure(linear(), np.zeros((3, 6)), estimator="flip_point")
    found.save(tmp_path / "found.npz")
    found.to_csv(tmp_path / "found.csv")
    assert (Distances.load(tmp_path / "found.npz").note == found.note).all()
    assert str(found.note[0]) in (tmp_path / "found.csv").read_text()


def test_gradients_are_one_a_step_whatever_the_classes():
    """The augmented Lagrangian needs one vector-Jacobian product a step and pair."""
    found = measure(
        linear(classes=9),
        np.zeros((2, 6)),
        estimator=FlipPoint(pairs=2, method="lagrangian", steps=10),
    )
    assert (found.n_gradients == 2 * 11).all()


def test_rows_do_not_see_each_other():
    """A row alone gives the same values and counts."""
    x = np.random.default_rng(7).normal(size=(5, 6))
    together, alone = (measure(linear(), rows, estimator="flip_point") for rows in (x, x[2:3]))
    for column in ("l2", "n_predictions", "n_gradients", "note"):
        assert getattr(together, column)[2] == getattr(alone, column)[0]


def test_a_spent_limit_is_said():
    """Whatever the limit, statuses are right and the count is kept."""
    for limit in (1, 10, 60, 300):
        found = measure(linear(), np.zeros((3, 6)) + 0.1, estimator="flip_point", max_queries=limit)
        assert found.n_predictions.sum() + found.n_gradients.sum() <= limit
        assert set(found.count_by_status()) <= {"OUT_OF_BUDGET", "CONVERGED", "NO_FLIP"}


def test_bad_settings_are_refused():
    """Before any query."""
    with pytest.raises(InvalidInput, match="method"):
        FlipPoint(method="newton")
    with pytest.raises(InvalidInput, match="pairs"):
        FlipPoint(pairs=0)
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        measure(linear(access="label"), np.zeros((1, 6)), estimator="flip_point")
