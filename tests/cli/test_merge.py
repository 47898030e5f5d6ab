"""``measure --shard`` and ``merge`` on the command line, with ledgers."""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import LedgerError, datasets
from blackbox_boundary.cli import main
from blackbox_boundary.ledger import summarise, verify
from blackbox_boundary.ledger.merging import MERGED, merge_ledgers
from blackbox_boundary.ledger.reader import LedgerReader

MODEL = str(datasets.digits_model())
COMMON = ["--access", "logits", "--bounds", "0,1", "--no-progress", "--no-report"]
ROWS = ["--rows", "10:50"]


def run(*typed):
    """The command's outcome; anything but our own errors is raised."""
    return CliRunner().invoke(main, list(map(str, typed)), catch_exceptions=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three shards with their ledgers, and the whole run."""
    folder = tmp_path_factory.mktemp("runs")
    for k in (1, 2, 3):
        typed = ["--shard", f"{k}/3", "--output", folder / f"p{k}", "--ledger", folder / f"{k}.db"]
        found = run("measure", MODEL, "digits", *COMMON, *ROWS, *typed)
        assert found.exit_code == 0, found.output
    found = run("measure", MODEL, "digits", *COMMON, *ROWS, "--output", folder / "whole")
    assert found.exit_code == 0, found.output
    return folder


def test_merged_tables_are_those_of_the_whole_run(runs, tmp_path):
    """Byte for byte, in whatever order the parts are given; the account is the sum."""
    parts = [runs / "p3", runs / "p1", runs / "p2"]
    found = run("merge", *parts, "--output", tmp_path / "m", "--ledger", tmp_path / "m.db")
    assert found.exit_code == 0, found.output
    whole, merged = (path / "results.csv" for path in (runs / "whole", tmp_path / "m"))
    assert merged.read_bytes() == whole.read_bytes()
    facts = json.loads((tmp_path / "m" / "run.json").read_text())
    sent = [json.loads((part / "run.json").read_text())["account"]["sent"] for part in parts]
    assert facts["account"]["sent"] == sum(sent)
    assert [part["shard"] for part in facts["merged"]] == ["1/3", "2/3", "3/3"]
    with (
        np.load(tmp_path / "m" / "results.npz") as one,
        np.load(runs / "whole" / "results.npz") as other,
    ):
        assert set(one.files) == set(other.files)
        for name in set(one.files) - {"run"}:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_merged_ledger_holds_all_entries_under_a_new_chain(runs, tmp_path):
    """Its first entry lists the heads of the parts, and all answers are found."""
    ledgers = [runs / f"{k}.db" for k in (1, 2, 3)]
    assert merge_ledgers(ledgers, tmp_path / "m.db") == 0
    report, parts = verify(tmp_path / "m.db"), [summarise(ledger) for ledger in ledgers]
    assert report.n_entries == 1 + sum(part.n_entries for part in parts)
    for name in ("n_asked", "n_answered", "n_gradients", "n_calls"):
        assert getattr(report, name) == sum(getattr(part, name) for part in parts)
    with LedgerReader(tmp_path / "m.db") as merged:
        assert [part["head"] for part in merged.noted(MERGED)] == [part.head for part in parts]
        assert len(merged) == sum(part.n_answered for part in parts)


def test_a_run_with_the_merged_ledger_sends_nothing(runs, tmp_path):
    """Every answer of the shards is in it."""
    merge_ledgers([runs / f"{k}.db" for k in (1, 2, 3)], tmp_path / "m.db")
    typed = ["--output", tmp_path / "again", "--ledger", tmp_path / "m.db"]
    found = run("measure", MODEL, "digits", *COMMON, *ROWS, *typed, "--max-queries", 0)
    assert found.exit_code == 0, found.output
    table = (tmp_path / "again" / "results.csv").read_bytes()
    assert table == (runs / "whole" / "results.csv").read_bytes()


def test_a_changed_ledger_is_not_merged(runs, tmp_path):
    """Its chain breaks, and nothing is written."""
    shutil.copy(runs / "1.db", tmp_path / "1.db")
    with sqlite3.connect(tmp_path / "1.db") as db:
        db.execute("UPDATE log SET at = at + 1 WHERE id = 3")
    parts = [runs / f"p{k}" for k in (1, 2, 3)]
    found = run("merge", *parts, "--output", tmp_path / "m", "--ledger", runs / "1.db")
    assert found.exit_code == 3
    assert not (tmp_path / "m").exists()
    assert "exists already" in found.stderr
    with pytest.raises(LedgerError, match="breaks at entry 3"):
        merge_ledgers([tmp_path / "1.db", runs / "2.db"], tmp_path / "m.db")
    assert not list(tmp_path.glob("*m.db*"))


def test_what_is_missing_is_said_before_anything_is_written(runs, tmp_path):
    """A shard, a ledger; exit code 3, no folder."""
    found = run("merge", runs / "p1", runs / "p3", "--output", tmp_path / "m")
    assert (found.exit_code, "missing: 2" in found.stderr) == (3, True)
    found = run("merge", runs / "whole", "--output", tmp_path / "m")
    assert "not a shard" in found.stderr
    (tmp_path / "none").mkdir()
    found = run("merge", runs / "p1", tmp_path / "none", "--output", tmp_path / "m")
    assert (found.exit_code, 'none" holds no run' in found.stderr) == (3, True)
    parts, ledger = [runs / f"p{k}" for k in (1, 2, 3)], tmp_path / "no folder" / "m.db"
    found = run("merge", *parts, "--output", tmp_path / "m", "--ledger", ledger)
    assert (found.exit_code, f'"{ledger}" cannot be opened' in found.stderr) == (3, True)
    assert not (tmp_path / "m").exists()


def test_a_shard_is_not_replaced_by_the_whole(runs, tmp_path):
    """Its folder is refused as output, under any name; another run's needs --overwrite."""
    for k in (1, 2, 3):
        shutil.copytree(runs / f"p{k}", tmp_path / f"p{k}")
    (tmp_path / "link").symlink_to(tmp_path / "p1")
    parts = [tmp_path / f"p{k}" for k in (1, 2, 3)]
    for output in (parts[0], tmp_path / "p2" / ".." / "p1", tmp_path / "link"):
        found = run("merge", *parts, "--output", output, "--overwrite")
        assert (found.exit_code, "would replace the results of the shard" in found.stderr) == (
            3,
            True,
        )
    for name in ("results.csv", "results.npz", "run.json"):
        assert (parts[0] / name).read_bytes() == (runs / "p1" / name).read_bytes()
    found = run("merge", *parts, "--output", runs / "whole")
    assert found.exit_code == 3
    assert "--overwrite" in found.stderr
    assert "--resume" not in found.stderr


def test_flip_points_that_one_shard_did_not_keep(runs, tmp_path):
    """The whole has none, and the message names the shard."""
    typed = ["--shard", "3/3", "--no-flip-points", "--output", tmp_path / "p3"]
    assert run("measure", MODEL, "digits", *COMMON, *ROWS, *typed).exit_code == 0
    found = run("merge", runs / "p1", runs / "p2", tmp_path / "p3", "--output", tmp_path / "m")
    assert found.exit_code == 0, found.output
    assert f'"{tmp_path / "p3"}" kept no flip points' in found.stderr
    with np.load(tmp_path / "m" / "results.npz") as stored:
        assert "flip_points" not in stored.files


def test_a_shard_is_not_resumed_as_another(runs, tmp_path):
    """Its rows would pass for those of the other; exit code 3, and the folder stays as it is."""
    shutil.copytree(runs / "p2", tmp_path / "p2")
    typed = ["--shard", "3/3", "--output", tmp_path / "p2", "--resume"]
    found = run("measure", MODEL, "digits", *COMMON, *ROWS, *typed)
    assert (found.exit_code, "holds shard 2/3" in found.stderr) == (3, True)
    stored = json.loads((tmp_path / "p2" / "run.json").read_text())
    assert stored["shard"]["number"] == 2
    typed[3] = tmp_path / "none"
    found = run("measure", MODEL, "digits", *COMMON, *ROWS, *typed)
    assert (found.exit_code, "leave --resume out" in found.stderr) == (3, True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "a", "1/2000"])
def test_a_shard_that_there_is_not(text, tmp_path):
    """Nothing is measured, and no folder is left."""
    typed = ["--shard", text, "--output", tmp_path / "out"]
    found = run("measure", MODEL, "digits", *COMMON, *ROWS, *typed)
    assert found.exit_code == 3, found.output
    assert not (tmp_path / "out").exists()
