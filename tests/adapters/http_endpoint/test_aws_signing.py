"""Requests signed for AWS: a service verifies each signature with its own implementation."""

import datetime as dt
import hashlib
import hmac
import http.server
import json
import pickle
import re
import threading
from contextlib import contextmanager
from urllib.parse import parse_qsl, quote, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import InvalidInput, PredictorRefused
from blackbox_boundary.cli import main

pytest.importorskip("botocore")

from blackbox_boundary.adapters.http_endpoint import load
from blackbox_boundary.adapters.http_endpoint.aws_signing import AwsSigning
from blackbox_boundary.adapters.http_endpoint.wire import Request

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "session-token-of-a-role-0123456789"


def signature(secret, method, url, headers, signed, body, *, scope):
    """Signature Version 4, as its documentation defines it; ``scope``: date, region, service."""
    parts = urlsplit(url)
    query = "&".join(
        f"{quote(k, '-_.~')}={quote(v, '-_.~')}" for k, v in sorted(parse_qsl(parts.query))
    )
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    path = quote(parts.path or "/", "/-_.~")
    canonical = [method, path, query, lines, ";".join(signed), hashlib.sha256(body).hexdigest()]
    day = "/".join([*scope, "aws4_request"])
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{day}\n{digest}"
    key = b"AWS4" + secret.encode()
    for part in (*scope, "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_the_recorded_signatures(method, expected, monkeypatch):
    """Those of AWS's test suite (get-vanilla and post-vanilla): the peer's and ours."""
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    scope = ("20150830", "us-east-1", "service")
    url = "https://example.amazonaws.com/"
    assert signature(SECRET, method, url, headers, sorted(headers), b"", scope=scope) == expected
    moment = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC).replace(tzinfo=None)
    _freeze(monkeypatch, moment)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    made = AwsSigning("us-east-1", "service").headers(url[:-1], Request(method, "/"))
    assert made["X-Amz-Date"] == headers["x-amz-date"]
    assert made["Authorization"].endswith(f"SignedHeaders=host;x-amz-date, Signature={expected}")


def _freeze(monkeypatch, moment):
    """Botocore's clock, in either of the ways in which its versions ask for the time."""
    import botocore.auth

    if hasattr(botocore.auth, "get_current_datetime"):
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: moment)
        return

    class Frozen(dt.datetime):
        @classmethod
        def utcnow(cls):
            return moment

    monkeypatch.setattr(botocore.auth.datetime, "datetime", Frozen)


