"""Faults of servers and networks, and how they end: a real server, faults made on the socket."""

import json
import threading
import time
import urllib.request

import fault_server
import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint import load
from blackbox_boundary.adapters.http_endpoint.wire import Request

from blackbox_boundary import BadPrediction, PredictorError, PredictorRefused, PredictorUnavailable
from blackbox_boundary.metering import Metered
from blackbox_boundary.wrappers import LedgerPredictor

X = np.random.default_rng(0).random((12, 2), dtype=np.float32)
P = np.array(fault_server.honest(X.tolist())["p"])
FAST = {"connections": 2, "attempts": 4, "first_wait_s": 0.01}
ONE_BY_ONE = {**FAST, "connections": 1}
"""One request at a time: no request meets every failure of a server that fails each second time."""
IMPATIENT = {**FAST, "read_timeout_s": 0.5, "total_timeout_s": 1.0}


def endpoint_of(url, **told):
    """A described endpoint that does not wait long before it tries again."""
    common = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 3,
        "transport": IMPATIENT if "silent" in url else FAST,
    }
    return load(
        url, request={"body": '{"data": $rows}'}, answer={"scores": "p"}, **{**common, **told}
    )


def log_of(fault_url):
    """The requests that came."""
    with urllib.request.urlopen(f"{fault_url}/log") as answer:
        return json.load(answer)


@pytest.mark.parametrize("fault", ["ok", "gzip", "chunked", "unframed", "cookie", "drop-idle"])
def test_unusual_but_right(fault_url, fault):
    """Other framings, an unrequested encoding, idle sockets dropped: answered without a retry."""
    with endpoint_of(f"{fault_url}/{fault}") as endpoint:
        for _ in range(3):
            assert np.allclose(endpoint.predict(X).scores, P, atol=1e-7)
        assert endpoint.counters.retries == 0
    assert not any("cookie" in entry["headers"] for entry in log_of(fault_url))


@pytest.mark.parametrize(
    "fault",
    [
        "truncated",
        "cut-chunked",
        "unframed-cut",
        "reset",
        "close",
        "not-http",
        "e429",
        "e500",
        "e502",
        "e503",
        "e504",
        "silent",
        "many-headers",
    ],
)
def test_passing_faults_are_survived(fault_url, fault):
    """Two failures, then an answer: the same scores, each sending counted."""
    with endpoint_of(f"{fault_url}/{fault}:2") as endpoint:
        assert np.allclose(endpoint.predict(X).scores, P, atol=1e-7)
        counters = endpoint.counters
        assert counters.retries + counters.resends == 2
        sent = log_of(fault_url)
        assert counters.requests == len(sent)
        assert counters.queries == sum(entry["n"] for entry in sent)


@pytest.mark.parametrize("fault", ["truncated", "reset", "e502", "e503", "silent", "close"])
def test_lasting_faults_end(fault_url, fault):
    """After the attempts allowed there is an error that says what happened, and no hang."""
    with (
        endpoint_of(f"{fault_url}/{fault}") as endpoint,
        pytest.raises(PredictorUnavailable, match=r"POST http://127"),
    ):
        endpoint.predict(X[:1])
    assert len(log_of(fault_url)) == 4


@pytest.mark.parametrize("fault", ["e400", "e401", "e404", "e422"])
def test_refusals_are_not_repeated(fault_url, fault):
    """Our request is wrong, and stays so; the server's words are shown."""
    with (
        endpoint_of(f"{fault_url}/{fault}") as endpoint,
        pytest.raises(PredictorRefused, match=rf"{fault[1:]}.*<h1>no</h1>"),
    ):
        endpoint.predict(X[:1])
    assert len(log_of(fault_url)) == 1


MALFORMED = (
    "text true negative short-row double html empty cut deep latin huge digits bomb cut-gzip brotli"
)


@pytest.mark.parametrize("fault", ["few-rows", "many-rows"])
def test_answers_to_other_rows_than_asked_are_refused(fault_url, fault):
    """Not of several rows, and then, since a body might take one, not of a single one either."""
    with endpoint_of(f"{fault_url}/{fault}") as endpoint:
        endpoint._asking.canary = endpoint.as_sent(X[:1])
        with pytest.raises(BadPrediction):
            endpoint.predict(X)
    assert [entry["n"] for entry in log_of(fault_url)] == [len(X), 1]


@pytest.mark.parametrize("fault", MALFORMED.split())
def test_malformed_answers_are_refused(fault_url, fault):
    """Only N x K numbers in a complete document pass; a refused answer is not asked for again."""
    with endpoint_of(f"{fault_url}/{fault}") as endpoint:
        endpoint._asking.canary = endpoint.as_sent(X[:1])  # so that all rows are in one request
        with pytest.raises(BadPrediction):
            endpoint.predict(X)
    assert len(log_of(fault_url)) == 1


