"""What each status means, together with what real servers say beside it."""

import email.utils
import time

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint.failures import (
    Denied,
    Doubtful,
    TooLong,
    Transient,
    failure_of,
    retry_after,
)
from blackbox_boundary.adapters.http_endpoint.wire import Reply

from blackbox_boundary import Prediction, PredictorRefused, load


def failure(status, body=b"", **headers):
    """What is wrong with such an answer."""
    return failure_of(
        Reply(
            status, {name.replace("_", "-"): value for name, value in headers.items()}, body, 0.1
        ),
        "POST http://host/x",
    )


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (
            400,
            b'{"error":"inference request batch-size must be <= 256 for \'mnist\'"}',
            {},
            TooLong,
        ),
        (400, b'{"error":"unexpected shape for input"}', {}, PredictorRefused),
        (401, b"", {}, Denied),
        (403, b"<html>", {}, Denied),
        (404, b'{"error":"unknown model"}', {}, PredictorRefused),
        (408, b"", {}, Transient),
        (413, b"", {}, TooLong),
        (422, b'{"detail":[]}', {}, PredictorRefused),
        (424, b"", {"ms_azureml_model_error_statuscode": "400"}, PredictorRefused),
        (424, b"", {"ms_azureml_model_error_statuscode": "429"}, Transient),
        (424, b'{"OriginalStatusCode":413,"OriginalMessage":"too large"}', {}, TooLong),
        (424, b"ModelError OriginalStatusCode: 503", {}, Doubtful),
        (424, b"", {}, Doubtful),
        (429, b'{"error":"Too many requests"}', {}, Transient),
        (500, b"Internal Server Error", {}, Doubtful),
        (501, b"", {}, PredictorRefused),
        (502, b"<html>", {}, Transient),
        (
            503,
            b'{"code":503,"type":"InternalServerException","message":"Prediction failed"}',
            {},
            Doubtful,
        ),
        (504, b"", {}, Transient),
        (308, b"", {"location": "https://elsewhere"}, PredictorRefused),
        (100, b"", {}, PredictorRefused),
    ],
)
def test_status(status, body, headers, kind):
    """By the table in docs/reference/http-endpoint.md."""
    error = failure(status, body, **headers)
    assert type(error) is kind
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success_is_no_failure(status):
    """What the body holds is judged elsewhere."""
    assert failure(status) is None


def test_overload_and_refusal():
    """429 and 503 ask for fewer requests at once; only 429 is a refusal."""
    assert (failure(429).is_overload, failure(429).is_refusal) == (True, True)
    assert (failure(503).is_overload, failure(503).is_refusal) == (True, False)
    assert (failure(500).is_overload, failure(502).is_overload) == (False, False)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("9" * 30, None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
    ],
)
def test_retry_after(value, seconds):
    """Seconds or a date; nonsense is no answer."""
    assert retry_after({"retry-after": value}) == seconds


def test_retry_after_a_date():
    """Half a minute from now."""
    assert retry_after(
        {"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)}
    ) == pytest.approx(30, abs=5)


def test_a_model_that_is_loading():
    """The time told in the body is waited for."""
    assert (
        failure(
            503, b'{"error":"Model x is currently loading","estimated_time":20.0}'
        ).retry_after_s
        == 20
    )


def test_the_servers_words_are_short():
    """MLflow echoes the whole input."""
    assert len(str(failure(400, b"[0.1, 0.2]" * 100_000))) < 700


def test_first_answers_are_given_before_a_later_row_fails(monkeypatch):
    """An answered row is kept, even with NaN; the error of the next row comes after it."""
    endpoint = load(
        "http://127.0.0.1:9/x",
        access="logits",
        input_shape=(2,),
        n_classes=2,
        answer={"scores": "s"},
    )
    nothing = Prediction.from_scores(np.full((1, 2), np.nan))

    def sent(rows, _):
        if rows[0, 0] == 0:
            return nothing
        raise PredictorRefused("no")

    monkeypatch.setattr(endpoint._asking, "send", sent)
    parts = endpoint.stream(np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]))
    rows, answer = next(parts)
    assert (rows, answer.label.tolist()) == (slice(0, 1), [-1])
    with pytest.raises(PredictorRefused):
        next(parts)
    endpoint.close()
