"""``ledger show``, ``verify``, ``export``: data on standard output, messages on standard error."""

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from blackbox_boundary import Access, BudgetExhausted, InvalidInput, LedgerError, Prediction
from blackbox_boundary.cli.ledger import ledger
from blackbox_boundary.wrappers import Allowance, BudgetPredictor, LedgerPredictor


class Model:
    """Two labels of one number."""

    access, input_shape, n_classes, bounds, fingerprint = Access.LABEL, (1,), 2, None, "two-labels"

    def predict(self, x):
        return Prediction((x[:, 0] > 0).astype(np.intp))


@pytest.fixture
def path(tmp_path):
    """A ledger of three answers."""
    with LedgerPredictor(Model(), tmp_path / "l.db") as recorded:
        recorded.predict(np.array([[1.0], [-1.0], [0.0]]))
    return str(tmp_path / "l.db")


def run(*arguments):
    """The command's result; an error of ours is raised."""
    result = CliRunner().invoke(ledger, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_show(path):
    """Text for people, JSON for programs."""
    text = run("show", path).stdout
    assert "two-labels" in text
    assert "3 rows in 1 calls" in text
    facts = json.loads(run("show", path, "--json").stdout)
    assert (facts["n_asked"], facts["n_answered"], facts["model"]["access"]) == (3, 3, "LABEL")


def test_verify(path):
    """An honest ledger passes, with its head too; another head and an edit fail with a message."""
    head = json.loads(run("verify", path, "--json").stdout)["head"]
    assert "and the head is among them" in run("verify", path, "--head", head).stderr
    with pytest.raises(LedgerError, match="does not contain the head"):
        run("verify", path, "--head", "00")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE log SET at = 0")
    with pytest.raises(LedgerError, match="chain breaks at entry 1"):
        run("verify", path)


def test_export(path, tmp_path):
    """By the file's ending, or as told."""
    assert "3 rows" in run("export", path, str(tmp_path / "a.csv")).stderr
    run("export", path, str(tmp_path / "a.parquet"))
    run("export", path, str(tmp_path / "a.txt"), "--format", "csv")
    with (tmp_path / "a.csv").open() as file:
        assert [line["label"] for line in csv.DictReader(file)] == ["1", "0", "0"]
    assert pq.read_table(tmp_path / "a.parquet")["label"].to_pylist() == [1, 0, 0]
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "a.csv").read_bytes()
    for bad in (str(tmp_path / "a.txt"), str(tmp_path / "none" / "a.csv")):
        with pytest.raises(ValueError, match=r"must end in|cannot be written"):
            run("export", path, bad)


def test_an_export_never_replaces_the_ledger(path):
    """Under whatever name: the answers were paid for."""
    before = Path(path).read_bytes()
    other = Path(path).with_name("link.csv")
    other.symlink_to(path)
    for output in (path, str(other)):
        with pytest.raises(InvalidInput, match="another file than LEDGER"):
            run("export", path, output, "--format", "csv")
    assert Path(path).read_bytes() == before


def test_rows_that_a_limit_held_back_are_counted_apart(tmp_path):
    """Rows asked less those limited are the rows that the model received."""
    model, path, received = Model(), str(tmp_path / "l.db"), []
    predict = model.predict
    model.predict = lambda x: received.extend(x) or predict(x)
    limited = BudgetPredictor(model, Allowance(max_queries=3))
    with LedgerPredictor(limited, path, fingerprint="two-labels") as recorded:
        recorded.predict(np.array([[1.0], [-1.0]]))
        with pytest.raises(BudgetExhausted):
            recorded.predict(np.array([[2.0], [-2.0]]))
    facts = json.loads(run("show", path, "--json").stdout)
    assert (facts["n_failed"], facts["n_limited"]) == (0, 2)
    assert facts["n_asked"] - facts["n_limited"] == len(received) == 2
    run("export", path, str(tmp_path / "a.csv"))
    with (tmp_path / "a.csv").open() as file:
        outcomes = [line["outcome"] for line in csv.DictReader(file)]
    assert outcomes == ["answered", "answered", "limited", "limited"]
