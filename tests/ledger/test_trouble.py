"""Wrong files, read-only and full disks, torn writes: one message each, the ledger unchanged."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing

import numpy as np
import pytest

from blackbox_boundary import LedgerError, Prediction
from blackbox_boundary.ledger import summarise, verify
from blackbox_boundary.ledger.database import FORMAT
from blackbox_boundary.wrappers.ledger import LedgerPredictor
from blackbox_boundary.wrappers.replay import ReplayPredictor

from .models import Linear, Oblivious, rows


@pytest.fixture
def path(tmp_path):
    """A ledger with three answers."""
    with LedgerPredictor(Linear(), tmp_path / "l.db") as ledger:
        ledger.predict(rows(0, 1, 2))
    return tmp_path / "l.db"


def digest(path):
    """Of the file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refuse(path, match, model=None):
    """Every way to open the file gives the message, and leaves its bytes alone."""
    before = digest(path) if path.is_file() else None
    with pytest.raises(LedgerError, match=match):
        LedgerPredictor(model or Linear(), path)
    if model is None:
        for read in (ReplayPredictor, summarise, verify):
            with pytest.raises(LedgerError, match=match):
                read(path)
    assert before is None or digest(path) == before


def test_a_ledger_of_another_model(path):
    """The fingerprint, and what the answers look like, must be the same."""
    refuse(
        path,
        "belongs to another model: its fingerprint is linear, this model has oblivious",
        Oblivious(),
    )
    wider = Linear()
    wider.n_classes = 4
    refuse(path, "n_classes is 3, this model has 4", wider)


