"""Nodes of ONNX tree ensembles in one form, whichever version of the operator holds them.

| operator | since | splits and leaves |
|---|---|---|
| ``TreeEnsembleClassifier``, ``TreeEnsembleRegressor`` | ai.onnx.ml 1 | lists of floats |
| the same | ai.onnx.ml 3 | tensors in double precision, too |
| ``TreeEnsemble`` | ai.onnx.ml 5 | tensors; leaves apart from splits; sets of values |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["OPERATORS", "OnnxTrees", "read_nodes"]

OPERATORS = ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor")

_MODES = (
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
    "BRANCH_MEMBER",
)
"""Comparisons by the number that ``TreeEnsemble`` gives them."""


@dataclass
class OnnxTrees:
    """Splits by key, and leaves by key.

    Attributes
    ----------
    roots : list
        Keys, in the order of the trees.
    splits : dict
        Key to mode, feature, values, key where true, key where false, whether NaN is true.
    leaves : dict
        Key to weights by output.
    n_outputs : int
    outputs : set of int
        Outputs that some leaf names.
    base : list of float
    post_transform, aggregate : str
    """

    roots: list[Any]
    splits: dict[Any, tuple[str, int, list[float], Any, Any, bool]]
    leaves: dict[Any, dict[int, float]]
    n_outputs: int
    outputs: set[int]
    base: list[float]
    post_transform: str
    aggregate: str


def read_nodes(node: NodeProto) -> OnnxTrees:
    """The splits and leaves of a tree ensemble operator.

    Raises
    ------
    CapabilityMissing
        Its attributes do not describe trees.
    """
    from onnx import helper

    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    try:
        return _unified(given) if node.op_type == "TreeEnsemble" else _classic(given, node.op_type)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CapabilityMissing(
            f"{node.op_type} does not describe trees: {type(error).__name__}: {error}"
        ) from error


def _classic(given: dict[str, Any], operator: str) -> OnnxTrees:
    prefix, ids = (
        ("class", "class_ids")
        if operator.endswith("Classifier")
        else (
            "target",
            "target_ids",
        )
    )
    trees, numbers = given["nodes_treeids"], given["nodes_nodeids"]
    values = _numbers(given, "nodes_values")
    modes = [_text(mode) for mode in given["nodes_modes"]]
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(trees)
    keys = list(zip(trees, numbers, strict=True))
    splits, children = {}, set()
    for i, key in enumerate(keys):
        if modes[i] == "LEAF":
            continue
        yes, no = (key[0], given["nodes_truenodeids"][i]), (key[0], given["nodes_falsenodeids"][i])
        children |= {yes, no}
        feature = int(given["nodes_featureids"][i])
        splits[key] = (modes[i], feature, [float(values[i])], yes, no, bool(missing[i]))
    leaves: dict[Any, dict[int, float]] = {key: {} for key in keys if key not in splits}
    weights = _numbers(given, f"{prefix}_weights")
    for tree, number, output, weight in zip(
        given[f"{prefix}_treeids"], given[f"{prefix}_nodeids"], given[ids], weights, strict=True
    ):
        leaf = leaves[(tree, number)]
        leaf[int(output)] = leaf.get(int(output), 0.0) + float(weight)
    outputs = set(map(int, given[ids]))
    labels = given.get("classlabels_int64s") or given.get("classlabels_strings") or ()
    n_outputs = len(labels) if prefix == "class" else int(given.get("n_targets", 1))
    return OnnxTrees(
        [key for key in keys if key not in children],
        splits,
        leaves,
        n_outputs,
        outputs,
        [float(value) for value in _numbers(given, "base_values", optional=True)],
        _text(given.get("post_transform", "NONE")),
        _text(given.get("aggregate_function", "SUM")),
    )


def _unified(given: dict[str, Any]) -> OnnxTrees:
    values, weights = (_numbers(given, name) for name in ("nodes_splits", "leaf_weights"))
    modes = np.asarray(_array(given["nodes_modes"])).tolist()
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    sets = iter(_sets(given))
    splits: dict[Any, Any] = {}
    for i, mode in enumerate(modes):
        name = _MODES[int(mode)]
        yes = ("leaf" if given["nodes_trueleafs"][i] else "split", given["nodes_truenodeids"][i])
        no = ("leaf" if given["nodes_falseleafs"][i] else "split", given["nodes_falsenodeids"][i])
        tested = next(sets) if name == "BRANCH_MEMBER" else [float(values[i])]
        feature = int(given["nodes_featureids"][i])
        splits["split", i] = (name, feature, tested, yes, no, bool(missing[i]))
    leaves = {
        ("leaf", i): {int(output): float(weight)}
        for i, (output, weight) in enumerate(zip(given["leaf_targetids"], weights, strict=True))
    }
    roots = [("split", root) for root in given["tree_roots"]]
    transforms = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    aggregates = ("AVERAGE", "SUM", "MIN", "MAX")
    return OnnxTrees(
        [_leaf_alone(root, splits) for root in roots],
        splits,
        leaves,
        int(given["n_targets"]),
        set(map(int, given["leaf_targetids"])),
        [],
        transforms[int(given.get("post_transform", 0))],
        aggregates[int(given.get("aggregate_function", 1))],
    )


def _leaf_alone(root: Any, splits: dict[Any, Any]) -> Any:
    """The leaf of a tree of one leaf, which is stored as a split with two equal children."""
    _, _, _, yes, no, _ = splits[root]
    return yes if yes == no else root


def _sets(given: dict[str, Any]) -> list[list[float]]:
    """The sets of values that ``BRANCH_MEMBER`` tests, which NaN separates."""
    sets: list[list[float]] = [[]]
    for value in _numbers(given, "membership_values", optional=True):
        if np.isnan(value):
            sets.append([])
        else:
            sets[-1].append(float(value))
    return sets


def _numbers(given: dict[str, Any], name: str, *, optional: bool = False) -> Any:
    """A list of numbers, or the tensor that stands for it."""
    for known in (name, f"{name}_as_tensor"):
        if known in given and len(found := _array(given[known])):
            return found
    if optional:
        return []
    raise KeyError(name)


def _array(value: Any) -> Any:
    from onnx import TensorProto, numpy_helper

    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
