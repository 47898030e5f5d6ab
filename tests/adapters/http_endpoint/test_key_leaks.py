"""A key is in no output, whatever carries it there and however it is written.

The server echoes the key it was sent, in an encoding and at a place that the path of the URL names.
"""

import base64
import http.server
import json
import quopri
import threading
import traceback
from functools import partial
from urllib.parse import quote

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.masking import Mask
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blackbox_boundary import BoundaryError
from blackbox_boundary.cli import main

KEY = "sk-live-4f9Zq8Lm2Xw7Rt+5/Vb"


def _b64(text):
    return base64.b64encode(text.encode()).decode()


ENCODINGS = {
    "plain": str,
    "upper": str.upper,
    "cut off": lambda key: key[:14] + "...",
    "end": lambda key: "..." + key[-12:],
    "reversed": lambda key: key[::-1],
    "reversed header": lambda key: f"Bearer {key}"[::-1],
    "base64": _b64,
    "base64 without padding": lambda key: _b64(key).rstrip("="),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    "base64 of the header": lambda key: _b64(f"Bearer {key}"),
    "base64 of a user": lambda key: _b64(f"me:{key}"),
    "base64 of a longer user": lambda key: _b64(f"user:{key}"),
    "base64 in lines": lambda key: "\n".join(_b64(key)[at : at + 12] for at in range(0, 36, 12)),
    "base64 of it reversed": lambda key: _b64(key[::-1]),
    "base32": lambda key: base64.b32encode(key.encode()).decode(),
    "percent": lambda key: quote(key, safe=""),
    "percent, every letter": lambda key: "".join(f"%{ord(mark):02x}" for mark in key),
    "percent twice": lambda key: quote(quote(key, safe=""), safe=""),
    "percent base64": lambda key: quote(_b64(key), safe=""),
    "unicode escapes": lambda key: "".join(f"\\u{ord(mark):04x}" for mark in key),
    "unicode escapes twice": lambda key: "".join(f"\\\\u{ord(mark):04X}" for mark in key),
    "long unicode escapes": lambda key: "".join(f"\\U{ord(mark):08x}" for mark in key),
    "byte escapes": lambda key: "".join(f"\\x{ord(mark):02x}" for mark in key),
    "octal escapes": lambda key: "".join(f"\\{ord(mark):03o}" for mark in key),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key.replace("/", "\\/"))),
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "hex with colons": lambda key: key.encode().hex(":"),
    "hex dump": lambda key: key.encode().hex(" ", 2),
    "entities": lambda key: "".join(f"&#{ord(mark)};" for mark in key),
    "hex entities": lambda key: "".join(f"&#x{ord(mark):X};" for mark in key),
    "codes": lambda key: str(list(key.encode())),
    "quoted-printable": lambda key: quopri.encodestring(key.encode(), quotetabs=True).decode(),
    "quoted-printable, all": lambda key: "".join(f"={ord(mark):02X}" for mark in key),
    "line break": lambda key: f"{key[:9]}\n{key[9:]}",
    "line break, escaped": lambda key: f"{key[:9]}\\r\\n{key[9:]}",
    "wrapped": lambda key: "\n  ".join(key[at : at + 5] for at in range(0, len(key), 5)),
    "letters apart": " ".join,
    "dotted": ".".join,
    "repr": lambda key: repr(key.encode()),
}


class Echo(http.server.BaseHTTPRequestHandler):
    """Echoes ``Authorization``, less its prefix, as ``/PLACE/ENCODING/v2/models/m`` says."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def answer(self, status, body, **headers):
        """A complete answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        """Fail, and quote the key."""
        self.rfile.read(int(self.headers["Content-Length"]))
        place, said = self.said()
        shown = json.dumps({"p": [[said]], "l": [said]}).encode()
        if place == "redirect":
            self.answer(302, b"", Location=quote(said, safe="%/;&#\\+=:,. "))
        else:
            status = {"error 403": 403, "error 400": 400, "error 500": 500}.get(place, 200)
            self.answer(status, said.encode() if place in ("error 403", "no JSON") else shown)

    def do_GET(self):
        """Metadata that quote the key."""
        place, said = self.said()
        honest = {"name": "i", "datatype": "FP32", "shape": [-1, 2]}
        answers = {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}
        if place == "input name":
            honest["name"] = said
        if place == "output name":
            answers = {"name": said, "datatype": "FP32", "shape": [-1, 2, 3]}
        if place == "datatype":
            honest["datatype"] = said
        if place == "server name" and not self.path.endswith("/v2"):
            answers["name"] = "scores"
        about = {"name": said if place == "server name" else "s", "inputs": [honest]}
        self.answer(200, json.dumps({**about, "outputs": [answers]}).encode())

    def said(self):
        """The place, and the key as it is to be written there."""
        _, place, encoding, *_ = self.path.split("/")
        key = self.headers["Authorization"].removeprefix("Bearer ")
        write = list(ENCODINGS.values())[int(encoding)]
        return place.replace("-", " "), write(key)


