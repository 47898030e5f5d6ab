"""A model that is replaced while it is measured is noticed."""

import time

import numpy as np
import pytest

from blackbox_boundary import Access, InvalidInput, Prediction, measure
from blackbox_boundary.errors import PredictorUnavailable
from blackbox_boundary.ledger import summarise, verify
from blackbox_boundary.ledger.export import export_csv
from blackbox_boundary.measuring import model_watch
from blackbox_boundary.measuring.behaviour import read_behaviour
from blackbox_boundary.model_checks import ModelCheck
from blackbox_boundary.wrappers import CountingPredictor, LedgerPredictor, ReplayPredictor

X = np.random.default_rng(0).normal(size=(12, 3))
WEIGHTS = np.array([1.0, 2.0, -1.0])


class Service:
    """Two logits of three inputs; keeps the first row it was sent, and counts all rows."""

    access, input_shape, n_classes, bounds, fingerprint = Access.LOGITS, (3,), 2, None, "service"

    def __init__(self, change_at=10**9, pause_at=()):
        self.n_rows = self.n_calls = 0
        self.change_at, self.pause_at = change_at, pause_at
        self._first = None

    def _answer(self, x):
        self.n_rows += len(x)
        self.n_calls += 1
        if self.n_calls in self.pause_at:
            time.sleep(0.2)
        side = np.asarray(x) @ (WEIGHTS if self.n_rows < self.change_at else WEIGHTS + 0.01)
        return Prediction.from_scores(np.stack([side, -side], -1))

    def predict(self, x):
        """Answer, and remember the first row."""
        answer = self._answer(x)
        if self._first is None:
            self._first = np.array(x[:1]), answer[:1], time.time()
        return answer

    def sent_row(self):
        """The first row."""
        return None if self._first is None else self._first[0]

    def recheck(self):
        """Ask it again."""
        row, before, at = self._first
        return ModelCheck(at, time.time(), before, self._answer(row))


def test_the_same_model_costs_one_query():
    """At the end; it is counted, and not a row's."""
    service = Service()
    found = measure(service, X)
    assert [check["outcome"] for check in found.run["model_checks"]] == ["same"]
    assert service.n_rows == found.run["n_queries"] == found.n_predictions.sum() + 1


def test_a_change_is_noticed_with_time_and_rows():
    """The rows that were measured since the model was last known to be the same."""
    with pytest.warns(UserWarning, match=r"seems to have changed between .* UTC.*: 0-11\."):
        found = measure(Service(change_at=100), X)
    (check,) = found.run["model_checks"]
    assert check["outcome"] == "changed"
    assert check["rows"] == "0-11"


def test_after_a_pause_the_model_is_checked(monkeypatch):
    """Two calls that took long: two checks, and the one at the end."""
    monkeypatch.setattr(model_watch, "_PAUSE_S", 0.1)
    service = Service(pause_at=(3, 5))
    found = measure(service, X)
    assert len(found.run["model_checks"]) == 3
    assert service.n_rows == found.run["n_queries"] == found.n_predictions.sum() + 3


@pytest.mark.parametrize("limit", [1, 7, 60, 150])
@pytest.mark.parametrize("pauses", [(), tuple(range(2, 400))])
def test_checks_are_within_the_limit(monkeypatch, limit, pauses):
    """Whatever pauses there are, no more rows are sent than allowed, and all are counted."""
    monkeypatch.setattr(model_watch, "_PAUSE_S", -1.0 if pauses else 60.0)
    service = Service()
    found = measure(service, X, max_queries=limit, batch_size=4)
    assert service.n_rows == found.run["n_queries"] <= limit


def test_a_check_that_fails_ends_nothing():
    """The rows are measured; that the model could not be checked is said."""

    class Gone(Service):
        def recheck(self):
            self.n_rows += 1
            raise PredictorUnavailable("no answer")

    with pytest.warns(UserWarning, match="could not be seen"):
        found = measure(Gone(), X)
    assert found.run["model_checks"][0]["outcome"] == "failed: PredictorUnavailable"
    assert found.has_flip.all()


def test_the_ledger_keeps_checks_apart(tmp_path):
    """A check is recorded as one and answers no question; a run from the ledger asks none."""
    path = tmp_path / "l.db"
    with LedgerPredictor(service := Service(), path) as recorded:
        first = measure(recorded, X)
    with LedgerPredictor(again := Service(), path) as recorded:
        second = measure(recorded, X)
    assert again.n_rows == 0
    assert "model_checks" not in second.run
    report = verify(path)
    assert report.n_checks == 1
    assert report.n_asked == report.n_answered == service.n_rows
    export_csv(path, tmp_path / "l.csv")
    assert (tmp_path / "l.csv").read_text().count(",checks,") == 1
    with ReplayPredictor(path) as replay:
        assert np.array_equal(measure(replay, X).l2, first.l2)


