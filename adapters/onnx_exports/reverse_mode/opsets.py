"""Raising a graph to one opset, so that every rule is written for one meaning of its op.

Between opsets 7 and 18 attributes became inputs (axes, bounds, pads), and Softmax changed its
meaning. Writing each rule for each of these forms would make most rules several. So the graph is
raised to opset 18, where it is older, by one short function an op whose form changed; the gradient
is then written in opset 18 or in the graph's own, where that is newer. Opset 18 is the oldest in
which all ops that the rules emit have one form (the axes of every reduction are an input there, and
scattering adds). Runtimes since ONNX Runtime 1.14 take it.

ONNX's own version converter is not used: it works on the whole model through a second
representation, loses functions and external weights, and stops at ops without an adapter. What is
raised here is checked instead: a node whose definition changed otherwise than by allowing more
(types, optional inputs and attributes) must have a function below, or the model is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, defs, helper, numpy_helper

from .errors import InvalidModel, UnsupportedOps
from .facts import facts_of

__all__ = ["LOWEST", "TARGET", "raise_opset"]

LOWEST, TARGET = 7, 18


def raise_opset(model: ModelProto) -> None:
    """Raise ``model`` in place to opset 18 where it is older.

    Raises
    ------
    InvalidModel
        Its opset is below 7.
    UnsupportedOps
        Ops whose meaning changed in a way that is not known here.
    """
    standard = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if not standard:  # a table of ai.onnx.ml alone
        model.opset_import.append(helper.make_opsetid("", TARGET))
        return
    opset = standard[0]
    if opset.version < LOWEST:
        raise InvalidModel(f"The model must be of opset {LOWEST} or newer; got {opset.version}.")
    if opset.version >= TARGET:
        return
    _Raising(model, opset.version).graph(model.graph)
    opset.version = TARGET
    model.ir_version = max(model.ir_version, 8)


class _Raising:
    """The edits of one model; constants go to the outer graph, where its subgraphs see them too."""

    def __init__(self, model: ModelProto, version: int) -> None:
        self._model, self._outer, self.version = model, model.graph, version
        outer = model.graph
        self._taken = {name for node in outer.node for name in (*node.input, *node.output)} | {
            w.name for w in outer.initializer
        }
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, Any] | None = None

    def graph(self, graph: GraphProto) -> None:
        raised: list[NodeProto] = []
        changed = set()
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    self.graph(attribute.g)
            if node.domain in ("", "ai.onnx"):
                if node.op_type in _FORMS:
                    self._nodes = []
                    _FORMS[node.op_type](self, node)
                    raised.extend(self._nodes)
                    continue
                if not _only_allows_more(node, self.version):
                    changed.add(("ai.onnx", node.op_type))
            raised.append(node)
        if changed:
            raise UnsupportedOps(
                tuple(sorted(changed)),
                (f"their meaning changed between opset {self.version} and {TARGET}",),
            )
        copies = [_copy(node) for node in raised]
        del graph.node[:]
        graph.node.extend(copies)

    def keep(self, node: NodeProto) -> None:
        """Append a node to the raised graph."""
        self._nodes.append(node)

    def fresh(self, stem: str) -> str:
        count = 0
        while (name := f"{stem}/raised_{count}") in self._taken:
            count += 1
        self._taken.add(name)
        return name

    def known(self, name: str) -> Any:
        """The value of that name, where it is constant; None elsewhere."""
        if self._constants is None:
            self._constants = facts_of(self._model).constant
        return self._constants.get(name)

    def constant(self, values: Any, stem: str, dtype: Any = np.int64) -> str:
        tensor = numpy_helper.from_array(np.asarray(values, dtype), self.fresh(stem or "constant"))
        self._outer.initializer.append(tensor)
        return tensor.name


def _take(node: NodeProto, name: str) -> Any:
    """Remove an attribute and return its value; None where it is absent."""
    for position, attribute in enumerate(node.attribute):
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            del node.attribute[position]
            return value
    return None


def _set(node: NodeProto, name: str, value: Any) -> None:
    node.attribute.append(helper.make_attribute(name, value))


def _attribute_to_input(name: str, dtype: Any = np.int64) -> Callable[[_Raising, NodeProto], None]:
    def form(r: _Raising, node: NodeProto) -> None:
        if (value := _take(node, name)) is not None:
            node.input.append(r.constant(value, node.output[0], dtype))
        r.keep(node)

    return form


def _clip(r: _Raising, node: NodeProto) -> None:
    if r.version < 11:
        bounds = [_take(node, "min"), _take(node, "max")]
        names = ["" if bound is None else _like_input(r, node, bound) for bound in bounds]
        node.input.extend(names)
    r.keep(node)


def _like_input(r: _Raising, node: NodeProto, number: float) -> str:
    """A constant of the element type of the node's first input, whatever that is."""
    plain = r.constant(number, node.output[0], np.float32)
    name = r.fresh(node.output[0])
    r.keep(helper.make_node("CastLike", [plain, node.input[0]], [name]))
    return name


def _dropout(r: _Raising, node: NodeProto) -> None:
    if r.version < 12:
        _take(node, "ratio")
    r.keep(node)


