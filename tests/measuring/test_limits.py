"""Rows at the model equal rows in the result after any failure; limits finish rows in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import (
    BoundaryError,
    CallbackFailed,
    InvalidInput,
    Measurement,
    PredictorError,
    Status,
    measure,
)
from blackbox_boundary.estimators import Ray
from blackbox_boundary.measuring.blocks import block_rows
from blackbox_boundary.search.asks import AskPrediction
from blackbox_boundary.search.problem import Problem
from blackbox_boundary.testing import Ball, Linear, Reference
from blackbox_boundary.wrappers import CountingPredictor, LedgerPredictor

D = 4
ESTIMATORS = st.sampled_from(["ray", "halfspace", "tangent", "broyden", "linearised", "directions"])


def rows(n, seed=0):
    """Rows inside and outside the ball."""
    return np.random.default_rng(seed).normal(scale=0.5, size=(n, D))


class Failing(Reference):
    """A ball whose n-th call raises after its rows have arrived."""

    def __init__(self, fails_at, error=RuntimeError):
        super().__init__(Ball(np.zeros(D), 1.0))
        self.n_calls, self.fails_at, self.error = 0, fails_at, error

    def _rows(self, x):
        self.n_calls += 1
        return super()._rows(x)

    def predict(self, x):
        answer = super().predict(x)
        if self.n_calls == self.fails_at:
            raise self.error("the connection is gone")
        return answer


@given(ESTIMATORS, st.integers(1, 30), st.integers(1, 9), st.integers(1, 40))
def test_rows_at_the_model_equal_rows_reported(estimator, fails_at, batch_size, limit):
    """If the model fails, a limit ends the run, or neither: sent equals reported for each row."""
    model = Failing(fails_at)
    try:
        found = measure(
            model, rows(7), estimator=estimator, batch_size=batch_size, max_queries=7 * limit
        )
    except PredictorError as error:
        found = error.partial
    sent = model.n_predicted + model.n_differentiated
    assert sent == found.run["n_queries"] == found.run["n_sent"]
    assert sent == (found.n_predictions + found.n_gradients).sum()
    assert model.n_predicted == found.n_predictions.sum()
    assert sent <= 7 * limit


@given(st.integers(0, 400), st.integers(1, 16))
def test_a_limit_finishes_the_first_rows(limit, batch_size):
    """Rows are taken in the order of their ids: a finished row never follows one never asked."""
    found = measure(Failing(-1), rows(30), max_queries=limit, batch_size=batch_size)
    asked = np.flatnonzero(found.n_predictions)
    assert np.array_equal(asked, np.arange(len(asked)))
    final = found.status == Status.CONVERGED
    # Ray needs eight to eleven queries a row here, and expects eight
    assert final.sum() >= min(30, limit // 12) - 1
    assert set(found.status[~final]) <= {Status.OUT_OF_BUDGET}


def test_going_on_with_the_same_limit_ends():
    """Each resume finishes more rows, until all are; the result is that of an unlimited run."""
    x, whole = rows(40), measure(Failing(-1), rows(40))
    found, n_done = measure(Failing(-1), x, max_queries=80), [0]
    while (done := int((found.status == Status.CONVERGED).sum())) < 40:
        assert done > n_done[-1]
        n_done.append(done)
        found = measure(Failing(-1), x, max_queries=80, resume=found)
    np.testing.assert_allclose(found.l2, whole.l2, rtol=1e-5)
    np.testing.assert_allclose(found.flip_points, whole.flip_points, rtol=1e-4, atol=1e-5)


def test_a_run_on_other_rows_is_not_resumed():
    """As many rows in another order would get each other's distances: refused, nothing is sent."""
    x = rows(6)
    found = measure(Failing(-1), x)
    measure(Failing(-1), x, resume=found)
    other = Failing(-1)
    with pytest.raises(InvalidInput, match="in the same order: row 0"):
        measure(other, x[::-1], resume=found)
    assert other.n_predicted == 0


def test_an_anytime_search_shares_a_limit_that_is_worth_it():
    """With a quarter of the cost each, every row gets a flip; with less, the first rows finish."""
    x = rows(6) / 2  # all of them inside the ball
    shared = measure(Failing(-1), x, estimator="halfspace", max_queries=6 * 300)
    assert shared.has_flip.all()
    assert shared.n_predictions.min() > 200
    scarce = measure(Failing(-1), x, estimator="halfspace", max_queries=1100)
    assert scarce.status[0] == Status.CONVERGED
    again = measure(Failing(-1), x, estimator="halfspace", max_queries=6 * 300, resume=shared)
    assert again.status[0] == Status.CONVERGED


