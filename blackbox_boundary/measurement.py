"""Measure distances: the one place where a search meets a model.

:class:`Measurement` holds a running search and does the book-keeping: it counts every question before it is handed out, refuses
those beyond the query limit, checks every answer against what the predictor declares, and knows at any moment what has been found.
Whoever has a model answers its questions: :func:`measure` with a predictor, or you, by hand, tomorrow.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, is_array_api_obj
from numpy.typing import NDArray

from .arrays import as_kind, as_numpy, flat_norm, put, take
from .asks import ANSWERED, Ask, AskGradient, AskPrediction, Gradients, Labels, Status
from .distances import Distances
from .errors import BadPrediction, BoundaryError, BudgetExhausted, Interrupted, InvalidInput, PredictorError
from .estimators import Estimator, Flips, Setting, by_name
from .margins import softmax_entropy
from .predictor import Access, Array, Bounds, Differentiable, IntArray, Prediction, Predictor, check_prediction
from .searches import search_all

__all__ = ["Measurement", "Progress", "measure"]

Progress: TypeAlias = Callable[[int, int], None]
"""``progress(rows_done, queries)``: rows finished and queries sent so far."""

_BLOCK_BYTES = 8 * 2**20
"""Inputs searched at a time; a dozen copies of them are alive at once, which bounds the memory of a run of any length."""


class Measurement:
    """A measurement in progress, for people who run the model themselves.

    ``ask`` hands out the next rows to predict (or to differentiate), ``tell`` takes the answers, ``distances`` says at any moment what
    is known. Between the two any time may pass.

    Parameters
    ----------
    x : array (n, *input_shape)
        Floating-point inputs in the kind you like (NumPy, torch, ...).
    estimator : str or Estimator
    access : Access or str
        What your answers reveal.
    n_classes : int
    bounds : (lowest, highest), optional
    differentiable : bool
        Whether you can also answer gradients; otherwise they are estimated from predictions.
    max_queries : int, optional
        Rows that ``ask`` may hand out in all, predictions and gradients together.
    seed : int
    row_ids : (n,) int, optional
        The rows' identities, which name their random streams. Default: their positions.

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside ``bounds``. Rows with NaN or infinity get a status instead.
    CapabilityMissing
        The estimator needs more than the answers reveal.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0]])
    >>> running = Measurement(x, access="logits", n_classes=2)
    >>> while (ask := running.ask()) is not None:
    ...     scores = np.stack([ask.points.sum(axis=-1), np.zeros(len(ask.points))], axis=-1)  # your model, at your leisure
    ...     running.tell(Prediction.from_scores(scores))
    >>> running.distances().l2.round(3)
    array([2.121])
    """

    def __init__(
        self,
        x: Array,
        *,
        estimator: str | Estimator = "ray",
        access: Access | str,
        n_classes: int,
        bounds: Bounds = None,
        differentiable: bool = False,
        max_queries: int | None = None,
        seed: int = 0,
        row_ids: IntArray | None = None,
    ) -> None:
        x = _floating(x)
        self.setting = Setting(Access.parse(access), n_classes, tuple(x.shape[1:]), _checked_bounds(bounds), differentiable, seed)
        self._estimator = by_name(estimator)
        self._estimator.check(self.setting)
        self._valid = np.flatnonzero(_finite_rows(x))
        _check_inside(take(x, self._valid), self.setting.bounds, self._valid)
        ids = np.arange(x.shape[0]) if row_ids is None else np.asarray(row_ids, dtype=np.intp)
        self._x, self._n = x, int(x.shape[0])
        self._flips = Flips(x if len(self._valid) == self._n else take(x, self._valid), ids[self._valid])
        self._left: float = np.inf if max_queries is None else max_queries
        self._n_predictions, self._n_gradients = np.zeros(len(self._valid), np.int64), np.zeros(len(self._valid), np.int64)
        self._search = search_all(self._estimator, self._flips, self.setting)
        self._question: Ask | None = next(self._search, None) if len(self._valid) else None
        self._handed_out: NDArray[np.bool_] | None = None

    @property
    def n_queries(self) -> int:
        """Rows handed out so far, predictions and gradients together."""
        return int(self._n_predictions.sum() + self._n_gradients.sum())

    @property
    def n_done(self) -> int:
        """Rows whose search has ended."""
        return self._n - len(self._flips.running)

    def ask(self) -> Ask | None:
        """The next question: an :class:`AskPrediction` or an :class:`AskGradient`; None when all is known.

        Asking twice without telling gives the same question, counted once.
        """
        while self._question is not None:
            if self._handed_out is None:
                self._handed_out = self._grant(self._question.rows)
            if self._handed_out.all():
                return self._question
            if self._handed_out.any():
                some = np.flatnonzero(self._handed_out)
                cut = {"points": take(self._question.points, some), "rows": self._question.rows[some]}
                if isinstance(self._question, AskGradient):
                    cut["v"] = self._question.v[some]
                return self._question._replace(**cut)
            self._reply(self._nothing())
        return None

    def tell(self, answer: Prediction | Array) -> None:
        """Answer the question handed out last: a :class:`Prediction`, or gradients in the shape of the asked points.

        Raises
        ------
        BadPrediction
            The answer is not of the shape, or not what the access declares; the question stays open.
        InvalidInput
            Nothing was asked.
        """
        if self._question is None or self._handed_out is None:
            raise InvalidInput("tell() answers a question; call ask() first.")
        sent = self._handed_out
        k, partly = int(np.count_nonzero(sent)), not sent.all()
        status = np.full(len(sent), Status.OUT_OF_BUDGET, np.int8)
        if isinstance(self._question, AskPrediction):
            if not isinstance(answer, Prediction):
                raise BadPrediction(f"A question for predictions is answered by a Prediction; got {type(answer).__name__}.")
            check_prediction(answer, k, self.setting.access, self.setting.n_classes)
            status[sent] = np.where(answer.label < 0, Status.NON_FINITE, ANSWERED)
            self._reply(Labels(status, _spread(answer, sent) if partly else answer))
        else:
            if tuple(getattr(answer, "shape", ())) != (k, *self.setting.input_shape):
                raise BadPrediction(f"Gradients must have the shape {(k, *self.setting.input_shape)} of the asked points.")
            status[sent] = ANSWERED
            if partly:
                answered, answer = answer, array_namespace(self._question.points).zeros_like(self._question.points)
                put(answer, np.flatnonzero(sent), answered)
            self._reply(Gradients(status, answer))

    def refuse(self, n_sent: int) -> IntArray:
        """Say that only the first rows of the question handed out were sent, because a limit allows no more.

        The others are not counted, and their searches end ``OUT_OF_BUDGET`` with the best they have. What is left of the question is
        then told as usual, if anything is: the answers at the returned places among those that came.
        """
        assert self._question is not None
        assert self._handed_out is not None
        asked = np.flatnonzero(self._handed_out)
        rows, unsent = self._question.rows[asked], self._question.rows[asked[n_sent:]]
        counts = self._n_gradients if isinstance(self._question, AskGradient) else self._n_predictions
        np.subtract.at(counts, unsent, 1)
        self._left += len(unsent)
        useful = ~np.isin(rows, unsent)
        self._handed_out[asked[~useful]] = False
        return np.flatnonzero(useful)

    def distances(self) -> Distances:
        """What is known now, for every row; a row still searched is ``INTERRUPTED``."""
        flips, v = self._flips, self._valid
        out = Distances.empty(self._n)
        out.status[:] = Status.INVALID_INPUT
        if not len(v):
            return out
        started = hasattr(flips, "start")
        out.status[v] = np.where((flips.status == Status.RUNNING) & (not started), Status.NOT_MEASURED, flips.status)
        out.lo[v], out.hi[v], out.home[v], out.flipped[v] = flips.lo, flips.hi, flips.home, flips.flipped
        out.n_predictions[v], out.n_gradients[v] = self._n_predictions, self._n_gradients
        found = np.flatnonzero(flips.has_flip)
        points = flips.points(found) if len(found) else flips.x[:0]
        for norm, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
            out.norm(norm)[v[found]] = flat_norm(points - take(flips.x, found), order)
        kept = points
        if len(found) < self._n:
            kept = array_namespace(self._x).full_like(self._x, np.nan)
            put(kept, v[found], points)
        return dataclasses.replace(out, flip_points=kept, **self._confidence(), **self._bounds_besides())

    def _bounds_besides(self) -> dict[str, Any]:
        """What else some estimators know of the distance."""
        columns: dict[str, Any] = {}
        for name in ("estimate", "certified", "note", "trace"):
            if (found := getattr(self._flips, name)) is not None:
                columns[name] = _blank(self._n, found)
                columns[name][self._valid] = found
        return columns

    def _confidence(self) -> dict[str, Any]:
        """Top score and softmax entropy of every row, where the predictor reveals them."""
        if not hasattr(self._flips, "start") or self.setting.access is Access.LABEL:
            return {}
        known = self._flips.home >= 0
        rows, start = self._valid[known], self._flips.start[known]
        columns: dict[str, Any] = {"top1": np.full(self._n, np.nan)}
        if start.scores is None:
            columns["top1"][rows] = start.top1
        else:
            columns["top1"][rows] = start.scores[np.arange(len(rows)), start.label]
            columns["entropy"] = np.full(self._n, np.nan)
            columns["entropy"][rows] = softmax_entropy(start.scores, self.setting.access)
        return columns

    def _grant(self, rows: IntArray) -> NDArray[np.bool_]:
        """Count the occurrences of rows that the limit still allows; a row is granted all of its occurrences or none."""
        granted = np.ones(len(rows), np.bool_)
        if len(rows) > self._left:
            granted = ~np.isin(rows, rows[int(self._left) :])
        counts = self._n_gradients if isinstance(self._question, AskGradient) else self._n_predictions
        np.add.at(counts, rows[granted], 1)
        self._left -= int(np.count_nonzero(granted))
        return granted

    def _nothing(self) -> Labels | Gradients:
        """A reply to the open question that refuses every row."""
        assert self._question is not None
        k, access = len(self._question.rows), self.setting.access
        status = np.full(k, Status.OUT_OF_BUDGET, np.int8)
        if isinstance(self._question, AskGradient):
            return Gradients(status, array_namespace(self._question.points).zeros_like(self._question.points))
        top1 = np.zeros(k) if access is Access.TOP1 else None
        scores = np.zeros((k, self.setting.n_classes)) if access.has_scores else None
        return Labels(status, Prediction(np.full(k, -1, np.intp), top1, scores))

    def _reply(self, reply: Labels | Gradients) -> None:
        self._handed_out = None
        try:
            self._question = self._search.send(reply)
        except StopIteration:
            self._question = None


def _spread(answer: Prediction, where: NDArray[np.bool_]) -> Prediction:
    """Place the answers among rows that were not asked about, which get the label -1 and zero scores."""

    def place(part: Any, fill: float) -> Any:
        if part is None:
            return None
        wide = np.full((len(where), *part.shape[1:]), fill, part.dtype)
        wide[where] = part
        return wide

    return Prediction(place(answer.label, -1), place(answer.top1, 0), place(answer.scores, 0))


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
    run = _Run(predictor, x, by_name(estimator), bounds, max_queries, batch_size or 512, seed, progress, flip_points, resume)
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
    ) -> None:
        if batch_size < 1 or (max_queries is not None and max_queries < 0):
            raise InvalidInput(f'"batch_size" must be at least 1 and "max_queries" not negative; got {batch_size} and {max_queries}.')
        if tuple(x.shape[1:]) != tuple(predictor.input_shape):
            raise InvalidInput(f"Inputs must have shape (n, {', '.join(map(str, predictor.input_shape))}); got {tuple(x.shape)}.")
        self._predictor, self._x, self._batch_size, self._progress = predictor, x, batch_size, progress
        self._rest = np.arange(x.shape[0]) if resume is None else _unfinished(resume, int(x.shape[0]))
        self._limit, self._sent, self._done = max_queries, 0, int(x.shape[0]) - len(self._rest)
        self._settings: dict[str, Any] = {
            "estimator": estimator,
            "access": predictor.access,
            "n_classes": predictor.n_classes,
            "bounds": predictor.bounds if bounds is None else bounds,
            "differentiable": isinstance(predictor, Differentiable),
            "seed": seed,
        }
        estimator.check(
            Setting(
                predictor.access,
                predictor.n_classes,
                tuple(predictor.input_shape),
                _checked_bounds(self._settings["bounds"]),
                self._settings["differentiable"],
            )
        )
        for rows in self._blocks():  # all bad input is found before the first query; the only block finds its own
            if len(rows) < len(self._rest):
                self._start(rows)
        if resume is not None:
            _check_same(resume.run, self._identity())
        self._out = Distances.empty(int(x.shape[0])) if resume is None else dataclasses.replace(resume[:])
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
        row_bytes = max(1, self._x[:1].nbytes if hasattr(self._x, "nbytes") else 8 * int(np.prod(self._x.shape[1:])))
        size = max(64, _BLOCK_BYTES // row_bytes)
        for first in range(0, len(self._rest), size):
            yield self._rest[first : first + size]

    def _start(self, rows: IntArray, max_queries: int | None = None) -> Measurement:
        contiguous = int(rows[-1] - rows[0]) + 1 == len(rows)
        block = self._x[int(rows[0]) : int(rows[-1]) + 1] if contiguous else take(self._x, rows)
        block = np.asarray(block) if isinstance(block, np.memmap) else block
        return Measurement(block, **self._settings, max_queries=max_queries, row_ids=rows)

    def _share(self, n: int) -> int:
        """The block's even share of the queries left, with what earlier blocks did not use."""
        assert self._limit is not None
        return -(-(self._limit - self._sent) * n // (len(self._out) - self._done))

    def _drive(self, running: Measurement) -> None:
        """Answer a measurement's questions by the predictor, in batches."""
        while (ask := running.ask()) is not None:
            parts: list[Any] = []
            useful: IntArray | None = None
            for first in range(0, len(ask.rows), self._batch_size):
                batch = slice(first, first + self._batch_size)
                try:
                    parts.append(self._call(ask, batch))
                except BudgetExhausted:
                    useful = running.refuse(first)
                    break
                if self._progress is not None:
                    self._progress(self._done + running.n_done, self._sent + running.n_queries - max(0, len(ask.rows) - batch.stop))
            if useful is not None and not len(useful):
                continue
            if isinstance(ask, AskPrediction):
                answer = Prediction.concatenate(parts)
                running.tell(answer if useful is None else answer[useful])
            else:
                gradients = parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts, axis=0)
                running.tell(gradients if useful is None else take(gradients, useful))
        if self._progress is not None:
            self._progress(self._done + running.n_done, self._sent + running.n_queries)

    def _call(self, ask: Ask, batch: slice) -> Prediction | Array:
        points = ask.points[batch]
        try:
            if isinstance(ask, AskPrediction):
                answer = self._predictor.predict(points)
                check_prediction(answer, len(points), self._predictor.access, self._predictor.n_classes)
                return answer
            assert isinstance(self._predictor, Differentiable)
            return self._predictor.vjp(points, ask.v[batch])
        except (BoundaryError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise PredictorError(f"The predictor raised {type(error).__name__}: {error}") from error

    def _store(self, rows: IntArray, running: Measurement) -> None:
        block = running.distances()
        self._out = _merged(self._out, rows, block)
        self._points.store(rows, block.flip_points)
        self._sent += running.n_queries
        self._done += len(rows)

    def _hand_over(self, error: BaseException) -> None:
        """Give what has been measured to whoever catches the error."""
        if isinstance(error, KeyboardInterrupt):
            raise Interrupted(self._result()) from error
        if isinstance(error, BoundaryError):
            error.partial = self._result()

    def _result(self) -> Distances:
        return dataclasses.replace(self._out, flip_points=self._points.array, run=self._facts())

    def _identity(self) -> dict[str, Any]:
        """What rows must have in common to stand in one result."""
        bounds = self._settings["bounds"]
        return {
            "estimator": {"name": self._settings["estimator"].name, **_plain(self._settings["estimator"])},
            "access": self._predictor.access.name.lower(),
            "n_classes": int(self._predictor.n_classes),
            "input_shape": [int(length) for length in self._predictor.input_shape],
            "bounds": None if bounds is None else [np.asarray(bound, np.float64).tolist() for bound in bounds],
            "gradients": "predictor" if self._settings["differentiable"] else "estimated",
            "seed": self._settings["seed"],
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
            "n_queries": self._sent,
            "began": self._began.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - self._clock, 3),
        }


