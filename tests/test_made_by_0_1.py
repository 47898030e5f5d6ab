"""What 0.1 wrote (commit 4a930a1) can be read, and is not gone on with.

``made_by_0_1`` holds a run of 60 queries on six rows, its ledger, its inputs and its model.
"""

import csv
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import Distances, InvalidInput, LedgerError, measure
from blackbox_boundary.cli import main
from blackbox_boundary.wrappers import CountingPredictor, LedgerPredictor, ReplayPredictor

HERE = Path(__file__).parent / "made_by_0_1"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of the folder, in which the model can be imported."""
    shutil.copytree(HERE, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    monkeypatch.syspath_prepend(str(tmp_path / "old"))
    return tmp_path / "old"


def plane():
    """The model that was measured, with a count of what it is asked."""
    spec = importlib.util.spec_from_file_location("plane_of_0_1", HERE / "plane.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return CountingPredictor(module.make())


def test_its_ledger_is_shown_verified_exported_and_replayed(old):
    """All that reads a ledger reads it; the replay's answers are the model's."""
    for command in (
        ["show", "ledger.db", "--json"],
        ["verify", "ledger.db"],
        ["export", "ledger.db", "l.csv"],
    ):
        done = CliRunner().invoke(main, ["ledger", *command])
        assert done.exit_code == 0, done.output
    with (old / "l.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 60
    assert all(line["outcome"] == "answered" for line in lines)
    x = np.load(old / "x.npy")
    with ReplayPredictor(old / "ledger.db") as replay:
        assert np.array_equal(replay.predict(x).scores, plane().predict(x).scores)


def test_its_results_are_loaded_and_reported(old):
    """The table, the flip points and the facts; the report is written from them."""
    found = Distances.load(old / "run" / "results.npz")
    assert len(found) == 6
    assert found.run == json.loads((old / "run" / "run.json").read_text())
    pytest.importorskip("jinja2")
    from blackbox_boundary.report import write_report

    write_report(found, old / "report.html", x=np.load(old / "x.npy"))
    assert "plane:make" in (old / "report.html").read_text()


@pytest.mark.parametrize("way", ["--ledger", "--resume"])
def test_a_run_does_not_go_on_with_it(old, way):
    """The command line refuses before any query, with the reason and the two ways on."""
    arguments = ["measure", "plane:make", "x.npy", "--no-progress", "--no-report"]
    arguments += {
        "--ledger": ["--ledger", "ledger.db", "--output", "new"],
        "--resume": ["--output", "run", "--resume"],
    }[way]
    before = (old / "ledger.db").read_bytes(), (old / "run" / "results.npz").read_bytes()
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 3
    said = " ".join(done.output.split())
    for part in ("0.1", "Nothing was sent", "begin a new", "==0.1.*"):
        assert part in said
    assert before == ((old / "ledger.db").read_bytes(), (old / "run" / "results.npz").read_bytes())
    assert not (old / "new").exists()


def test_nor_does_python(old):
    """measure(resume=...) and LedgerPredictor refuse, and the model is not asked."""
    model, x = plane(), np.load(old / "x.npy")
    with pytest.raises(InvalidInput, match="begin a new run"):
        measure(model, x, resume=Distances.load(old / "run" / "results.npz"))
    with pytest.raises(LedgerError, match="begin a new ledger"):
        LedgerPredictor(model, old / "ledger.db", fingerprint="plane")
    assert model.n_predictions == 0


def test_columns_of_a_later_version_are_left_out(old):
    """A file with a column more than this version knows is read as without it."""
    stored = dict(np.load(old / "run" / "results.npz"))
    np.savez(old / "later.npz", **stored, of_a_later_version=np.zeros(6))
    later, now = (Distances.load(old / name) for name in ("later.npz", "run/results.npz"))
    assert np.array_equal(later.hi, now.hi)
    assert later.run == now.run
