"""The nearest flip of small ensembles, against every cell of the split grid."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Status, measure
from blackbox_boundary.estimators import Trees
from blackbox_boundary.estimators.trees import parts

_spec = importlib.util.spec_from_file_location("ensembles", Path(__file__).parent / "ensembles.py")
trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trees)

NORMS = ["l0", "l1", "l2", "linf"]


def rows_of(seed, ensemble, n=4):
    """Rows in the precision of the ensemble, some of them on thresholds."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, ensemble.n_features))
    on = rng.random(x.shape) < 0.3
    x[on] = rng.choice([-1, -0.4, 0, 0.3, 1.1], size=on.sum())
    return x.astype(ensemble.dtype)


def distance(found, x, norm):
    """Length of the flips, in double precision."""
    away = found.flip_points.astype(float) - x.astype(float)
    return (away != 0).sum(1) if norm == "l0" else np.linalg.norm(away, trees.ORDER[norm], axis=1)


@settings(deadline=None, max_examples=60)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_the_nearest_cell_with_another_label_is_found(ensemble, seed, norm):
    """Flip and certificate are the least distance over all cells; without a cell, no flip."""
    x = rows_of(seed, ensemble)
    found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm))
    exact = [trees.nearest_by_enumeration(ensemble, row.astype(float), norm) for row in x]
    has = np.isfinite(exact)
    assert ((found.status == Status.CONVERGED) == has).all()
    assert (found.status[~has] == Status.NO_FLIP).all()
    assert np.isinf(found.certified[~has]).all()
    np.testing.assert_allclose(distance(found, x, norm)[has], np.array(exact)[has], rtol=1e-6)
    # the square of a subnormal distance is zero: the certificate is then below it
    np.testing.assert_allclose(found.certified[has], np.array(exact)[has], rtol=1e-6, atol=1e-30)


@settings(deadline=None, max_examples=60)
@given(trees.ensembles(max_trees=7), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_parts_and_left_out_combinations_lose_no_flip(ensemble, seed, norm):
    """With cliques of two leaves and three combinations kept, balls are cut, and none is lost."""
    x = rows_of(seed, ensemble)
    with pytest.MonkeyPatch.context() as patch:
        for name, number in {"_CLIQUE": 2, "_KEPT": 3, "_FEW_GROUPS": 1}.items():
            patch.setattr(parts, name, number)
        found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm))
    exact = [trees.nearest_by_enumeration(ensemble, row.astype(float), norm) for row in x]
    has = np.isfinite(exact)
    assert ((found.status == Status.CONVERGED) == has).all()
    np.testing.assert_allclose(distance(found, x, norm)[has], np.array(exact)[has], rtol=1e-6)
    np.testing.assert_allclose(found.certified[has], np.array(exact)[has], rtol=1e-6, atol=1e-30)


@settings(deadline=None, max_examples=40)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(NORMS), st.integers(1, 3000))
def test_bounds_hold_when_the_work_runs_out(ensemble, seed, norm, max_work):
    """However little work is allowed, certificate <= smallest distance <= flip."""
    x = rows_of(seed, ensemble)
    found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm, max_work=max_work))
    for i, row in enumerate(x):
        exact = trees.nearest_by_enumeration(ensemble, row.astype(float), norm)
        assert found.certified[i] <= exact * (1 + 1e-6)
        if found.status[i] == Status.CONVERGED:
            assert distance(found, x, norm)[i] >= exact * (1 - 1e-6)


@settings(deadline=None, max_examples=40)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_bounds_of_the_inputs_are_kept(ensemble, seed, norm):
    """No flip point lies outside the bounds, and the nearest one inside is found."""
    bounds = (-0.5, 0.75)
    x = np.clip(rows_of(seed, ensemble), *bounds)
    found = measure(trees.TreePredictor(ensemble, bounds), x, estimator=Trees(norm=norm))
    exact = np.array(
        [trees.nearest_by_enumeration(ensemble, row.astype(float), norm, bounds) for row in x]
    )
    has = np.isfinite(exact)
    assert ((found.status == Status.CONVERGED) == has).all()
    if has.any():
        inside = found.flip_points[has]
        assert ((inside >= np.float32(-0.5)) & (inside <= np.float32(0.75))).all()
        np.testing.assert_allclose(distance(found, x, norm)[has], exact[has], rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(["l1", "l2", "linf"]))
