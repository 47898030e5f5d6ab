"""Limits on the rows sent, their price, and a forecast of the cost of a run."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BudgetExhausted, InvalidInput
from ..predictor import Array, Predictor
from ._base import Wrapper

__all__ = ["Allowance", "BudgetPredictor", "Forecast", "Prices", "forecast"]


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of the owner of the model, in any one currency.

    Examples
    --------
    >>> Prices(per_query=0.001, per_call=0.01).cost(500, 2)
    0.52
    """

    per_query: float = 0.0
    per_call: float = 0.0

    def __post_init__(self) -> None:
        for name in ("per_query", "per_call"):
            if not 0 <= (price := getattr(self, name)) < math.inf:
                raise InvalidInput(
                    f'"{name}" of Prices must be a finite number, not negative; got {price}.'
                )

    def cost(self, n_queries: float, n_calls: float) -> float:
        """The price of so many rows in so many round trips."""
        return n_queries * self.per_query + n_calls * self.per_call


class Allowance:
    """Limit on the rows sent, checked before each call. Threads may share it.

    Parameters
    ----------
    max_queries, max_calls : int, optional
        Rows, and round trips. Default: no limit.
    max_seconds : float, optional
        No call begins later than this after the first one was granted. Default: no limit.
    clock : callable
        Seconds from any fixed moment.

    Attributes
    ----------
    n_queries, n_calls : int
        Granted so far. A call that failed has been granted, and so has each of its retries.

    Raises
    ------
    InvalidInput
        A negative limit.
    """

    def __init__(
        self,
        *,
        max_queries: int | None = None,
        max_calls: int | None = None,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, limit in (
            ("max_queries", max_queries),
            ("max_calls", max_calls),
            ("max_seconds", max_seconds),
        ):
            if limit is not None and not limit >= 0:
                raise InvalidInput(f'"{name}" of Allowance must not be negative; got {limit}.')
        self._max_queries, self._max_calls, self._max_seconds = max_queries, max_calls, max_seconds
        self._clock = clock
        self._started: float | None = None
        self._lock = threading.Lock()
        self.n_queries = self.n_calls = 0

    @property
    def seconds(self) -> float:
        """Since the first call was granted."""
        return 0.0 if self._started is None else self._clock() - self._started

    def charge(self, n_queries: int, n_calls: int = 1) -> None:
        """Grant a call, or several, of so many rows together; all or nothing.

        A negative number of rows gives a call back that was granted and not sent.

        Raises
        ------
        BudgetExhausted
            A limit would be passed. Nothing was charged, and nothing may be sent.
        """
        with self._lock:
            if n_queries < 0:
                self.n_queries += n_queries
                self.n_calls -= n_calls
                return
            self._refuse_above("queries", self.n_queries + n_queries, self._max_queries)
            self._refuse_above("calls", self.n_calls + n_calls, self._max_calls)
            if self._max_seconds is not None and self.seconds >= self._max_seconds:
                raise BudgetExhausted(
                    f"The limit of {self._max_seconds:g} seconds has passed; nothing more is sent."
                )
            if self._started is None:
                self._started = self._clock()
            self.n_queries += n_queries
            self.n_calls += n_calls

    @staticmethod
    def _refuse_above(what: str, wanted: int, limit: int | None) -> None:
        if limit is not None and wanted > limit:
            raise BudgetExhausted(
                f"The next call would be over the limit of {limit} {what} ({wanted}); it was not "
                "sent."
            )


class BudgetPredictor(Wrapper):
    """Charge an allowance before each call.

    Around a :class:`~blackbox_boundary.wrappers.ledger.LedgerPredictor` it counts what the run
    asks, recorded or not, and so ends a resumed run where the uninterrupted one would have ended;
    inside one it counts what this process really sends.

    Parameters
    ----------
    predictor : Predictor
    allowance : Allowance
        May be shared, with other predictors or with a transport that charges its retries.

    Raises
    ------
    BudgetExhausted
        By each method: the call would pass a limit, and was not sent.
    """

    def __init__(self, predictor: Predictor, allowance: Allowance) -> None:
        super().__init__(predictor, streams=True)
        self.allowance = allowance

    def _before(self, x: Array, *, of_gradients: bool = False) -> None:  # noqa: ARG002
        self.allowance.charge(len(x))


@dataclass(frozen=True, slots=True)
class Forecast:
    """Expected queries, calls and cost of a run."""

    n_queries: int
    n_calls: int
    seconds: float
    cost: float


def forecast(
    n_rows: int,
    queries_per_row: float,
    *,
    batch_size: int,
    rounds: float | None = None,
    call_seconds: float = 0.0,
    connections: int = 1,
    prices: Prices | None = None,
    max_queries: int | None = None,
) -> Forecast:
    """Forecast the queries, calls, seconds and cost of a run; nothing is sent.

    All rows advance together: a search asks in rounds, each waits for the answers to the one
    before, and the rows of a round are split into calls.

    Parameters
    ----------
    n_rows : int
    queries_per_row : float
        The estimator's stated cost, predictions and gradients together.
    batch_size : int
        Rows of a call.
    rounds : float, optional
        Rounds of the search. Default: one query a row in each round, as bisections ask.
    call_seconds : float
        How long a full call takes, seconds.
    connections : int
        Calls under way at a time.
    prices : Prices, optional
    max_queries : int, optional
        The run's limit, where it has one.

    Raises
    ------
    InvalidInput
        A number that is negative, or no rows to a call.

    Examples
    --------
    >>> forecast(500, 20, batch_size=100, call_seconds=0.2, prices=Prices(per_query=0.001))
    Forecast(n_queries=10000, n_calls=100, seconds=20.0, cost=10.0)
    """
    if min(n_rows, queries_per_row, call_seconds) < 0 or batch_size < 1 or connections < 1:
        raise InvalidInput(
            '"n_rows", "queries_per_row" and "call_seconds" of forecast must not be negative, '
            f'"batch_size" and "connections" at least 1; got {n_rows}, {queries_per_row}, '
            f"{call_seconds}, {batch_size}, {connections}."
        )
    wanted = n_rows * queries_per_row
    n_queries = wanted if max_queries is None else min(wanted, max_queries)
    rounds = max(1.0, queries_per_row if rounds is None else rounds)
    calls_per_round = math.ceil(wanted / rounds / batch_size)
    rounds *= n_queries / wanted if wanted else 0
    seconds = rounds * math.ceil(calls_per_round / connections) * call_seconds
    n_calls = math.ceil(rounds * calls_per_round)
    return Forecast(
        math.ceil(n_queries),
        n_calls,
        float(seconds),
        float((prices or Prices()).cost(n_queries, n_calls)),
    )