@pytest.mark.parametrize("fault", ["nan", "infinity", "null"])
def test_a_score_that_is_no_number_costs_its_row_alone(fault_url, fault):
    """The row has no label, the others keep theirs, nothing is repeated."""
    with endpoint_of(f"{fault_url}/{fault}") as endpoint:
        endpoint._asking.canary = endpoint.as_sent(X[:1])
        answer = endpoint.predict(X)
    assert answer.label[0] == -1
    assert (answer.label[1:] == P.argmax(axis=-1)[1:]).all()
    assert len(log_of(fault_url)) == 1


@pytest.mark.parametrize("fault", ["drip-body", "drip-head"])
def test_a_dripping_answer_meets_the_total_deadline(fault_url, fault):
    """A byte every tenth of a second resets the read time-out; the total one ends it after 1 s."""
    started = time.monotonic()
    with (
        endpoint_of(f"{fault_url}/{fault}", transport={**IMPATIENT, "attempts": 1}) as endpoint,
        pytest.raises(PredictorUnavailable, match="in time"),
    ):
        endpoint.predict(X[:1])
    assert 1 <= time.monotonic() - started < 3


def test_the_total_deadline_holds_through_a_proxy(fault_url, monkeypatch):
    """Where the environment names one and is trusted."""
    monkeypatch.setenv("http_proxy", fault_url)
    once = {**IMPATIENT, "attempts": 1, "trust_env": True}
    started = time.monotonic()
    with (
        endpoint_of("http://classifier.invalid/drip-body", transport=once) as endpoint,
        pytest.raises(PredictorUnavailable, match="in time"),
    ):
        endpoint.predict(X[:1])
    assert time.monotonic() - started < 2.5
    assert [entry["path"] for entry in log_of(fault_url)] == ["/drip-body"]


def test_a_body_may_take_longer_than_a_connection(fault_url):
    """Eighteen megabytes, taken in within a second: only the total deadline counts."""
    patient = {**FAST, "connect_timeout_s": 0.2, "attempts": 1}
    x = np.random.default_rng(0).random((1, 1_600_000), dtype=np.float32)
    with endpoint_of(
        f"{fault_url}/slow-read", input_shape=(1_600_000,), transport=patient
    ) as endpoint:
        assert len(endpoint.predict(x)) == 1


def test_a_body_that_is_not_taken_in_before_the_deadline_is_not_sent_again_at_once(fault_url):
    """The connection was used before, but it has not gone stale."""
    hasty = {**FAST, "total_timeout_s": 0.5, "attempts": 1}
    x = np.random.default_rng(0).random((1, 1_600_000), dtype=np.float32)
    with endpoint_of(
        f"{fault_url}/slow-read", input_shape=(1_600_000,), transport=hasty
    ) as endpoint:
        endpoint.transport.send(Request("GET", "/log"), lambda _: None, most_bytes=1_000_000)
        with pytest.raises(PredictorUnavailable, match="in time"):
            endpoint.predict(x)
        assert (endpoint.counters.requests, endpoint.counters.resends) == (1, 0)


@pytest.mark.parametrize("fault", ["r301", "r307"])
def test_redirects_are_refused(fault_url, fault):
    """Neither followed nor silently turned into a GET; the target is named."""
    with (
        endpoint_of(f"{fault_url}/{fault}") as endpoint,
        pytest.raises(PredictorRefused, match=r"redirected.*/ok"),
    ):
        endpoint.predict(X[:1])
    assert [entry["path"] for entry in log_of(fault_url)] == [f"/{fault}"]


def test_retry_after_is_honoured_by_all_threads(fault_url):
    """The pause that the server asked for is kept."""
    started = time.monotonic()
    with endpoint_of(f"{fault_url}/after-1:1") as endpoint:
        endpoint.predict(X)
    assert time.monotonic() - started >= 1


def test_retry_after_is_capped_and_told(fault_url):
    """An hour is not waited for; the error carries it."""
    with endpoint_of(
        f"{fault_url}/after-1h", transport={**FAST, "longest_wait_s": 0.05}
    ) as endpoint:
        with pytest.raises(PredictorRefused, match="come back later") as caught:
            endpoint.predict(X[:1])
        assert caught.value.retry_after_s == 3600


@pytest.mark.parametrize("fault", ["batch-400", "wrapped-413"])
def test_a_batch_that_is_too_long_is_halved(fault_url, fault):
    """By the server's own words, or by the status wrapped in a 424; the limit is remembered."""
    with endpoint_of(f"{fault_url}/{fault}") as endpoint:
        assert np.allclose(endpoint.predict(X).scores, P, atol=1e-7)
        before = len(log_of(fault_url))
        endpoint.predict(X)
        assert all(entry["n"] <= 4 for entry in log_of(fault_url)[before:])


def test_a_single_row_that_is_too_long_is_fatal(fault_url):
    """There is nothing left to halve."""
    with endpoint_of(f"{fault_url}/e413") as endpoint, pytest.raises(PredictorRefused, match="413"):
        endpoint.predict(X[:1])


