"""Split a gradient model: the first part returns scores and keeps what the second needs.

A caller that requests scores, and then a gradient at the same rows, needs one forward pass instead
of two.
"""

from __future__ import annotations

from typing import Any

from onnx import ModelProto, NodeProto, helper

from .facts import facts_of

__all__ = ["split_model"]


def split_model(model: ModelProto) -> tuple[ModelProto, ModelProto]:
    """Split what :func:`gradient_model` returned, which must have no inputs but ``x`` and ``v``.

    Returns
    -------
    forward : ModelProto
        From ``x`` to the scores, and to the values that the other model reads.
    backward : ModelProto
        From ``x``, ``v`` and those values, in this order, to the gradient.
    """
    graph, (scores, gradient) = model.graph, (value.name for value in model.graph.output)
    x, v = (value.name for value in graph.input)
    ahead = _leading_to(list(graph.node), {scores}, set())
    of_x = _depending_on(ahead, x)
    back = _leading_to(list(graph.node), {gradient}, of_x - {x})
    read = {name for node in back for name in node.input}
    kept = sorted((of_x - {x}) & read)
    facts = facts_of(model)
    declared = [helper.make_tensor_value_info(name, facts.dtype[name], None) for name in kept]
    for value in declared:
        value.type.tensor_type.ClearField("shape")
    inputs = {value.name: value for value in graph.input}
    written = list(declared)
    if scores in kept:  # a softmax's gradient reads its output, and no output is bound twice
        copy = helper.make_tensor_value_info(f"{scores}/kept", facts.dtype[scores], None)
        copy.type.tensor_type.ClearField("shape")
        ahead.append(helper.make_node("Identity", [scores], [copy.name]))
        written[kept.index(scores)] = copy
    forward = _model_of(model, ahead, [inputs[x]], [graph.output[0], *written])
    backward = _model_of(model, back, [inputs[x], inputs[v], *declared], [graph.output[1]])
    return forward, backward


def _leading_to(nodes: list[NodeProto], targets: set[str], given: set[str]) -> list[NodeProto]:
    """The nodes that the targets are computed from, once the values ``given`` are known."""
    needed, kept = targets - given, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= set(node.input) - given
    return kept[::-1]


def _depending_on(nodes: list[NodeProto], name: str) -> set[str]:
    reached = {name}
    for node in nodes:
        if reached.intersection(node.input):
            reached.update(output for output in node.output if output)
    return reached


def _model_of(
    model: ModelProto, nodes: list[NodeProto], inputs: list[Any], outputs: list[Any]
) -> ModelProto:
    """Some nodes of a model, with the weights that they read."""
    read = {name for node in nodes for name in node.input}
    weights = [weight for weight in model.graph.initializer if weight.name in read]
    graph = helper.make_graph(nodes, model.graph.name, inputs, outputs, weights)
    return helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )
