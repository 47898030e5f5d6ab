"""The table in ``docs/reference/onnx-gradients.md``, made from the installed onnx's schemas.

Write it anew with ``python tests/adapters/onnx_exports/reverse_mode/coverage.py``.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from blackbox_boundary.adapters.onnx_exports.reverse_mode.quantised_forms import FORMS, VENDOR
from blackbox_boundary.adapters.onnx_exports.reverse_mode.rules import RULES, STEPS
from onnx import defs

PAGE = Path(__file__).parents[4] / "docs/reference/onnx-gradients.md"

_HEAD = """# ONNX ops with a gradient

Made by `tests/adapters/onnx_exports/reverse_mode/coverage.py` from the operator schemas of
onnx {version}, opset {opset}.

*Marked*: the standard says that an input of the op is differentiable; newer ops are mostly left
unmarked.

*Here*: **rule**, the op has a reverse rule of its own; **body**, it is replaced by the function
that the standard defines it by; **steps**, it is constant almost everywhere and passes nothing
back; **inlined**, where its condition is constant; **as** Op, it is that op between quantisers;
empty, it is refused by name. Ops of `com.microsoft` are those that ONNX Runtime's quantiser and
optimiser write. How gradients are made, and what passes straight through:
[Gradients of an ONNX graph](../explanation/gradients-of-an-onnx-graph.md).

{summary}

| op | domain | marked | here |
|---|---|---|---|
"""


def is_marked(schema) -> bool:
    """Whether the standard marks an input as differentiable."""
    kind = defs.OpSchema.DifferentiationCategory.Differentiable
    return any(parameter.differentiation_category == kind for parameter in schema.inputs)


def how(schema) -> str:
    """What the package does with an op."""
    key = (schema.domain, schema.name)
    if key in RULES:
        return "rule"
    if key in STEPS:
        return "steps"
    if key == ("", "If"):
        return "inlined"
    return "body" if schema.name in BODIES and not schema.domain else ""


BODIES = frozenset(
    {
        "CenterCropPad",
        "GroupNormalization",
        "MeanVarianceNormalization",
        "NegativeLogLikelihoodLoss",
    }
    | {"RotaryEmbedding", "Shrink", "SoftmaxCrossEntropyLoss"}
)
"""Those with tests; bodies of other ops are used as well if all ops in them have a rule."""


def page() -> str:
    """The whole page."""
    schemas = sorted(
        (s for s in defs.get_all_schemas() if s.domain in ("", "ai.onnx.ml") and not s.deprecated),
        key=lambda s: (s.domain, s.name),
    )
    marked = [schema for schema in schemas if is_marked(schema)]
    covered = [schema for schema in marked if how(schema)]
    without = [schema.name for schema in marked if not how(schema)]
    summary = (
        f"{len(marked)} of {len(schemas)} ops are marked; {len(covered)} of these have a gradient "
        f"here. The others: {', '.join(without)}."
    )
    head = _HEAD.format(version=onnx.__version__, opset=defs.onnx_opset_version(), summary=summary)
    rows = (
        f"| {s.name} | {s.domain or 'ai.onnx'} | {'yes' if is_marked(s) else ''} | {how(s)} |"
        for s in schemas
    )
    vendor = (
        f"| {op} | {VENDOR} |  | {_stands_for(op)} |"
        for domain, op in sorted(RULES)
        if domain == VENDOR
    )
    return head + "\n".join([*rows, *vendor]) + "\n"


def _stands_for(op) -> str:
    """Whether an op of ONNX Runtime is a standard op between quantisers."""
    form = FORMS.get((VENDOR, op))
    return "rule" if form is None or form.op == "Identity" else f"as {form.op}"


if __name__ == "__main__":
    PAGE.write_text(page())
