"""Read the trees of an ONNX graph: from its one tree ensemble operator.

ONNX Runtime compares and adds in the type of the operator's input, single precision unless that is
double. What it makes of two classes depends on the leaves: with one weight a leaf, the positive
class wins above 0.5 where all of them are positive, and above 0 elsewhere; readings are tried in
turn, and the first that reproduces the answers is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble, floor_to

from .assembly import Assembly
from .onnx_nodes import OPERATORS, OnnxTrees, read_nodes

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["has_onnx_trees", "onnx_readings"]

_BEFORE = ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
"""Ops that may lead from the graph's input to the trees: they leave numbers as they are."""

_AFTER = (
    *_BEFORE,
    "ArgMax",
    "ArrayFeatureExtractor",
    "Concat",
    "Div",
    "LabelEncoder",
    "Mul",
    "Normalizer",
    "Sigmoid",
    "Softmax",
    "Sub",
    "ZipMap",
)
"""Ops that may lead from the trees to an output: what they make of the sums is compared by rows."""

_BELOW = ("BRANCH_LT", "BRANCH_GTE")
_SWAPPED = ("BRANCH_GT", "BRANCH_GTE")


def has_onnx_trees(model: ModelProto) -> bool:
    """Whether a graph holds a tree ensemble operator."""
    return any(node.op_type in OPERATORS for node in model.graph.node)


def onnx_readings(model: ModelProto, input_name: str, dtype: Any) -> Iterator[TreeEnsemble]:
    """Ways to read the trees of a graph, the likeliest first.

    Parameters
    ----------
    model : ModelProto
    input_name : str
        The graph's input.
    dtype : numpy.dtype
        Its type.

    Raises
    ------
    CapabilityMissing
        No tree ensemble operator, or several; other ops around it that change more than the form of
        numbers; another aggregation than a sum or an average.
    """
    nodes = [node for node in model.graph.node if node.op_type in OPERATORS]
    if len(nodes) != 1:
        raise CapabilityMissing(
            f"The graph holds {len(nodes)} tree ensemble operators; graphs of one are read."
        )
    (node,) = nodes
    compared_in = _compared_in(model, node, input_name, dtype)
    _check_after(model, node)
    trees = read_nodes(node)
    if trees.aggregate not in ("SUM", "AVERAGE"):
        raise CapabilityMissing(
            f"The trees of the graph are aggregated by {trees.aggregate}; sums are read."
        )
    yield from _readings(trees, compared_in, node.op_type)


def _compared_in(model: ModelProto, node: NodeProto, input_name: str, dtype: Any) -> Any:
    """The type in which rows are compared, after the casts in front of the operator."""
    from onnx import TensorProto, helper

    makers = {name: each for each in model.graph.node for name in each.output}
    current, cast = node.input[0], None
    while current != input_name:
        maker = makers.get(current)
        if maker is None or maker.op_type not in _BEFORE:
            kind = "a constant" if maker is None else maker.op_type
            raise CapabilityMissing(
                f"The trees of the graph see its input through {kind}; their splits are not "
                "thresholds of its columns."
            )
        if maker.op_type == "Cast":
            to = next(entry.i for entry in maker.attribute if entry.name == "to")
            if to not in (TensorProto.FLOAT, TensorProto.DOUBLE):
                raise CapabilityMissing("The input of the graph's trees is cast to whole numbers.")
            cast = cast or helper.tensor_dtype_to_np_dtype(to)
        current = maker.input[0]
    kind = np.dtype(cast or dtype)
    if cast is not None and np.dtype(dtype).kind == "f":
        kind = min(kind, np.dtype(dtype), key=lambda each: each.itemsize)
    return np.float32 if kind == np.float32 else np.float64


def _check_after(model: ModelProto, node: NodeProto) -> None:
    """Refuse ops behind the trees that may change which class is the largest."""
    reached = set(node.output)
    for each in model.graph.node:
        if each is node or not reached.intersection(each.input):
            continue
        if each.op_type not in _AFTER:
            raise CapabilityMissing(
                f"{each.op_type} follows the trees of the graph; what it makes of their sums is "
                "not read."
            )
        reached.update(each.output)


