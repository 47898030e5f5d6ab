"""The outputs of a module, as the tensors to read.

| the module returns | read |
|---|---|
| a tensor, or a tuple of one | that |
| labels and their scores, two tensors, whole numbers first | both |
| an object or mapping with ``logits``, as in transformers | the logits, unless ``access`` differs |
| anything else | the part that ``output`` names, by its place, key or attribute |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blackbox_boundary.errors import BadPrediction
from blackbox_boundary.predictor import Access

if TYPE_CHECKING:
    import torch

__all__ = ["chosen_outputs"]


def chosen_outputs(raw: Any, output: int | str | None, access: Access) -> Sequence[torch.Tensor]:
    """One tensor, or a pair of labels and their scores.

    Raises
    ------
    BadPrediction
        Several outputs and none named, no such output, or one that is no tensor.
    """
    import torch

    if output is not None:
        return [_named(raw, output)]
    if isinstance(raw, torch.Tensor):
        return [raw]
    logits = raw.get("logits") if isinstance(raw, Mapping) else getattr(raw, "logits", None)
    if isinstance(logits, torch.Tensor) and access is not Access.PROBABILITIES:
        return [logits]
    if isinstance(raw, list | tuple) and all(isinstance(part, torch.Tensor) for part in raw):
        is_pair = len(raw) == 2 and not raw[0].is_floating_point()
        if len(raw) == 1 or (is_pair and access in (Access.LABEL, Access.TOP1)):
            return raw
    raise BadPrediction(
        "The module must return a tensor of scores, or labels and their scores; got "
        f"{_shown(raw)}. "
        "Say which part holds the scores: output=0, or output=NAME."
    )


def _named(raw: Any, output: int | str) -> torch.Tensor:
    import torch

    try:
        part = raw[output]
    except (TypeError, KeyError, IndexError, AttributeError):
        part = getattr(raw, output, None) if isinstance(output, str) else None
    if not isinstance(part, torch.Tensor) or isinstance(raw, torch.Tensor):
        raise BadPrediction(
            f'"output" of TorchPredictor must name a tensor that the module returns; '
            f'got "{output}", and the module returns {_shown(raw)}.'
        )
    return part


def _shown(raw: Any) -> str:
    """The number of outputs and their shapes, for messages."""
    kind = type(raw).__name__
    if isinstance(raw, Mapping):
        return f"{kind} with {', '.join(map(str, list(raw)[:6])) or 'nothing'}"
    if isinstance(raw, list | tuple):
        shapes = ", ".join(
            str(tuple(getattr(part, "shape", ())))
            if hasattr(part, "shape")
            else type(part).__name__
            for part in raw[:6]
        )
        return f"{kind} of {len(raw)} outputs, of shapes {shapes}"
    return f"{kind} of shape {tuple(raw.shape)}" if hasattr(raw, "shape") else kind