def test_a_ledger_from_a_newer_version(path):
    """It is refused before anything in it is interpreted."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    refuse(path, r"newer version \(format 3; this one knows 2\)")


@pytest.mark.parametrize("reader", ["again", "replay", "while open"])
def test_a_changed_answer_is_not_handed_out(path, reader):
    """An answer that no longer fits the chain ends the reading, whenever it was changed."""
    first = np.ascontiguousarray(Linear().predict(rows(1)).scores)

    def change():
        with closing(sqlite3.connect(path)) as db, db:
            (data,) = db.execute("SELECT data FROM log WHERE event = 3").fetchone()
            assert first.tobytes() in data
            changed = data.replace(first.tobytes(), (-first).tobytes())
            db.execute("UPDATE log SET data = ? WHERE event = 3", (changed,))

    if reader == "while open":
        with ReplayPredictor(path) as replay:
            change()
            with pytest.raises(LedgerError, match="chain breaks at entry"):
                replay.predict(rows(1))
        return
    change()
    with pytest.raises(LedgerError, match="chain breaks at entry"):
        LedgerPredictor(Linear(), path) if reader == "again" else ReplayPredictor(path)


def test_a_ledger_has_one_name(path, tmp_path):
    """Hard links are refused: the log and the locks beside one name are not seen under another."""
    os.link(path, tmp_path / "other.db")
    with pytest.raises(LedgerError, match="hard links"):
        LedgerPredictor(Linear(), tmp_path / "other.db")


def test_other_files(tmp_path):
    """A text file, another program's database, a folder."""
    (tmp_path / "text").write_text("call,row,kind\n" * 300)
    refuse(tmp_path / "text", "is not a ledger")
    with closing(sqlite3.connect(tmp_path / "other")) as db, db:
        db.execute("CREATE TABLE log (id INTEGER)")
    refuse(tmp_path / "other", "a database, but not a ledger")
    with pytest.raises(LedgerError, match="cannot be opened"):
        LedgerPredictor(Linear(), tmp_path)
    with pytest.raises(LedgerError, match="cannot be opened"):
        LedgerPredictor(Linear(), tmp_path / "no" / "folder")
    with pytest.raises(LedgerError, match="There is no ledger"):
        ReplayPredictor(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_damaged_ledger(path):
    """Pages full of zeros are told as damage, by reading or at the latest by verify."""
    data = path.read_bytes()
    path.write_bytes(data[:1024] + bytes(len(data) - 1024))
    refuse(path, "damaged")


def test_a_truncated_ledger(path):
    """So is a copy that broke off."""
    path.write_bytes(path.read_bytes()[:3000])
    refuse(path, "damaged")


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded.*:DeprecationWarning"
)  # the very thing that users do
def test_a_forked_child_is_refused(path):
    """SQLite's locks do not survive a fork: the child must open the ledger itself."""
    with LedgerPredictor(Linear(), path) as ledger:
        child = os.fork()
        if not child:
            try:
                ledger.predict(rows(50))
            except LedgerError as error:
                os._exit(17 if "opened by the parent" in str(error) else 1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
        ledger.predict(rows(51))
    verify(path)


def test_a_power_cut_leaves_what_was_committed(path, tmp_path):
    """A write-ahead log torn anywhere leaves a valid past: entries up to a moment, unchanged."""
    work = tmp_path / "cut"
    heads, answered = [summarise(path).head], []
    with LedgerPredictor(Linear(), path, rows_per_call=2) as ledger:
        heads.append(ledger.head)
        for number in range(10, 22):
            ledger.predict(rows(number))
            heads.append(ledger.head)
            answered.append(path.with_name("l.db-wal").stat().st_size)
        database, log = path.read_bytes(), path.with_name("l.db-wal").read_bytes()
    random = np.random.default_rng(0)
    for cut in [0, 1, *random.integers(0, len(log), 40), *answered]:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        (work / "l.db").write_bytes(database)
        (work / "l.db-wal").write_bytes(log[:cut] + random.bytes(int(random.integers(0, 2000))))
        with LedgerPredictor(model := Linear(), work / "l.db") as ledger:
            ledger.predict(rows(*range(10, 22)))
        report = verify(work / "l.db", head=heads[0])
        assert report.n_answered == 15
        survived = sum(size <= cut for size in answered)
        assert len(model.sent) <= 12 - survived, (
            "an answer whose transaction was on the disk was lost"
        )


def test_every_commit_is_flushed(path):
    """A power cut takes nothing that was committed only if SQLite is told to wait for the disk."""
    with LedgerPredictor(Linear(), path) as ledger:
        assert ledger._store._db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert ledger._store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes in memory; skipped where one may not be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if not done or done.returncode:
        pytest.skip("this user may not mount a small tmpfs")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


class Wide(Oblivious):
    """Answers of eight kilobytes."""

    n_classes, fingerprint = 1000, "wide"
    access = Linear.access

    def predict(self, x):
        self.n_sent += len(x)
        return Prediction.from_scores(x[:, :1] + np.arange(1000.0))


def ask_until_refused(ledger, number):
    """Ask eight new rows at a time until the ledger refuses; its message."""
    while True:
        try:
            ledger.predict(rows(*range(number, number + 8)))
        except LedgerError as error:
            return str(error)
        number += 8


def take_all_room(path):
    """Write until the disk is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_loses_no_answer(small_disk):
    """The next call is refused unsent, all answers are recorded, and the run resumes with room."""
    with LedgerPredictor(model := Wide(), small_disk / "l.db", rows_per_call=8) as ledger:
        assert "disk is full" in ask_until_refused(ledger, 0)
    report = verify(small_disk / "l.db")
    assert report.n_answered == report.n_asked == model.n_sent > 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    with LedgerPredictor(again := Wide(), small_disk / "l.db") as ledger:
        ledger.predict(rows(*range(model.n_sent + 8)))
    assert again.n_sent == 8


def test_a_disk_that_fills_during_a_call_loses_no_answer(small_disk):
    """If another program fills the disk during a call, reserved room records the answer."""
    model = Wide()
    answer = model.predict

    def slow(x):
        take_all_room(small_disk / "filler")
        return answer(x)

    with LedgerPredictor(model, small_disk / "l.db") as ledger:
        ledger.predict(rows(1, 2))
        model.predict = slow
        ledger.predict(rows(3, 4, 5, 6))
        model.predict = answer
        assert "disk is full" in ask_until_refused(ledger, 7)
    assert verify(small_disk / "l.db").n_answered == model.n_sent >= 6


def test_a_read_only_disk(small_disk):
    """It can be replayed, shown and verified, and not written."""
    with LedgerPredictor(Linear(), small_disk / "l.db") as ledger:
        expected = ledger.predict(rows(0, 1))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(LedgerError, match="read-only"):
        LedgerPredictor(Linear(), small_disk / "l.db")
    with ReplayPredictor(small_disk / "l.db") as replay:
        np.testing.assert_array_equal(replay.predict(rows(0, 1)).scores, expected.scores)
    assert verify(small_disk / "l.db").n_answered == 2