class Service(http.server.BaseHTTPRequestHandler):
    """A SageMaker endpoint: CSV both ways, 403 for anything that is not signed as it must be."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        """Verify, and answer two probabilities."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = self.headers.get("Authorization", "")
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=(\S+?)/(\d{8})/([\w-]+)/(\w+)/aws4_request, "
            r"SignedHeaders=(\S+), Signature=([0-9a-f]{64})",
            told,
        )
        self.server.seen.append(told)
        if not found or found[1] != KEY or self.headers["X-Amz-Security-Token"] != TOKEN:
            return self._reply(403, json.dumps({"message": f"no credentials in {told}"}))
        headers = {name.lower(): value for name, value in self.headers.items()}
        url = f"http://{headers['host']}{self.path}"
        right = signature(
            SECRET, "POST", url, headers, found[5].split(";"), body, scope=found.groups()[1:4]
        )
        if right != found[6] or self.path.endswith("/refuse/invocations"):
            said = {"message": f"Signature {found[6]} of {KEY} {SECRET} {TOKEN} does not match"}
            return self._reply(403, json.dumps(said))
        (line,) = body.decode().splitlines()
        scores = np.array(line.split(","), float)
        return self._reply(200, f"{float(1 / (1 + np.exp(-scores.sum())))!r}\n")

    def _reply(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("x-Amzn-Invoked-Production-Variant", "blue")
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serving():
    """The service; gives its URL and the headers it saw."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def credentials(monkeypatch, tmp_path):
    """Of a role, from the environment, and nothing else."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


TOLD = {"preset": "sagemaker-xgboost", "input_shape": (3,), "n_classes": 2}
AWS = {"region": "eu-west-1"}


def test_every_request_is_signed(credentials, caplog):
    """Each row's request is accepted by a service that verifies it, and the origin is said."""
    caplog.set_level("INFO")
    x = np.random.default_rng(0).normal(size=(5, 3))
    with (
        serving() as (url, seen),
        load(f"{url}/endpoints/a/invocations", aws=AWS, **TOLD) as endpoint,
    ):
        scores = endpoint.predict(x).scores
        assert endpoint.model_version() == "blue"
    expected = 1 / (1 + np.exp(-np.float32(x).sum(axis=1, dtype=float)))
    assert np.allclose(scores[:, 1], expected, rtol=1e-6)
    assert len(seen) == 5
    assert f"Sends signatures by AWS credentials (sagemaker, eu-west-1) to {url}" in caplog.text


@pytest.mark.parametrize("path", ["endpoints/refuse/invocations", "endpoints/a b/invocations"])
def test_no_credential_is_shown(credentials, path):
    """Also where the service echoes them; a path with a blank is signed as it is sent."""
    with serving() as (url, _), load(f"{url}/{path}", aws=AWS, **TOLD) as endpoint:
        try:
            endpoint.predict(np.zeros((1, 3)))
        except PredictorRefused as error:
            said = f"{error} {error!r} {endpoint!r} {endpoint.transport._aws!r}"
        else:
            said = repr(endpoint)
    assert not re.search(r"Signature=?[ =][0-9a-f]{8}", said)
    for part in (SECRET, TOKEN, KEY):
        assert part not in said
    with pytest.raises(TypeError, match="not saved"):
        pickle.dumps(AwsSigning("eu-west-1"))


@pytest.mark.parametrize(
    ("url", "aws", "says"),
    [
        ("https://elsewhere.example/x", AWS, "a host of AWS"),
        ("http://runtime.sagemaker.eu-west-1.amazonaws.com/x", AWS, "https"),
        ("https://runtime.sagemaker.eu-west-1.amazonaws.com.evil.example/x", AWS, "a host of AWS"),
        ("http://127.0.0.1:9/x", {}, "region"),
        ("http://127.0.0.1:9/x", {"region": "a", "secret_key": "b"}, "never part of it"),
        ("http://127.0.0.1:9/x", {"region": 1}, "texts"),
    ],
)
def test_what_is_refused_before_anything_is_sent(url, aws, says):
    """Other hosts, unencrypted ways, keys in the file."""
    with pytest.raises(InvalidInput, match=says):
        load(url, aws=aws, **TOLD)


def test_without_credentials(credentials, monkeypatch):
    """Said before the first query is counted as answered."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with load("http://127.0.0.1:9/x", aws=AWS, **TOLD) as endpoint:
        with pytest.raises(InvalidInput, match="no AWS credentials"):
            endpoint.predict(np.zeros((1, 3)))
        assert endpoint.counters.queries == 0
    with (
        load("http://127.0.0.1:9/x", aws={**AWS, "profile": "mine"}, **TOLD) as endpoint,
        pytest.raises(InvalidInput, match="profile"),
    ):
        endpoint.predict(np.zeros((1, 3)))


def test_a_description_needs_leave(credentials, tmp_path):
    """A file that comes from somebody else does not sign in the user's name."""
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    with serving() as (url, seen):
        text = f'preset = "sagemaker-xgboost"\nurl = "{url}/endpoints/a/invocations"\n'
        text += 'input_shape = [3]\nn_classes = 2\n[aws]\nregion = "eu-west-1"\n'
        (tmp_path / "e.toml").write_text(text)
        run = ["measure", str(tmp_path / "e.toml"), str(tmp_path / "x.npy"), "--dry-run"]
        done = CliRunner().invoke(main, run)
        assert done.exit_code == 3
        assert "--allow aws" in done.stderr
        assert CliRunner().invoke(main, [*run, "--allow", "aws"]).exit_code == 0
        assert not seen