def test_a_row_that_the_server_fails_at_is_found_and_ends_alone(fault_url):
    """A 500 is blamed on one input only after the canary was answered; other rows are answered."""
    x = X.copy()
    x[7, 0] = 9.25
    with endpoint_of(f"{fault_url}/poison") as endpoint:
        answer = endpoint.predict(x)
        assert endpoint.counters.canaries > 0
    assert answer.label[7] == -1
    assert (np.delete(answer.label, 7) == np.delete(P.argmax(axis=-1), 7)).all()


def test_a_row_that_the_server_fails_at_may_come_first(fault_url):
    """Another row then becomes the canary."""
    x = X.copy()
    x[0, 0] = 9.25
    with endpoint_of(f"{fault_url}/poison") as endpoint:
        assert endpoint.predict(x).label.tolist() == [-1, *P.argmax(axis=-1)[1:]]


def test_rows_that_came_before_the_server_was_ready_are_asked_again(fault_url):
    """Three 500s at the start are the first row's fault no more than any other's."""
    with endpoint_of(f"{fault_url}/e500:3") as endpoint:
        assert np.allclose(endpoint.predict(X).scores, P, atol=1e-7)


def test_a_server_that_fails_at_everything_is_not_blamed_on_rows(fault_url):
    """All canaries fail as well: the server is ill."""
    with (
        endpoint_of(f"{fault_url}/e500") as endpoint,
        pytest.raises(PredictorUnavailable, match="500"),
    ):
        endpoint.predict(X)


def test_a_server_that_fails_at_random_is_survived(fault_url):
    """Every third request fails with a 500; no row is blamed for it."""
    with endpoint_of(f"{fault_url}/e500~3", transport=ONE_BY_ONE, max_rows=1) as endpoint:
        for _ in range(3):
            assert np.allclose(endpoint.predict(X).scores, P, atol=1e-7)


def test_what_was_answered_before_a_failure_is_handed_out(fault_url):
    """``stream`` gives every answer that came before it raises."""
    got = []
    endpoint = endpoint_of(f"{fault_url}/e400~5", transport=ONE_BY_ONE, max_rows=1)
    with endpoint, pytest.raises(PredictorRefused):
        got.extend(rows.start for rows, _ in endpoint.stream(X))
    assert got[:4] == [0, 1, 2, 3]
    assert 4 not in got
    assert len(got) == len(log_of(fault_url)) - 1


def test_rate_limit(fault_url):
    """Requests are spaced out."""
    started = time.monotonic()
    with endpoint_of(
        f"{fault_url}/ok", max_rows=1, transport={**FAST, "requests_per_s": 20}
    ) as endpoint:
        endpoint.predict(X)
    assert time.monotonic() - started >= 11 / 20


def test_a_connection_is_kept(fault_url):
    """Requests of one thread that follow each other travel on one connection."""
    with endpoint_of(f"{fault_url}/ok", max_rows=1, transport=ONE_BY_ONE) as endpoint:
        for _ in range(3):
            endpoint.predict(X[:1])
    ports = [entry["port"] for entry in log_of(fault_url)]
    assert len(set(ports[1:])) == 1


def test_rows_sent_again_are_counted_apart(fault_url):
    """Of the rows sent, those that a request repeated, whatever the reason."""
    with endpoint_of(f"{fault_url}/e502~2", transport=ONE_BY_ONE, max_rows=1) as endpoint:
        endpoint.predict(X)
        sent = endpoint.counters
    assert sent.queries == len(log_of(fault_url)) == len(X) + sent.queries_again
    assert sent.queries_again == sent.retries > 0


def test_a_meter_reaches_through_wrappers(fault_url, tmp_path):
    """A ledger around an endpoint passes on the meter, and what it holds is not charged."""
    charged = []
    with (
        endpoint_of(f"{fault_url}/e502:1", max_rows=1) as endpoint,
        LedgerPredictor(endpoint, tmp_path / "l.db") as recorded,
    ):
        assert isinstance(recorded, Metered)
        for _ in range(2):
            with recorded.metered(charged.append):
                recorded.predict(X)
    assert sum(charged) == len(log_of(fault_url)) == len(X) + 1


def test_a_meter_may_refuse_each_request(fault_url):
    """A budget is asked before every sending, retries included, with the number of rows."""
    asked = []

    class SpentError(Exception): ...

    def charge(n):
        asked.append(n)
        if sum(asked) > 3:
            raise SpentError

    with endpoint_of(f"{fault_url}/e502~2", transport=ONE_BY_ONE, max_rows=1) as endpoint:
        with endpoint.metered(charge), pytest.raises(SpentError):
            endpoint.predict(X)
        assert endpoint.counters.queries == 3
    assert len(log_of(fault_url)) == 3


def test_closing_ends_the_waiting(fault_url):
    """A pause that was asked for does not hold a closed endpoint."""
    endpoint = endpoint_of(f"{fault_url}/after-1h")
    threading.Timer(0.3, endpoint.close).start()
    started = time.monotonic()
    with pytest.raises(PredictorError):
        endpoint.predict(X)
    assert time.monotonic() - started < 30
