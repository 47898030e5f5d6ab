"""A model and its gradient in one graph of ordinary ops.

Reverse mode: let ``s = f(x)`` be the scores and ``v`` weights of them. Walking the graph backwards
from the cotangent ``v`` of ``s``, each op turns the cotangents of its outputs into those of its
inputs, ``J' g`` with its own Jacobian ``J``; a value that several nodes read gets the sum of what
they return. At the input this is ``d(v . s)/dx``, for the price of a few forward passes whatever
the number of inputs (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from .builder import INT64, Builder, Value
from .context import FLOATS, NoRule
from .errors import InvalidModel, UnsuitableInterface, UnsupportedOps
from .facts import graph_inputs
from .interface import choose_input, choose_output, fix_inputs
from .opsets import raise_opset
from .preparation import check_order, expand_composites, inline_functions, resolve_conditions
from .sweep import Path, path_between, reverse_sweep
from .twin import twin_nodes

__all__ = ["STRAIGHT_THROUGH_KEY", "float_twin", "gradient_model", "margin_gradient_model"]

STRAIGHT_THROUGH_KEY = "reverse_mode.straight_through"
"""Entry of ``metadata_props`` that lists the ops whose cotangent passed straight through.

Empty where there is none.
"""


def gradient_model(
    model: ModelProto,
    *,
    input: str | None = None,  # noqa: A002  ONNX's own term
    output: str | None = None,
    constants: Mapping[str, Any] | None = None,
    straight_through: bool = True,
) -> ModelProto:
    """A model that puts out the scores of ``model`` and the gradient of their weighted sum.

    Parameters
    ----------
    model : ModelProto
        Opset 7 or newer; it is not changed. Weights in external files may stay there, unread.
    input : str, optional
        The input to differentiate by. Default: the only one that holds numbers. Others stay inputs.
    output : str, optional
        The output to differentiate. Default: the only floating-point one.
    constants : mapping of str to array, optional
        Other inputs, by name, that become constants.
    straight_through : bool
        Pass gradients through quantisation and rounding (see :mod:`.rules.quantization`). Otherwise
        these ops are the step functions that they are.

    Returns
    -------
    ModelProto
        Inputs: the differentiated input ``x`` under its own name, ``v`` of the shape and element
        type of the scores, and the inputs that were not fixed. Outputs: the scores under their own
        name, and ``gradient``, ``d(v . scores)/dx`` of the shape of ``x`` (of the type of the
        scores where ``x`` holds whole numbers). Names that are taken get a number. Opset 18, or the
        model's own where that is newer. ``metadata_props`` lists the ops passed straight through.

    Raises
    ------
    CannotDifferentiate
        One of its subclasses: :class:`InvalidModel`, :class:`UnsuitableInterface`,
        :class:`UnsupportedOps` (with all missing ops), :class:`DataDependentControlFlow`,
        :class:`PiecewiseConstant`. Nothing has been run.
    """
    work = _Differentiation(
        model, input, output, constants or {}, straight_through=straight_through
    )
    shape = work.facts.shape.get(work.target)
    v = work.new_input("v", work.scores.dtype, None if shape is None else work.declared(shape))
    return work.finish(v)


def margin_gradient_model(
    model: ModelProto,
    *,
    input: str | None = None,  # noqa: A002
    output: str | None = None,
    constants: Mapping[str, Any] | None = None,
    straight_through: bool = True,
) -> ModelProto:
    """Like :func:`gradient_model`, for the margin of home over the best other score.

    The graph computes the weights itself. Its second input is ``home`` (n,) int64, a label a row,
    in place of ``v``; ``gradient`` is that of the margin ``scores[home] - max(scores[others])``.
    Scores must have axes for rows and classes, of which there are at least two; further axes have
    length one.
    """
    work = _Differentiation(
        model, input, output, constants or {}, straight_through=straight_through
    )
    shape = work.facts.shape.get(work.target, ())
    n_classes = shape[1] if len(shape) >= 2 else 0
    if not isinstance(n_classes, int) or n_classes < 2 or set(shape[2:]) - {1}:
        raise UnsuitableInterface(
            "A margin needs scores of two axes, rows and at least two classes; got the shape "
            f"{shape}."
        )
    home = work.new_input("home", INT64, work.declared(shape[:1]))
    return work.finish(_margin_weights(work.builder, work.scores, home, n_classes))


def float_twin(
    model: ModelProto,
    *,
    input: str | None = None,  # noqa: A002
    output: str | None = None,
    constants: Mapping[str, Any] | None = None,
) -> ModelProto:
    """The model without its rounding, from the input to the scores.

    A quantised graph then computes with real numbers. Its gradient is the one that
    :func:`gradient_model` passes straight through, at slightly other values. Raises as
    :func:`gradient_model`.
    """
    work = _Differentiation(model, input, output, constants or {}, straight_through=True)
    return work.without_rounding()


def _margin_weights(b: Builder, scores: Value, home: Value, n_classes: int) -> Value:
    """The weights of a margin: 1 at home, -1 at the best other score, else 0.

    Of equal scores, the first counts as the best. The weights have the shape of the scores.
    """
    classes, columns = b.constant(np.arange(n_classes)), scores.reshaped(b.ints([-1, n_classes]))
    at_home = b.op("Unsqueeze", home, b.ints([1])).equals(classes)
    others = at_home.where(-np.inf, columns)
    at_rival = b.op("ArgMax", others, axis=1, dtype=INT64).equals(classes)
    weights = at_home.cast(scores.dtype) - at_rival.cast(scores.dtype)
    return weights.reshaped(b.op("Shape", scores, dtype=INT64))


class _Differentiation:
    """A copy of a model that is made plain, and the gradient that is being added to it."""

    def __init__(
        self,
        model: ModelProto,
        source: str | None,
        output: str | None,
        constants: Mapping[str, Any],
        *,
        straight_through: bool,
    ) -> None:
        if not model.ir_version or not model.graph.node or not model.graph.output:
            raise InvalidModel("The model holds no graph.")
        check_order(model.graph)
        plain = inline_functions(_copy(model))
        fix_inputs(plain, constants)
        self.source = choose_input(plain, source)
        raise_opset(plain)
        self.facts = resolve_conditions(plain)
        self.target = choose_output(plain, output, self.facts.dtype)
        self.model, self.path = self._plain_path(plain, straight_through=straight_through)
        self.builder = Builder(_names(self.model))
        self.scores = Value(
            self.builder, self.target, self.facts.dtype.get(self.target, TensorProto.FLOAT)
        )
        self._inputs = [
            value for value in graph_inputs(self.model.graph) if value.name == self.source
        ]

    def _plain_path(self, plain: ModelProto, *, straight_through: bool) -> tuple[ModelProto, Path]:
        """Expand composite ops, and those in their bodies, and find the path."""
        while True:
            on_path = {
                name
                for node in Path(
                    plain.graph, self.source, self.target, straight_through=straight_through
                ).nodes
                for name in node.output
            }
            expanded = expand_composites(plain, self.facts, on_path)
            if expanded is plain:
                return plain, path_between(
                    plain.graph, self.source, self.target, straight_through=straight_through
                )
            plain = expanded
            self.facts = resolve_conditions(plain)

    def declared(self, shape: tuple[Any, ...]) -> list[int | None]:
        """A shape as a declaration: open axes are open."""
        return [axis if isinstance(axis, int) else None for axis in shape]

    def new_input(self, name: str, dtype: int, shape: list[int | None] | None) -> Value:
        """Declare an input of the gradient model, behind the differentiated one."""
        taken = _names(self.model)
        free = next(
            candidate
            for candidate in (name, *(f"{name}_{count}" for count in range(len(taken) + 1)))
            if candidate not in taken
        )
        self._inputs.append(helper.make_tensor_value_info(free, dtype, shape))
        return Value(self.builder, free, dtype)

    def finish(self, seed: Value) -> ModelProto:
        """Sweep back from ``seed`` and assemble the model."""
        gradient = reverse_sweep(
            self.path, self.builder, self.facts, seed, source=self.source, target=self.target
        )
        source_type = self._inputs[0].type.tensor_type
        dtype = source_type.elem_type if source_type.elem_type in FLOATS else gradient.dtype
        gradient = gradient.cast(dtype)
        taken = _names(self.model) | {value.name for value in self._inputs}
        name = next(
            n
            for n in ("gradient", *(f"gradient_{count}" for count in range(len(taken) + 1)))
            if n not in taken
        )
        self.builder.nodes.append(helper.make_node("Identity", [gradient.name], [name], name=name))
        made = helper.make_value_info(name, self._inputs[0].type)
        made.type.tensor_type.elem_type = dtype
        return self._assembled(made)

    def without_rounding(self) -> ModelProto:
        """The plain model with the nodes of its float twin."""
        try:
            nodes = twin_nodes(self.model.graph, self.path, self.facts, self.builder)
        except NoRule as error:
            raise UnsupportedOps((), (str(error),)) from error
        self.builder.nodes = []
        del self.model.graph.node[:]
        self.model.graph.node.extend(nodes)
        return self._assembled()

    def _assembled(self, *gradients: Any) -> ModelProto:
        graph = self.model.graph
        score = next((value for value in graph.output if value.name == self.target), None)
        if score is None:
            score = helper.make_tensor_value_info(
                self.target, self.scores.dtype, self.declared(self.facts.shape[self.target])
            )
        outputs = [_copy(score), *gradients]
        nodes = _leading_to([*graph.node, *self.builder.nodes], {value.name for value in outputs})
        read = {name for node in nodes for name in _all_inputs(node)}
        others = [
            _copy(value)
            for value in graph_inputs(graph)
            if value.name != self.source and value.name in read
        ]
        del graph.node[:], graph.output[:], graph.input[:], graph.value_info[:]
        graph.node.extend(nodes)
        graph.input.extend([*self._inputs, *others])
        graph.output.extend(outputs)
        for position in reversed(range(len(graph.initializer))):
            if (
                graph.initializer[position].name not in read
                and graph.initializer[position].name != self.target
            ):
                del graph.initializer[position]
        graph.initializer.extend(
            tensor for name, tensor in self.builder.constants.items() if name in read
        )
        entry = self.model.metadata_props.add()
        entry.key, entry.value = STRAIGHT_THROUGH_KEY, ", ".join(self.path.straight_through)
        return self.model


def _leading_to(nodes: list[NodeProto], targets: set[str]) -> list[NodeProto]:
    """Copies of the nodes that the targets are computed from, in order."""
    needed, kept = set(targets), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(_copy(node))
            needed.update(_all_inputs(node))
    return kept[::-1]


def _all_inputs(node: NodeProto) -> set[str]:
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            names |= {name for inner in graph.node for name in _all_inputs(inner)} | {
                value.name for value in graph.output
            }
    return names - {""}


def _names(model: ModelProto) -> set[str]:
    graph = model.graph
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    return names | {name for node in graph.node for name in (*node.input, *node.output)}


def _copy(proto: Any) -> Any:
    copy = type(proto)()
    copy.CopyFrom(proto)
    return copy
