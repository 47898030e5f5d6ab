"""``measure --workers`` on the command line."""

import json
import shutil

import pytest
from click.testing import CliRunner

from blackbox_boundary import datasets
from blackbox_boundary.cli import main
from blackbox_boundary.ledger import verify

MODEL = str(datasets.digits_model())
COMMON = ["--access", "logits", "--bounds", "0,1", "--no-progress", "--no-report"]


def run(*typed):
    """The command's outcome; anything but our own errors is raised."""
    return CliRunner().invoke(main, list(map(str, typed)), catch_exceptions=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two workers with a ledger and a limit that ends some rows, then without; one process."""
    folder = tmp_path_factory.mktemp("runs")
    rows = ["--rows", "10:50", "--shards", 3]
    found = run("measure", MODEL, "digits", *COMMON, *rows, "--output", folder / "one")
    assert found.exit_code == 0, found.output
    typed = ["--workers", 2, "--output", folder / "two", "--ledger", folder / "all.db"]
    outcomes = [
        run("measure", MODEL, "digits", *COMMON, *rows, *typed, *more)
        for more in (["--max-queries", 100], [], [])
    ]
    return folder, outcomes


def test_the_tables_are_those_of_one_process(runs):
    """Byte for byte; the run says what its workers were."""
    folder, outcomes = runs
    assert [found.exit_code for found in outcomes] == [5, 0, 0], outcomes[0].output
    one, two = (folder / name / "results.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    facts = json.loads((folder / "two" / "run.json").read_text())
    assert facts["workers"]["number"] == 2
    assert facts["n_shards"] == 3


def test_the_same_command_goes_on(runs):
    """The first run says so; the last one sends nothing, and all that was sent is in the ledger."""
    folder, outcomes = runs
    said = "go on with the same command, with a larger --max-queries where that was reached\n"
    assert said in outcomes[0].stderr
    sent = [outcome.stderr.split(" sent in ")[0].split(", ")[-1] for outcome in outcomes]
    assert sent[1] == sent[2]
    report = verify(folder / "all.db")
    assert f"{report.n_answered:,}" == sent[2].split(" ")[0]


def test_one_process_does_not_mix_with_workers(runs, tmp_path):
    """The next run of workers would replace its rows; --overwrite begins anew."""
    folder, _ = runs
    shutil.copytree(folder / "two", tmp_path / "two")
    typed = ["measure", MODEL, "digits", *COMMON, "--rows", "10:12", "--output", tmp_path / "two"]
    (tmp_path / "two" / "results.npz").unlink()  # as if the run had been killed
    for more in ([], ["--resume"]):
        found = run(*typed, *more)
        assert (found.exit_code, "holds a run of workers" in found.stderr) == (3, True)
    assert run(*typed, "--overwrite", "--dry-run").exit_code == 0
    assert (tmp_path / "two" / "shards").exists()
    assert run(*typed, "--overwrite").exit_code == 0
    assert not (tmp_path / "two" / "shards").exists()


@pytest.mark.parametrize(
    ("typed", "code", "match"),
    [
        (["--shard", "1/2", "--shards", 2], 2, "leave --shards out"),
        (["--threads", 2], 2, "needs --workers"),
        (["--workers", 2], 2, "need --output"),
        (["--cluster"], 2, "need --output"),
        (["--worker-gpus", 1], 2, "needs --cluster"),
        (["--workers", 2, "--output", "out", "--shard", "1/2"], 2, "leave --shard out"),
        (["--workers", 2, "--output", "out", "--behaviour"], 2, "of endpoints"),
        (["--workers", 2, "--output", "out", "--shards", 99], 3, "shards"),
    ],
)
def test_options_that_do_not_fit(typed, code, match, tmp_path, monkeypatch):
    """Each is named; no folder is left."""
    monkeypatch.chdir(tmp_path)
    found = run("measure", MODEL, "digits", "--rows", 40, *COMMON, *typed)
    assert (found.exit_code, match in found.stderr) == (code, True), found.output
    assert not (tmp_path / "out").exists()
