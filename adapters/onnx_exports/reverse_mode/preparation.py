"""Simplify a graph.

Functions are inlined, constant conditions resolved, and composite ops expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx.inliner
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, TypeProto, defs, helper

from .errors import InvalidModel
from .facts import Facts, facts_of
from .rules import RULES, STEPS

__all__ = ["check_order", "expand_composites", "inline_functions", "resolve_conditions"]

_EXPANDED = "reverse_mode.expanded"
"""Domain of the functions that composite ops are for the moment."""


def inline_functions(model: ModelProto) -> ModelProto:
    """Inline model-local functions.

    Raises
    ------
    InvalidModel
        ONNX's inliner cannot.
    """
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        raise InvalidModel(f"The functions of the model cannot be inlined: {error}") from error


def check_order(graph: GraphProto, outer: frozenset[str] = frozenset()) -> None:
    """Check that every value is made once, before it is read.

    Raises
    ------
    InvalidModel
        The graph is cyclic, out of order, or cut off.
    """
    made = {
        "",
        *outer,
        *(value.name for value in graph.input),
        *(weight.name for weight in graph.initializer),
    }
    made |= {weight.values.name for weight in graph.sparse_initializer}
    later = {name for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name not in made:
                fault = (
                    "reads a value that is made after it (a cycle, or nodes out of order)"
                    if name in later
                    else "reads a value that nothing makes"
                )
                raise InvalidModel(f'The node "{node.name or node.op_type}" {fault}: "{name}".')
        for inner in _subgraphs(node):
            check_order(inner, frozenset(made))
        made.update(node.output)
    for value in graph.output:
        if value.name not in made:
            raise InvalidModel(f'Nothing makes the output "{value.name}" of the graph.')


def resolve_conditions(model: ModelProto) -> Facts:
    """Replace each If of constant condition by its branch, in place; the facts of the result."""
    while True:
        facts = facts_of(model)
        resolved = [
            node
            for node in model.graph.node
            if node.op_type == "If" and node.input[0] in facts.constant
        ]
        if not resolved:
            return facts
        nodes: list[NodeProto] = []
        for node in model.graph.node:
            if node in resolved:
                taken = bool(facts.constant[node.input[0]].reshape(-1)[0])
                nodes.extend(_branch(model.graph, node, "then_branch" if taken else "else_branch"))
            else:
                nodes.append(node)
        _replace_nodes(model.graph, nodes)


def _branch(graph: GraphProto, node: NodeProto, name: str) -> Iterator[NodeProto]:
    """The nodes of a branch under names of their own, and its outputs under the names of the If."""
    branch = next(attribute.g for attribute in node.attribute if attribute.name == name)
    own = {value for inner in branch.node for value in inner.output if value} | {
        weight.name for weight in branch.initializer
    }
    names = {value: f"{node.output[0]}/{name}/{value}" for value in own}
    for weight in branch.initializer:
        graph.initializer.add().CopyFrom(weight)
        graph.initializer[-1].name = names[weight.name]
    for inner in branch.node:
        yield _renamed(inner, names)
    for value, output in zip(branch.output, node.output, strict=True):
        yield helper.make_node("Identity", [names.get(value.name, value.name)], [output])


def _renamed(node: NodeProto, names: dict[str, str]) -> NodeProto:
    """A copy under other names.

    Values that a subgraph makes itself hide those of the same name outside.
    """
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = [names.get(name, name) for name in node.input]
    copy.output[:] = [names.get(name, name) for name in node.output]
    for graph in _subgraphs(copy):
        own = (
            {value.name for value in graph.input}
            | {w.name for w in graph.initializer}
            | {name for n in graph.node for name in n.output}
        )
        visible = {name: new for name, new in names.items() if name not in own}
        _replace_nodes(graph, [_renamed(inner, visible) for inner in graph.node])
        for value in graph.output:
            value.name = visible.get(value.name, value.name)
    return copy


def expand_composites(model: ModelProto, facts: Facts, names: set[str]) -> ModelProto:
    """Replace ops without a rule by their function bodies in the standard, once.

    Parameters
    ----------
    names : set of str
        Outputs of the nodes that may be expanded.

    Returns
    -------
    ModelProto
        The same object where nothing was expanded.
    """
    version = next(opset.version for opset in model.opset_import if opset.domain in ("", "ai.onnx"))
    functions: list[FunctionProto] = []
    for node in model.graph.node:
        key = ("" if node.domain == "ai.onnx" else node.domain, node.op_type)
        if not names.intersection(node.output) or key in RULES or key in STEPS:
            continue
        if (body := _body(node, facts, version)) is not None:
            _state_defaults(node, version)
            body.domain, body.name = _EXPANDED, f"{node.op_type}_{len(functions)}"
            node.domain, node.op_type = body.domain, body.name
            functions.append(body)
    if not functions:
        return model
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid(_EXPANDED, 1))
    inlined = inline_functions(model)
    kept = [opset for opset in inlined.opset_import if opset.domain != _EXPANDED]
    copies = [helper.make_opsetid(opset.domain, opset.version) for opset in kept]
    del inlined.opset_import[:]
    inlined.opset_import.extend(copies)
    return inlined


def _body(node: NodeProto, facts: Facts, version: int) -> FunctionProto | None:
    """The function that the standard defines an op by, for the types at hand."""
    if node.domain not in ("", "ai.onnx") or not defs.has(node.op_type):
        return None
    schema: Any = defs.get_schema(node.op_type, version)  # its stubs lack the functions
    body = FunctionProto()
    if schema.has_function:
        body.ParseFromString(
            schema.get_function_with_opset_version(_newest(schema.function_opset_versions, version))
        )
    elif schema.has_context_dependent_function:
        of = _newest(schema.context_dependent_function_opset_versions, version)
        types = [_type_of(name, facts).SerializeToString() for name in node.input]
        body.ParseFromString(
            schema.get_context_dependent_function_with_opset_version(
                of, node.SerializeToString(), types
            )
        )
    else:
        return None
    del body.opset_import[:]
    body.opset_import.append(helper.make_opsetid("", version))
    return body


def _state_defaults(node: NodeProto, version: int) -> None:
    """Write the attributes that the standard assumes, since a function's body refers to them."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in defs.get_schema(node.op_type, version).attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.add().CopyFrom(attribute.default_value)


def _newest(versions: list[int], limit: int) -> int:
    return max((version for version in versions if version <= limit), default=min(versions))


def _type_of(name: str, facts: Facts) -> TypeProto:
    if not name or name not in facts.dtype:
        return TypeProto()
    shape = facts.shape.get(name)
    return helper.make_tensor_type_proto(
        facts.dtype[name],
        None if shape is None else [axis if isinstance(axis, int) else None for axis in shape],
    )


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _replace_nodes(graph: GraphProto, nodes: list[NodeProto]) -> None:
    copies = []
    for node in nodes:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
