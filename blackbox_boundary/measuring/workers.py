"""Measure shards in several processes of this machine.

Each worker is a pool of one process of the standard library, so that the death of one leaves the
others alone. Workers are started afresh (``spawn``), load the model once, and map the rows from
their file. They write results and ledgers to the folder of each shard.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Unpack

from ..analysis.distances import Distances
from ..errors import InvalidInput
from ..inputs import is_whole
from ..processes import worker_environment
from .driver import Progress
from .progress import report
from .sharded.preparation import Request, RunSettings, prepare, threads_of
from .sharded.results import check_ledger, measure_shards
from .sharded.shard_folder import run_folder
from .sharded.work import Model, OpenWork, Outcome

__all__ = ["measure_with_workers"]

_GO, _STOP, _KILL = 0, 1, 2
_WATCH_S = 0.2
_CONTEXT = get_context("spawn")


def measure_with_workers(
    model: Any,
    x: Any,
    *,
    folder: str | Path,
    workers: int,
    threads: int | None = None,
    **settings: Unpack[RunSettings],
) -> Distances:
    """Measure how far each row is from the decision boundary, in several processes.

    The result is that of ``measure(..., n_shards=n_shards)`` in one process, to the bit where both
    have the same number of threads. It also depends on nothing that happened to the workers: a
    killed one is replaced, and its shard goes on from its ledger, or begins again without one.
    After an interrupt, or if this process was killed, the same call goes on.

    Parameters
    ----------
    model : str, path, Predictor, or a model
        Each worker loads a path or ``"package.module:factory"`` by itself; an object is pickled.
    x : array (n, *input_shape), or path of a ``.npy`` file
        Workers map the file; rows that lie in no file are written to one in ``folder``.
    folder : path
        For results and ledgers of the shards, and to go on later.
    workers : int
        Processes.
    n_shards : int, optional
        Default: four a worker, of 512 to 65,536 rows; or as many as the folder holds.
    threads : int, optional
        Threads of each worker. Default: the cores of this process, shared evenly.
    given : mapping, optional
        Settings for :func:`~blackbox_boundary.load`.
    limits : Limits, optional
        Of the whole run; shards get fixed shares in proportion to their rows.
    ledger : path, optional
        Each shard keeps a ledger, so that a killed worker loses nothing that was answered; they are
        merged into this file at the end. Default: none is kept.
    model_name : str, optional
        Name of the model's content, where the model has none of its own: in the ledgers, and by
        which a folder of another model's shards is refused.
    progress : callable, optional
        Called about ten times a second with the rows finished and the queries sent so far.
    facts : mapping, optional
        Further facts for ``run`` of the result; JSON types.
    results : {"tables", "parquet"}
        ``"parquet"``: each worker writes its results as rows finish, and the files of all shards
        are linked into ``folder``; the memory of all processes stays flat.
    beside : callable, optional
        Further columns of Parquet files, as of
        :func:`~blackbox_boundary.measuring.to_parquet.measure_to_parquet`; workers must be able to
        receive it.
    **settings
        Of :func:`~blackbox_boundary.measure`.

    Returns
    -------
    Distances
        As Parquet, :class:`~blackbox_boundary.analysis.stored_distances.StoredDistances`, whose
        columns are read when they are used. ``run["workers"]`` holds the number of workers, of
        threads, and of workers that were killed.

    Raises
    ------
    InvalidInput
        As :func:`~blackbox_boundary.measure`; also an endpoint, which one process measures, a
        predictor that cannot be pickled, and a folder that another process uses or that holds
        another measurement. Nothing has been sent.
    StorageError, LedgerError
        Results or answers cannot be written, the disk being full for one.
    WorkerLost
        Three workers were killed at the same shard.
    PredictorError, CallbackFailed, Interrupted
        As :func:`~blackbox_boundary.measure`; ``error.partial`` holds what had been measured.

    Notes
    -----
    A script that calls this needs ``if __name__ == "__main__"``, as all that start processes.
    """
    if not (is_whole(workers) and workers >= 1):
        raise InvalidInput(f'"workers" must be a whole number, at least 1; got {workers!r}.')
    threads = threads_of(threads, workers)
    request = Request.of(model, x, folder, **settings)
    _check_pickle(request.model)
    with run_folder(request.folder):
        work, shared = prepare(request, workers, threads)
        check_ledger(request, work)
        packed, board = pickle.dumps(work), _Board(work.n_shards)
        return measure_shards(
            request,
            work,
            shared,
            lambda: _LocalWorker(packed, board, threads),
            BrokenProcessPool,
            lambda: board.report(request.progress),
        )


def _check_pickle(model: Model) -> None:
    """Refuse an object that cannot be sent to other processes."""
    try:
        pickle.dumps(model)
    except Exception as error:
        raise InvalidInput(
            f"A predictor of the type {type(model.spec).__name__} cannot be sent to other "
            f"processes ({type(error).__name__}: {error}). Give workers a path, or "
            '"package.module:factory", a function that makes the predictor; nothing was sent.'
        ) from error


class _Board:
    """Numbers in memory that workers and this process share.

    There are no locks, which a killed worker could hold. Each shard has its own place for rows
    and queries; the first number tells all workers to stop.
    """

    def __init__(self, n_shards: int) -> None:
        self.numbers = _CONTEXT.RawArray("q", 1 + 2 * n_shards)

    def note(self, number: int, rows: int, queries: int) -> None:
        """Note the progress of a shard; stop it if it is to stop."""
        self.numbers[2 * number - 1], self.numbers[2 * number] = rows, queries
        if self.numbers[0] != _GO:
            raise KeyboardInterrupt

    def report(self, progress: Progress | None) -> None:
        """Call the caller's function with the sums."""
        if progress is not None:
            report(progress, sum(self.numbers[1::2]), sum(self.numbers[2::2]))


