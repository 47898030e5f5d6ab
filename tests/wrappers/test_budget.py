"""Limits hold before anything is sent, and a forecast is arithmetic."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import BudgetExhausted, InvalidInput
from blackbox_boundary.wrappers.budget import Allowance, BudgetPredictor, Forecast, Prices, forecast
from blackbox_boundary.wrappers.counting import CountingPredictor

from .models import Smooth

X = np.zeros((4, 2, 3))


@settings(deadline=None)
@given(
    calls=st.lists(st.integers(0, 6), max_size=30),
    max_queries=st.none() | st.integers(0, 40),
    max_calls=st.none() | st.integers(0, 20),
)
def test_no_limit_is_ever_passed(calls, max_queries, max_calls):
    """What is sent was granted within both limits; after a refused call a smaller one may fit."""
    counted = CountingPredictor(Smooth())
    limited = BudgetPredictor(counted, Allowance(max_queries=max_queries, max_calls=max_calls))
    for n in calls:
        fits = (max_queries is None or counted.n_predictions + n <= max_queries) and (
            max_calls is None or counted.n_prediction_calls < max_calls
        )
        if fits:
            limited.predict(np.zeros((n, 2, 3)))
        else:
            with pytest.raises(BudgetExhausted, match="not sent"):
                limited.predict(np.zeros((n, 2, 3)))
        assert (
            limited.allowance.n_queries
            == counted.n_predictions
            <= (max_queries if max_queries is not None else 1000)
        )
        assert (
            limited.allowance.n_calls
            == counted.n_prediction_calls
            <= (max_calls if max_calls is not None else 1000)
        )


def test_gradients_are_queries_too():
    """They draw on the same allowance."""
    limited = BudgetPredictor(Smooth(), Allowance(max_queries=6))
    limited.vjp(X, np.ones((4, 4)))
    with pytest.raises(BudgetExhausted, match=r"limit of 6 queries \(8\)"):
        limited.predict(X)


def test_time_runs_from_the_first_call():
    """A call may begin until the limit has passed, and not after."""
    now = [100.0]
    limited = BudgetPredictor(Smooth(), Allowance(max_seconds=10, clock=lambda: now[0]))
    now[0] = 500.0
    limited.predict(X)
    now[0] = 509.9
    limited.predict(X)
    now[0] = 510.0
    with pytest.raises(BudgetExhausted, match="limit of 10 seconds"):
        limited.predict(X)
    assert limited.allowance.seconds == 10
    with pytest.raises(BudgetExhausted):
        BudgetPredictor(Smooth(), Allowance(max_seconds=0)).predict(X)


def test_threads_share_an_allowance():
    """However many ask at once, no more is granted than there is."""
    allowance, refused = Allowance(max_queries=100), []

    def work():
        for _ in range(50):
            try:
                allowance.charge(1)
            except BudgetExhausted:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (allowance.n_queries, len(refused)) == (100, 300)


@settings(deadline=None)
@given(
    n=st.integers(0, 2000),
    per_row=st.integers(0, 60),
    batch=st.integers(1, 300),
    connections=st.integers(1, 8),
    limit=st.integers(0, 20000),
)
def test_a_forecast_agrees_with_a_run_in_step(n, per_row, batch, connections, limit):
    """Counted out by hand: every round asks all rows once, in calls of at most the batch size."""
    prices = Prices(per_query=0.25, per_call=2)
    expected = forecast(
        n, per_row, batch_size=batch, call_seconds=0.5, connections=connections, prices=prices
    )
    calls = [-(-n // batch)] * per_row
    assert (expected.n_queries, expected.n_calls) == (n * per_row, sum(calls))
    assert expected.seconds == 0.5 * sum(-(-call // connections) for call in calls)
    assert expected.cost == 0.25 * n * per_row + 2 * sum(calls)
    limited = forecast(n, per_row, batch_size=batch, prices=prices, max_queries=limit)
    assert limited.n_queries == min(limit, n * per_row)
    assert limited.cost <= expected.cost


def test_fewer_rounds_than_queries():
    """A search that asks ten points a row at a time fills its calls better."""
    assert forecast(10, 40, rounds=4, batch_size=100, call_seconds=1) == Forecast(400, 4, 4.0, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Allowance(max_calls=-1),
        lambda: Allowance(max_seconds=float("nan")),
        lambda: Prices(per_query=-1),
        lambda: Prices(per_call=float("inf")),
        lambda: forecast(-1, 1, batch_size=1),
        lambda: forecast(1, 1, batch_size=0),
    ],
)
def test_bad_numbers_are_refused(make):
    """Negative, infinite, none at all."""
    with pytest.raises(InvalidInput):
        make()
