"""Forests beyond enumeration, against the mixed-integer programme of Kantchelian et al. 2016."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from blackbox_boundary import load
from blackbox_boundary.estimators.trees.cells import Leaves, SplitCells
from blackbox_boundary.estimators.trees.contests import rivals
from blackbox_boundary.estimators.trees.moves import Reach, RowMoves
from blackbox_boundary.estimators.trees.search import nearest_flip

_milp = Path(__file__).parents[2] / "quality" / "milp_trees.py"
_spec = importlib.util.spec_from_file_location("milp_trees", _milp)
milp_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(milp_trees)

MODELS = {
    "forest": RandomForestClassifier(20, max_depth=4, random_state=0),
    "boosted": GradientBoostingClassifier(n_estimators=20, max_depth=3, random_state=0),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_programme_finds_the_same_distance(kind, norm):
    """Search and programme agree; so do the search with little work and both, as bounds."""
    x, y = load_wine(return_X_y=True)
    x, y = (x / x.std(axis=0)).astype(np.float32), y > 0
    ensemble = load(MODELS[kind].fit(x, y)).tree_ensemble()
    cells = SplitCells.of(ensemble, np.float32)
    leaves = Leaves.of(ensemble, cells)
    for row in x[::70]:
        moves = RowMoves.of(row.astype(float), cells, norm, Reach.everywhere(len(row)))
        lost = rivals(leaves, int(ensemble.labels(row[None])[0][0]))
        found = nearest_flip(leaves, moves, lost, 20_000_000)
        value, _, is_proved = milp_trees.nearest_by_milp(leaves, moves, lost[0][0], 60)
        assert is_proved
        assert found.is_exact
        assert found.cost == pytest.approx(value, rel=1e-5, abs=1e-7)
        hurried = nearest_flip(leaves, moves, lost, 100_000)
        assert hurried.lower <= found.cost * (1 + 1e-9)
        assert hurried.cost >= found.cost * (1 - 1e-9)
