"""A whole measurement over HTTP, against the same model asked directly."""

import numpy as np
import pytest
import toy_model as model

from blackbox_boundary import Access, Prediction, PredictorRefused, Status, load, measure
from blackbox_boundary.errors import BudgetExhausted
from blackbox_boundary.wrappers.budget import Allowance
from blackbox_boundary.wrappers.ledger import LedgerPredictor, Streaming


class Local:
    """The model of the service, in this process."""

    access, input_shape, n_classes, bounds = (
        Access.PROBABILITIES,
        model.SHAPE,
        model.N_CLASSES,
        (0, 1),
    )

    def predict(self, x):
        """The same scores as the service's."""
        return Prediction.from_scores(model.probabilities_of(x))


X = np.random.default_rng(5).random((20, *model.SHAPE), dtype=np.float32)


@pytest.mark.parametrize("binary", [False, True])
def test_distances_are_those_of_the_model_itself(service_url, binary):
    """Bit for bit, at the same number of queries, which is what the endpoint counted."""
    with load(
        f"{service_url}/v2/models/digits", bounds=(0, 1), request={"binary": binary}
    ) as endpoint:
        over_http = measure(endpoint, X)
        n_sent = endpoint.counters.queries
    directly = measure(Local(), X)
    assert (over_http.status == Status.CONVERGED).all()
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
    ):
        assert (getattr(over_http, name) == getattr(directly, name)).all(), name
    assert (
        n_sent == over_http.run["n_queries"] == over_http.n_predictions.sum() + 4
    )  # 3 probes, a check


def test_a_server_that_fails_a_fifth_of_all_requests(fault_url):
    """Mixed 429, 500, 503, resets, cut-off bodies and silence leave the distances unchanged."""
    x = np.random.default_rng(1).random((40, 2), dtype=np.float32)
    told = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    patient = {
        "first_wait_s": 0.01,
        "connections": 4,
        "read_timeout_s": 0.5,
        "total_timeout_s": 1.0,
        "attempts": 12,
    }
    results = []
    for fault in ("ok", "mixed"):
        with load(f"{fault_url}/{fault}", transport=patient, max_rows=4, **told) as endpoint:
            distances = measure(endpoint, x, bounds=(0, 1))
            counters = endpoint.counters
        results.append(distances)
    assert counters.retries + counters.resends > 5
    assert (distances.status == Status.CONVERGED).all()
    for name in ("l2", "lo", "hi", "home", "flipped", "status", "n_predictions"):
        assert (getattr(results[0], name) == getattr(results[1], name)).all(), name


def test_a_row_that_the_server_cannot_answer_ends_alone(fault_url):
    """A 500 for one row's input is that row's status; the others are measured."""
    x = np.random.default_rng(0).random((6, 2), dtype=np.float32)
    x[2, 0] = 9.5
    told = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "transport": {"first_wait_s": 0.01, "connections": 2},
    }
    with load(
        f"{fault_url}/poison", request={"body": '{"data": $rows}'}, answer={"scores": "p"}, **told
    ) as endpoint:
        distances = measure(endpoint, x, max_queries=300)
    assert distances.status[2] == Status.NON_FINITE
    assert (np.delete(distances.status, 2) != Status.NON_FINITE).all()


def test_a_ledger_records_answers_as_they_come(fault_url, tmp_path):
    """Rows answered before a failure are not asked again, and a second run asks nothing."""
    x = np.random.default_rng(2).random((30, 2), dtype=np.float32)
    told = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    with load(f"{fault_url}/e400=8", max_rows=2, transport={"connections": 1}, **told) as endpoint:
        assert isinstance(endpoint, Streaming)
        with (
            LedgerPredictor(endpoint, tmp_path / "ledger.db") as ledger,
            pytest.raises(PredictorRefused),
        ):
            ledger.predict(x)
        n_answered = endpoint.counters.queries - 2
        with LedgerPredictor(endpoint, tmp_path / "ledger.db") as ledger:
            answer = ledger.predict(x)
        assert endpoint.counters.queries == n_answered + 2 + (30 - n_answered)
        with LedgerPredictor(endpoint, tmp_path / "ledger.db") as ledger:
            assert (ledger.predict(x).scores == answer.scores).all()
        assert endpoint.counters.queries == 32


def test_an_allowance_is_charged_for_retries_too(fault_url):
    """The transport asks it before every request."""
    allowance = Allowance(max_calls=3)
    told = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "answer": {"scores": "p"},
        "request": {"body": '{"data": $rows}'},
    }
    with load(f"{fault_url}/e502", transport={"first_wait_s": 0.01}, **told) as endpoint:
        with endpoint.metered(allowance.charge), pytest.raises(BudgetExhausted):
            endpoint.predict(np.zeros((1, 2)))
        assert endpoint.counters.requests == 3
