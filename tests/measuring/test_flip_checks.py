"""Flip points are asked again at the end where a server merges the requests of several clients."""

import contextlib
import warnings

import numpy as np
import pytest

from blackbox_boundary import Access, CapabilityMissing, Prediction, Status, measure
from blackbox_boundary.analysis.hints import hints
from blackbox_boundary.errors import BudgetExhausted, PredictorUnavailable
from blackbox_boundary.ledger import verify
from blackbox_boundary.testing import Linear, Reference
from blackbox_boundary.wrappers import CountingPredictor, LedgerPredictor

X = np.random.default_rng(0).normal(size=(12, 3))
WEIGHTS = np.array([1.0, 2.0, -1.0])


class Merged:
    """Two logits of three inputs, at a server that merges requests.

    ``neighbours`` is the share of requests that meet another client's, whose answers are shifted.
    """

    access, input_shape, n_classes, bounds, fingerprint = Access.LOGITS, (3,), 2, None, "merged"

    def __init__(self, neighbours=0.0, merges=True, shift=1.0):
        self.neighbours, self.merges, self.shift = neighbours, merges, shift
        self.n_rows = self.n_alone = 0
        self.charges = []
        self.fails_at = None
        self._random = np.random.default_rng(2)

    def predict(self, x):
        """Answer a request."""
        return self._answer(np.asarray(x))

    def merges_requests(self):
        """As given."""
        return self.merges

    def ask_alone(self, x):
        """Answer row by row."""
        if self.n_alone == self.fails_at:
            raise PredictorUnavailable("no answer")
        answer = self._answer(np.asarray(x))
        self.n_alone += len(x)
        return answer

    @contextlib.contextmanager
    def metered(self, charge):
        """Charge before rows are answered."""
        self.charges.append(charge)
        yield
        self.charges.remove(charge)

    def _answer(self, x):
        for charge in self.charges:
            charge(len(x))
        self.n_rows += len(x)
        side = x @ WEIGHTS
        side = side + self.shift * (self._random.random() < self.neighbours)
        return Prediction.from_scores(np.stack([side, -side], -1))


def test_flip_points_that_hold_cost_one_query_each():
    """All counted, none in doubt."""
    server = Merged()
    found = measure(server, X)
    assert found.run["flips_again"] == {"asked": 12, "disagreed": [], "not_asked": []}
    assert server.n_alone == 12
    assert server.n_rows == found.run["n_queries"] == found.n_predictions.sum() + 12
    assert (found.status == Status.CONVERGED).all()


def test_a_flip_that_a_neighbour_made_is_undecided():
    """Exactly the rows whose flip point has another label when nobody else asks."""

    class Quiet(Merged):
        def ask_alone(self, x):
            self.neighbours = 0.0
            return super().ask_alone(x)

    found = measure(Quiet(0.2), X, batch_size=1)
    disagreed = found.run["flips_again"]["disagreed"]
    converged = np.flatnonzero(found.status == Status.CONVERGED)
    labels = (found.flip_points @ WEIGHTS < 0).astype(int)
    assert disagreed
    assert (found.status[disagreed] == Status.UNDECIDED).all()
    assert (labels[disagreed] != found.flipped[disagreed]).all()
    assert (labels[converged] == found.flipped[converged]).all()
    assert any("asked again, alone" in line for line in hints(found))


@pytest.mark.parametrize(
    ("merges", "wanted", "n"),
    [(True, None, 12), (False, None, 0), (False, True, 12), (True, False, 0)],
)
def test_it_is_the_servers_habit_or_the_users_wish(merges, wanted, n):
    """Other endpoints are asked again only on request, and none against it."""
    server = Merged(merges=merges)
    found = measure(server, X, ask_flips_again=wanted)
    assert server.n_alone == n
    assert ("flips_again" in found.run) == (n > 0)


def test_with_votes_nothing_is_asked_again():
    """Each point was asked at several moments."""
    assert "flips_again" not in measure(Merged(), X, votes=5).run


def test_a_local_model_cannot_be_asked_alone():
    """Refused before the first query."""
    with pytest.raises(CapabilityMissing, match="needs an endpoint"):
        measure(
            Reference(Linear.hyperplane(WEIGHTS, 0.0), access="logits"), X, ask_flips_again=True
        )


@pytest.mark.parametrize("limit", [1, 40, 90, 150, 10_000])
def test_the_limit_holds_and_what_is_left_is_named(limit):
    """No row beyond the limit is sent; a resumed run asks again those that were not checked."""
    server = Merged()
    found = measure(server, X, max_queries=limit)
    assert server.n_rows == found.run["n_queries"] <= limit
    waiting = found.run.get("flips_again", {}).get("not_asked", [])
    converged = (found.status == Status.CONVERGED).sum()
    assert server.n_alone + len(waiting) == converged
    later = Merged()
    done = measure(later, X, resume=found)
    assert done.run["flips_again"] == {"asked": 12, "disagreed": [], "not_asked": []}
    assert done.run["n_queries"] == server.n_rows + later.n_rows


def test_a_failure_loses_nothing():
    """What could not be asked is named, and a resumed run asks it and nothing else."""
    server = Merged()
    server.fails_at = 5
    with pytest.warns(UserWarning, match="could not be asked again"):
        found = measure(server, X)
    again = found.run["flips_again"]
    assert (again["asked"], len(again["not_asked"])) == (6, 7)
    assert again["reason"] == "failed: PredictorUnavailable"
    assert found.has_flip.all()
    later = Merged()
    done = measure(later, X, resume=found)
    assert later.n_rows == later.n_alone == 7
    assert done.run["flips_again"]["not_asked"] == []


def test_flip_points_that_are_not_kept_are_asked_again_too():
    """They lie in a temporary file until the end."""
    server = Merged()
    found = measure(server, X, flip_points=False)
    assert found.flip_points is None
    assert server.n_alone == 12


def test_the_ledger_keeps_them_as_checks(tmp_path):
    """They answer no question, and a run that the ledger answers asks none."""
    path = tmp_path / "l.db"
    with LedgerPredictor(server := Merged(), path) as recorded:
        first = measure(recorded, X)
    assert server.n_rows == first.run["n_queries"]
    report = verify(path)
    assert (report.n_checks, report.n_asked) == (12, server.n_rows)
    with LedgerPredictor(again := Merged(), path) as recorded:
        second = measure(recorded, X)
    assert again.n_rows == 0
    assert second.run["flips_again"]["reason"] == "all answers came from the ledger"
    assert len(second.run["flips_again"]["not_asked"]) == 12
    assert np.array_equal(first.l2, second.l2)


def test_wrappers_pass_it_on():
    """A predictor around such an endpoint is one."""
    assert measure(CountingPredictor(Merged()), X).run["flips_again"]["asked"] == 12


def test_a_limit_on_requests_ends_it_without_an_error():
    """What the user allowed is spent; the rest is named."""

    class Limited(Merged):
        def ask_alone(self, x):
            if self.n_alone == 3:
                raise BudgetExhausted("no more requests")
            return super().ask_alone(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = measure(Limited(), X)
    again = found.run["flips_again"]
    assert (again["asked"], again["reason"]) == (3, "no query was left")
