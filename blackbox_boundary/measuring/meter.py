"""The rows that a run sends, counted before they are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BudgetExhausted
from ..metering import Metered
from ..predictor import Predictor

__all__ = ["Meter"]


class Meter:
    """Count the rows sent to a predictor; rows that would exceed a limit are not sent.

    A :class:`~blackbox_boundary.metering.Metered` predictor reports each request before it is sent,
    repeated requests included, and none for what a ledger answers. Of any other predictor the
    rows handed to it are counted. Threads may share a meter.

    Attributes
    ----------
    n_sent : int
        Rows sent so far.
    reserved : int
        Rows of the limit that are kept for checks of the model.
    """

    def __init__(self, predictor: Predictor, limit: int | None) -> None:
        self._limit = limit
        self._metered = predictor if isinstance(predictor, Metered) else None
        self._lock = threading.Lock()
        self.n_sent = self.reserved = 0

    @property
    def left(self) -> int | None:
        """Rows that may still be sent; None: no limit."""
        return None if self._limit is None else max(0, self._limit - self.reserved - self.n_sent)

    def charge(self, n_rows: int) -> None:
        """Count rows that are about to be sent.

        Raises
        ------
        BudgetExhausted
            The limit would be passed. Nothing was counted, and nothing may be sent.
        """
        with self._lock:
            if self._limit is not None and self.n_sent + n_rows > self._limit - self.reserved:
                raise BudgetExhausted(
                    f"The next {n_rows} rows would pass the limit of {self._limit}; "
                    "they were not sent."
                )
            self.n_sent += n_rows

    def note(self, n_rows: int) -> None:
        """Count rows that a check sent to a predictor that is not metered."""
        if self._metered is None:
            self.n_sent += n_rows

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Allow the body to use the reserve."""
        reserved, before, self.reserved = self.reserved, self.n_sent, 0
        try:
            yield
        finally:
            self.reserved = max(0, reserved - (self.n_sent - before))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what a metered predictor sends while the body runs."""
        if self._metered is not None:
            with self._metered.metered(self.charge):
                yield
        else:
            yield

    @contextmanager
    def call(self, n_rows: int) -> Iterator[None]:
        """Count one call of a predictor that is not metered, unless a limit refuses it."""
        if self._metered is not None:
            yield
            return
        self.charge(n_rows)
        try:
            yield
        except BudgetExhausted:
            with self._lock:
                self.n_sent -= n_rows
            raise
