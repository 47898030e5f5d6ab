"""The forward pass of the last prediction, kept for the next gradient at the same rows.

Recording costs memory. So it starts after a gradient at the rows of the last prediction, and stops
when a recorded pass is not used. At most one pass is held; the next call frees it.
``torch_modules.recent`` does the same for torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .session import Runner

__all__ = ["Recorder"]

_LARGEST = 2**30
"""Bytes of a recorded pass at most."""


class Recorder:
    """Run rows through a runner, or through one that keeps the values that their gradient needs.

    Parameters
    ----------
    plain : Runner
        The export.
    opened : callable
        Opens the two halves of the gradient model; called once, when recording starts.
    """

    def __init__(self, plain: Runner, opened: Callable[[], tuple[Runner, Runner]]) -> None:
        self._plain, self._opened = plain, opened
        self._halves: tuple[Runner, Runner] | None = None
        self._is_wanted, self._is_possible, self._row_bytes = False, True, 0
        self._passes: deque[tuple[NDArray[Any], list[Any] | None]] = deque(maxlen=1)

    def answers(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs of the export for rows.

        Raises
        ------
        PredictorError
            ONNX Runtime failed.
        """
        held = self._pop()
        if held is not None and held[1] is not None:
            self._is_wanted = False  # recorded, and not used
        wanted = self._is_wanted and self._is_possible and len(rows) * self._row_bytes <= _LARGEST
        if not wanted:
            answers = self._plain.run(rows)
            self._passes.append((rows.copy(), None))
            return answers
        forward = self._open(rows)
        if forward is None:
            return self._plain.run(rows)
        own = rows.copy()
        scores, *kept = forward.run_in_place(own)
        self._row_bytes = sum(value.numpy().nbytes for value in kept) // len(rows)
        self._passes.append((own, kept))
        return [scores.numpy()]

    def gradient(self, rows: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any] | None:
        """The gradient at rows whose pass was recorded; None at others. A pass serves once.

        Raises
        ------
        PredictorError
            ONNX Runtime failed.
        """
        held = self._pop()
        if held is None:
            return None
        own, kept = held
        self._is_wanted = np.array_equal(own, rows)
        if not self._is_wanted or kept is None or self._halves is None:
            return None
        (gradient,) = self._halves[1].run_in_place(own, weights, *kept)
        found: NDArray[Any] = gradient.numpy()
        return found

    def _open(self, rows: NDArray[Any]) -> Runner | None:
        """The half that records; None where its answers are not those of the export to the bit."""
        if self._halves is None:
            self._halves = self._opened()
            theirs, ours = self._plain.run(rows)[0], self._halves[0].run(rows)[0]
            self._is_possible = np.array_equal(theirs, ours, equal_nan=True)
        return self._halves[0] if self._is_possible else None

    def _pop(self) -> tuple[NDArray[Any], list[Any] | None] | None:
        try:
            return self._passes.pop()
        except IndexError:
            return None
