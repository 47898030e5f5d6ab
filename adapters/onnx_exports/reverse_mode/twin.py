"""The float twin of a quantised graph: the same function without rounding.

Quantisers clamp and do not round, and whole numbers that are computed from the input become real
ones. The straight-through gradient is the gradient of this function, taken at the values of the
quantised graph; so differences of the twin's scores say whether it is right.
"""

from __future__ import annotations

from onnx import GraphProto, NodeProto, TensorProto, helper

from .builder import Builder, Value
from .context import FLOATS, Context
from .facts import Facts
from .quantised_forms import Form, form_of
from .real_numbers import RealNumbers
from .rules import STEPS, differentiable_inputs
from .sweep import Path, key_of

__all__ = ["twin_nodes"]

_ROUNDING = frozenset({"Ceil", "Floor", "Round"})


def twin_nodes(graph: GraphProto, path: Path, facts: Facts, b: Builder) -> list[NodeProto]:
    """The nodes of the twin, under the names of the graph; ``facts`` get the types that changed.

    Raises
    ------
    NoRule
        As of the reverse rules.
    """
    twin = _Twin(path, facts, b)
    for node in graph.node:
        twin.visit(node)
    return b.nodes


class _Twin:
    def __init__(self, path: Path, facts: Facts, b: Builder) -> None:
        self._path, self._facts, self._b = path, facts, b
        last = path.nodes[-1].output[0] if path.nodes else ""
        self._dtype = facts.dtype.get(last, TensorProto.FLOAT)
        self._on_path = {name for node in path.nodes for name in node.output if name}
        self._whole: dict[str, int] = {}
        """Former types of values that were whole numbers and are real now."""

    def visit(self, node: NodeProto) -> None:
        """Append the replacement of a node."""
        if not (self._on_path.intersection(node.output) or self._whole.keys() & set(node.input)):
            self._keep(node)
            return
        y = self._rewritten(Context(self._b, node, self._facts, self._path.active))
        if y is None:
            self._keep(node)
        else:
            self._become_real(node.output[0])
            self._b.nodes.append(helper.make_node("Identity", [y.name], [node.output[0]]))

    def _rewritten(self, c: Context) -> Value | None:
        """The first output without rounding; None for ops that do not round."""
        op = c.node.op_type
        if (form := form_of(c.node)) is not None:
            return self._of_form(c, form)
        if op == "DynamicQuantizeLinear":
            return self._dynamic(c)
        if op in _ROUNDING:
            return c.x()
        if op == "Sign":
            return self._b.op("Clip", c.x(), -1.0, 1.0)
        if op in ("Cast", "CastLike") and c.y().dtype not in (*FLOATS, TensorProto.BOOL):
            return c.x().cast(self._dtype)
        return None

    def _of_form(self, c: Context, form: Form) -> Value:
        real = RealNumbers(c, form, self._dtype)
        operands = [real.operand(operand) for operand in form.operands]
        y = self._b.op(form.op, *operands, dtype=self._dtype, **form.attributes(c.node))
        if (bias := real.bias()) is not None:
            by_channel = [-1] + [1] * (c.rank() - 2)
            y = y + (bias.reshaped(self._b.ints(by_channel)) if form.op == "Conv" else bias)
        return self._b.op("Clip", real.steps(y), *real.limits()) if real.is_quantised else y

    def _dynamic(self, c: Context) -> Value:
        """``x / s + z`` with the scale and zero point that the node computes."""
        kept = NodeProto()
        kept.CopyFrom(c.node)
        kept.output[0] = self._b.fresh("quantised")
        self._b.nodes.append(kept)
        return c.x() / c.y(1) + c.y(2).cast(self._dtype)

    def _keep(self, node: NodeProto) -> None:
        """Append the node, with whole numbers beside those that became real made real, too."""
        kinds = {self._whole[name] for name in node.input if name in self._whole}
        values = set(differentiable_inputs(node.op_type, list(node.input))) - self._whole.keys()
        kept = NodeProto()
        kept.CopyFrom(node)
        for index, name in enumerate(node.input):
            if name in values and self._facts.dtype.get(name) in kinds:
                value = Value(self._b, name, self._facts.dtype[name])
                kept.input[index] = value.cast(self._dtype).name
        self._b.nodes.append(kept)
        for name in node.output:
            if self._facts.dtype.get(name) in kinds and key_of(node) not in STEPS:
                self._become_real(name)

    def _become_real(self, name: str) -> None:
        dtype = self._facts.dtype.get(name, TensorProto.FLOAT)
        if dtype not in (*FLOATS, TensorProto.BOOL):
            self._whole[name] = dtype
            self._facts.dtype[name] = self._dtype
