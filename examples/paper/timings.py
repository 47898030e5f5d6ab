"""Distances with their computing time, compared with the time of the bare model."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary import Distances, Predictor

__all__ = ["joined", "timed"]


def timed(
    measured: Callable[[], Distances], victim: Predictor, x: NDArray[np.float32], device: str
) -> Distances:
    """Measure, and right after it time as many bare predictions, so that both met the same machine.

    The run holds the seconds of both, ``measured_s`` and ``bare_s``; on a CPU they are processor
    time.
    """
    clock = time.process_time if device == "cpu" else time.perf_counter
    started = clock()
    found = measured()
    between = clock()
    for start in range(0, len(x), 512):
        victim.predict(x[start : start + 512])
    found.run.update(measured_s=between - started, bare_s=clock() - between)
    return found


def joined(parts: list[Distances]) -> Distances:
    """Consecutive chunks as one; the run of the first, the seconds of all."""
    names = [name for name, value in vars(parts[0]).items() if isinstance(value, np.ndarray)]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    seconds = {name: sum(part.run[name] for part in parts) for name in ("measured_s", "bare_s")}
    return Distances(**arrays, run=parts[0].run | seconds)
