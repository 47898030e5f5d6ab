"""Measure with a predictor: the one place where a search meets a model."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Any, TypeAlias, cast

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj

from ..analysis.certificates import WITHDRAWN, withdrawn
from ..analysis.distances import COLUMNS, Distances
from ..arrays import as_kind, as_numpy, put, take
from ..errors import (
    BoundaryError,
    BudgetExhausted,
    CapabilityMissing,
    CertificatesWithdrawn,
    Interrupted,
    InvalidInput,
    PredictorError,
)
from ..estimators import Estimator, Problem, by_name
from ..inputs import checked_votes
from ..predictor import (
    Array,
    Bounds,
    Differentiable,
    IntArray,
    Prediction,
    Predictor,
    ask_again,
    check_prediction,
)
from ..search.asks import Ask, AskPrediction, Status
from .course import check
from .measurement import Measurement, blank_column

__all__ = ["Progress", "measure"]

Progress: TypeAlias = Callable[[int, int], None]
"""``progress(rows_done, queries)``: rows finished and queries sent so far."""

_BLOCK_BYTES = 8 * 2**20
"""Inputs searched at a time; a dozen copies of them are alive at once, which bounds the memory of a run of any length."""


def measure(
    predictor: Predictor,
    x: Array,
    *,
    estimator: str | Estimator = "ray",
    bounds: Bounds = None,
    max_queries: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    flip_points: bool | str | FilePath = True,
    resume: Distances | None = None,
    votes: int = 1,
    score_resolution: float = 0.0,
) -> Distances:
    """Measure how far each row is from the decision boundary.

    Parameters
    ----------
    predictor : Predictor
        Anything that predicts; its ``vjp`` is used where it has one.
    x : array (n, *input_shape)
        Floating-point inputs. May be memory-mapped: rows are read in blocks. Tensors are searched on their device.
    estimator : str or Estimator
        A name, or a configured object such as ``Ray(direction="margin")``.
    bounds : (lowest, highest), optional
        Default: the predictor's. ``(-inf, inf)`` searches without bounds, as the paper does.
    max_queries : int, optional
        Rows that may be sent in all, predictions and gradients together, shared evenly over the rows. Default: no limit.
    batch_size : int, optional
        Rows a call. Default: 512.
    seed : int
        Of the estimators that draw at random; each row has its own stream.
    progress : callable, optional
        Called after each call of the predictor with the rows finished and the queries sent so far.
    flip_points : bool or path
        Whether to keep flip points; a path writes them to that ``.npy`` file, whatever their number, and maps it.
    resume : Distances, optional
        An earlier, incomplete result for the same inputs, model and settings; its finished rows are taken over and cost nothing.
    votes : int
        Times each prediction is asked, where answers vary: so many queries a point, and rows that stay open end ``UNDECIDED``. Five is the
        least that can tell (:mod:`blackbox_boundary.measuring.voting`).
    score_resolution : float
        Differences between scores below this mean nothing, because they are rounded to it or vary by it: the search stops there.

    Returns
    -------
    Distances
        A row that failed has a status that says why, and never takes others with it.

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside the bounds. Nothing has been sent. (Rows with NaN get a status instead.)
    CapabilityMissing
        The estimator needs more than the predictor reveals. Nothing has been sent.
    PredictorError
        The predictor failed; ``error.partial`` holds what had been measured.
    Interrupted
        Ctrl-C; ``error.partial`` likewise.

    Notes
    -----
    Queries per row depend on the estimator; ``n_predictions`` and ``n_gradients`` of the result say what each row cost.
    A row's answer does not depend on the rows measured with it, nor on ``batch_size``, if the predictor answers rows independently.
    """
    noise = {"votes": votes, "score_resolution": score_resolution}
    run = _Run(
        predictor,
        x,
        by_name(estimator),
        bounds,
        max_queries,
        batch_size or 512,
        seed,
        progress,
        flip_points,
        resume,
        noise,
    )
    return run.complete()


class _Run:
    """One call of :func:`measure`: the blocks of rows, one after the other, and the results so far."""

    def __init__(
        self,
        predictor: Predictor,
        x: Array,
        estimator: Estimator,
        bounds: Bounds,
        max_queries: int | None,
        batch_size: int,
        seed: int,
        progress: Progress | None,
        flip_points: bool | str | FilePath,
        resume: Distances | None,
        noise: dict[str, Any],
    ) -> None:
        checked_votes(**noise)
        if batch_size < 1 or (max_queries is not None and max_queries < 0):
            raise InvalidInput(
                f'"batch_size" must be at least 1 and "max_queries" not negative; got {batch_size} and {max_queries}.'
            )
        if tuple(x.shape[1:]) != tuple(predictor.input_shape):
            raise InvalidInput(
                f"Inputs must have shape (n, {', '.join(map(str, predictor.input_shape))}); got {tuple(x.shape)}."
            )
        self._predictor, self._x, self._batch_size, self._progress = (
            predictor,
            x,
            batch_size,
            progress,
        )
        self._rest = (
            np.arange(x.shape[0]) if resume is None else _unfinished(resume, int(x.shape[0]))
        )
        self._limit, self._sent, self._done = max_queries, 0, int(x.shape[0]) - len(self._rest)
        self._problem = Problem.of(
            predictor, bounds=bounds, seed=seed, n_rows=int(x.shape[0]), **noise
        )
        self._estimator = estimator
        check(estimator, self._problem)
        for rows in (
            self._blocks()
        ):  # all bad input is found before the first query; the only block finds its own
            if len(rows) < len(self._rest):
                self._start(rows)
        if resume is not None:
            _check_same(resume.run, self._identity())
        self._out = Distances.empty(int(x.shape[0])) if resume is None else _own(resume)
        self._withdrawn: str = "" if resume is None else resume.run.get(WITHDRAWN, "")
        self._points = _Points(x, flip_points, None if resume is None else resume.flip_points)
        self._began, self._clock = datetime.now(UTC), time.perf_counter()

    def complete(self) -> Distances:
        """Measure block by block."""
        running: Measurement | None = None
        rows = self._rest[:0]
        try:
            for rows in self._blocks():
                share = None if self._limit is None else self._share(len(rows))
                running = self._start(rows, share)
                self._drive(running)
                self._store(rows, running)
                running = None
        except BaseException as error:
            if running is not None:
                self._store(rows, running)
            self._hand_over(error)
            raise
        return self._result()

    def _blocks(self) -> Iterator[IntArray]:
        row_bytes = max(
            1,
            self._x[:1].nbytes
            if hasattr(self._x, "nbytes")
            else 8 * int(np.prod(self._x.shape[1:])),
        )
        size = min(
            max(64, _BLOCK_BYTES // row_bytes), 4 * self._batch_size
        )  # small rows, too, are to finish now and then
        for first in range(0, len(self._rest), size):
            yield self._rest[first : first + size]

    def _start(self, rows: IntArray, max_queries: int | None = None) -> Measurement:
        contiguous = int(rows[-1] - rows[0]) + 1 == len(rows)
        block = self._x[int(rows[0]) : int(rows[-1]) + 1] if contiguous else take(self._x, rows)
        block = np.asarray(block) if isinstance(block, np.memmap) else block
        known = self._problem
        return Measurement(
            block,
            estimator=self._estimator,
            access=known.access,
            n_classes=known.n_classes,
            bounds=known.bounds,
            differentiable=known.differentiable,
            max_queries=max_queries,
            seed=known.seed,
            row_ids=rows,
            votes=known.votes,
            score_resolution=known.score_resolution,
            chain=known.chain,
        )

    def _share(self, n: int) -> int:
        """The block's even share of the queries left, with what earlier blocks did not use."""
        assert self._limit is not None
        return -(-(self._limit - self._sent) * n // (len(self._out) - self._done))

    def _drive(self, running: Measurement) -> None:
        """Answer a measurement's questions by the predictor, in batches."""
        while (ask := running.ask()) is not None:
            parts: list[Any] = []
            useful: IntArray | None = None
            for batch in self._batches(ask):
                try:
                    parts.append(self._call(ask, batch))
                except BudgetExhausted:
                    useful = running.refuse(batch.start)
                    break
                if self._progress is not None:
                    self._progress(
                        self._done + running.n_done,
                        self._sent + running.n_queries - max(0, len(ask.rows) - batch.stop),
                    )
            if useful is not None and not len(useful):
                continue
            if isinstance(ask, AskPrediction):
                answer = Prediction.concatenate(parts)
                running.tell(answer if useful is None else answer[useful])
            else:
                gradients = (
                    parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts, axis=0)
                )
                running.tell(gradients if useful is None else take(gradients, useful))
        if self._progress is not None:
            self._progress(self._done + running.n_done, self._sent + running.n_queries)

    def _batches(self, ask: Ask) -> Iterator[slice]:
        """Consecutive parts of a question; votes on the same point never travel together, for a call may share one noise."""
        edges = (
            np.flatnonzero(np.diff(ask.votes)) + 1
            if isinstance(ask, AskPrediction) and ask.votes is not None
            else ()
        )
        for start, stop in itertools.pairwise([0, *edges, len(ask.rows)]):
            for first in range(start, stop, self._batch_size):
                yield slice(first, min(first + self._batch_size, stop))

    def _call(self, ask: Ask, batch: slice) -> Prediction | Array:
        points = ask.points[batch]
        try:
            if isinstance(ask, AskPrediction):
                answer = ask_again(
                    self._predictor, points, None if ask.votes is None else ask.votes[batch]
                )
                check_prediction(
                    answer, len(points), self._predictor.access, self._predictor.n_classes
                )
                return answer
            return cast("Differentiable", self._predictor).vjp(
                points, ask.v[batch]
            )  # or the search would not have asked
        except (BoundaryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise PredictorError(f"The predictor raised {type(error).__name__}: {error}") from error

    def _store(self, rows: IntArray, running: Measurement) -> None:
        block = running.distances()
        self._withdrawn = self._withdrawn or block.run.get(WITHDRAWN, "")
        self._out = _merged(self._out, rows, block)
        self._points.store(rows, block.flip_points)
        self._sent += running.n_queries
        self._done += len(rows)

    def _hand_over(self, error: BaseException) -> None:
        """Give what has been measured to whoever catches the error."""
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(self._result()) from error
        if isinstance(error, BoundaryError) and not isinstance(
            error, InvalidInput | CapabilityMissing
        ):  # those come before any query
            error.partial = self._result()

    def _result(self) -> Distances:
        found = dataclasses.replace(self._out, flip_points=self._points.array, run=self._facts())
        if not self._withdrawn:
            return found
        warnings.warn(self._withdrawn, CertificatesWithdrawn, stacklevel=4)
        return withdrawn(found, self._withdrawn)

    def _identity(self) -> dict[str, Any]:
        """What rows must have in common to stand in one result."""
        estimator, bounds = self._estimator, self._problem.bounds
        return {
            "estimator": {"name": estimator.name, **_plain(estimator)},
            "access": self._predictor.access.name.lower(),
            "n_classes": int(self._predictor.n_classes),
            "input_shape": [int(length) for length in self._predictor.input_shape],
            "bounds": None
            if bounds is None
            else [np.asarray(bound, np.float64).tolist() for bound in bounds],
            "gradients": "predictor" if self._problem.differentiable else "estimated",
            "seed": self._problem.seed,
            "votes": self._problem.votes,
            "score_resolution": self._problem.score_resolution,
            "fingerprint": getattr(self._predictor, "fingerprint", None),
        }

    def _facts(self) -> dict[str, Any]:
        return {
            "tool": f"blackbox-boundary {_version()}",
            "python": platform.python_version(),
            "numpy": np.__version__,
            **self._identity(),
            "max_queries": self._limit,
            "batch_size": self._batch_size,
            "predictor": repr(self._predictor),
            "n_queries": int(self._out.n_predictions.sum() + self._out.n_gradients.sum()),
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._clock, 3),
        }