def _pad(r: _Raising, node: NodeProto) -> None:
    if r.version < 11:
        value = _take(node, "value") or 0.0
        node.input.append(r.constant(_take(node, "pads"), node.output[0]))
        node.input.append(_like_input(r, node, value))
    r.keep(node)


def _slice(r: _Raising, node: NodeProto) -> None:
    if r.version < 10:
        starts, ends, axes = (_take(node, name) for name in ("starts", "ends", "axes"))
        axes = list(range(len(starts))) if axes is None else axes
        node.input.extend(r.constant(values, node.output[0]) for values in (starts, ends, axes))
    r.keep(node)


def _top_k(r: _Raising, node: NodeProto) -> None:
    if r.version < 10:
        node.input.append(r.constant([_take(node, "k")], node.output[0]))
    r.keep(node)


def _split(r: _Raising, node: NodeProto) -> None:
    sizes = _take(node, "split")
    if sizes is not None:
        node.input.append(r.constant(sizes, node.output[0]))
    elif len(node.input) < 2 or not node.input[1]:
        _set(node, "num_outputs", len(node.output))
    r.keep(node)


def _upsample(r: _Raising, node: NodeProto) -> None:
    """Resize with the coordinates that Upsample and the first Resize had."""
    mode = _take(node, "mode") or b"nearest"
    scales = _take(node, "scales")
    name = node.input[1] if scales is None else r.constant(scales, node.output[0], np.float32)
    needs_scales = node.op_type == "Resize" and mode == b"nearest"
    rounding = _nearest_mode(r.known(name), r.version) if needs_scales else "floor"
    r.keep(
        helper.make_node(
            "Resize",
            [node.input[0], "", name],
            list(node.output),
            mode=mode.decode().replace("bilinear", "linear"),
            coordinate_transformation_mode="asymmetric",
            nearest_mode=rounding,
        )
    )


def _nearest_mode(scales: Any, version: int) -> str:
    """The mode of a nearest Resize before opset 11: "ceil" if an axis shrinks, else "floor".

    ONNX Runtime takes the next input of a shrinking axis, and the previous input otherwise.
    """
    if scales is None:
        reason = f"Resize of opset {version} by scales that depend on the size of the input"
    elif (scales > 1).any() and (scales < 1).any():
        reason = f"Resize of opset {version} that shrinks one axis and stretches another"
    else:
        return "ceil" if (scales < 1).any() else "floor"
    raise UnsupportedOps((("ai.onnx", "Resize"),), (reason,))


def _resize(r: _Raising, node: NodeProto) -> None:
    if r.version < 11:
        _upsample(r, node)
    else:
        r.keep(node)


def _softmax(r: _Raising, node: NodeProto) -> None:
    """Before opset 13: over all axes from ``axis`` on, 1 by default, joined."""
    if r.version >= 13:
        r.keep(node)
        return
    axis = _take(node, "axis")
    axis = 1 if axis is None else axis
    if axis == -1:
        _set(node, "axis", -1)
        r.keep(node)
        return
    shape, flat, scores = (
        r.fresh(f"{node.output[0]}/{stem}") for stem in ("shape", "flat", "scores")
    )
    r.keep(helper.make_node("Shape", [node.input[0]], [shape]))
    r.keep(helper.make_node("Flatten", [node.input[0]], [flat], axis=axis))
    r.keep(helper.make_node(node.op_type, [flat], [scores], axis=-1))
    r.keep(helper.make_node("Reshape", [scores, shape], [node.output[0]]))


def _batch_normalization(r: _Raising, node: NodeProto) -> None:
    if r.version < 9 and _take(node, "spatial") == 0:
        raise UnsupportedOps(
            (("ai.onnx", node.op_type),),
            ("statistics for each position (spatial = 0) are not supported",),
        )
    r.keep(node)


def _scatter(r: _Raising, node: NodeProto) -> None:
    node.op_type = "ScatterElements"
    r.keep(node)


_FORMS: dict[str, Callable[[_Raising, NodeProto], None]] = {
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Dropout": _dropout,
    "Hardmax": _softmax,
    "LogSoftmax": _softmax,
    "Pad": _pad,
    **{
        f"Reduce{kind}": _attribute_to_input("axes")
        for kind in (
            "L1",
            "L2",
            "LogSum",
            "LogSumExp",
            "Max",
            "Mean",
            "Min",
            "Prod",
            "Sum",
            "SumSquare",
        )
    },
    "Resize": _resize,
    "Scatter": _scatter,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _attribute_to_input("axes"),
    "TopK": _top_k,
    "Unsqueeze": _attribute_to_input("axes"),
    "Upsample": _upsample,
}


def _only_allows_more(node: NodeProto, version: int) -> bool:
    """Whether opset 18 takes every node of this version, as far as the definitions show."""
    if not defs.has(node.op_type):
        return True  # not a standard op; it is refused later where it matters
    try:
        old = defs.get_schema(node.op_type, version)
        new = defs.get_schema(node.op_type, TARGET)
    except defs.SchemaError as error:
        raise InvalidModel(f'Opset {version} defines no op "{node.op_type}".') from error
    if old.since_version == new.since_version:
        return True
    known = set(new.attributes)
    return (
        not new.deprecated
        and set(old.attributes) <= known
        and new.min_input <= old.min_input
        and new.max_input >= old.max_input
    )


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy
