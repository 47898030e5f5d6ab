"""Run several requests at once, and yield their answers as they come."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeAlias

from blackbox_boundary.predictor import Prediction

__all__ = ["Answers", "pieces", "side_by_side"]

Answers: TypeAlias = list[tuple[slice, Prediction]]
"""Consecutive rows, and their prediction."""


def pieces(start: int, end: int, *, longest: int, at_once: int) -> list[slice]:
    """Split rows into even pieces, last first.

    No piece is longer than ``longest``, and there are at least ``at_once`` pieces.
    """
    n = end - start
    n_pieces = max(-(-n // longest), at_once)
    edges = [start + n * piece // n_pieces for piece in range(n_pieces + 1)] if n else []
    return [slice(*edge) for edge in itertools.pairwise(edges)][::-1]


def side_by_side(
    workers: ThreadPoolExecutor,
    at_once: int,
    waiting: list[slice],
    settle: Callable[[slice, threading.Event], Answers],
) -> Iterator[tuple[slice, Prediction]]:
    """Settle these rows, the last of them first.

    Parameters
    ----------
    workers : ThreadPoolExecutor
    at_once : int
        Pieces handed to the workers at a time.
    waiting : list of slice
    settle : callable
        ``settle(rows, stop)`` answers a piece; the event is set once another piece has failed.

    Raises
    ------
    Exception
        The first failure, after what was under way has been waited for and handed out.
    """
    under_way, stop = set[Future[Answers]](), threading.Event()
    finished = SimpleQueue[Future[Answers]]()
    failure: BaseException | None = None
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                future = workers.submit(settle, waiting.pop(), stop)
                under_way.add(future)
                future.add_done_callback(finished.put)
            future = finished.get()
            under_way.discard(future)
            if future.cancelled():
                continue
            if (error := future.exception()) is None:
                yield from future.result()
            elif failure is None:
                failure, waiting = error, []
                stop.set()
                for later in tuple(under_way):
                    later.cancel()
    finally:
        stop.set()
        for future in under_way:
            future.cancel()
    if failure is not None:
        raise failure
