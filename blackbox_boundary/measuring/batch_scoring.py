"""Measure a model that answers by file.

The steps are: write the next inputs, have them scored, read the scores. Any time may pass between
them.

Nothing runs between the files. The job's settings and all answers are in a ledger; each step starts
the search anew and replays what is recorded, up to the first question that has no answer yet: those
rows are the next file. A file written again is the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.distances import Distances
from ..arrays import as_numpy
from ..closing import Closing
from ..errors import InvalidInput
from ..estimators import by_name
from ..ledger.file import LedgerFile
from ..ledger.index import NOWHERE
from ..ledger.model_card import ModelCard
from ..ledger.records import (
    KEY_BYTES,
    Keys,
    content_keys,
    first_of_each,
    pack_predictions,
    unpack_prediction,
)
from ..ledger.store import LedgerStore
from ..predictor import Access, Bounds
from ..search.asks import AskPrediction
from .batch_files import check_format, read_scores, write_inputs
from .measurement import Measurement

__all__ = ["BatchScoring"]

_JOB = "batch scoring"


class BatchScoring(Closing):
    r"""A measurement in steps of one file each.

    Parameters
    ----------
    ledger : path
        Written by :meth:`create`.
    x : array (n, \*input_shape)
        The inputs that are measured, the same for every step.

    Raises
    ------
    LedgerError
        There is no ledger, or it cannot be used.
    InvalidInput
        The ledger holds no such job, or the job was begun with another ``x``.

    Examples
    --------
    >>> import tempfile
    >>> folder, x = Path(tempfile.mkdtemp()), np.array([[1.0, 2.0], [3.0, 0.5]])
    >>> known = {"access": "logits", "n_classes": 2, "settings": {"direction": "margin"}}
    >>> BatchScoring.create(folder / "ledger.db", x, model="sum-7", **known)
    >>> with BatchScoring(folder / "ledger.db", x) as job:
    ...     while job.ask(folder / "next.npy"):
    ...         total = np.load(folder / "next.npy").sum(axis=1)  # tomorrow, elsewhere
    ...         np.save(folder / "scored.npy", np.stack([total, 2 * total - 3.2], axis=1))
    ...         n_scored = job.tell(folder / "scored.npy")
    ...     distances = job.distances()
    >>> distances.l2.round(3)
    array([0.141, 0.212])
    """

    def __init__(self, ledger: str | Path, x: NDArray[Any]) -> None:
        self._model, self._job = _read_job(ledger)
        if _digest(x) != self._job["inputs"]:
            raise InvalidInput(
                f'The job in "{ledger}" was begun with other inputs: go on with '
                f"{self._job['data']}."
            )
        self._x = as_numpy(x)
        self._store = LedgerStore(ledger, self._model)

    @staticmethod
    def create(
        ledger: str | Path,
        x: NDArray[Any],
        *,
        model: str,
        access: Access | str,
        n_classes: int,
        bounds: Bounds = None,
        estimator: str = "ray",
        settings: Mapping[str, Any] | None = None,
        max_queries: int | None = None,
        seed: int = 0,
        data: str = "the same inputs",
    ) -> None:
        """Begin a job in a ledger; nothing is asked yet.

        Parameters
        ----------
        ledger : path
            May hold answers of the same model already; they cost nothing.
        x : array
            Floating-point inputs.
        model : str
            A name for the model's content: answers of another version must not be mixed in.
        access, n_classes, bounds, estimator, max_queries, seed
            As of :class:`Measurement`.
        settings : mapping, optional
            Settings of the estimator, JSON types.
        data : str
            What the inputs are, for messages.

        Raises
        ------
        InvalidInput
            The inputs or settings cannot be measured, or the ledger already holds a job.
        CapabilityMissing
            The estimator needs more than the answers reveal.
        LedgerError
            The ledger cannot be used.
        """
        x = as_numpy(x)
        limits = None if bounds is None else tuple(np.asarray(bound).tolist() for bound in bounds)
        job = {
            "estimator": estimator, "settings": dict(settings or {}), "bounds": limits,
            "max_queries": max_queries, "seed": seed, "data": data, "inputs": _digest(x),
        }  # fmt: skip
        try:
            job = json.loads(json.dumps(job))
        except TypeError as error:
            raise InvalidInput(
                f'"settings" of a batch-scoring job must be JSON types: {error}.'
            ) from error
        card = ModelCard(
            model,
            Access.parse(access).name,
            n_classes,
            tuple(x.shape[1:]),
            limits,
            differentiable=False,
        )
        _measurement(x, card, job)
        with LedgerStore(ledger, card) as store:
            if store.noted(_JOB) is not None:
                raise InvalidInput(
                    f'The ledger "{ledger}" already holds a batch-scoring job; go on with it, or '
                    "use a new ledger."
                )
            store.note(_JOB, job)

    @staticmethod
    def data(ledger: str | Path) -> str:
        """Return the name that the job in a ledger gives its inputs.

        Raises
        ------
        LedgerError, InvalidInput
            There is no ledger, or no job in it.
        """
        return str(_read_job(ledger)[1]["data"])

    def ask(self, path: str | Path) -> int:
        """Write the rows to score next to a ``.npy``, ``.csv`` or ``.parquet`` file.

        Returns the number of rows, 0 when all answers are known.

        Raises
        ------
        InvalidInput
            The file cannot be written, or its name has another ending.
        """
        check_format(path)
        _, keys, rows = self._replay()
        if not len(keys):
            return 0
        waiting = self._store.waiting_for_file()
        if waiting is not None and not np.array_equal(waiting.keys, keys):
            self._store.give_up(
                waiting, "Superseded"
            )  # meanwhile some of the rows were answered in another way
            waiting = None
        if waiting is None:
            self._store.claim_for_file(keys)
        write_inputs(path, keys, rows)
        return len(keys)

    def tell(self, path: str | Path) -> int:
        """Read the scores of the rows asked last; return their number.

        They are recorded when this returns.

        Raises
        ------
        InvalidInput
            Nothing was asked, or the file does not answer it.
        BadPrediction
            The scores are not what the access declares; nothing was recorded.
        """
        waiting = self._store.waiting_for_file()
        if waiting is None:
            raise InvalidInput("Nothing is waiting for scores: ask first.")
        prediction = read_scores(path, waiting.keys, self._model.level(), self._model.n_classes)
        self._store.record(waiting, slice(0, len(prediction)), pack_predictions(prediction))
        return len(prediction)

    def distances(self) -> Distances:
        """Return the results so far.

        Rows still searched are ``INTERRUPTED``, rows not begun ``NOT_MEASURED``.
        """
        job = self._job
        facts = {
            "estimator": {"name": job["estimator"], **job["settings"]},
            "access": self._model.access.lower(),
            "n_classes": self._model.n_classes,
            "gradients": "estimated",
            "votes": 1,
            "model": self._model.fingerprint,
            "fingerprint": self._model.fingerprint,
            "ledger": {"path": str(self._store.path), "head": self._store.head},
            **{name: job[name] for name in ("bounds", "max_queries", "seed")},
            "data": {"name": job["data"], "sha256": job["inputs"]},
        }
        found = self._replay()[0].distances()
        return replace(found, run={**facts, **found.run})

    def _replay(self) -> tuple[Measurement, Keys, NDArray[Any]]:
        """Replay the search up to the first question with unknown answers.

        Returns the search, and the keys and the rows of that question that have no answer, without
        duplicates.
        """
        running = _measurement(self._x, self._model, self._job)
        while (question := running.ask()) is not None:
            assert isinstance(question, AskPrediction), "the job's answers have no gradients"
            keys = content_keys(question.points)
            places = self._store.find(keys)
            missing = first_of_each(keys)
            missing = missing[places[missing] == NOWHERE]
            if len(missing):
                return running, keys[missing], question.points[missing]
            running.tell(unpack_prediction(self._store.fetch(places)))
        return running, np.empty((0, KEY_BYTES), np.uint8), self._x[:0]

    def close(self) -> None:
        """Close the ledger."""
        self._store.close()


def _read_job(ledger: str | Path) -> tuple[ModelCard, dict[str, Any]]:
    with LedgerFile(ledger) as file:
        job = file.noted(_JOB)
        if job is None:
            raise InvalidInput(
                f'The ledger "{ledger}" holds no batch-scoring job; begin one first.'
            )
        return file.model, job


def _measurement(x: NDArray[Any], model: ModelCard, job: Mapping[str, Any]) -> Measurement:
    bounds = job["bounds"]
    return Measurement(
        x,
        estimator=by_name(job["estimator"], **job["settings"]),
        access=model.access,
        n_classes=model.n_classes,
        bounds=None if bounds is None else (np.array(bounds[0]), np.array(bounds[1])),
        max_queries=job["max_queries"],
        seed=job["seed"],
    )


def _digest(x: NDArray[Any]) -> str:
    rows = as_numpy(x)
    digest = hashlib.sha256(f"{rows.dtype.name}|{rows.shape}|".encode())
    digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()
