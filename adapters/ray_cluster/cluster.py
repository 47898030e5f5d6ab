"""Measure shards on a Ray cluster.

Ray decides where actors run; each measures one shard at a time. Ray's own retries are off, since a
shard that was begun goes on from its ledger. Results and ledgers lie in a folder that all machines
see.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from blackbox_boundary.analysis.distances import Distances
from blackbox_boundary.errors import CapabilityMissing, InvalidInput
from blackbox_boundary.inputs import is_whole
from blackbox_boundary.measuring.driver import Progress
from blackbox_boundary.measuring.progress import report
from blackbox_boundary.measuring.sharded.dispatch import Lost
from blackbox_boundary.measuring.sharded.preparation import Request, RunSettings, prepare
from blackbox_boundary.measuring.sharded.results import check_ledger, measure_shards
from blackbox_boundary.measuring.sharded.shard_folder import run_folder
from blackbox_boundary.measuring.sharded.work import Outcome, Work
from blackbox_boundary.processes import worker_environment

from .actor import ShardActor

__all__ = ["measure_on_cluster"]

_LOG = logging.getLogger(__name__)

_POLL_S = 1.0
"""Seconds between questions for the progress of an actor; longer where actors are many."""
_POLLS_A_SECOND = 100
_ANSWERS_WITHIN_S = 10.0


def measure_on_cluster(
    model: Any,
    x: Any,
    *,
    folder: str | Path,
    address: str | None = None,
    workers: int | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    **settings: Unpack[RunSettings],
) -> Distances:
    """Measure how far each row is from the decision boundary, on a Ray cluster.

    The result is that of ``measure(..., n_shards=n_shards)`` in one process with as many threads,
    to the bit where machines compute alike. A shard whose actor or node dies goes on elsewhere:
    from its ledger, or without one from its beginning. After an interrupt, or if this process was
    killed, the same call goes on.

    Parameters
    ----------
    model, x, n_shards, given, limits, ledger, model_name, progress, facts, results, beside
        As of :func:`~blackbox_boundary.measuring.workers.measure_with_workers`. Files have the same
        path on all machines; an object is sent by Ray's serializer. So are ``**settings``.
    folder : path
        For results and ledgers of the shards; on a file system that all machines share, with locks.
    address : str, optional
        ``"host:port"``, ``"ray://host:port"`` or ``"auto"``. Default: the cluster that this process
        is connected to or that ``RAY_ADDRESS`` names, else a new one of this machine.
    workers : int, optional
        Actors. Default: as many as the cluster has room for now.
    num_cpus, num_gpus : float
        What each actor occupies. It computes with ``num_cpus`` threads, at least one.

    Returns
    -------
    Distances
        ``run["workers"]`` holds the number of actors, of threads, and of those that died.

    Raises
    ------
    InvalidInput
        As of ``measure_with_workers``; also a cluster that does not answer. Nothing has been sent.
    CapabilityMissing
        The extra ``cluster`` is not installed.
    StorageError, LedgerError, WorkerLost, PredictorError, CallbackFailed, Interrupted
        As of ``measure_with_workers``.
    """
    ray = _ray()
    if not (workers is None or (is_whole(workers) and workers >= 1)):
        raise InvalidInput(f'"workers" must be a whole number, at least 1; got {workers!r}.')
    if not (num_cpus > 0 and num_gpus >= 0):
        raise InvalidInput(
            f'"num_cpus" must be positive and "num_gpus" not negative; got {num_cpus}, {num_gpus}.'
        )
    threads = max(1, math.floor(num_cpus))
    request = Request.of(model, x, folder, **settings)
    with run_folder(request.folder), _connected(ray, address):
        workers = workers or _room(ray, num_cpus, num_gpus)
        work, shared = prepare(request, workers, threads)
        check_ledger(request, work)
        actors = _Actors(ray, work, threads, num_cpus, num_gpus)
        return measure_shards(
            request, work, shared, actors.start, _lost(ray), lambda: actors.poll(request.progress)
        )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise CapabilityMissing(
            'Measuring on a cluster needs Ray: pip install "blackbox-boundary[cluster]".'
        ) from error
    return ray


def _lost(ray: Any) -> Lost:
    errors = ray.exceptions
    return (
        errors.RayActorError,
        errors.NodeDiedError,
        errors.OutOfMemoryError,
        errors.WorkerCrashedError,
    )


def _check_answers(address: str | None) -> None:
    """Refuse an address where nothing listens; Ray itself would try again for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), _ANSWERS_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise InvalidInput(
            f'No Ray cluster answers at "{address}": {error}. Nothing was sent.'
        ) from error


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to the cluster; one that the caller has made is used, and left open."""
    if ray.is_initialized():
        yield
        return
    _check_answers(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a new cluster reports nothing
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, logging_level="warning")
    except Exception as error:  # Ray raises bare ones, too
        where = f' at "{address}"' if address else ""
        first = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise InvalidInput(f"No Ray cluster answers{where}: {first}. Nothing was sent.") from error
    try:
        if on_term is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_term)  # Ray has set its own
        yield
    finally:
        ray.shutdown()


def _room(ray: Any, num_cpus: float, num_gpus: float) -> int:
    """Actors that the nodes have room for, at least one."""
    n = 0
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        fits = int(has.get("CPU", 0) // num_cpus)
        n += min(fits, int(has.get("GPU", 0) // num_gpus)) if num_gpus else fits
    if not n:
        _LOG.warning(
            "No node of the cluster has %g CPUs and %g GPUs now; waiting for one.",
            num_cpus,
            num_gpus,
        )
    return max(1, n)


class _Actors:
    """The actors of a run, and what they said of their progress."""

    def __init__(
        self, ray: Any, work: Work, threads: int, num_cpus: float, num_gpus: float
    ) -> None:
        self._ray = ray
        try:
            self._work = ray.put(work)
        except Exception as error:
            kind = type(work.model.spec).__name__
            raise InvalidInput(
                f"A predictor of the type {kind} cannot be sent to other machines "
                f"({type(error).__name__}). Give workers a path, or "
                '"package.module:factory"; nothing was sent.'
            ) from error
        self._kind = ray.remote(ShardActor).options(
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=ShardActor.N_THREADS,
            runtime_env={"env_vars": worker_environment(threads)},
        )
        self._running: list[_Actor] = []
        self._known: dict[int, tuple[int, int]] = {}
        self._polled = 0.0

    def start(self) -> _Actor:
        """Start an actor, where and when Ray finds room for it."""
        actor = _Actor(self._ray, self._kind.remote(self._work), self._running)
        self._running.append(actor)
        return actor

    def poll(self, progress: Progress | None) -> None:
        """Ask each actor how far it is, now and then, and tell the caller."""
        if progress is None:
            return
        for actor in self._running:
            self._known.update(actor.progress())
        report(progress, *(sum(known) for known in zip((0, 0), *self._known.values(), strict=True)))
        now = time.monotonic()
        if now - self._polled >= max(_POLL_S, len(self._running) / _POLLS_A_SECOND):
            self._polled = now
            for actor in self._running:
                actor.ask_progress()


class _Actor:
    """One actor."""

    def __init__(self, ray: Any, handle: Any, running: list[_Actor]) -> None:
        self._ray, self._handle, self._others = ray, handle, running
        self._asked: Future[dict[int, tuple[int, int]]] | None = None

    def opened(self) -> Future[Outcome]:
        return self._handle.open.remote().future()

    def submit(self, number: int) -> Future[Outcome]:
        return self._handle.measure.remote(number).future()

    def stop(self) -> None:
        self._handle.stop.remote()

    def kill(self) -> None:
        self._ray.kill(self._handle)

    def close(self) -> None:
        """End the actor; one that only seemed dead sends nothing more."""
        if self in self._others:
            self._others.remove(self)
        self._ray.kill(self._handle)

    def ask_progress(self) -> None:
        """Ask how far it is, unless an answer is still awaited."""
        if self._asked is None:
            self._asked = self._handle.progress.remote().future()

    def progress(self) -> dict[int, tuple[int, int]]:
        """Rows and queries of its shards."""
        if self._asked is None or not self._asked.done():
            return {}
        asked, self._asked = self._asked, None
        return asked.result() if asked.exception() is None else {}
