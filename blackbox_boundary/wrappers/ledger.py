"""A predictor with a ledger: no question is sent twice, and no answer is lost.

Each row is identified by the content of what is sent (:mod:`blackbox_boundary.ledger.records`).
Before rows are sent they are claimed in the ledger, and their answers are recorded there before
they are returned; both are on the disk when the next step begins. A run that is killed and started
again with the same command therefore asks only what was in flight, and ends with the same bits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy, take
from ..closing import Closing
from ..errors import BadPrediction, InvalidInput
from ..inputs import check_shape
from ..ledger.index import NOWHERE
from ..ledger.model_card import ModelCard
from ..ledger.records import (
    Keys,
    Kind,
    Records,
    content_keys,
    first_of_each,
    pack_gradients,
    pack_predictions,
    unpack_prediction,
)
from ..ledger.store import LedgerStore
from ..metering import Charge, Metered, charge_all
from ..model_checks import ModelCheck, Rechecked, Versioned
from ..prediction_checks import check_prediction
from ..predictor import Array, FloatArray, IntArray, Prediction, Predictor
from ._base import Encoding, Streaming, Wrapper

__all__ = ["LedgerPredictor"]

_LOG = logging.getLogger(__name__)
_SAID_AFTER_S = 2.0
"""Seconds of waiting for another run before a message names that run."""
_POLL_S = 0.02
"""Seconds between checks for an answer that another run is to record."""


class LedgerPredictor(Closing, Wrapper):
    """Answer from the ledger where it can, else ask the predictor and record the answer.

    A row that occurs several times in ``x`` is asked once, and so are rows that an
    :class:`Encoding` predictor would send as the same bytes. A model whose answers vary is also
    asked once, and its first answer is kept. :meth:`predict_again` asks for a second answer, a
    third, and so on; each is recorded by its number and paid for once.

    Parameters
    ----------
    predictor : Predictor
        Gradients are recorded like predictions, where it has them.
    path : path
        The ledger; created where there is none.
    fingerprint : str, optional
        Name of the model's content, where the predictor has no ``fingerprint`` of its own.
    rows_per_call : int
        Rows claimed and sent at a time: so many may be in flight when the process is killed. Each
        call costs a flush of the disk, and each :meth:`predict` one more, so small calls are
        slower: see ``docs/explanation/ledger.md``.

    Attributes
    ----------
    n_lost : int
        Rows found to have been in flight when another run died; they may have been paid for, and
        are asked again when needed.

    Raises
    ------
    LedgerError
        The ledger is another model's, a newer version's, read-only, damaged, or the disk is full;
        later also while asking.
    InvalidInput
        The predictor has no fingerprint and none is given.
    """

    def __init__(
        self,
        predictor: Predictor,
        path: str | Path,
        *,
        fingerprint: str | None = None,
        rows_per_call: int = 1024,
    ) -> None:
        if rows_per_call < 1:
            raise InvalidInput(
                f'"rows_per_call" of LedgerPredictor must be at least 1; got {rows_per_call}.'
            )
        super().__init__(predictor)
        self._model = ModelCard.of(predictor, fingerprint)
        self._rows_per_call = rows_per_call
        self._store = LedgerStore(path, self._model)
        self._meters: list[Charge] = []
        if not isinstance(predictor, Metered):
            self.metered = self._metered
        self._version: str | None = self._store.noted("model_version")
        if self._version is not None and isinstance(predictor, Versioned):
            predictor.expect_version(self._version)

    @property
    def fingerprint(self) -> str:
        """Name of the model's content."""
        return self._model.fingerprint

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self._store.path

    @property
    def n_lost(self) -> int:
        """Rows that were in flight when another run died."""
        return self._store.n_lost

    @property
    def head(self) -> str:
        """The last link of the hash chain. Keep it to prove later that no entry was changed."""
        return self._store.head

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape); only rows the ledger does not hold are sent."""
        return self._remembered(x, None)

    def predict_again(self, x: Array, votes: IntArray) -> Prediction:
        """The answers to ``x`` with the zero-based indices ``votes`` (n,); new ones are asked."""
        return self._remembered(x, votes)

    def _remembered(self, x: Array, votes: IntArray | None) -> Prediction:
        check_shape(x, self.input_shape)
        if not len(x):
            return super().predict(x)
        keys = content_keys(x, votes=votes)
        if isinstance(self._inner, Encoding) and (self._store.find(keys) == NOWHERE).any():
            self._predict_encoded(x, keys, self._inner.as_sent(x), votes)
        else:
            self._predict(x, keys)
        return unpack_prediction(self._store.fetch(self._store.find(keys)))

    @contextmanager
    def _metered(self, charge: Charge) -> Iterator[None]:
        """Call ``charge(n_rows)`` before rows go to a predictor that is not metered itself."""
        self._meters.append(charge)
        try:
            yield
        finally:
            self._meters.remove(charge)

    def _charge(self, n_rows: int) -> None:
        charge_all(tuple(self._meters), n_rows)

    def close(self) -> None:
        """Close the ledger."""
        self._store.close()

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        check_shape(x, self.input_shape)
        if not len(x):
            return super()._vjp(x, v)
        answer_bytes = 8 * int(np.prod(self.input_shape))
        keys = content_keys(x, v)
        self._complete(
            "gradients",
            keys,
            answer_bytes,
            lambda rows: self._differentiated(_rows_of(x, rows), v[rows]),
        )
        return as_kind(
            np.ascontiguousarray(self._store.fetch(self._store.find(keys))["gradient"]), x
        )

    def _recheck(self) -> ModelCheck:
        """Record that the row is asked again, and the answer, which is never handed out."""
        found: ModelCheck
        row = cast("Rechecked", self._inner).sent_row()
        with self._checking(content_keys(row, encoded=True)) as record:
            found = super()._recheck()
            record(found.now)
        return found

    def _ask_alone(self, x: Array) -> Prediction:
        """Record that the rows are asked again, and the answers, which are never handed out."""
        check_shape(x, self.input_shape)
        is_encoding = isinstance(self._inner, Encoding)
        sent = self._inner.as_sent(x) if isinstance(self._inner, Encoding) else x
        keys = content_keys(sent, encoded=is_encoding)
        with self._checking(keys) as record:
            answer = super()._ask_alone(x)
            record(answer)
        return answer

    @contextmanager
    def _checking(self, keys: Keys) -> Iterator[Callable[[Prediction], None]]:
        """Claim rows as checks, and record their answers."""
        claim = self._store.claim_check(keys)
        try:
            yield lambda answer: self._store.record(
                claim, slice(0, len(keys)), pack_predictions(answer)
            )
        except BaseException as error:
            self._store.give_up(claim, type(error).__name__)
            raise

    def _note_version(self) -> None:
        """Record the version that answers name; later runs must get the same version."""
        if self._version is None and isinstance(self._inner, Versioned):
            self._version = self._inner.model_version()
            if self._version is not None:
                self._store.note("model_version", self._version)

    def _predict(self, x: Array, keys: Keys) -> None:
        answer_bytes = 12 + 8 * self.n_classes * self.access.has_scores
        self._complete(
            "predictions", keys, answer_bytes, lambda rows: self._predicted(_rows_of(x, rows))
        )

    def _predict_encoded(
        self, x: Array, keys: Keys, sent: NDArray[Any], votes: IntArray | None
    ) -> None:
        """Ask once for rows that are the same when encoded, and record which are."""
        if sent.dtype == as_numpy(x).dtype and np.array_equal(sent, as_numpy(x)):
            self._predict(x, keys)
            return
        sent_keys = content_keys(sent, encoded=True, votes=votes)
        self._predict(x, sent_keys)
        once = first_of_each(keys)
        new = once[self._store.find(keys[once]) == NOWHERE]
        if len(new):
            self._store.note_same(keys[new], sent_keys[new])

    def _complete(
        self,
        kind: Kind,
        keys: Keys,
        answer_bytes: int,
        send: Callable[[IntArray], Iterator[tuple[slice, Records]]],
    ) -> None:
        """Ask until the ledger holds all answers."""
        once, waited = first_of_each(keys), 0.0
        while len(missing := once[self._store.find(keys[once]) == NOWHERE]):
            offered = np.split(
                missing, range(self._rows_per_call, len(missing), self._rows_per_call)
            )
            if not self._ask_in_turn(kind, keys, answer_bytes, offered, send):
                if waited < _SAID_AFTER_S <= waited + _POLL_S:
                    self._say_who_is_waited_for(keys[missing])
                waited += _POLL_S
                time.sleep(_POLL_S)
                self._store.refresh()
            self._note_version()

    def _say_who_is_waited_for(self, keys: Keys) -> None:
        for who in self._store.holders(keys):
            _LOG.warning("Waiting for answers that %s has asked for, by the same ledger.", who)

    def _ask_in_turn(
        self,
        kind: Kind,
        keys: Keys,
        answer_bytes: int,
        offered: list[IntArray],
        send: Callable[[IntArray], Iterator[tuple[slice, Records]]],
    ) -> bool:
        """Claim, send and record calls until none can be claimed; return whether any was."""
        claim = self._store.claim(kind, keys[offered[0]], answer_bytes)
        for rows, following in zip(offered, [*offered[1:], None], strict=True):
            if claim is None:
                return rows is not offered[0]
            current, claim = claim, None
            try:
                for part, records in send(rows[current.rows]):
                    if following is not None and current.completed_by(records):
                        claim = self._store.record_and_claim(
                            current, part, records, kind, keys[following], answer_bytes
                        )
                    else:
                        self._store.record(current, part, records)
            except BaseException as error:
                self._store.give_up(current, type(error).__name__)
                if claim is not None:
                    self._store.give_up(claim, type(error).__name__)
                raise
        return True

    def _predicted(self, x: Array) -> Iterator[tuple[slice, Records]]:
        """Ask, and raise on an invalid answer instead of recording it."""
        n = n_left = len(x)
        self._charge(n)
        parts = (
            self._inner.stream(x)
            if isinstance(self._inner, Streaming)
            else iter([(slice(0, n), self._inner.predict(x))])
        )
        for rows, prediction in parts:
            check_prediction(prediction, len(range(n)[rows]), self.access, self.n_classes)
            n_left -= len(prediction)
            yield rows, pack_predictions(prediction)
        if n_left:
            raise BadPrediction(
                f"The predictor must answer all {n} rows; {n_left} came without an answer."
            )

    def _differentiated(self, x: Array, v: FloatArray) -> Iterator[tuple[slice, Records]]:
        self._charge(len(x))
        gradients = super()._vjp(x, v)
        if tuple(gradients.shape) != tuple(x.shape):
            raise BadPrediction(
                f"Gradients must have the shape of the rows, {tuple(x.shape)}; got "
                f"{tuple(gradients.shape)}."
            )
        yield slice(0, len(x)), pack_gradients(gradients)


def _rows_of(x: Array, rows: IntArray) -> Array:
    return x if len(rows) == len(x) else take(x, rows)
