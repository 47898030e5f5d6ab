"""The gradient model of an ONNX file, written to another file.

``blackbox-boundary gradient`` calls this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_boundary.errors import CapabilityMissing, InvalidInput

from .graph import external_files
from .reverse_mode import (
    STRAIGHT_THROUGH_KEY,
    CannotDifferentiate,
    gradient_model,
    margin_gradient_model,
)

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["write_gradient_model"]


def write_gradient_model(
    source: Path,
    target: Path,
    *,
    input: str | None = None,  # noqa: A002  ONNX's own term
    output: str | None = None,
    margin: bool = False,
) -> str:
    """Differentiate the model in ``source`` and write the result to ``target``; nothing is run.

    Parameters
    ----------
    input, output : str, optional
        Which ones, of several.
    margin : bool
        Let the graph choose the weights: the home label, an input, against the best other score.

    External weights stay in the files that the model names, which both models read: none of them is
    written, moved or deleted.

    Returns
    -------
    str
        What the new model takes, what it puts out and what was passed straight through, in a few
        lines.

    Raises
    ------
    InvalidInput
        ``source`` cannot be read; ``target`` cannot be written, does not lie beside the external
        weights, or is a file of them.
    CapabilityMissing
        onnx is not installed, or the model has no gradient.
    """
    model = _read(source)
    weights = [source.parent / name for name in external_files(model)]
    if any(target.exists() and target.samefile(file) for file in weights if file.exists()):
        raise InvalidInput(
            f'"{target}" holds weights of "{source}", and is not written over; choose another file.'
        )
    if weights and target.resolve().parent != source.resolve().parent:
        raise InvalidInput(
            f'The weights of "{source}" lie in files beside it: the gradient model must be '
            f'written to the same folder; got "{target}".'
        )
    differentiate = margin_gradient_model if margin else gradient_model
    try:
        differentiated = differentiate(model, input=input, output=output)
    except CannotDifferentiate as error:
        raise CapabilityMissing(f'"{source}": {error}') from error
    try:
        target.write_bytes(differentiated.SerializeToString())
    except (OSError, ValueError) as error:
        raise InvalidInput(f'"{target}" cannot be written: {error}.') from error
    return _summary(differentiated)


def _read(source: Path) -> ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise CapabilityMissing(
            'An ONNX model needs onnx: pip install "blackbox-boundary[onnx]".'
        ) from error
    try:
        return onnx.load(source, load_external_data=False)
    except Exception as error:
        raise InvalidInput(
            f'An ONNX model must be a complete ONNX file; "{source}" cannot be read: '
            f"{type(error).__name__}: {error}"
        ) from error


def _summary(model: ModelProto) -> str:
    passed = {entry.key: entry.value for entry in model.metadata_props}[STRAIGHT_THROUGH_KEY]
    lines = [
        f"inputs: {', '.join(map(_declared, model.graph.input))}",
        f"outputs: {', '.join(map(_declared, model.graph.output))}",
    ]
    return "\n".join([*lines, f"straight through: {passed}"] if passed else lines)


def _declared(value: Any) -> str:
    tensor = value.type.tensor_type
    axes = [
        str(dim.dim_value) if dim.dim_value else dim.dim_param or "?" for dim in tensor.shape.dim
    ]
    return f"{value.name} ({', '.join(axes)})"
