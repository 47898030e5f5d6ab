"""Read the trees of an XGBoost model from its JSON, in a file or from a booster.

xgboost is not imported.

A row goes left where ``x < t``, in single precision, and leaves are added in single precision. A
split by a set of categories sends a number right where its whole part is one of them; negative
numbers are none. NaN follows the default direction of each split. Supported are boosters with
``gbtree`` and, for classifiers, the objectives below.

| objective | outputs | link |
|---|---|---|
| ``binary:logistic`` | one | sigmoid |
| ``binary:logitraw``, ``binary:hinge`` | one | none |
| ``multi:softprob``, ``multi:softmax`` | one a class | softmax |

References
----------
.. [1] https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html, the JSON schema.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble

from .assembly import Assembly
from .category_sets import Node, runs_of, split_by_runs

__all__ = ["xgboost_document", "xgboost_trees"]

_LINKS = {
    "binary:logistic": "logistic",
    "binary:logitraw": "unknown",
    "binary:hinge": "unknown",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
}


def xgboost_trees(estimator: Any) -> TreeEnsemble | None:
    """The trees of a fitted classifier of XGBoost's scikit-learn face, or of a booster; else None.

    Raises
    ------
    CapabilityMissing
        An XGBoost model that is not read; see :func:`xgboost_document`.
    """
    if not type(estimator).__module__.startswith("xgboost"):
        return None
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    if not hasattr(booster, "save_raw"):
        return None
    stop = _rounds_used(estimator)
    return xgboost_document(json.loads(bytes(booster.save_raw("json"))), n_rounds=stop)


def _rounds_used(estimator: Any) -> int | None:
    """Rounds that the scikit-learn face predicts with; None: all."""
    try:
        best = estimator.best_iteration
    except AttributeError:
        return None
    return None if best is None else int(best) + 1


def xgboost_document(document: dict[str, Any], *, n_rounds: int | None = None) -> TreeEnsemble:
    """The trees of an XGBoost model as its JSON describes it.

    Parameters
    ----------
    document : dict
        The parsed JSON of ``save_model`` or ``save_raw``.
    n_rounds : int, optional
        Rounds that are used, where training stopped early. Default: all.

    Raises
    ------
    CapabilityMissing
        Another booster than ``gbtree``, another objective, or vector leaves; or the document is no
        model of XGBoost.
    """
    try:
        return _read(document["learner"], n_rounds)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CapabilityMissing(
            f"The JSON is no model of XGBoost that is read: {type(error).__name__}: {error}"
        ) from error


def _read(learner: dict[str, Any], n_rounds: int | None) -> TreeEnsemble:
    booster, objective = learner["gradient_booster"], learner["objective"]["name"]
    if booster["name"] != "gbtree":
        raise CapabilityMissing(f'XGBoost\'s booster "{booster["name"]}" is not read; gbtree is.')
    if objective not in _LINKS:
        raise CapabilityMissing(
            f'XGBoost\'s objective "{objective}" is not read; {", ".join(_LINKS)} are.'
        )
    parameters = learner["learner_model_param"]
    n_outputs = max(1, int(parameters["num_class"]))
    model = booster["model"]
    per_round = n_outputs * int(model["gbtree_model_param"].get("num_parallel_tree", 1))
    assembly = Assembly(n_outputs, np.float32, strict=True)
    n_trees = len(model["trees"]) if n_rounds is None else n_rounds * per_round
    for tree, output in list(zip(model["trees"], model["tree_info"], strict=True))[:n_trees]:
        _add(assembly, tree, output, n_outputs)
    return assembly.ensemble(
        base=_base(parameters["base_score"], objective, n_outputs),
        n_features=int(parameters["num_feature"]),
        summed_in=np.dtype(np.float32),
        link=_LINKS[objective],
        source=f"XGBoost ({min(n_trees, len(model['trees']))} trees)",
    )


def _add(assembly: Assembly, tree: dict[str, Any], output: int, n_outputs: int) -> None:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise CapabilityMissing("XGBoost's trees with vector leaves are not read.")
    left = np.asarray(tree["left_children"], np.intp)
    condition = np.asarray(tree["split_conditions"], np.float32).astype(np.float64)
    column = np.where(left < 0, -1, np.asarray(tree["split_indices"], np.intp))
    right, missing = np.asarray(tree["right_children"]), np.asarray(tree["default_left"]) != 0
    nodes = [Node(*node) for node in zip(column, condition, left, right, missing, strict=True)]
    for at, ends in _sets(tree).items():
        _, _, outside, inside, misses = nodes[at]
        split_by_runs(nodes, at, ends, inside=inside, outside=outside, missing_inside=not misses)
    value = np.zeros((len(nodes), n_outputs))
    value[: len(left), output] = np.where(left < 0, condition, 0.0)
    assembly.add_nodes(nodes, value)


def _sets(tree: dict[str, Any]) -> dict[int, list[tuple[float, float]]]:
    """Where the runs of each set of categories begin and end, by the node that it splits."""
    categories = np.asarray(tree.get("categories", ()), np.intp)
    named = zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    )
    return {
        node: [(float(a), b + 1.0) for a, b in runs_of(np.sort(categories[first : first + size]))]
        for node, first, size in named
    }


def _base(stored: str, objective: str, n_outputs: int) -> Any:
    """The margin to which the leaves are added.

    Binary objectives store it as a probability. Since XGBoost 3.1 it is stored as a list.
    """
    values = np.atleast_1d(np.asarray(json.loads(stored), np.float32)).astype(np.float64)
    if objective.startswith("binary:log"):
        values = np.log(values / (1 - values))
    return np.broadcast_to(values, (n_outputs,)).copy()
