"""Shards measured by processes of this machine: equal to one process, whatever happens to them.

What does not depend on a worker being another process is tested with workers in this one, which
cost nothing to start.
"""

import dataclasses
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
import types
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary import (
    CallbackFailed,
    Distances,
    Interrupted,
    InvalidInput,
    LedgerError,
    PredictorError,
    StorageError,
    WorkerLost,
    measure,
)
from blackbox_boundary.ledger import summarise
from blackbox_boundary.measuring import results
from blackbox_boundary.measuring.sharded.dispatch import Dispatch
from blackbox_boundary.measuring.sharded.lock import held
from blackbox_boundary.measuring.sharded.preparation import default_shards, threads_of
from blackbox_boundary.measuring.sharded.shared_rows import MappedRows, shared_rows
from blackbox_boundary.measuring.sharded.work import OpenWork, Outcome
from blackbox_boundary.measuring.spending import Limits
from blackbox_boundary.measuring.workers import measure_with_workers
from blackbox_boundary.testing import Ball, Reference
from blackbox_boundary.wrappers import Prices

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
import worker_model  # noqa: E402

X = np.random.default_rng(0).normal(size=(12, 3))
X[9] = X[0]  # in another shard
MODEL = "worker_model:watched"
SETTINGS = {"estimator": "ray"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The file of the server, empty."""
    monkeypatch.setenv("SERVER", str(tmp_path / "server"))
    return tmp_path / "server"


class WorkerHere:
    """A worker in this process: it measures a shard when it is given one."""

    def __init__(self, packed, board, threads):
        self._packed, self._board = packed, board

    def opened(self):
        """What a worker process does with the packed work."""
        self._work, outcome = OpenWork.opened(pickle.loads(self._packed))
        return self._answered(outcome)

    def submit(self, number):
        """The whole shard, unless the run is to stop."""
        note = self._board.note
        return self._answered(
            self._work.measure(number, lambda rows, queries: note(number, rows, queries))
        )

    def stop(self):
        """As a worker process."""
        self._board.numbers[0] = 1

    def close(self):
        """There is nothing to end."""

    @staticmethod
    def _answered(outcome):
        future = Future()
        future.set_result(outcome)
        return future


def run(tmp_path, model=MODEL, x=X, *, workers=0, **more):
    """Three shards, by processes; by workers in this process where there are to be none."""
    given = {"n_shards": 3, "folder": tmp_path / "run", **SETTINGS, **more}
    with pytest.MonkeyPatch.context() as patch:
        if not workers:
            patch.setattr("blackbox_boundary.measuring.workers._LocalWorker", WorkerHere)
        return measure_with_workers(model, x, workers=workers or 2, **given)


def plain(server, **more):
    """One process with the same shards; what its server received is forgotten."""
    found = measure(worker_model.watched(), X, n_shards=3, **SETTINGS, **more)
    server.unlink()
    return found


def assert_same(one, other):
    """All columns to the bit."""
    for field in dataclasses.fields(Distances):
        if field.name != "run":
            a, b = getattr(one, field.name), getattr(other, field.name)
            assert (a is None) == (b is None), field.name
            if a is not None:
                np.testing.assert_array_equal(a, b, err_msg=field.name)


def test_workers_equal_one_process(tmp_path, server):
    """To the bit; the merged ledger holds all answers, and a repeated call sends nothing."""
    expected = plain(server)
    ledger = tmp_path / "all.db"
    seen = []
    found = run(
        tmp_path,
        workers=2,
        ledger=ledger,
        progress=lambda rows, queries: seen.append((rows, queries)),
    )
    assert_same(found, expected)
    received = worker_model.received(server)
    assert sum(received.values()) == found.run["account"]["sent"]
    assert found.run["workers"] == {"number": 2, "killed": 0, "threads": threads_of(None, 2)}
    assert found.run["ledger"]["asked_again"] > 0  # the row that two shards hold
    assert summarise(ledger).n_answered == sum(received.values())
    assert seen[-1] == (12, found.run["n_queries"])
    again = run(tmp_path, ledger=ledger)
    assert_same(again, expected)
    assert worker_model.received(server) == received


def test_a_killed_worker_loses_nothing(tmp_path, server, monkeypatch):
    """Its shard goes on from its ledger: what is asked twice was in flight."""
    expected = plain(server)
    monkeypatch.setenv("KILL", str(tmp_path / "kill"))
    monkeypatch.setenv("AFTER", "9")
    (tmp_path / "kill").touch()
    found = run(tmp_path, workers=2, ledger=tmp_path / "all.db")
    assert not (tmp_path / "kill").exists()
    assert_same(found, expected)
    assert found.run["workers"]["killed"] == 1
    report = summarise(tmp_path / "all.db")
    sent = sum(worker_model.received(server).values())
    assert report.n_lost == found.run["ledger"]["rows_lost"] > 0
    assert report.n_answered == sent - report.n_lost


def test_requests_of_a_killed_worker_count(tmp_path, server, monkeypatch):
    """The limit holds for all workers of a shard together; the account has them and their price."""
    monkeypatch.setenv("KILL", str(tmp_path / "kill"))
    monkeypatch.setenv("AFTER", "9")
    (tmp_path / "kill").touch()
    limits = Limits(max_requests=45, prices=Prices(per_query=0.5, per_call=2))
    found = run(tmp_path, workers=1, limits=limits)
    assert found.run["workers"]["killed"] == 1
    account, n_rows = found.run["account"], sum(worker_model.received(server).values())
    assert account["requests"] == worker_model.calls(server) == 45
    assert account["sent"] == n_rows
    assert account["cost"] == 0.5 * n_rows + 2 * 45


@pytest.mark.parametrize(("workers", "has_ledger"), [(1, True), (0, False)])
def test_an_interrupt_keeps_what_was_measured(tmp_path, server, monkeypatch, workers, has_ledger):
    """Workers end their calls; the same call goes on: with a ledger, nothing is asked twice."""
    expected = plain(server)
    monkeypatch.setenv("SLEEP", "0.05" if workers else "0")
    ledger = tmp_path / "all.db" if has_ledger else None

    def stop(rows, queries):
        if queries > 20:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        run(tmp_path, workers=workers, ledger=ledger, progress=stop)
    partial = stopped.value.partial
    assert len(partial) == 12
    assert 0 < partial.run["n_queries"] < expected.run["n_queries"]
    monkeypatch.setenv("SLEEP", "0")
    found = run(tmp_path, ledger=ledger)
    if has_ledger:
        assert_same(found, expected)
        assert summarise(ledger).n_answered == sum(worker_model.received(server).values())
    np.testing.assert_array_equal(found.l2, expected.l2)


@pytest.mark.parametrize("has_ledger", [True, False])
def test_results_as_parquet(tmp_path, server, has_ledger):
    """Equal to those in memory, also after an interrupt; a repeated call sends nothing."""
    pytest.importorskip("pyarrow")
    expected = plain(server)
    more = {"results": "parquet", "ledger": tmp_path / "all.db" if has_ledger else None}

    def stop(rows, queries):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        run(tmp_path, progress=stop, **more)
    partial = stopped.value.partial
    assert len(partial) == 12
    assert 0 < partial.count_by_status()["NOT_MEASURED"] < 12
    assert Distances.load(tmp_path / "run").run == partial.run
    found = run(tmp_path, **more)
    assert_same(found, expected)
    stored = Distances.load(tmp_path / "run")
    assert_same(stored, expected)
    assert stored.run == found.run
    received = worker_model.received(server)
    assert sum(received.values()) == found.run["account"]["sent"]
    assert found.run["n_queries"] == expected.run["n_queries"]
    files = [path.stat().st_nlink for path in (tmp_path / "run" / "results").iterdir()]
    assert files == [2, 2, 2]
    assert_same(run(tmp_path, **more), expected)
    assert worker_model.received(server) == received


def test_a_killed_worker_keeps_its_parquet_files(tmp_path, server, monkeypatch):
    """The shard that was complete but for its facts is gone on with; rows of its files stay."""
    pytest.importorskip("pyarrow")
    found = run(tmp_path, results="parquet")
    received = sum(worker_model.received(server).values())
    facts = tmp_path / "run" / "shards" / "2" / "run.json"
    known = json.loads(facts.read_text())
    at_the_end = ("account", "cost", "n_queries", "n_sent", "sent")
    facts.write_text(json.dumps({name: known[name] for name in known if name not in at_the_end}))
    (facts.parent / "sent.count").write_text(str(known["account"]["sent"]))
    again = run(tmp_path, results="parquet")
    assert_same(again, found)
    assert sum(worker_model.received(server).values()) == received
    for name in ("asked", "sent"):
        assert again.run["account"][name] == found.run["account"][name]


def test_limits_are_shared_out(tmp_path, server):
    """In proportion to rows, whichever worker is first; the same limit ends one process alike."""
    found = run(tmp_path, n_shards=2, limits=Limits(max_queries=101))
    parts = [
        Distances.load(tmp_path / "run" / "shards" / str(k) / "results.npz").run["account"]["sent"]
        for k in (1, 2)
    ]
    assert parts[0] <= 50
    assert parts[1] <= 51
    assert sum(worker_model.received(server).values()) == sum(parts) <= 101
    assert set(found.count_by_status()) & {"OUT_OF_BUDGET", "NOT_MEASURED"}


def test_a_callback_that_raises(tmp_path, server):
    """Its error ends the run, with what was measured."""
    with pytest.raises(CallbackFailed, match="ZeroDivisionError") as failed:
        run(tmp_path, progress=lambda rows, queries: 1 / 0)
    assert len(failed.value.partial) == 12


def test_a_model_that_fails(tmp_path, monkeypatch):
    """Its error ends the run; here the server cannot be written."""
    monkeypatch.setenv("SERVER", str(tmp_path / "nowhere" / "server"))
    with pytest.raises(PredictorError, match="FileNotFoundError") as failed:
        run(tmp_path)
    assert (failed.value.partial.home == -1).all()


def test_workers_that_are_killed_again_and_again(tmp_path, server, monkeypatch):
    """The third ends the run."""
    monkeypatch.setenv("IN_WORKER_ONLY", str(os.getpid()))
    with pytest.raises(WorkerLost, match="before it had opened the model") as lost:
        run(tmp_path, "worker_model:deadly", workers=1)
    assert len(lost.value.partial) == 12


class _Stuck:
    """A worker that ends a shard only when it is killed."""

    def opened(self):
        done = Future()
        done.set_result(Outcome(0))
        return done

    def submit(self, number):
        self.shard = Future()
        return self.shard

    def stop(self):
        """It does not."""

    def kill(self):
        if not self.shard.done():
            self.shard.set_exception(BrokenProcessPool())

    def close(self):
        """There is nothing to end."""


def test_workers_that_a_second_interrupt_kills_are_not_replaced():
    """Nor are they counted as killed and replaced."""

    def interrupt():
        raise KeyboardInterrupt

    dispatch = Dispatch(_Stuck, 1, BrokenProcessPool, interrupt)
    dispatch.run([1, 2])
    assert (dispatch.is_interrupted, dispatch.n_lost, dispatch.error) == (True, 0, None)


nowhere = types.ModuleType("nowhere")
"""A module that no other process can import, as that of a notebook."""
nowhere.Local = type("Local", (Reference,), {"__module__": "nowhere"})


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda x: x, "cannot be sent to other processes"),
        (nowhere.Local(Ball(np.zeros(3), 1.0)), "cannot be made in another process"),
    ],
)
def test_a_predictor_that_cannot_be_sent(model, match, tmp_path, monkeypatch):
    """Said before any query."""
    monkeypatch.setitem(sys.modules, "nowhere", nowhere)
    with pytest.raises(InvalidInput, match=match):
        run(tmp_path, model, workers=1)


def test_a_predictor_that_can_be_sent(tmp_path):
    """An object is as good as a name."""
    model = Reference(Ball(np.zeros(3), 1.0), access="logits")
    found = run(tmp_path, model, workers=1)
    assert_same(found, measure(model, X, n_shards=3, **SETTINGS))


def test_threads_are_those_asked_for(tmp_path, server):
    """Libraries of a worker are told when it starts; the result says how many."""
    found = run(tmp_path, "worker_model:threads", workers=1, threads=3)
    stored = Distances.load(tmp_path / "run" / "shards" / "1" / "results.npz")
    assert stored.run["fingerprint"] == "3"
    assert found.run["workers"]["threads"] == 3


class _Endpoint(Reference):
    """Says that it sends several requests at once."""

    connections = 4

    def n_requests(self, n_rows):
        return n_rows


def test_an_endpoint_is_refused(tmp_path):
    """One process keeps its connections."""
    with pytest.raises(InvalidInput, match="one process, which keeps its connections"):
        run(tmp_path, _Endpoint(Ball(np.zeros(3), 1.0)))
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVER", str(folder / "server"))
        run(folder)
    return folder


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": 1}, "differ in: seed"),
        ({"n_shards": 2}, r"number of shards \(3 and 2\)"),
        ({"x": X + 1}, "differ in: data"),
        ({"ledger": "new.db"}, "with or without a ledger"),
        ({"results": "parquet"}, "as tables or as Parquet"),
        ({"results": "csv"}, '"tables" or "parquet"'),
        ({"model": "worker_model:threads"}, "differ in: fingerprint"),
        ({"max_queries": 9}, r"no setting max_queries: .*limits=Limits\(max_queries="),
    ],
)
def test_a_folder_of_another_measurement(measured, server, change, match):
    """Another seed, data, model: said before any query."""
    with pytest.raises(InvalidInput, match=match):
        run(measured, **change)
    assert not server.exists()


def test_a_folder_of_another_named_model(tmp_path):
    """A model without a fingerprint is known by the name that it is given."""
    with_radius = [Reference(Ball(np.zeros(3), radius), access="logits") for radius in (1.0, 2.0)]
    x = np.random.default_rng(0).normal(size=(6, 3))
    run(tmp_path, with_radius[0], x, model_name="small")
    run(tmp_path, with_radius[0], x, model_name="small")
    with pytest.raises(InvalidInput, match=r"differ in: model \(small and large\)"):
        run(tmp_path, with_radius[1], x, model_name="large")


def test_a_folder_of_another_version(measured, tmp_path, server):
    """The facts of its plan say so."""
    shutil.copytree(measured / "run", tmp_path / "run")
    plan = tmp_path / "run" / "shards" / "plan.json"
    plan.write_text(plan.read_text().replace("blackbox-boundary ", "blackbox-boundary 9."))
    with pytest.raises(InvalidInput, match="differ in: tool"):
        run(tmp_path)
    plan.write_text("{")
    with pytest.raises(InvalidInput, match="cannot be read"):
        run(tmp_path)
    assert not server.exists()


def test_bad_rows_of_the_last_shard(tmp_path, server):
    """Found before any query, and no folder is left."""
    bounded = X.copy()
    bounded[-1] = 99
    with pytest.raises(InvalidInput, match="row 11"):
        run(tmp_path, x=bounded, bounds=(-50.0, 50.0))
    assert not server.exists()
    assert not (tmp_path / "run").exists()


def test_data_that_change_while_shards_are_measured(tmp_path, server, monkeypatch):
    """The shard that has not begun refuses."""
    np.save(tmp_path / "x.npy", X)

    def change(rows, queries):
        stored = np.load(tmp_path / "x.npy", mmap_mode="r+")
        stored[8:] += 1
        stored.flush()

    with pytest.raises(InvalidInput, match="rows of shard 3 changed"):
        run(tmp_path, x=str(tmp_path / "x.npy"), progress=change)
    assert Distances.load(tmp_path / "run" / "shards" / "1" / "results.npz").l2.shape == (4,)


def test_a_full_disk_in_mid_shard(tmp_path, server):
    """One message; the other shards keep their results, and the same call goes on."""
    expected = plain(server)
    shard = tmp_path / "run" / "shards" / "2"
    shard.mkdir(parents=True)
    (shard / ".results.npz.draft").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=os.strerror(errno.ENOSPC)) as full:
        run(tmp_path)
    assert not (shard / "results.npz").exists()
    sent = sum(worker_model.received(server).values())
    assert full.value.partial.run["account"]["sent"] == sent
    found = run(tmp_path)
    assert_same(found, expected)
    assert found.run["account"]["sent"] == sum(worker_model.received(server).values()) > sent


def test_a_full_disk_in_a_parquet_file(tmp_path, server, monkeypatch):
    """The message is that of the disk; the account has all that was sent; the same call goes on."""
    pytest.importorskip("pyarrow")
    expected = plain(server)
    with monkeypatch.context() as patch:
        write, full = results.write_part, [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

        def write_or_fail(folder, *part):
            if folder.parent.name == "2" and full:
                raise full.pop()
            return write(folder, *part)

        patch.setattr(results, "write_part", write_or_fail)
        with pytest.raises(StorageError, match=os.strerror(errno.ENOSPC)) as ended:
            run(tmp_path, results="parquet")
    sent = sum(worker_model.received(server).values())
    assert ended.value.partial.run["account"]["sent"] == sent
    found = run(tmp_path, results="parquet")
    assert_same(found, expected)
    assert found.run["account"]["sent"] == sum(worker_model.received(server).values()) > sent


def test_a_ledger_that_exists(tmp_path, server):
    """It is not replaced, whatever it is."""
    (tmp_path / "other.db").write_bytes(b"")
    with pytest.raises(LedgerError):
        run(tmp_path, ledger=tmp_path / "other.db")
    assert not server.exists()


def test_a_ledger_in_no_folder(tmp_path, server):
    """It is refused before workers start, and no folder is left."""
    with pytest.raises(LedgerError, match="there is no folder"):
        run(tmp_path, ledger=tmp_path / "none" / "all.db")
    assert not server.exists()
    assert not (tmp_path / "run").exists()


HOLDER = """
import sys
import types
from pathlib import Path
from blackbox_boundary.measuring.sharded.lock import held
with held(Path(sys.argv[1]), "it", waits=True):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a lock until it is told otherwise."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_for_whom_one_waits(tmp_path, holder, caplog, monkeypatch):
    """A message names the process; a driver does not wait."""
    path = tmp_path / "lock"
    with (
        pytest.raises(InvalidInput, match=f"in use by process {holder.pid} on "),
        held(path, "x", waits=False),
    ):
        pass

    def told(message, *parts):
        told.text = message % parts
        holder.stdin.write("\n")
        holder.stdin.flush()

    monkeypatch.setattr("blackbox_boundary.measuring.sharded.lock._LOG.warning", told)
    with held(path, "shard 7", waits=True):
        pass
    assert told.text.startswith(f"Waiting for shard 7, held by process {holder.pid} on ")


@pytest.mark.parametrize("part", [slice(None), slice(3, 9), slice(5, 6)])
def test_mapped_rows_are_found_again(tmp_path, part):
    """A slice of a map, in another shape, is the same piece of the file."""
    np.save(tmp_path / "x.npy", np.arange(48.0).reshape(12, 4))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")[part].reshape(-1, 2, 2)
    found = shared_rows(mapped, tmp_path)
    assert found == MappedRows.of(mapped)
    np.testing.assert_array_equal(found.open(), mapped)
    assert not (tmp_path / "rows.npy").exists()


@pytest.mark.parametrize("of", [lambda x: x.copy(), lambda x: x[::2], lambda x: x[:, ::-1]])
def test_rows_in_no_file_are_written_to_one(tmp_path, of):
    """Rows in memory, and those that a map does not hold one after the other."""
    np.save(tmp_path / "x.npy", np.arange(48.0).reshape(12, 4))
    x = of(np.load(tmp_path / "x.npy", mmap_mode="r"))
    found = shared_rows(x, tmp_path)
    assert found.path == tmp_path / "rows.npy"
    np.testing.assert_array_equal(found.open(), x)


@pytest.mark.parametrize(("workers", "rows"), [(1, 1), (3, 2), (2, 10_000), (64, 10**8)])
def test_default_shards(workers, rows):
    """At least one row and at most 65,536 each."""
    n = default_shards(rows, 120, workers)
    assert min(rows, workers) <= n <= rows
    assert rows / n <= 65_536


@pytest.mark.parametrize("settings", [{"workers": 0}, {"workers": 1.5}, {"threads": 0}])
def test_bad_numbers(settings, tmp_path):
    """Refused before anything else."""
    with pytest.raises(InvalidInput, match="must be a whole number, at least 1"):
        measure_with_workers(MODEL, X, folder=tmp_path / "run", **{"workers": 1, **settings})


def test_facts_are_json(measured):
    """All of them."""
    json.dumps(run(measured).run)