class _Points:
    """Where flip points are kept: in memory in the kind of the inputs, in a mapped file, or nowhere."""

    def __init__(self, x: Array, keep: bool | str | FilePath, earlier: Array | None) -> None:
        self.array: Array | None = None
        if keep is True:
            self.array = array_namespace(x).full_like(x, np.nan) if not isinstance(x, np.memmap) else np.full(x.shape, np.nan, x.dtype)
        elif keep is not False:
            dtype = as_numpy(x[:0]).dtype
            try:
                self.array = np.lib.format.open_memmap(keep, "w+", dtype, tuple(x.shape))
            except OSError as error:
                raise InvalidInput(f'"flip_points" must be a file that can be written; "{keep}": {error}.') from error
            if earlier is None:
                self.array[:] = np.nan
        if self.array is not None and earlier is not None:
            put(self.array, np.arange(x.shape[0]), as_kind(as_numpy(earlier), self.array))

    def store(self, rows: IntArray, points: Array) -> None:
        """Take in the flip points of a block."""
        if self.array is not None:
            put(self.array, rows, as_numpy(points) if isinstance(self.array, np.ndarray) else points)


@cache
def _version() -> str:
    return version("blackbox-boundary")


def _blank(n: int, like: NDArray[Any]) -> NDArray[Any]:
    """``n`` unknown values of a column: NaN, or no text."""
    return np.full((n, *like.shape[1:]), "" if like.dtype.kind == "U" else np.nan, like.dtype)