def test_the_answer_to_a_check_is_not_handed_out(tmp_path):
    """A changed model's answer to a row that was asked before stays a check."""
    path = tmp_path / "l.db"
    service = Service()
    with LedgerPredictor(service, path) as recorded:
        before = recorded.predict(X[:1])
        service.change_at = 0
        assert recorded.recheck().change == pytest.approx(abs(X[0].sum()) * 0.01)
        assert np.array_equal(recorded.predict(X[:1]).scores, before.scores)
    with LedgerPredictor(Service(), path) as recorded:
        assert np.array_equal(recorded.predict(X[:1]).scores, before.scores)
    assert summarise(path).n_checks == 1


def test_a_resumed_run_adds_its_checks():
    """The checks of both runs stand in the facts, and in the count of what was sent."""
    one, two = Service(), Service()
    first = measure(one, X, max_queries=80)
    second = measure(two, X, resume=first)
    assert second.run["n_queries"] == one.n_rows + two.n_rows
    assert len(second.run["model_checks"]) == 2


def test_wrappers_pass_the_check_on():
    """A predictor around a service can be checked; one around a plain model cannot."""
    found = measure(CountingPredictor(Service()), X)
    assert len(found.run["model_checks"]) == 1


class Versions(Service):
    """A service whose answers name a version that changes."""

    version = "1"
    known = None

    def predict(self, x):
        """Refuse, as an endpoint does, once the version is another."""
        if self.known is None:
            self.known = self.version
        if self.version != self.known:
            raise PredictorUnavailable("another version")
        return super().predict(x)

    def model_version(self):
        """As answered."""
        return self.known

    def expect_version(self, version):
        """Of an earlier run."""
        self.known = version


def test_a_version_is_kept_by_the_run_and_the_ledger(tmp_path):
    """A later run of another version is refused at its first answer, by resume and by ledger."""
    with LedgerPredictor(Versions(), tmp_path / "l.db") as recorded:
        first = measure(recorded, X, max_queries=60)
    assert first.run["model_version"] == "1"
    for predictor in (Versions(), LedgerPredictor(Versions(), tmp_path / "l.db")):
        getattr(predictor, "_inner", predictor).version = "2"
        with pytest.raises(PredictorUnavailable, match="another version"):
            measure(predictor, X, resume=first)


class Mixing(Service):
    """Sends rows in one request to a server that subtracts the request's mean from its scores."""

    max_rows, known = 512, False

    def __init__(self, noise=0.0, mixes=True):
        super().__init__()
        self.noise, self.mixes = noise, mixes
        self.random = np.random.default_rng(1)

    def _answer(self, x):
        self.n_rows += len(x)
        scores = np.concatenate(
            [self._request(x[at : at + self.max_rows]) for at in range(0, len(x), self.max_rows)]
        )
        return Prediction.from_scores(scores)

    def _request(self, x):
        side = np.asarray(x) @ WEIGHTS + self.noise * self.random.normal(size=len(x))
        side = side - side.mean() + side[0] if self.mixes else side
        return np.stack([side, -side], -1)

    def neighbours_known(self):
        """As noted."""
        return self.known

    def note_neighbours(self, *, depend):
        """One row at a time where rows depend."""
        self.known, self.max_rows = True, 1 if depend else self.max_rows


def test_rows_that_depend_on_each_other_are_asked_alone(tmp_path):
    """Found before the search, reported, counted, recorded; flips hold alone; a resume knows."""
    mixing = Mixing()
    with LedgerPredictor(mixing, tmp_path / "l.db") as recorded:
        with pytest.warns(UserWarning, match="depends on the rows sent with it"):
            found = measure(recorded, X[1:], max_queries=500)
        with pytest.warns(UserWarning, match="depends on the rows sent with it"):
            part = measure(Mixing(), X, max_queries=100)
    assert found.run["rows_depend"]
    assert mixing.n_rows == summarise(tmp_path / "l.db").n_asked
    plane = X[1:] @ WEIGHTS / np.linalg.norm(WEIGHTS)
    assert np.allclose(found.l2, abs(plane), rtol=1e-3)
    later = Mixing()
    measure(later, X, resume=part)
    assert later.max_rows == 1


@pytest.mark.parametrize(("noise", "n"), [(0.0, 3), (0.05, 4)])
def test_independent_rows_stay_together(noise, n):
    """Three queries tell; where answers vary, a fourth tells that from neighbours."""
    service = Mixing(noise, mixes=False)
    found = measure(service, X, votes=5 if noise else 1)
    assert (found.run["rows_depend"], service.max_rows) == (False, 512)
    assert found.run["n_probes"] == n
    assert service.n_rows == found.run["n_queries"]


def test_reading_the_behaviour_tells_it_too():
    """What the command line reads first finds the same, and the run asks no more about it."""
    mixing = Mixing()
    seen = read_behaviour(mixing, X[:5], n_repeats=3)
    assert seen.depends_on_neighbours
    assert (seen.votes, mixing.max_rows) == (1, 1)
    assert "n_probes" not in measure(mixing, X).run
    assert not read_behaviour(Mixing(0.05, mixes=False), X[:5], n_repeats=3).depends_on_neighbours


def test_bad_rows_are_found_before_the_probe():
    """Nothing is sent where a row lies outside the bounds."""
    service = Mixing()
    with pytest.raises(InvalidInput):
        measure(service, X, bounds=(100, 101))
    assert service.n_rows == 0