class _LocalWorker:
    """A worker of this machine."""

    def __init__(self, packed: bytes, board: _Board, threads: int) -> None:
        self._board = board
        self._pool = ProcessPoolExecutor(
            1, mp_context=_CONTEXT, initializer=_begin, initargs=(packed, board)
        )
        with _environment(worker_environment(threads)):
            self._opened = self._pool.submit(_open)  # starts the process

    def opened(self) -> Future[Outcome]:
        return self._opened

    def submit(self, number: int) -> Future[Outcome]:
        return self._pool.submit(_measure, number)

    def stop(self) -> None:
        self._board.numbers[0] = max(_STOP, self._board.numbers[0])

    def kill(self) -> None:
        self._board.numbers[0] = _KILL

    def close(self) -> None:
        self._pool.shutdown(wait=False)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while processes start, which inherit them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker: dict[str, Any] = {}
"""In a worker: its packed work, its board, and once opened the work."""


def _begin(packed: bytes, board: _Board) -> None:
    """Prepare a worker: Ctrl-C is the parent's; without a parent, the worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(packed=packed, board=board)
    threading.Thread(target=_watch, args=(board,), daemon=True).start()


def _watch(board: _Board) -> None:
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    while not wait([parent.sentinel], _WATCH_S):
        if board.numbers[0] == _KILL:
            break
    os._exit(1)


def _open() -> Outcome:
    """Open model and rows, once a worker."""
    try:
        work = pickle.loads(_worker["packed"])  # noqa: S301  made by the parent
    except (AttributeError, ImportError) as error:
        return Outcome(
            0,
            InvalidInput(
                f"The predictor cannot be made in another process ({error}): define its class in "
                "a module that can be imported. Nothing was sent."
            ),
        )
    _worker["work"], outcome = OpenWork.opened(work)
    return outcome


def _measure(number: int) -> Outcome:
    board: _Board = _worker["board"]
    work: OpenWork = _worker["work"]
    return work.measure(number, lambda rows, queries: board.note(number, rows, queries))