def _merged(out: Distances, rows: IntArray, block: Distances) -> Distances:
    """``out`` with some rows replaced; its own arrays are written to."""
    wide: dict[str, Any] = {}
    for name in (
        "l1",
        "l2",
        "linf",
        "lo",
        "hi",
        "home",
        "flipped",
        "status",
        "n_predictions",
        "n_gradients",
        "top1",
        "entropy",
        "estimate",
        "certified",
        "note",
        "trace",
    ):
        part, column = getattr(block, name), getattr(out, name)
        if part is None:
            continue
        wide[name] = _blank(len(out), part) if column is None else column
        if name.startswith("n_"):  # what a row had cost before it was measured again is still spent
            wide[name][rows] += part
        else:
            wide[name][rows] = part
    return dataclasses.replace(out, **wide)


def _unfinished(earlier: Distances, n: int) -> IntArray:
    """Rows of an earlier result that are to be measured again."""
    if len(earlier) != n:
        raise InvalidInput(f'"resume" must hold the same rows as "x": it has {len(earlier)}, the inputs {n}.')
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
        return ", ".join(f"{name}={part}" for name, part in value.items() if other.get(name) != part)
    return value


def _plain(settings: Any) -> dict[str, Any]:
    """Settings as JSON types."""
    if not dataclasses.is_dataclass(settings):
        return {"settings": repr(settings)}
    values = ((field.name, getattr(settings, field.name)) for field in dataclasses.fields(settings))
    return {name: value if isinstance(value, int | float | str | bool | None) else repr(value) for name, value in values}