class _Points:
    """Where flip points are kept: in memory in the kind of the inputs, in a mapped file, or nowhere."""

    def __init__(self, x: Array, keep: bool | str | FilePath, earlier: Array | None) -> None:
        self.array: Array | None = None
        if keep is True:
            self.array = (
                array_namespace(x).full_like(x, np.nan)
                if not isinstance(x, np.memmap)
                else np.full(x.shape, np.nan, x.dtype)
            )
        elif keep is not False:
            dtype = as_numpy(x[:0]).dtype
            try:
                self.array = np.lib.format.open_memmap(keep, "w+", dtype, tuple(x.shape))
            except OSError as error:
                raise InvalidInput(
                    f'"flip_points" must be a file that can be written; "{keep}": {error}.'
                ) from error
            if earlier is None:
                self.array[:] = np.nan
        if self.array is not None and earlier is not None:
            put(self.array, np.arange(x.shape[0]), as_kind(as_numpy(earlier), self.array))

    def store(self, rows: IntArray, points: Array) -> None:
        """Take in the flip points of a block."""
        if self.array is not None:
            put(
                self.array, rows, as_numpy(points) if isinstance(self.array, np.ndarray) else points
            )


@cache
def _version() -> str:
    return version("blackbox-boundary")


def _merged(out: Distances, rows: IntArray, block: Distances) -> Distances:
    """``out`` with some rows replaced; its own arrays are written to."""
    wide: dict[str, Any] = {}
    for name in (*COLUMNS, "trace"):
        part, column = getattr(block, name), getattr(out, name)
        if part is None:
            continue
        wide[name] = blank_column(len(out), part) if column is None else column
        if name.startswith("n_"):  # what a row had cost before it was measured again is still spent
            wide[name][rows] += part
        else:
            wide[name][rows] = part
    return dataclasses.replace(out, **wide)