def _readings(trees: OnnxTrees, dtype: Any, operator: str) -> Iterator[TreeEnsemble]:
    whole = _assembled(trees, dtype)
    link = {"LOGISTIC": "logistic", "SOFTMAX": "softmax"}.get(trees.post_transform, "unknown")
    is_class = operator == "TreeEnsembleClassifier"
    if trees.n_outputs > 2 or (trees.n_outputs == 2 and len(trees.outputs) > 1):
        yield replace(whole, link=link)
        if link != "unknown":
            yield replace(whole, link="unknown")
    if trees.n_outputs > 2:
        return
    column = max(trees.outputs) if is_class or trees.n_outputs == 2 else 0
    base = whole.base[-1:] if len(trees.base) == 2 else np.full(1, sum(trees.base[:1]))
    one = replace(whole, value=whole.value[:, column : column + 1], base=base)
    has_negative = bool((one.value < 0).any())
    for cut in (0.0, 0.5) if has_negative or link == "logistic" else (0.5, 0.0):
        as_share = link == "unknown" and cut == 0.5
        yield replace(
            one, cut=cut, link="identity" if as_share else link if cut == 0 else "unknown"
        )
        yield replace(one, cut=cut, link="unknown")


def _assembled(trees: OnnxTrees, dtype: Any) -> TreeEnsemble:
    assembly = Assembly(trees.n_outputs, dtype)
    share = len(trees.roots) if trees.aggregate == "AVERAGE" else 1
    for root in trees.roots:
        rows: list[list[Any]] = []
        _emit(trees, root, dtype, rows)
        feature, threshold, left, right, missing, leaf = zip(*rows, strict=True)
        value = np.zeros((len(rows), trees.n_outputs))
        for place, key in enumerate(leaf):
            for output, weight in trees.leaves[key].items() if key is not None else ():
                value[place, min(output, trees.n_outputs - 1)] = weight / share
        assembly.add(feature, threshold, left, right, value, missing_left=missing)
    base = np.zeros(trees.n_outputs)
    if len(trees.base) == trees.n_outputs:
        base[:] = trees.base
    n_features = 1 + max((split[1] for split in trees.splits.values()), default=0)
    return assembly.ensemble(
        base=base,
        n_features=n_features,
        summed_in=np.dtype(dtype),
        link="unknown",
        source=f"ONNX ({len(trees.roots)} trees)",
    )


def _emit(trees: OnnxTrees, root: Any, dtype: Any, rows: list[list[Any]]) -> None:
    """Append the nodes of one tree, the root first; each split becomes one or two ``x <= t``."""
    waiting: list[tuple[Any, int, int]] = [(root, -1, 0)]
    while waiting:
        key, parent, side = waiting.pop()
        here = len(rows)
        if parent >= 0:
            rows[parent][side] = here
        if key not in trees.splits:
            rows.append([-1, 0.0, -1, -1, False, key])
            continue
        mode, feature, values, yes, no, missing = trees.splits[key]
        if mode in ("BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"):
            match, other = (no, yes) if mode == "BRANCH_NEQ" else (yes, no)
            _emit_equal(feature, sorted(values), match, other, dtype, rows, waiting)
            continue
        bound = floor_to(np.array(values), dtype, below=mode in _BELOW)[0]
        left, right = (no, yes) if mode in _SWAPPED else (yes, no)
        rows.append([feature, bound, -1, -1, missing == (left is yes), None])
        waiting += [(left, here, 2), (right, here, 3)]


def _emit_equal(
    feature: int,
    values: list[float],
    match: Any,
    other: Any,
    dtype: Any,
    rows: list[list[Any]],
    waiting: list[tuple[Any, int, int]],
) -> None:
    """Two splits for each value: below it, and at most it."""
    for value in values:
        for bound, child in (
            (floor_to(np.array([value]), dtype, below=True)[0], other),
            (floor_to(np.array([value]), dtype)[0], match),
        ):
            rows.append([feature, bound, -1, len(rows) + 1, False, None])
            waiting.append((child, len(rows) - 1, 2))
    rows[-1][3] = -1
    waiting.append((other, len(rows) - 1, 3))