def test_an_unfinished_row_keeps_a_nearer_flip():
    """A resume that ends earlier than the run before does not make a distance worse."""
    x = rows(1)
    first = measure(Failing(-1), x, estimator="halfspace", max_queries=300)
    again = measure(Failing(-1), x, estimator="halfspace", max_queries=40, resume=first)
    assert first.status[0] == again.status[0] == Status.OUT_OF_BUDGET
    assert again.l2[0] == first.l2[0]
    np.testing.assert_array_equal(again.flip_points, first.flip_points)


def test_a_resumed_ray_goes_on_from_its_bracket():
    """An unfinished row keeps its bracket; its resume needs fewer queries than a new search."""
    x = rows(1) / 2
    paper = Ray(search_by="paper")
    first = measure(Failing(-1), x, estimator=paper, max_queries=15)
    assert first.status[0] == Status.OUT_OF_BUDGET
    assert first.has_flip.all()
    nothing = measure(Failing(-1), x, estimator=paper, max_queries=0, resume=first)
    for name in ("home", "lo", "hi", "flipped", "l2", "top1"):
        assert getattr(nothing, name)[0] == getattr(first, name)[0]
    whole = measure(Failing(-1), x, estimator=paper)
    rest = measure(Failing(-1), x, estimator=paper, resume=nothing)
    assert rest.lo[0] >= first.lo[0]
    assert rest.hi[0] <= first.hi[0]
    np.testing.assert_allclose(rest.l2, whole.l2, rtol=1e-5)
    assert rest.run["n_queries"] - 15 < whole.run["n_queries"] - 8


def test_bad_input_after_the_first_answer_is_the_predictors_error():
    """What a search asks is no fault of the caller; the paid answers are handed over."""
    with pytest.raises(PredictorError, match="refused a point of the search") as caught:
        measure(Failing(3, InvalidInput), rows(5))
    assert caught.value.partial.n_predictions.sum() == 15 - 5
    with pytest.raises(InvalidInput, match="connection"):
        measure(Failing(1, InvalidInput), rows(5))


@given(ESTIMATORS, st.integers(1, 11), st.integers(1, 3))
def test_the_size_of_a_call_changes_nothing(estimator, at_most, votes):
    """A measurement by hand in parts of any size ends as one that hands out whole questions."""
    results = []
    for size in (None, at_most):
        model = Reference(Ball(np.zeros(D), 1.0))
        problem = Problem.of(model, votes=votes, n_rows=5)
        running = Measurement(rows(5), problem, estimator)
        while (ask := running.ask(size)) is not None:
            assert size is None or len(ask.rows) <= size
            if isinstance(ask, AskPrediction):
                if size is not None and ask.votes is not None:
                    assert len(set(ask.votes)) == 1
                running.tell(model.predict(ask.points))
            else:
                running.tell(model.vjp(ask.points, ask.v))
        assert model.n_predicted + model.n_differentiated == running.n_queries
        results.append(running.distances())
    for name in ("l2", "lo", "hi", "status", "n_predictions", "n_gradients", "flip_points"):
        np.testing.assert_array_equal(*(getattr(one, name) for one in results), err_msg=name)


def test_what_a_ledger_answers_is_free(tmp_path):
    """The limit of a call counts rows that reach the model, so a recorded run costs nothing."""
    x = rows(20)
    model = CountingPredictor(Failing(-1))
    with LedgerPredictor(model, tmp_path / "l.db", fingerprint="ball") as ledger:
        whole = measure(ledger, x)
        before = model.n_predictions + model.n_gradients
        again = measure(ledger, x, max_queries=0)
        assert model.n_predictions + model.n_gradients == before
        np.testing.assert_array_equal(again.l2, whole.l2)
        more = measure(ledger, np.concatenate([x, rows(20, 1)]), max_queries=50)
        assert model.n_predictions + model.n_gradients - before <= 50
        assert more.run["n_sent"] <= 50
        np.testing.assert_array_equal(more.l2[:20], whole.l2)


def test_a_resume_never_mixes_runs_with_and_without_flip_points():
    """Either way it is refused before any query, and the message says how to go on."""
    x = rows(6)
    with_points = measure(Failing(-1), x, max_queries=30)
    without = measure(Failing(-1), x, max_queries=30, flip_points=False)
    for earlier, keeps in ((with_points, False), (without, True)):
        model = Failing(-1)
        with pytest.raises(InvalidInput, match="flip points"):
            measure(model, x, resume=earlier, flip_points=keeps)
        assert not model.n_calls


