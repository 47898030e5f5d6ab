"""The libraries' exceptions become ours, all of them."""

import contextlib
import inspect
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import requests
import urllib3
from blackbox_boundary.adapters.http_endpoint.exchange import CAUGHT, Connection, Stale, translated
from blackbox_boundary.adapters.http_endpoint.failures import Transient
from blackbox_boundary.adapters.http_endpoint.transport_settings import TransportSettings
from blackbox_boundary.adapters.http_endpoint.wire import Request
from hypothesis import example, given
from hypothesis import strategies as st

from blackbox_boundary import (
    BadPrediction,
    BoundaryError,
    InvalidInput,
    PredictorError,
    PredictorUnavailable,
)


def exceptions_of(module):
    """All exception classes of a module, without its warnings."""
    members = (
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
    )
    return [
        member
        for member in members
        if issubclass(member, Exception) and not issubclass(member, Warning)
    ]


@pytest.mark.parametrize(
    "kind",
    [*exceptions_of(requests.exceptions), *exceptions_of(urllib3.exceptions)],
    ids=lambda kind: f"{kind.__module__}.{kind.__name__}",
)
def test_every_exception_is_caught_and_translated(kind):
    """None of the two libraries' exceptions passes, whatever version of them is installed."""
    assert issubclass(kind, CAUGHT)
    error = kind.__new__(kind)
    Exception.__init__(error, "reason given")
    vars(error).update(partial=0, expected=1, length=b"z", response=urllib3.HTTPResponse(b""))
    ours = translated(error, "POST http://host/x", was_reachable=False)
    assert isinstance(ours, BoundaryError)
    assert "POST http://host/x" in str(ours)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            requests.exceptions.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
            ),
            Stale,
        ),
        (requests.exceptions.ReadTimeout("slow"), Transient),
        (requests.exceptions.ChunkedEncodingError("cut"), Transient),
        (requests.exceptions.InvalidURL("what?"), InvalidInput),
        (TimeoutError("slow"), Transient),
        (ConnectionResetError("gone"), Transient),
        (OSError("no such file"), PredictorError),
    ],
)
def test_what_to_do_about_it(error, kind):
    """The class of ours says whether asking again can help."""
    assert type(translated(error, "GET /", was_reachable=True)) is kind


def test_a_server_that_was_reached_may_be_restarting():
    """A refused connection is a wrong URL at first, and worth waiting for later."""
    error = requests.exceptions.ConnectionError(ConnectionRefusedError("refused"))
    assert type(translated(error, "GET /", was_reachable=False)) is PredictorUnavailable
    assert type(translated(error, "GET /", was_reachable=True)) is Transient


@pytest.fixture(scope="module")
def parrot():
    """A server that answers every connection with the bytes it was told to say, and closes it."""
    words = {"say": b""}
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(words["say"])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", words
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


HEADS = """Content-Length: 3
Content-Length: 5
Content-Length: -1
Content-Length: x
Transfer-Encoding: chunked
Content-Encoding: gzip
Content-Encoding: deflate
Connection: close
: y
X
Location: http://[
Set-Cookie: =""".splitlines()
STATUSES = [
    "HTTP/1.1 200 OK",
    "HTTP/1.1 999 x",
    "HTTP/1.1 -1 x",
    "HTTP/9.9 200 OK",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 204 x",
    "",
    "ICY 200",
]
bodies = st.sampled_from(
    [b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"zz\r\nabc", b"-1\r\n", b"\x1f\x8b\x08", b""]
) | st.binary(max_size=40)
answers = st.builds(
    lambda status, heads, body: "\r\n".join([status, *heads, "", ""]).encode() + body,
    st.sampled_from(STATUSES),
    st.lists(st.sampled_from(HEADS), max_size=4),
    bodies,
)


@given(st.binary(max_size=60) | answers)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc")
@example(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000)
def test_arbitrary_bytes_on_the_wire(parrot, said):
    """Whatever a server says, it is a reply or one of our own errors, and soon."""
    url, words = parrot
    words["say"] = said
    connection = Connection(url, TransportSettings(read_timeout_s=5, total_timeout_s=5))
    try:
        reply = connection.exchange(Request("GET", "/"), {}, 1000, was_reachable=False)
    except BoundaryError:
        pass
    else:
        assert len(reply.body) <= 1000
    finally:
        connection.close()


@contextmanager
def _answering(*answers, pause_s=0.0):
    """A server that sends the parts of an answer to each request of a kept connection; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                while connection.recv(4096):
                    for part in answers:
                        connection.sendall(part)
                        time.sleep(pause_s)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    thread.join(5)


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("answers", "pause_s"), [([ANSWER + ANSWER], 0.0), ([ANSWER, ANSWER], 0.05)]
)
def test_an_answer_that_nobody_asked_for_is_the_servers_fault(answers, pause_s):
    """It could be read as the next row's: the next request on that connection is not sent."""
    with _answering(*answers, pause_s=pause_s) as url:
        connection = Connection(url, TransportSettings())
        first = connection.exchange(Request("GET", "/"), {}, 1000, was_reachable=True)
        assert first.body == b"abc"
        time.sleep(0.2)
        with pytest.raises(BadPrediction, match=r"late or twice.*may belong to other rows"):
            connection.exchange(Request("GET", "/"), {}, 1000, was_reachable=True)
        connection.close()


def test_an_empty_line_after_an_answer_is_forgiven():
    """Old servers send one; the next request goes over a new connection, or the same."""
    with _answering(ANSWER + b"\r\n") as url:
        connection = Connection(url, TransportSettings())
        for _ in range(2):
            reply = connection.exchange(Request("GET", "/"), {}, 1000, was_reachable=True)
            assert reply.body == b"abc"
        connection.close()


def test_two_lengths_are_the_servers_fault():
    """And no mistake in what was asked."""
    head = ANSWER.replace(b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 9")
    with _answering(head) as url, pytest.raises(BadPrediction, match="contradicts itself"):
        Connection(url, TransportSettings()).exchange(
            Request("GET", "/"), {}, 1000, was_reachable=True
        )
