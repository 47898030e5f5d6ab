"""The forward pass of the last prediction, kept for a gradient at the same points.

A search that follows the boundary predicts at a point, and then differentiates there the margin
that the prediction selects. The forward pass of the prediction also serves the gradient, which then
needs only the backward pass: half the time of a step.

A recorded pass needs as much memory as the gradient at that point. So recording starts after a
gradient at the points of the last prediction, and stops when a recorded pass is not used. At most
one pass is held; the next call frees it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Recent"]


class Recent:
    """At most one forward pass: the rows, what the module put out for them, and the weights it had.

    Copies of it, and pickles, are empty.

    Attributes
    ----------
    module_writes : bool
        Whether the module was seen to write to its input. It is then given a copy, so that the rows
        held are those of the prediction.
    """

    def __init__(self) -> None:
        self.module_writes = False
        self._wanted = False
        self._passes: deque[tuple[torch.Tensor, Any, tuple[Any, ...]]] = deque(
            maxlen=1
        )  # which threads may pop, each its own

    def __reduce__(self) -> tuple[type[Recent], tuple[()]]:
        return Recent, ()

    def begin(self) -> bool:
        """Drop the recorded pass; whether the next pass is to be recorded."""
        held = self._pop()
        if held is not None and held[1] is not None:
            self._wanted = False  # recorded, and not used
        return self._wanted

    def keep(self, parts: Sequence[torch.nn.Module], rows: torch.Tensor, raw: Any | None) -> None:
        """Hold the ``rows`` of a pass; and its outputs ``raw``, if recorded."""
        self._passes.append((rows, raw, () if raw is None else _weights_of(parts)))

    def at(
        self, parts: Sequence[torch.nn.Module], rows: torch.Tensor
    ) -> tuple[torch.Tensor, Any] | None:
        """The recorded rows and outputs, once, if rows and weights are the same."""
        import torch

        held = self._pop()
        if held is None:
            return None
        kept, raw, weights = held
        self._wanted = kept.shape == rows.shape and torch.equal(kept, rows)
        return (
            (kept, raw)
            if self._wanted and raw is not None and weights == _weights_of(parts)
            else None
        )

    def _pop(self) -> tuple[torch.Tensor, Any, tuple[Any, ...]] | None:
        try:
            return self._passes.pop()
        except IndexError:
            return None


def _weights_of(parts: Sequence[torch.nn.Module]) -> tuple[Any, ...]:
    """Changes whenever a parameter or buffer is written to or replaced."""
    return tuple(
        (id(tensor), tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)  # noqa: SLF001 - documented by torch
        for part in parts
        for tensors in (part.parameters(recurse=False), part.buffers(recurse=False))
        for tensor in tensors
    )
