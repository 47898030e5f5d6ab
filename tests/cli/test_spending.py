"""``measure`` with a ledger and limits: recorded, repeated at no cost, ended with a status."""

import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import Distances
from blackbox_boundary.cli import main
from blackbox_boundary.ledger import verify


@pytest.fixture
def measured(tmp_path):
    """Runs the embedded example's first twenty rows; its exit code, facts and distances."""

    def run(name, *options):
        folder = tmp_path / name
        command = [
            "measure",
            "--rows",
            "20",
            "--no-report",
            "--no-progress",
            "--output",
            str(folder),
            *options,
        ]
        result = CliRunner().invoke(main, command, catch_exceptions=False)
        facts = (
            json.loads((folder / "run.json").read_text())
            if (folder / "run.json").exists()
            else None
        )
        return result, facts, Distances.load(folder / "results.npz") if facts else None

    return run


def test_recorded_and_repeated(measured, tmp_path):
    """The second run sends nothing, costs nothing, agrees with the first, and proves the record."""
    ledger = [
        "--ledger",
        str(tmp_path / "l.db"),
        "--price-per-query",
        "0.5",
        "--price-per-request",
        "2",
    ]
    result, facts, first = measured("a", *ledger)
    assert result.exit_code == 0
    assert facts["cost"] == 0.5 * facts["sent"]["queries"] + 2 * facts["sent"]["requests"] > 0
    assert facts["sent"]["queries"] <= facts["n_queries"]
    result, again, second = measured("b", *ledger)
    assert result.exit_code == 0
    assert again["sent"]["queries"] == again["sent"]["requests"] == again["cost"] == 0
    np.testing.assert_array_equal(first.l2, second.l2)
    verify(tmp_path / "l.db", head=facts["ledger"]["head"])


def test_rows_that_a_killed_run_had_in_flight_are_told(measured, tmp_path):
    """A run that dies between asking and recording leaves rows; the next one says how many."""
    dying = (
        "import os, sys; from blackbox_boundary.wrappers.ledger import LedgerPredictor; "
        "from blackbox_boundary.cli import main; "
        "LedgerPredictor._predicted = lambda *_: os._exit(9); main(sys.argv[1:])"
    )
    ledger = ["--ledger", str(tmp_path / "l.db")]
    command = [
        "measure",
        "--rows",
        "20",
        "--no-report",
        "--output",
        str(tmp_path / "dead"),
        *ledger,
    ]
    assert (
        subprocess.run(
            [sys.executable, "-c", dying, *command], check=False, capture_output=True
        ).returncode
        == 9
    )
    result, facts, _ = measured("a", *ledger)
    assert facts["ledger"]["rows_lost"] == 20
    assert "20 rows were in flight when an earlier run with this ledger died" in result.stderr
    result, _, _ = measured("b", *ledger)
    assert "in flight" not in result.stderr


def test_a_limit_ends_the_run(measured):
    """Exit code 5, a status a row, and no request beyond the limit."""
    result, facts, distances = measured("a", "--max-requests", "3")
    assert result.exit_code == 5
    assert facts["sent"]["requests"] == 3
    assert "OUT_OF_BUDGET" in distances.count_by_status()
    result, facts, distances = measured("b", "--max-seconds", "0")
    assert result.exit_code == 5
    assert facts["sent"]["requests"] == 0
    assert distances.count_by_status() == {"OUT_OF_BUDGET": 20}


def test_a_bad_ledger_is_said_before_anything_is_sent(measured, tmp_path):
    """Exit code 3, one message."""
    (tmp_path / "text.db").write_text("not a ledger" * 1000)
    result, facts, _ = measured("a", "--ledger", str(tmp_path / "text.db"))
    assert result.exit_code == 3
    assert "is not a ledger" in result.stderr
    assert facts is None