@pytest.fixture(scope="module")
def echo_url():
    """The server, in this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def held(text, form):
    """Pieces of the encoded key, of ten characters, that a text holds; white space aside."""
    text, form = "".join(text.split()), "".join(form.split())
    return [form[at : at + 10] for at in range(len(form) - 9) if form[at : at + 10] in text]


def told_by(action):
    """All that a user may see of an action that fails, or of its result."""
    try:
        return repr(action())
    except BoundaryError as error:
        return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_place_shows_the_key(echo_url, encoding, monkeypatch):
    """Errors of requests, of loading and of probing, and what probe prints."""
    monkeypatch.setenv("LEAK_KEY", KEY)
    form = ENCODINGS[encoding](KEY)
    number = list(ENCODINGS).index(encoding)
    header = {"Authorization": {"env": "LEAK_KEY", "prefix": "Bearer "}}
    own = {
        "access": "probabilities",
        "input_shape": (2,),
        "n_classes": 2,
        "request": {"body": '{"data": $rows}'},
        "transport": {"attempts": 1},
    }
    for place in ("error-403", "error-400", "error-500", "redirect", "no-JSON", "labels"):
        answer = {"labels": "l", "scores": "p"} if place == "labels" else {"scores": "p"}
        url = f"{echo_url}/{place}/{number}/p"
        with load(url, headers=header, answer=answer, **own) as endpoint:
            told = told_by(partial(endpoint.predict, np.zeros((1, 2))))
        assert not held(told, form), (place, told)
        assert not held(told, KEY), (place, told)
    for place in ("input-name", "output-name", "datatype", "server-name"):
        url = f"{echo_url}/{place}/{number}/v2/models/m"
        told = told_by(partial(load, url, headers=header, access="probabilities"))
        finding = told_by(partial(probe, url, headers=header))
        arguments = ["probe", url, "--given", f"headers={header}"]
        printed = CliRunner().invoke(main, arguments).output
        for text in (told, finding, printed):
            assert "http" in text
            assert not held(text, form), (place, text)
            assert not held(text, KEY), (place, text)


def test_there_are_as_many_encodings_as_promised():
    """Forty, each at ten places."""
    assert len(ENCODINGS) == 40


@pytest.mark.parametrize("prefix", ["Bearer\n", " Bearer ", "Bearer \x1b[2J", "\t"])
def test_a_prefix_that_no_header_may_have_is_refused(prefix, monkeypatch):
    """Before anything is read or sent; a library would quote the whole header."""
    monkeypatch.setenv("LEAK_KEY", KEY)
    header = {"Authorization": {"env": "LEAK_KEY", "prefix": prefix}}
    with pytest.raises(BoundaryError, match="prefix") as caught:
        load("http://127.0.0.1:9/v2/models/m", headers=header)
    assert not held(str(caught.value), KEY)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60),
    st.sampled_from(sorted(ENCODINGS)),
    st.text(max_size=20),
)
@example("a secret: key", "HEX", "ß")
def test_any_key_is_found_in_any_text(key, encoding, around):
    """A key of any characters that a header can hold, in each encoding, between other text."""
    form = ENCODINGS[encoding](key)
    text = Mask(key, "Bearer ").masked(f"{around}{form}{around}")
    assert form not in text
    assert key not in text


@given(st.text(max_size=300))
def test_other_text_is_left_as_it_is(text):
    """A mask of a key that a text has nothing of changes nothing."""
    assert Mask("0" * 40).masked(text.replace("0", "")) == text.replace("0", "")