def _floating(x: Array) -> Array:
    """``x`` as a floating-point array with at least one row."""
    if not is_array_api_obj(x):
        x = np.asarray(x)
    if x.ndim < 2 or x.shape[0] == 0 or 0 in x.shape:
        raise InvalidInput(f'"x" must have shape (n, *input_shape) with at least one row; got {tuple(x.shape)}.')
    if not array_namespace(x).isdtype(x.dtype, "real floating"):
        raise InvalidInput(f'"x" must be floating-point; got {x.dtype}. Scale integer images first, for example x / 255.')
    return x


def _finite_rows(x: Array) -> NDArray[np.bool_]:
    xp = array_namespace(x)
    return np.asarray(as_numpy(xp.all(xp.isfinite(xp.reshape(x, (x.shape[0], -1))), axis=-1)))


def _checked_bounds(bounds: Bounds) -> Bounds:
    """Bounds as arrays; None where there are none at all."""
    if bounds is None:
        return None
    lowest, highest = (np.asarray(bound, np.float64) for bound in bounds)
    if not (lowest < highest).all():
        raise InvalidInput(f'"bounds" must be (lowest, highest) with lowest below highest; got {bounds}.')
    return None if np.isneginf(lowest).all() and np.isposinf(highest).all() else (lowest, highest)


def _check_inside(x: Array, bounds: Bounds, rows: IntArray) -> None:
    if bounds is None:
        return
    xp = array_namespace(x)
    lowest, highest = (as_kind(bound, x) for bound in bounds)
    outside = as_numpy(xp.any(xp.reshape((x < lowest) | (x > highest), (x.shape[0], -1)), axis=-1))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        values = as_numpy(take(x, np.array([first])))
        raise InvalidInput(
            f"Inputs must lie inside the bounds [{np.min(bounds[0])}, {np.max(bounds[1])}]; row {rows[first]} spans "
            f"[{values.min():.6g}, {values.max():.6g}]. Are the inputs scaled as the model takes them?"
        )
