"""Give shards to workers, until all are measured, one fails, or the run is stopped.

A worker measures one shard at a time. A worker that is killed is replaced, and its shard is given
to the next free worker, which goes on from the shard's folder.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Protocol, TypeAlias

from ...errors import BoundaryError, WorkerLost
from .work import Outcome

__all__ = ["Dispatch", "Lost", "Worker"]

_LOG = logging.getLogger(__name__)

_POLL_S = 0.1
_MOST_LOSSES = 3
"""Workers that one shard, or opening the model, may lose before the run ends."""


Lost: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
"""Errors that a future raises if its worker was killed."""


class Worker(Protocol):
    """A process, here or elsewhere, that measures shards."""

    def opened(self) -> Future[Outcome]:
        """Open model and rows."""
        ...

    def submit(self, number: int) -> Future[Outcome]:
        """Measure a shard."""
        ...

    def stop(self) -> None:
        """Ask for an end of the current shard after the call under way."""
        ...

    def kill(self) -> None:
        """End at once."""
        ...

    def close(self) -> None:
        """Release an idle worker."""
        ...


class Dispatch:
    """One run over some shards.

    Parameters
    ----------
    start : callable
        Starts a worker.
    n_workers : int
    lost : type of exception, or several
    poll : callable
        Called about ten times a second while workers measure.

    Attributes
    ----------
    error : Exception or None
        What ended the run early.
    is_interrupted : bool
        Whether Ctrl-C did.
    n_lost : int
        Workers that were killed, but for those of a run that is to stop.
    """

    def __init__(
        self,
        start: Callable[[], Worker],
        n_workers: int,
        lost: Lost,
        poll: Callable[[], object],
    ) -> None:
        self._start, self._n_workers, self._lost, self._poll = start, n_workers, lost, poll
        self._waiting: deque[int] = deque()
        self._busy: dict[Future[Outcome], tuple[Worker, int | None]] = {}
        self._losses = Counter[int | None]()
        self._is_stopping = False
        self.error: Exception | None = None
        self.is_interrupted = False
        self.n_lost = 0

    def run(self, numbers: Iterable[int]) -> None:
        """Measure these shards; return when no worker measures."""
        self._waiting.extend(numbers)
        for _ in range(min(self._n_workers, len(self._waiting))):
            self._begin()
        while self._is_running():
            try:
                done, _ = wait(self._busy, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in done:
                    self._finished(future)
                self._poll()
            except KeyboardInterrupt:
                self._interrupted()
            except BoundaryError as error:
                self._end(error)

        for worker, _ in self._busy.values():  # they never found room, or were not needed
            worker.close()

    def _is_running(self) -> bool:
        is_waiting = bool(self._waiting) and not self._is_stopping
        return is_waiting or any(number is not None for _, number in self._busy.values())

    def _begin(self) -> None:
        worker = self._start()
        self._busy[worker.opened()] = worker, None

    def _finished(self, future: Future[Outcome]) -> None:
        """Take what a worker answered, and give it the next shard."""
        worker, number = self._busy[future]
        try:
            answer = future.result()
        except self._lost:
            del self._busy[future]
            worker.close()
            self._replace(number)
            return
        except Exception as error:  # noqa: BLE001  a bug: raised once the other workers have ended
            answer = Outcome(0, error)
        del self._busy[future]
        if answer.error is not None:
            self._end(answer.error)
        elif number is None:
            del self._losses[None]
        if self._waiting and not self._is_stopping:
            following = self._waiting.popleft()
            self._busy[worker.submit(following)] = worker, following
        else:
            worker.close()

    def _replace(self, number: int | None) -> None:
        """Start another worker for one that was killed."""
        if self._is_stopping:
            return
        self.n_lost += 1
        self._losses[number] += 1
        if number is not None:
            self._waiting.appendleft(number)
        what = "before it had opened the model" if number is None else f"with shard {number}"
        if self._losses[number] >= _MOST_LOSSES:
            self._end(
                WorkerLost(
                    f"{_MOST_LOSSES} workers were killed {what}. Is there memory for so many "
                    "workers? What other shards measured is stored: run the same command again. "
                    'A script that starts workers needs if __name__ == "__main__".'
                )
            )
        elif self._waiting:
            _LOG.warning("A worker was killed %s; another one goes on.", what)
            self._begin()

    def _end(self, error: Exception) -> None:
        self.error = self.error or error
        self._stop()

    def _interrupted(self) -> None:
        self.is_interrupted = True
        if self._is_stopping:
            for worker, _ in self._busy.values():
                worker.kill()
        else:
            _LOG.warning("Stopping after the calls under way; Ctrl-C again stops at once.")
            self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        for worker, _ in self._busy.values():
            worker.stop()
