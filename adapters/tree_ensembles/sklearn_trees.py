"""Read the trees of scikit-learn's estimators; scikit-learn is not imported.

| estimator | compares | sums |
|---|---|---|
| DecisionTree, RandomForest, ExtraTrees | float32 rows, ``x <= t``, double ``t`` | class shares |
| GradientBoosting | the same | logits, in double precision |
| HistGradientBoosting | double rows, ``x <= t``, sets of numbers | logits, in double precision |
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble

from .assembly import Assembly
from .category_sets import Node, split_by_runs

__all__ = ["sklearn_trees"]


def sklearn_trees(estimator: Any) -> TreeEnsemble | None:
    """The trees of a fitted scikit-learn classifier; None if it is not made of trees.

    Raises
    ------
    CapabilityMissing
        Made of trees, but with something in front of them or in them that is not read.
    """
    if not type(estimator).__module__.startswith("sklearn."):
        return None
    if hasattr(estimator, "_predictors") and hasattr(estimator, "_baseline_prediction"):
        return _histogram_boosting(estimator)
    if hasattr(estimator, "tree_"):
        return _forest(estimator, [estimator])
    members = getattr(estimator, "estimators_", None)
    if isinstance(members, np.ndarray) and hasattr(estimator, "learning_rate"):
        return _gradient_boosting(estimator, members)
    if isinstance(members, list) and members and all(hasattr(tree, "tree_") for tree in members):
        if hasattr(estimator, "estimator_weights_") or hasattr(estimator, "estimators_features_"):
            raise CapabilityMissing(
                f"{type(estimator).__name__} weighs its trees or gives them columns of their own; "
                "its splits are not read."
            )
        return _forest(estimator, members)
    return None


def _forest(estimator: Any, members: list[Any]) -> TreeEnsemble:
    n_classes = len(estimator.classes_)
    assembly = Assembly(n_classes, np.float32)
    for member in members:
        tree = member.tree_
        share = tree.value[:, 0, :]
        share = share / share.sum(axis=1, keepdims=True)  # counts, before version 1.3
        _add(assembly, tree, share)
    return assembly.ensemble(
        base=np.zeros(n_classes),
        n_features=int(estimator.n_features_in_),
        summed_in=np.dtype(np.float64),
        link="mean",
        source=f"{type(estimator).__name__} ({len(members)} trees)",
    )


def _gradient_boosting(estimator: Any, members: Any) -> TreeEnsemble:
    n_features, n_outputs = int(estimator.n_features_in_), members.shape[1]
    if hasattr(estimator, "estimator_weights_"):
        raise CapabilityMissing(f"The trees of {type(estimator).__name__} are not read.")
    rows = np.stack([np.zeros(n_features), np.ones(n_features)]).astype(np.float32)
    start = estimator._raw_predict_init(rows)  # noqa: SLF001  the initial scores have no public name
    if not np.array_equal(start[0], start[1]):
        raise CapabilityMissing(
            f"{type(estimator).__name__} starts from another model ({estimator.init_!r}); only "
            "constant initial scores are read."
        )
    assembly = Assembly(n_outputs, np.float32)
    for stage in members:
        for output, member in enumerate(stage):
            value = np.zeros((member.tree_.node_count, n_outputs))
            value[:, output] = estimator.learning_rate * member.tree_.value[:, 0, 0]
            _add(assembly, member.tree_, value)
    exponential = getattr(estimator, "loss", "") == "exponential"
    link = "softmax" if n_outputs > 1 else "unknown" if exponential else "logistic"
    return assembly.ensemble(
        base=np.asarray(start[0], np.float64),
        n_features=n_features,
        summed_in=np.dtype(np.float64),
        link=link,
        source=f"{type(estimator).__name__} ({members.size} trees)",
    )


def _add(assembly: Assembly, tree: Any, value: Any) -> None:
    is_leaf = tree.children_left < 0
    missing = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    assembly.add(
        np.where(is_leaf, -1, tree.feature),
        tree.threshold,
        tree.children_left,
        tree.children_right,
        value,
        missing_left=np.asarray(missing) != 0,
    )


def _histogram_boosting(estimator: Any) -> TreeEnsemble:
    stages = estimator._predictors  # noqa: SLF001  the trees have no public name
    n_outputs = len(stages[0]) if stages else 1
    assembly = Assembly(n_outputs, np.float64)
    columns, categories = _encoded(estimator)
    for stage in stages:
        for output, predictor in enumerate(stage):
            nodes = _histogram_nodes(predictor, columns, categories)
            value = np.zeros((len(nodes), n_outputs))
            value[: len(predictor.nodes), output] = predictor.nodes["value"]
            assembly.add_nodes(nodes, value)
    base = np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)  # noqa: SLF001
    return assembly.ensemble(
        base=base,
        n_features=int(estimator.n_features_in_),
        summed_in=np.dtype(np.float64),
        link="logistic" if n_outputs == 1 else "softmax",
        source=f"{type(estimator).__name__} ({sum(map(len, stages))} trees)",
    )


def _encoded(estimator: Any) -> tuple[NDArray[np.intp], list[Any]]:
    """The input's column of each column of the trees, and the categories of those that have some.

    The estimator puts columns of categories first, and numbers their categories.
    """
    is_category = getattr(estimator, "is_categorical_", None)
    if is_category is None:
        return np.arange(estimator.n_features_in_), []
    encoder = getattr(estimator, "_preprocessor", None)
    if encoder is None:
        raise CapabilityMissing(
            f"The categories of {type(estimator).__name__} are read from scikit-learn 1.4 on; fit "
            "it there, or measure by axis_splits."
        )
    found = encoder.named_transformers_["encoder"].categories_
    return np.concatenate([np.flatnonzero(is_category), np.flatnonzero(~is_category)]), list(found)


def _histogram_nodes(
    predictor: Any, columns: NDArray[np.intp], categories: list[Any]
) -> list[Node]:
    """One tree; splits by sets of categories as chains of splits around single numbers.

    Numbers that are no category go where missing values go. Texts stand for their place in rising
    order.
    """
    stored = predictor.nodes
    nodes = [
        Node(
            -1 if node["is_leaf"] else int(columns[node["feature_idx"]]),
            float(node["num_threshold"]),
            int(node["left"]),
            int(node["right"]),
            bool(node["missing_go_to_left"]),
        )
        for node in stored
    ]
    is_set = (stored["is_categorical"] != 0) & (stored["is_leaf"] == 0)
    for at in np.flatnonzero(is_set).tolist():
        known = categories[stored["feature_idx"][at]]
        is_number = np.issubdtype(np.asarray(known).dtype, np.number)
        numbers = np.asarray(known, np.float64) if is_number else np.arange(float(len(known)))
        bits = predictor.raw_left_cat_bitsets[stored["bitset_idx"][at]].astype("<u4")
        is_left = np.unpackbits(bits.view(np.uint8), bitorder="little")[: len(numbers)] != 0
        _, _, left, right, missing_left = nodes[at]
        inside, outside, named = (right, left, ~is_left) if missing_left else (left, right, is_left)
        members = np.sort(numbers[named & np.isfinite(numbers)])
        before = np.nextafter(members, -np.inf)
        ends = list(zip(before.tolist(), members.tolist(), strict=True))
        split_by_runs(nodes, at, ends, inside=inside, outside=outside, missing_inside=False)
    return nodes