def _own(earlier: Distances) -> Distances:
    """A copy of the columns of an earlier result, to be written to; the caller's stays as it is."""
    return dataclasses.replace(earlier, flip_points=None)[np.arange(len(earlier))]


def _unfinished(earlier: Distances, n: int) -> IntArray:
    """Rows of an earlier result that are to be measured again."""
    if len(earlier) != n:
        raise InvalidInput(
            f'"resume" must hold the same rows as "x": it has {len(earlier)}, the inputs {n}.'
        )
    return np.flatnonzero([not Status(status).is_final for status in earlier.status])


def _check_same(earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with a run of another model or of other settings: one result would hold two measurements."""
    for name, value in now.items():
        before = earlier.get(name, value)
        if before != value and not (name == "fingerprint" and None in (before, value)):
            raise InvalidInput(
                f'"resume" must hold a run of the same model with the same settings: "{name}" was {_told(before, value)}, '
                f"and is {_told(value, before)} now."
            )


def _told(value: Any, other: Any) -> Any:
    """A setting as an error shows it; where it is made of several, those that differ."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(
            f"{name}={part}" for name, part in value.items() if other.get(name) != part
        )
    return value


def _plain(settings: Any) -> dict[str, Any]:
    """Settings as JSON types."""
    if not dataclasses.is_dataclass(settings):
        return {"settings": repr(settings)}
    return {
        field.name: _told_setting(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
    }


def _told_setting(value: Any) -> Any:
    """A setting as a JSON type; an array by its content."""
    if value is None or isinstance(value, int | float | str | bool):
        return value
    if is_array_api_obj(value):
        content = np.ascontiguousarray(as_numpy(value))
        return f"{content.dtype} {content.shape} {hashlib.blake2b(content.tobytes(), digest_size=8).hexdigest()}"
    return repr(value)
