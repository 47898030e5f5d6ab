"""Mistakes on the command line: a clear message, the documented exit code, an unchanged ledger."""

import hashlib
import sqlite3
from contextlib import closing

import numpy as np
import pytest
import toy_model as model
from click.testing import CliRunner

from blackbox_boundary.cli import main
from blackbox_boundary.ledger import verify
from blackbox_boundary.ledger.database import FORMAT

X = np.random.default_rng(0).random((4, *model.SHAPE), dtype=np.float32)
KEY = "swordfish-7"


@pytest.fixture
def measure(service_url, tmp_path, monkeypatch):
    """Run ``measure`` on a path of the service.

    Gives the exit code and the standard error, which holds one "Error:".
    """
    monkeypatch.setenv("CLASSIFIER_KEY", KEY)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "square.npy", np.zeros((2, 1, 5, 5), np.float32))

    def run(path, *options, data="x.npy", toml="", url=service_url):
        (tmp_path / "e.toml").write_text(f'url = "{url}{path}"\n{toml}')
        command = [
            "measure",
            str(tmp_path / "e.toml"),
            str(tmp_path / data),
            "--output",
            str(tmp_path / "run"),
            "--no-report",
            *options,
        ]
        result = CliRunner().invoke(
            main, [*command, "--no-progress", "--overwrite"], catch_exceptions=False
        )
        assert result.stderr.count("Error:") == (result.exit_code != 0)
        assert "Traceback" not in result.output
        assert KEY not in result.output
        return result.exit_code, result.stderr

    return run


KEYED = (
    'access = "probabilities"\ninput_shape = [1, 4, 4]\nn_classes = 5\n'
    '[headers]\nAuthorization = { env = "CLASSIFIER_KEY" }\n'
    '[request]\nbody = \'{"data": $rows}\'\n[answer]\nscores = "p"\n'
)


@pytest.mark.parametrize(
    ("path", "told", "code", "says"),
    [
        ("/nowhere", {}, 3, "does not identify a dialect"),
        ("/v2/models/cats", {}, 4, "404"),
        ("/v2/models/digits", {"url": "http://127.0.0.1:9"}, 4, "refused"),
        ("/v2/models/digits", {"url": "ftp://127.0.0.1"}, 3, "must begin with http"),
        ("/v2/models/digits", {"url": "http://no.such.host.invalid"}, 4, "no.such.host.invalid"),
        ("/keyed", {"toml": KEYED}, 4, "401"),
        (
            "/keyed",
            {"toml": KEYED.replace("CLASSIFIER_KEY", "NO_SUCH_VARIABLE")},
            3,
            "NO_SUCH_VARIABLE must hold the secret",
        ),
        ("/v2/models/digits", {"data": "square.npy"}, 3, r"shape (n, 1, 4, 4); got (2, 1, 5, 5)"),
        ("/v2/models/digits", {"toml": "input_shape = [1, 5, 5]"}, 3, "must fit the server's"),
        ("/v2/models/digits", {"toml": "n_classes = 7"}, 3, "must be what the server says, 5"),
        ("/v2/models/digits", {"toml": 'access = "logits"'}, 4, 'declare access="probabilities"'),
        ("/v2/models/liar", {}, 4, "must hold scores of shape (1, 6); got (1, 5)"),
        ("/v2/models/segments", {}, 3, "no classifier's"),
        ("/openapi.json", {"toml": KEYED}, 4, "405"),
    ],
)
def test_an_endpoint_that_is_not_what_was_said(measure, path, told, code, says):
    """Wrong address, key, name or shape; metadata that lie; no classifier."""
    got, message = measure(path, **told)
    assert (got, says in message) == (code, True), message


def test_a_key_is_in_nothing_that_is_kept(measure, tmp_path):
    """A refused run leaves no folder; its messages hold no key, though the server echoes it."""
    code, message = measure("/keyed", toml=KEYED)
    assert code == 4
    assert KEY not in message
    assert not (tmp_path / "run").exists()


def test_ledgers_that_are_not_this_models(measure, tmp_path):
    """Another model's, a newer version's, no ledger, an unwritable one: refused and unchanged."""
    ledger = tmp_path / "l.db"
    assert measure("/v2/models/digits", "--ledger", str(ledger))[0] == 0
    verify(ledger)
    before = hashlib.sha256(ledger.read_bytes()).digest()
    code, message = measure(
        "/v2/models/digits", "--ledger", str(ledger), toml='access = "label"', data="x.npy"
    )
    assert (code, "halfspace" in message or "belongs to another model" in message) == (3, True), (
        message
    )
    code, message = measure("/v2/models/digits", "--ledger", str(ledger), "--access", "top1")
    assert (code, "belongs to another model" in message) == (3, True), message
    assert hashlib.sha256(ledger.read_bytes()).digest() == before
    code, message = measure("/v2/models/digits", "--ledger", str(tmp_path / "missing" / "l.db"))
    assert (code, "cannot be opened" in message) == (3, True), message
    with closing(sqlite3.connect(ledger)) as db, db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    code, message = measure("/v2/models/digits", "--ledger", str(ledger))
    assert (code, "newer version" in message) == (3, True), message