def test_rows_finer_than_the_comparisons_are_bracketed(ensemble, seed, norm):
    """Rows in float64, trees in either: certificate below flip, both within single rounding."""
    x = np.random.default_rng(seed).normal(size=(4, ensemble.n_features))
    found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm))
    done = found.status == Status.CONVERGED
    away = distance(found, x, norm)[done]
    assert (found.certified[done] <= away).all()
    assert (found.certified[done] >= away - 1e-6 * (1 + np.abs(x).max())).all()


@settings(deadline=None, max_examples=20)
@given(trees.ensembles(), st.integers(0, 10**6))
def test_a_row_alone_is_the_row_in_a_batch(ensemble, seed):
    """Values and counts of a row do not depend on the rows beside it."""
    x = rows_of(seed, ensemble, 5)
    together = measure(trees.TreePredictor(ensemble), x, estimator=Trees())
    for i in range(len(x)):
        alone = measure(trees.TreePredictor(ensemble), x[i : i + 1], estimator=Trees())
        for name in ("l1", "l2", "linf", "certified", "n_predictions", "status", "flipped"):
            assert getattr(alone, name)[0] == getattr(together, name)[i]


@pytest.mark.parametrize("norm", NORMS)
def test_levels_of_a_grid_are_the_only_values(norm):
    """On whole numbers the nearest flip is the nearest level on the other side of a threshold."""
    from blackbox_boundary.grid import Grid

    ensemble = trees.TreeEnsemble(
        feature=np.array([0, 1, -1, -1, -1]),
        threshold=np.array([2.4, 5.5, 0, 0, 0]),
        left=np.array([1, 2, -1, -1, -1]),
        right=np.array([4, 3, -1, -1, -1]),
        missing_left=np.zeros(5, bool),
        value=np.array([[0.0], [0.0], [-1.0], [1.0], [1.0]]),
        roots=np.array([0]),
        base=np.zeros(1),
        n_features=2,
        dtype=np.dtype("f4"),
        summed_in=np.dtype("f4"),
    )
    predictor = trees.TreePredictor(ensemble)
    predictor.grid = Grid()
    x = np.array([[0.0, 4.0], [2.0, 1.0], [7.0, 5.0]])
    found = measure(predictor, x, estimator=Trees(norm=norm))
    expected = np.array([[0.0, 6.0], [3.0, 1.0], [2.0, 5.0]])
    if norm == "l0":
        assert ((found.flip_points != x).sum(1) == 1).all()
    else:
        np.testing.assert_array_equal(found.flip_points, expected)


@settings(deadline=None, max_examples=60)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(NORMS), st.integers(0, 2))
def test_the_nearest_input_of_a_class_is_found(ensemble, seed, norm, target):
    """Towards a class, flip and certificate are the least distance to an input of that class."""
    x, target = rows_of(seed, ensemble), min(target, ensemble.n_classes - 1)
    found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm), towards=target)
    for i, row in enumerate(x):
        if ensemble.labels(row[None])[0][0] == target:
            assert found.status[i] == Status.AT_TARGET
            continue
        exact = trees.nearest_by_enumeration(ensemble, row.astype(float), norm, target=target)
        if np.isinf(exact):
            assert found.status[i] == Status.NO_FLIP
            assert np.isinf(found.certified[i])
            continue
        assert found.status[i] == Status.CONVERGED
        assert found.flipped[i] == target
        away = distance(found, x, norm)[i]
        np.testing.assert_allclose([away, found.certified[i]], exact, rtol=1e-6, atol=1e-30)


@settings(deadline=None, max_examples=20)
@given(trees.ensembles(), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_rows_with_another_label_go_back_to_theirs(ensemble, seed, norm):
    """Back to the true label it is the distance to that class; for right or no labels, to any."""
    x, rng = rows_of(seed, ensemble), np.random.default_rng(seed)
    home = ensemble.labels(x)[0]
    truth = rng.integers(-1, ensemble.n_classes, len(x))
    found = measure(trees.TreePredictor(ensemble), x, estimator=Trees(norm=norm), from_label=truth)
    goes_back = (truth >= 0) & (truth != home)
    for i, row in enumerate(x.astype(float)):
        target = int(truth[i]) if goes_back[i] else None
        exact = trees.nearest_by_enumeration(ensemble, row, norm, target=target)
        assert (found.status[i] == Status.CONVERGED) == np.isfinite(exact)
        np.testing.assert_allclose(found.certified[i], exact, rtol=1e-6, atol=1e-30)
        if np.isfinite(exact):
            assert found.flipped[i] == truth[i] if goes_back[i] else found.flipped[i] != home[i]
            np.testing.assert_allclose(distance(found, x, norm)[i], exact, rtol=1e-6)
