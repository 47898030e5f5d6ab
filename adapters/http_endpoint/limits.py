"""How many requests may be under way, and how fast they may follow each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["AdaptiveLimit", "Pace"]

_SLOW = 4.0
"""Times the best latency seen for requests of like size. Below it, eight connections to a server
that works on one request at a time would be cut for queueing that costs nothing."""
_FORGET = 1.01
"""Growth of the remembered best latency per answer, so that a server that became slower for good
is slow no longer after some hundred."""


class AdaptiveLimit:
    """Bound on concurrent requests: additive increase, multiplicative decrease (AIMD).

    It grows by one per round of answers and shrinks when the server is overwhelmed. A server counts
    as overwhelmed if it says so (429, 503), times out, or answers much more slowly than before. The
    bound is cut once per round trip, not once per request in flight: by half, or by a tenth for a
    slow answer.
    """

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._limit = most, float(most)
        self._clock = clock
        self._under_way = 0
        self._free = threading.Condition()
        self._best: dict[int, float] = {}
        self._cut_at = -float("inf")

    @property
    def current(self) -> int:
        """Requests allowed at once now."""
        return int(self._limit)

    @contextmanager
    def slot(self) -> Iterator[float]:
        """Wait for a free place and hold it; gives the moment it was had."""
        with self._free:
            self._free.wait_for(lambda: self._under_way < int(self._limit))
            self._under_way += 1
        try:
            yield self._clock()
        finally:
            with self._free:
                self._under_way -= 1
                self._free.notify_all()

    def answered(self, seconds: float, size: int) -> None:
        """Raise the limit after an answer, or lower it if the answer was unusually slow.

        The reference is the fastest recent answer to a request of similar size.
        """
        like = size.bit_length()
        with self._free:
            best = min(seconds, self._best.get(like, seconds) * _FORGET)
            self._best[like] = best
            if seconds > _SLOW * best:
                self._cut(self._clock() - seconds, 0.9)
            else:
                self._limit = min(self._most, self._limit + 1 / self._limit)

    def overwhelmed(self, started: float) -> None:
        """Halve the limit, unless that was done since the request that failed was ``started``."""
        with self._free:
            self._cut(started, 0.5)

    def _cut(self, started: float, factor: float) -> None:
        if started >= self._cut_at:
            self._limit = max(1.0, self._limit * factor)
            self._cut_at = self._clock()


class Pace:
    """Spaces requests out, and holds all of them back when the server asks for a pause."""

    def __init__(
        self, per_second: float | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gap_s = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._next = -float("inf")
        self._lock = threading.Lock()

    def turn(self) -> float:
        """Take the next turn; gives the seconds to wait for it."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap_s
            return turn - now

    def hold(self, seconds: float) -> None:
        """Let no request go for so many seconds."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)
