"""A run that fails at its first query: what it leaves, and what it says."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import free_port

from blackbox_boundary.cli import main

X = np.random.default_rng(0).random((6, 2), dtype=np.float32)


def run(tmp_path, url, *more):
    """The command line on a described endpoint."""
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "e.toml").write_text(
        f"""
        url = "{url}"
        access = "probabilities"
        input_shape = [2]
        n_classes = 3
        request = {{ body = '{{"data": $rows}}' }}
        answer = {{ scores = "p" }}
        transport = {{ attempts = 2, first_wait_s = 0.01 }}
        """
    )
    arguments = ["measure", str(tmp_path / "e.toml"), str(tmp_path / "x.npy"), "--no-progress"]
    output = ["--no-report", "--output", str(tmp_path / "out")]
    return CliRunner().invoke(main, [*arguments, *output, *more])


@pytest.mark.parametrize("fault", ["refused", "e401", "e503"])
@pytest.mark.parametrize("more", [(), ("--no-behaviour",)])
def test_without_an_answer_no_folder_is_left(tmp_path, fault_url, fault, more):
    """The error comes first, then what was sent."""
    url = f"http://127.0.0.1:{free_port()}/p" if fault == "refused" else f"{fault_url}/{fault}"
    done = run(tmp_path, url, *more)
    assert done.exit_code == 4
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Measuring ")]
    assert lines[0].startswith("Error: POST ")
    assert "Nothing was answered" in lines[1]
    assert " sent" in lines[1]
    assert not (tmp_path / "out").exists()


def test_a_wrong_answer_was_paid_for(tmp_path, fault_url):
    """The folder keeps the account of what was sent."""
    done = run(tmp_path, f"{fault_url}/short-row", "--no-behaviour")
    assert done.exit_code == 4
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Measuring ")]
    assert lines[0].startswith("Error: ")
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["account"]["sent"] == 1


def test_a_folder_that_was_there_keeps_what_it_held(tmp_path):
    """Nothing of an earlier run is lost to a server that is gone."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    done = run(tmp_path, f"http://127.0.0.1:{free_port()}/p")
    assert done.exit_code == 4
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