def test_a_file_of_flip_points_is_written_on(tmp_path):
    """A resume into the file of the earlier run keeps finished rows' flip points bit by bit."""
    x, file = rows(30), tmp_path / "flips.npy"
    whole = measure(Failing(-1), x)
    first = measure(Failing(-1), x, max_queries=100, flip_points=file)
    found = measure(Failing(-1), x, resume=first, flip_points=file)
    done = first.status == Status.CONVERGED
    assert done.any()
    np.testing.assert_array_equal(np.load(file)[done], whole.flip_points[done])
    np.testing.assert_array_equal(np.load(file), found.flip_points)


@pytest.mark.parametrize(
    "wrong", [{"max_queries": -1}, {"row_ids": [0, 1]}, {"row_ids": [-1, 0, 1]}]
)
def test_measurements_refuse_what_makes_no_sense(wrong):
    """A negative limit, too few ids or negative ones."""
    with pytest.raises(InvalidInput):
        Measurement(rows(3), access="logits", n_classes=2, **wrong)


def test_a_problem_and_its_keywords_exclude_each_other():
    """Without a problem, access and number of classes are needed; batches hold at least a row."""
    with pytest.raises(InvalidInput, match="access"):
        Measurement(rows(3))
    with pytest.raises(BoundaryError, match="batch_size"):
        measure(Failing(-1), rows(3), batch_size=0)


def test_misuse_of_ask_and_refuse_is_refused():
    """Rows are handed out in whole numbers, and only rows handed out can be given back."""
    model = Reference(Ball(np.zeros(D), 1.0), access="label")
    running = Measurement(rows(3), Problem.of(model, n_rows=3), "halfspace")
    for wrong in (0, -1, 2.5, "3"):
        with pytest.raises(InvalidInput, match="at_most"):
            running.ask(wrong)
    with pytest.raises(InvalidInput, match="call ask"):
        running.refuse()
    ask = running.ask()
    for wrong in (-1, 4, 1.5):
        with pytest.raises(InvalidInput, match="n_sent"):
            running.refuse(wrong)
    running.tell(model.predict(ask.points))
    with pytest.raises(InvalidInput, match="call ask"):
        running.refuse()
    assert running.n_queries == 3


def test_a_ray_whose_gradient_is_tiny_leaves_the_row():
    """A saturated sigmoid has a gradient of 1e-14; the boundary is met all the same."""

    class Sure(Reference):
        def vjp(self, x, v):
            return super().vjp(x, v) * np.float64(1e-14)

    ball = Sure(Ball(np.zeros(D), 1.0))
    x = rows(5) / 2
    for search_by in ("auto", "secant"):
        found = measure(ball, x, estimator=Ray(search_by=search_by))
        assert (found.status == Status.CONVERGED).all()
        np.testing.assert_allclose(found.l2, ball.distance(x), rtol=1e-5)


def test_a_progress_function_that_raises_loses_nothing():
    """Its error is wrapped; partial holds every query sent, and a resume repeats none."""
    model = CountingPredictor(Reference(Linear.hyperplane(np.array([1.0, -2.0]), 0.1)))
    x = np.random.default_rng(0).normal(size=(200, 2))

    def fail_late(rows_done, queries):
        if queries > 60:
            raise OSError("No space left on device")

    with pytest.raises(CallbackFailed, match="OSError: No space left") as raised:
        measure(model, x, progress=fail_late, batch_size=16)
    partial = raised.value.partial
    assert (
        partial.n_predictions.sum() + partial.n_gradients.sum()
        == model.n_predictions + model.n_gradients
    )
    assert isinstance(raised.value.__cause__, OSError)
    whole = measure(model, x, batch_size=16, resume=partial)
    assert np.array_equal(whole.l2, measure(model, x, batch_size=16).l2)


def test_blocks_are_smaller_where_calls_are_costly():
    """A failure loses few rows at a server and in small batches; wide rows fit the memory."""
    rows = np.zeros((1, 2))
    assert block_rows(rows, 512) == 16 * 512
    assert block_rows(rows, 512, is_remote=True) == 4 * 512
    assert block_rows(rows, 16) == 4 * 16
    assert block_rows(np.zeros((1, 2**21)), 512) == 64
