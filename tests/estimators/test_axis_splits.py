"""Flips of trees from labels alone, against the exact ones."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from blackbox_boundary import InvalidInput, Status, load, measure
from blackbox_boundary.estimators import AxisSplits, Trees
from blackbox_boundary.wrappers import LabelOnly

X, Y = load_wine(return_X_y=True)
X = (X[:, :6] / X[:, :6].std(axis=0)).astype(np.float32)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_a_single_tree_is_solved_nearly_exactly(norm):
    """With 300 labels, 80 % of the flips are within 1 % of the nearest, half within 0.5 %."""
    predictor = load(DecisionTreeClassifier(random_state=0).fit(X, Y))
    rows = X[::15]
    exact = measure(predictor, rows, estimator=Trees(norm=norm))
    found = measure(
        LabelOnly(predictor), rows, estimator=AxisSplits(norm=norm, max_queries_per_row=300)
    )
    assert (found.status == Status.CONVERGED).all()
    assert found.n_predictions.max() <= 300
    assert (predictor.predict(found.flip_points).label != found.home).all()
    ratio = found.norm(norm) / exact.certified
    assert (ratio > 1 - 1e-6).all()
    assert np.median(ratio) < 1.005
    assert np.quantile(ratio, 0.8) < 1.01
    assert ratio.max() < 1.5


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_a_forest_is_solved_closely(norm):
    """With 600 labels, flips of twenty trees are within 10 % in the median; bounds are kept."""
    forest = RandomForestClassifier(20, random_state=0).fit(X, Y)
    bounds = (X.min(axis=0), X.max(axis=0))
    predictor = load(forest, bounds=bounds)
    rows = X[::20]
    exact = measure(predictor, rows, estimator=Trees(norm=norm))
    found = measure(
        LabelOnly(predictor), rows, estimator=AxisSplits(norm=norm, max_queries_per_row=600)
    )
    assert (found.status == Status.CONVERGED).all()
    assert ((found.flip_points >= bounds[0]) & (found.flip_points <= bounds[1])).all()
    ratio = found.norm(norm) / exact.certified
    assert (ratio > 1 - 1e-6).all()
    assert np.median(ratio) < 1.1


def test_a_row_alone_is_the_row_in_a_batch():
    """Each row has its own random stream."""
    predictor = LabelOnly(load(DecisionTreeClassifier(random_state=0).fit(X, Y)))
    search = AxisSplits(max_queries_per_row=60)
    both = measure(predictor, X[:2], estimator=search)
    assert measure(predictor, X[:1], estimator=search).l2[0] == both.l2[0]


def test_settings_out_of_range_are_refused():
    """An unknown norm, and fewer queries than a search needs."""
    with pytest.raises(InvalidInput, match="norm"):
        AxisSplits(norm="l0")
    with pytest.raises(InvalidInput, match="at least 3"):
        AxisSplits(max_queries_per_row=2)
