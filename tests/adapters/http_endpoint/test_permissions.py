"""What a description may use of the machine it is read on."""

import logging
import os
import stat
import sys

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.permissions import _is_private
from click.testing import CliRunner

from blackbox_boundary import InvalidInput
from blackbox_boundary.cli import main

DESCRIBED = """
url = "http://127.0.0.1:9/p"
access = "probabilities"
input_shape = [2]
n_classes = 2
request = {{ body = '{{"data": $rows}}' }}
answer = {{ scores = "p" }}
{table}
"""


def described(folder, table, mode=0o755):
    """A description with one more table, in a folder of a mode."""
    folder.mkdir(exist_ok=True)
    folder.chmod(mode)
    path = folder / "e.toml"
    path.write_text(DESCRIBED.format(table=table))
    return path


@pytest.fixture
def marked(tmp_path):
    """A command that leaves a mark when it is run."""
    return f"{sys.executable} -c \"open('{tmp_path}/mark', 'w')\"", tmp_path / "mark"


@pytest.mark.parametrize("opener", [load, probe])
def test_a_command_is_not_run_unless_allowed(tmp_path, marked, opener):
    """Neither by load nor by probe, wherever the description lies."""
    command, mark = marked
    path = described(tmp_path / "d", f"headers = {{ X-Token = {{ command = '''{command}''' }} }}")
    with pytest.raises(InvalidInput, match="--allow command"):
        opener(str(path))
    assert not mark.exists()
    with load(str(path), allow=["command"]) as endpoint, pytest.raises(InvalidInput, match="empty"):
        endpoint.predict(np.zeros((1, 2)))
    assert mark.exists()


@pytest.mark.parametrize(
    "table",
    [
        'headers = {{ X-Token = {{ file = "{path}" }} }}',
        'transport = {{ ca_file = "{path}" }}',
        'transport = {{ client_cert = "{path}" }}',
        'transport = {{ client_cert = "{path}", client_key = "{path}" }}',
    ],
)
def test_a_file_is_not_read_unless_allowed(tmp_path, table):
    """That file, by whatever name; another that was allowed does not count."""
    (tmp_path / "key").write_text("abc")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    path = str(described(tmp_path / "d", table.format(path=tmp_path / "key")))
    for allow in ((), ["command"], [f"file:{tmp_path}/d/e.toml"]):
        with pytest.raises(InvalidInput, match="--allow file:"):
            load(path, allow=allow)
    load(path, allow=[f"file:{tmp_path}/link"]).close()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes say nothing here")
@pytest.mark.parametrize("open_to", ["folder", "file", "folder above", "nobody", "sticky above"])
def test_a_variable_is_read_where_only_its_user_can_write(tmp_path, monkeypatch, open_to):
    """A description that somebody else could have written names no variable unless allowed."""
    monkeypatch.setenv("PERMITTED_KEY", "abc")
    tmp_path.chmod(0o755)
    above = tmp_path / "above"
    above.mkdir()
    path = described(above / "d", "headers = { X-Token = { env = 'PERMITTED_KEY' } }")
    {
        "folder": lambda: path.parent.chmod(0o777 | stat.S_ISVTX),
        "file": lambda: path.chmod(0o666),
        "folder above": lambda: above.chmod(0o777),
        "nobody": lambda: None,
        "sticky above": lambda: above.chmod(0o777 | stat.S_ISVTX),
    }[open_to]()
    if open_to in ("nobody", "sticky above"):
        load(str(path)).close()
    else:
        with pytest.raises(InvalidInput, match="--allow env:PERMITTED_KEY"):
            load(str(path))
        with pytest.raises(InvalidInput, match="--allow env:PERMITTED_KEY"):
            load(str(path), allow="env:OTHER")
        load(str(path), allow="env:PERMITTED_KEY").close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give")
def test_a_description_of_another_user_is_not_private(tmp_path):
    """Whatever its mode: its owner may write it."""
    path = described(tmp_path / "d", "")
    assert _is_private(path)
    os.chown(path, 65534, 65534)
    assert not _is_private(path)
    os.chown(path, 0, 0)
    os.chown(path.parent, 65534, 0)
    assert not _is_private(path)


def test_what_is_given_by_name_needs_no_leave(tmp_path, monkeypatch, caplog):
    """Settings in Python and --given; what is sent where is said all the same."""
    monkeypatch.setenv("PERMITTED_KEY", "abc")
    caplog.set_level(logging.INFO)
    path = described(tmp_path / "d", "headers = { X-Token = { command = 'false' } }", 0o777)
    load(str(path), headers={"X-Token": {"env": "PERMITTED_KEY"}}).close()
    assert "Sends env PERMITTED_KEY to http://127.0.0.1:9." in caplog.text
    given = "headers={'X-Token': {'env': 'PERMITTED_KEY'}}"
    done = CliRunner().invoke(main, ["probe", str(path), "--given", given])
    assert "Sends env PERMITTED_KEY to http://127.0.0.1:9." in done.output
    assert "abc" not in done.output


def test_the_command_line_allows_by_name(tmp_path, marked):
    """--allow of measure and probe; without it nothing is run, and no folder is left."""
    command, mark = marked
    path = described(tmp_path / "d", f"headers = {{ X-Token = {{ command = '''{command}''' }} }}")
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    measure = ["measure", str(path), str(tmp_path / "x.npy"), "--output", str(tmp_path / "out")]
    for arguments in (measure, ["probe", str(path)]):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 3
        assert "--allow command" in done.output
        assert not mark.exists()
    assert not (tmp_path / "out").exists()
    done = CliRunner().invoke(main, ["probe", str(path), "--allow", "command"])
    assert "Sends what a command prints to http://127.0.0.1:9." in done.output
    assert mark.exists()


@pytest.mark.parametrize("allowed", ["all", "file:", "env", "commands", "file"])
def test_leave_is_given_by_known_words(allowed):
    """Others are refused."""
    with pytest.raises(InvalidInput, match="must be command, aws, file:PATH or env:NAME"):
        load("http://127.0.0.1:9/p", allow=[allowed])


@pytest.mark.parametrize(
    ("word", "means"),
    [("no", False), ("yes", True), ("False", False), ("off", False), (True, True)],
)
def test_a_word_for_no_is_no(word, means):
    """trust_env = "no" does not count as true; what is no truth value is refused."""
    told = {"access": "label", "input_shape": (2,), "n_classes": 2, "answer": {"labels": "l"}}
    with load("http://127.0.0.1:9/p", transport={"trust_env": word}, **told) as endpoint:
        assert endpoint.transport.settings.trust_env is means
    with pytest.raises(InvalidInput, match="trust_env"):
        load("http://127.0.0.1:9/p", transport={"trust_env": "perhaps"}, **told)
