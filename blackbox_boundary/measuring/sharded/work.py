"""A worker's view of a run, and the measurement of one shard.

A shard is idempotent and resumable: what its folder holds decides what is left to do. So it does
not matter who measures it, how often it is begun, and where a killed worker's shard goes on.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypedDict

from ...analysis.account import Account
from ...domain import Domain
from ...errors import BoundaryError, CertificatesWithdrawn, Interrupted, InvalidInput
from ...estimators import Estimator
from ...loading import as_predictor, load
from ...predictor import Array, Bounds, Predictor
from ..driver import Progress
from ..results import Beside
from ..sent_count import SentCount
from ..shards import Shard
from ..spending import Limits, spending
from .shard_folder import ShardFolder
from .shard_results import ShardFiles, ShardResults, ShardTable
from .shared_rows import MappedRows, digest

__all__ = ["MeasureSettings", "Model", "OpenWork", "Outcome", "Work"]


class MeasureSettings(TypedDict, total=False):
    """Settings of :func:`~blackbox_boundary.measure` that all shards of a run share."""

    estimator: str | Estimator | None
    bounds: Bounds
    batch_size: int | None
    seed: int
    flip_points: bool
    votes: int
    score_resolution: float
    scale: Any
    columns: Domain | None
    towards: int | str | None
    from_label: Any
    ask_flips_again: bool | None


@dataclass(frozen=True)
class Model:
    """The model as a worker gets it.

    Attributes
    ----------
    spec : str, path, or object
        Text and paths are loaded by each worker; an object is sent to it.
    given : dict
        Settings of the model's adapter, for :func:`~blackbox_boundary.load`.
    opened : Predictor, optional
        The same model, opened in this process; it is not sent to others.
    """

    spec: Any
    given: dict[str, Any] = field(default_factory=dict)
    opened: Predictor | None = None

    def __reduce__(self) -> tuple[type[Model], tuple[Any, dict[str, Any]]]:
        return Model, (self.spec, self.given)

    def open(self, input_shape: tuple[int, ...]) -> Predictor:
        """The predictor."""
        if self.opened is not None:
            return self.opened
        if isinstance(self.spec, str | Path) or self.given:
            return load(self.spec, **self.given)
        return as_predictor(self.spec, input_shape)


@dataclass(frozen=True)
class Work:
    """Facts that every worker of a run needs.

    Attributes
    ----------
    model : Model
    rows : MappedRows
    folder : path
        Output folder of the run; all workers see it under this name.
    digests : tuple of str
        Of the rows of each shard.
    n_at_once : int
        Workers that measure at the same time.
    limits : Limits
        Of the whole run.
    has_ledger : bool
        Whether each shard keeps a ledger.
    model_name : str, optional
        Name of the model's content for the ledgers.
    settings : MeasureSettings
    in_parquet : bool
        Whether results are written as Parquet, as rows finish.
    beside : callable, optional
        Further columns of these.
    facts : dict
        For the facts of each shard's run.
    about : dict
        Of the workers, for the facts of the whole run.
    """

    model: Model
    rows: MappedRows
    folder: Path
    digests: tuple[str, ...]
    n_at_once: int
    limits: Limits
    has_ledger: bool
    model_name: str | None
    settings: MeasureSettings
    in_parquet: bool
    beside: Beside | None
    facts: dict[str, Any]
    about: dict[str, Any]

    @property
    def n_rows(self) -> int:
        """Rows of the run."""
        return self.rows.shape[0]

    @property
    def n_shards(self) -> int:
        """Shards of the run."""
        return len(self.digests)

    def shard(self, number: int) -> Shard:
        """A shard, counted from 1."""
        return Shard(number, self.n_shards)

    def rows_of(self, number: int) -> range:
        """The rows of a shard."""
        return self.shard(number).rows(self.n_rows)

    def folder_of(self, number: int) -> ShardFolder:
        """The folder of a shard."""
        return ShardFolder(self.folder, number)

    def results_of(self, number: int) -> ShardResults:
        """The results of a shard."""
        folder = self.folder_of(number).path
        return ShardFiles(folder, self.beside) if self.in_parquet else ShardTable(folder)


@dataclass(frozen=True)
class Outcome:
    """Outcome of the measurement of a shard; its results are in its folder.

    Attributes
    ----------
    number : int
    error : Exception, optional
        What ended it early.
    is_interrupted : bool
        Whether the run was stopped.
    """

    number: int
    error: Exception | None = None
    is_interrupted: bool = False


class OpenWork:
    """The model and the rows of a run, opened once by a worker, to measure any of its shards.

    Raises
    ------
    BoundaryError
        The model or the rows cannot be opened here.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        if not work.folder.is_dir():
            raise InvalidInput(
                f'A worker does not see the output folder "{work.folder}": results need a path '
                "that all machines share."
            )
        try:
            self._x: Array = work.rows.open()
        except OSError as error:
            raise InvalidInput(
                f'A worker cannot read the rows in "{work.rows.path}": {error.strerror or error}.'
            ) from error
        self._predictor = work.model.open(work.rows.shape[1:])

    @classmethod
    def opened(cls, work: Work) -> tuple[Self | None, Outcome]:
        """Open the work; the outcome says why it cannot be opened."""
        try:
            return cls(work), Outcome(0)
        except BoundaryError as error:
            return None, Outcome(0, error)

    def measure(self, number: int, progress: Progress) -> Outcome:
        """Measure the unfinished rows of a shard, and store the results.

        ``progress`` may raise ``KeyboardInterrupt`` to stop; what was measured is stored.
        """
        results = self._work.results_of(number)
        try:
            with self._work.folder_of(number).held():
                if results.is_complete():
                    return Outcome(number)
                return self._measure(number, results, progress)
        except BoundaryError as error:
            error.partial = None  # it is in the folder, and too large to send
            return Outcome(number, error)

    def _measure(self, number: int, results: ShardResults, progress: Progress) -> Outcome:
        work, folder = self._work, self._work.folder_of(number)
        rows = work.rows_of(number)
        if digest(self._x[rows.start : rows.stop]) != work.digests[number - 1]:
            raise InvalidInput(
                f"The rows of shard {number} changed after the run began; nothing of it was sent. "
                "Restore the data, or measure them in another folder."
            )
        count = SentCount(folder.path)
        before = (Account.of(results.facts() or {}) or Account()).plus(count.before)
        limits = work.limits.share(rows, work.n_rows, work.n_at_once, work.n_shards)
        left = None if limits.max_queries is None else max(0, limits.max_queries - before.sent)
        limits = limits.after(count.before.requests)
        sending = spending(
            self._predictor,
            limits,
            count.note,
            ledger=folder.ledger if work.has_ledger else None,
            model_name=work.model_name,
        )
        outcome, cpu = Outcome(number), time.process_time()
        with sending as spent, warnings.catch_warnings():
            warnings.simplefilter("ignore", CertificatesWithdrawn)  # said of the merged result
            warnings.simplefilter("ignore", UserWarning)  # said when the run began
            try:
                found = results.measure(
                    spent.predictor,
                    self._x,
                    has_ledger=work.has_ledger,
                    shard=work.shard(number),
                    max_queries=left,
                    progress=progress,
                    **work.settings,
                )
            except (BoundaryError, Interrupted) as error:
                if error.partial is None:
                    raise
                found = error.partial
                failure = error if isinstance(error, BoundaryError) else None
                outcome = Outcome(number, failure, failure is None)
            asked = found.run["n_queries"] - results.n_kept
            account = before.plus(spent.account(asked))
            found.run.update(spent.facts(), account=account.facts(), **work.facts)
            found.run["cpu_seconds"] = round(time.process_time() - cpu, 3)
        results.save(found)
        count.remove()
        if isinstance(outcome.error, BoundaryError):
            outcome.error.partial = None  # it is in the folder, and too large to send
        return outcome
