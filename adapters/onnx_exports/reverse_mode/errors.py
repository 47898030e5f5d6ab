"""Reasons to refuse a model; nothing has been run when one of these errors is raised."""

from __future__ import annotations

__all__ = [
    "CannotDifferentiate",
    "DataDependentControlFlow",
    "InvalidModel",
    "PiecewiseConstant",
    "UnsuitableInterface",
    "UnsupportedOps",
]


class CannotDifferentiate(ValueError):
    """A model has no gradient model; the base of the errors of this package."""


class InvalidModel(CannotDifferentiate):
    """The graph is not well formed.

    It is truncated or cyclic, or has a value without a producer, or an op that its opset does not
    define.
    """


class UnsuitableInterface(CannotDifferentiate):
    """The input or the output is ambiguous, unknown, or of a type that has no gradient."""


class DataDependentControlFlow(CannotDifferentiate):
    """Between input and output lies an If whose condition depends on the input, a Loop or a Scan.

    Attributes
    ----------
    ops : tuple of str
        The ops, by name.
    """

    def __init__(self, ops: tuple[str, ...]) -> None:
        self.ops = ops
        super().__init__(
            "Control flow that depends on the input has no reverse rule; the graph holds "
            f"{', '.join(ops)}."
        )


class UnsupportedOps(CannotDifferentiate):
    """Ops between input and output have no reverse rule.

    Attributes
    ----------
    ops : tuple of (domain, op_type)
        All of them, sorted; the default domain is ``"ai.onnx"``.
    reasons : tuple of str
        One for each op that has a rule, but not with these attributes, types or shapes.
    """

    def __init__(self, ops: tuple[tuple[str, str], ...], reasons: tuple[str, ...] = ()) -> None:
        self.ops, self.reasons = ops, reasons
        without_rule = ", ".join(f"{op} ({domain})" for domain, op in ops)
        parts = [f"no reverse rule for {without_rule}"] if ops else []
        super().__init__(f"The model cannot be differentiated: {'; '.join([*parts, *reasons])}.")


class PiecewiseConstant(CannotDifferentiate):
    """The gradient is zero almost everywhere: every path passes a step function.

    A path leads from the input of the graph to its output.

    Attributes
    ----------
    ops : tuple of (domain, op_type)
        The step functions: tree ensembles, comparisons, index searches.
    """

    def __init__(self, ops: tuple[tuple[str, str], ...]) -> None:
        self.ops = ops
        names = ", ".join(f"{op} ({domain})" for domain, op in ops) or "no op"
        super().__init__(
            "The output is piecewise constant in the input: its gradient is zero almost "
            f"everywhere (through {names})."
        )
