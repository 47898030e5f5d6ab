"""The libraries' exceptions become ours, all of them."""

import inspect

import pytest
import requests
import urllib3
from blackbox_boundary.adapters.http_endpoint.exchange import CAUGHT, Stale, translated
from blackbox_boundary.adapters.http_endpoint.failures import Transient

from blackbox_boundary import BoundaryError, InvalidInput, PredictorError, PredictorUnavailable


def exceptions_of(module):
    """All exception classes of a module, without its warnings."""
    members = (member for _, member in inspect.getmembers(module, inspect.isclass) if member.__module__ == module.__name__)
    return [member for member in members if issubclass(member, Exception) and not issubclass(member, Warning)]


@pytest.mark.parametrize(
    "kind", [*exceptions_of(requests.exceptions), *exceptions_of(urllib3.exceptions)], ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
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
        (requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())), Stale),
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
