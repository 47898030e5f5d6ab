"""The reverse sweep, from the cotangent of the output to that of the input."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .builder import Builder, Value
from .context import FLOATS, Context, NoRule
from .errors import DataDependentControlFlow, PiecewiseConstant, UnsupportedOps
from .rules import (
    CONTROL_FLOW,
    RULES,
    STEPS,
    STRAIGHT_THROUGH,
    TAKES_INTEGERS,
    differentiable_inputs,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

    from .facts import Facts

__all__ = ["Path", "path_between", "reverse_sweep"]

_INACTIVE_OUTPUTS = {
    "DynamicQuantizeLinear": (1, 2),
    "LayerNormalization": (1, 2),
    "LinearClassifier": (0,),
    "SVMClassifier": (0,),
    "MaxPool": (1,),
    "Dropout": (1,),
    "TopK": (1,),
}
"""Outputs that are labels, indices or parameters: no cotangent is taken from them."""


class Path:
    """The nodes between input and output, in order, and the values that depend on the input.

    Attributes
    ----------
    nodes : list of NodeProto
    active : set of str
    steps : tuple of (domain, op_type)
        Step functions that read the input and lead to the output.
    straight_through : tuple of str
        Ops that pass their cotangent straight through.
    """

    def __init__(
        self, graph: GraphProto, source: str, target: str, *, straight_through: bool
    ) -> None:
        self._stops = STEPS if straight_through else STEPS | STRAIGHT_THROUGH
        needed, ahead = _ancestors(graph, target), {source}
        self.active: set[str] = {source}
        self.nodes: list[NodeProto] = []
        steps: set[tuple[str, str]] = set()
        for node in graph.node:
            reads = _reads(node)
            if not ahead.intersection(reads):
                continue
            ahead.update(node.output)
            if not needed.intersection(node.output):
                continue
            if not self.active.intersection(reads):
                continue
            if key_of(node) in self._stops or not self.active.intersection(_smooth_reads(node)):
                steps.add(key_of(node))
                continue
            self.nodes.append(node)
            inactive = _INACTIVE_OUTPUTS.get(node.op_type, ())
            steps.update(
                {key_of(node)}
                if needed.intersection(
                    node.output[index] for index in inactive if index < len(node.output)
                )
                else ()
            )
            self.active.update(
                name for index, name in enumerate(node.output) if name and index not in inactive
            )
        self.steps = tuple(sorted((domain or "ai.onnx", op) for domain, op in steps))
        self.nodes = _leading_to(self.nodes, target, self.active)
        self.straight_through = tuple(
            sorted({node.op_type for node in self.nodes if key_of(node) in STRAIGHT_THROUGH})
        )


def path_between(graph: GraphProto, source: str, target: str, *, straight_through: bool) -> Path:
    """Find the path and refuse what has no rule, all of it at once.

    Raises
    ------
    PiecewiseConstant
        No path is left once step functions are taken out.
    DataDependentControlFlow
    UnsupportedOps
    """
    path = Path(graph, source, target, straight_through=straight_through)
    if control := sorted({node.op_type for node in path.nodes if node.op_type in CONTROL_FLOW}):
        raise DataDependentControlFlow(tuple(control))
    if missing := {key_of(node) for node in path.nodes} - RULES.keys():
        raise UnsupportedOps(tuple(sorted((domain or "ai.onnx", op) for domain, op in missing)))
    if source != target and not path.nodes:
        raise PiecewiseConstant(path.steps)
    return path


def reverse_sweep(
    path: Path, b: Builder, facts: Facts, seed: Value, *, source: str, target: str
) -> Value:
    """Append the nodes that compute the cotangent of ``source`` from ``seed``, that of ``target``.

    Raises
    ------
    UnsupportedOps
        Rules that do not hold for the attributes, types or shapes at hand: all of them.
    PiecewiseConstant
        No cotangent arrives.
    """
    cotangents: dict[str, list[Value]] = defaultdict(list, {target: [seed]})
    refused: list[str] = []
    for node in reversed(path.nodes):
        gs = [_total(cotangents.pop(name)) if name in cotangents else None for name in node.output]
        while gs and gs[-1] is None:
            gs.pop()
        if not gs:
            continue
        context = Context(b, node, facts, path.active)
        try:
            _check_types(context)
            for index, cotangent in RULES[key_of(node)](context, *gs):
                if context.needs(index):
                    cotangents[node.input[index]].append(cotangent)
        except NoRule as error:
            refused.append(str(error))
    if refused:
        raise UnsupportedOps((), tuple(dict.fromkeys(refused)))
    if source not in cotangents:
        raise PiecewiseConstant(path.steps)
    return _total(cotangents[source])


def key_of(node: NodeProto) -> tuple[str, str]:
    """Domain and name of an op, the standard domain as the empty text."""
    return ("" if node.domain == "ai.onnx" else node.domain, node.op_type)


def _check_types(context: Context) -> None:
    if context.node.op_type in TAKES_INTEGERS:
        return
    for index in range(len(context.node.input)):
        if context.needs(index) and context.x(index).dtype not in FLOATS:
            raise context.refuse("of whole numbers that are computed from the differentiated input")


def _total(parts: list[Value]) -> Value:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _reads(node: NodeProto) -> set[str]:
    """The values that a node reads, those that its subgraphs read from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                names |= _reads(inner)
    return names - {""}


def _smooth_reads(node: NodeProto) -> set[str]:
    return (
        _reads(node)
        if node.op_type in CONTROL_FLOW
        else set(differentiable_inputs(node.op_type, list(node.input)))
    )


def _ancestors(graph: GraphProto, target: str) -> set[str]:
    needed = {target}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed |= _reads(node)
    return needed


def _leading_to(nodes: list[NodeProto], target: str, active: set[str]) -> list[NodeProto]:
    """The nodes through which a cotangent of ``target`` passes."""
    needed, kept = {target}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed |= _reads(node) & active
    return kept[::-1]
