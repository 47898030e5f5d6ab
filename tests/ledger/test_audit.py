"""A ledger that was edited is noticed; what it holds can be read, exported and replayed."""

import csv
import sqlite3
from contextlib import closing

import numpy as np
import pyarrow.parquet as pq
import pytest

from blackbox_boundary import Differentiable, LedgerError, TranscriptMismatch
from blackbox_boundary.ledger import export_csv, export_parquet, summarise, verify
from blackbox_boundary.ledger.records import content_keys
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from .models import Linear, Oblivious, rows


@pytest.fixture
def path(tmp_path):
    """A ledger of two runs: five predictions, two gradients, one failed row."""
    path, model = tmp_path / "l.db", Linear()
    with LedgerPredictor(model, path, rows_per_call=3) as ledger:
        ledger.predict(rows(0, 1, 2, 3, 0))
        ledger.vjp(rows(0, 1), np.eye(3)[:2])
    with LedgerPredictor(model, path) as ledger:
        model.predict = lambda x: 1 / 0
        with pytest.raises(ZeroDivisionError):
            ledger.predict(rows(9))
        del model.predict
        ledger.predict(rows(0, 4))
    return path


EDITS = [
    "UPDATE log SET data = substr(data, 1, length(data) - 1) || x'07' WHERE id = 3",
    "UPDATE log SET data = CAST(substr(data, 1, length(data) - 1) || x'07' AS BLOB) WHERE id = 3",
    "UPDATE log SET at = at + 1 WHERE id = 2",
    "UPDATE log SET event = 4 WHERE id = 5",
    "UPDATE log SET run = 1 WHERE id = 9",
    "UPDATE log SET form = 'gradients' WHERE id = 2",
    "DELETE FROM log WHERE id = 5",
    "UPDATE log SET id = id + 1000 WHERE id = (SELECT max(id) FROM log)",
    "INSERT INTO log SELECT max(id) + 1, 6, 1, 0.0, 0, 0, '', x'00', x'' FROM log",
    "UPDATE model SET card = replace(card, '9.0', '8.0')",
    "INSERT INTO in_flight VALUES (2, 1)",
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_noticed(path, edit):
    """Any change to any entry, to the model card or to the list of what is in flight."""
    verify(path)
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(edit).rowcount
    with pytest.raises(LedgerError, match=r"was changed|damaged"):
        verify(path)


def test_a_known_head_proves_the_past(path):
    """Cutting off the end is noticed by whoever noted the head; going on is fine."""
    head = summarise(path).head
    with LedgerPredictor(Linear(), path) as ledger:
        ledger.predict(rows(77))
        middle = ledger.head
    assert verify(path, head=head).head != head
    verify(path, head=middle)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM log WHERE id > 14")
    verify(path)
    with pytest.raises(LedgerError, match="does not contain the head"):
        verify(path, head=middle)


def test_a_damaged_page_is_noticed(path):
    """Bytes overwritten on the disk."""
    data = bytearray(path.read_bytes())
    data[-2000:-1500] = bytes(500)
    path.write_bytes(bytes(data))
    with pytest.raises(LedgerError, match=r"damaged|changed"):
        verify(path)


def test_the_counts_add_up(path):
    """Every row asked is accounted for."""
    report = summarise(path)
    assert (
        report.n_asked,
        report.n_answered,
        report.n_failed,
        report.n_lost,
        report.n_in_flight,
    ) == (8, 7, 1, 0, 0)
    assert (report.n_calls, report.n_gradients) == (5, 2)
    assert [(run.closed_at is not None, run.is_alive) for run in report.runs] == [(True, False)] * 2
    with LedgerPredictor(Linear(), path):
        assert summarise(path).runs[-1].is_alive
        verify(path)


def test_exports_agree_with_the_model(path, tmp_path):
    """CSV and Parquet hold one line a row asked, with its key and the bits of its answer."""
    assert export_csv(path, tmp_path / "l.csv") == export_parquet(path, tmp_path / "l.parquet") == 8
    with (tmp_path / "l.csv").open() as file:
        lines = list(csv.DictReader(file))
    table = pq.read_table(tmp_path / "l.parquet").to_pylist()
    x = rows(0, 1, 2, 3)
    expected = Linear().predict(x)
    for i in range(4):
        assert lines[i]["key"] == table[i]["key"] == content_keys(x[i : i + 1]).tobytes().hex()
        assert int(lines[i]["label"]) == table[i]["label"] == expected.label[i]
        assert np.array_equal(
            np.array([lines[i][f"score_{k}"] for k in range(3)], np.float32), expected.scores[i]
        )
        assert np.array_equal(np.array(table[i]["scores"], np.float32), expected.scores[i])
    assert (
        [line["outcome"] for line in lines]
        == [row["outcome"] for row in table]
        == ["answered"] * 6 + ["failed", "answered"]
    )
    assert [row["kind"] for row in table] == ["predictions"] * 4 + ["gradients"] * 2 + [
        "predictions"
    ] * 2
    assert lines[6]["answered_at"] == lines[6]["label"] == ""
    assert all(row["asked_at"] <= row["answered_at"] for row in table if row["answered_at"])


def test_a_replay_needs_no_model(path):
    """A replay gives recorded answers to the bit, knows its model, and refuses other questions."""
    before, x, v = path.read_bytes(), rows(3, 0, 0), np.eye(3)[:2]
    with ReplayPredictor(path) as replay:
        model = Linear()
        for name in ("access", "input_shape", "n_classes", "bounds", "fingerprint"):
            assert getattr(replay, name) == getattr(model, name)
        assert isinstance(replay, Differentiable)
        np.testing.assert_array_equal(
            replay.predict(x).scores, model.predict(x).scores, strict=True
        )
        np.testing.assert_array_equal(
            replay.vjp(rows(0, 1), v), model.vjp(rows(0, 1), v), strict=True
        )
        assert replay.predict(x[:0]).scores.shape == (0, 3)
        with pytest.raises(
            TranscriptMismatch, match="1 of 2 rows of a predict, the first is row 1"
        ):
            replay.predict(rows(0, 9))
        with pytest.raises(TranscriptMismatch):
            replay.vjp(rows(0, 1), v[::-1])
    assert path.read_bytes() == before


def test_a_replay_of_labels_has_no_gradients(tmp_path):
    """It has what the model had."""
    with LedgerPredictor(Oblivious(), tmp_path / "l.db") as ledger:
        expected = ledger.predict(rows(1, 2)).label
    with ReplayPredictor(tmp_path / "l.db") as replay:
        assert not isinstance(replay, Differentiable)
        assert replay.predict(rows(1, 2)).label.tolist() == expected.tolist()
