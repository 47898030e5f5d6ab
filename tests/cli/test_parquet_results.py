"""``measure --results parquet`` on large data, ``merge``, ``report``, ``compare`` and ``worst``."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import Distances, datasets
from blackbox_boundary.cli import main
from blackbox_boundary.datasets import data as data_rules
from blackbox_boundary.datasets import parquet_files
from blackbox_boundary.measuring import blocks, results
from blackbox_boundary.measuring.sent_count import SentCount

pa = pytest.importorskip("pyarrow")

MODEL = str(datasets.digits_model())
COMMON = ["--access", "logits", "--bounds", "0,1", "--no-progress"]
PARQUET = ["--results", "parquet"]


def run(*typed):
    """The command's outcome; anything but our own errors is raised."""
    return CliRunner().invoke(main, list(map(str, typed)), catch_exceptions=False)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two hundred digits as a folder of Parquet files, all of it too large for memory."""
    from pyarrow import parquet

    x, labels = datasets.digits()
    columns = {f"p{k}": x[:200].reshape(200, -1)[:, k].astype(np.float32) for k in range(64)}
    table = pa.table({"name": [f"d{k}" for k in range(200)], **columns, "label": labels[:200]})
    (tmp_path / "data").mkdir()
    for k, (first, end) in enumerate([(0, 90), (90, 200)]):
        path = tmp_path / "data" / f"{k}.parquet"
        parquet.write_table(table[first:end], path, row_group_size=40)
    monkeypatch.setattr(data_rules, "STREAMED", 10)
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    monkeypatch.setattr(results, "_PART_ROWS", 64)
    monkeypatch.setattr(blocks, "_CALLS", 4)
    return tmp_path


def measured(folder, name, *typed):
    """Measure the data of a folder into a run folder of this name."""
    data = [folder / "data", "--id", "name", "--output", folder / name]
    return run("measure", MODEL, *data, *COMMON, "--batch-size", 16, *typed)


def test_a_run_is_that_of_tables(folder):
    """Results, names, labels and data facts; the summary says the same numbers."""
    parquet, tables = measured(folder, "p", *PARQUET), measured(folder, "t", "--no-report")
    assert (parquet.exit_code, tables.exit_code) == (0, 0), parquet.output + tables.output
    assert parquet.stdout == tables.stdout
    assert {path.name for path in (folder / "p").iterdir()} == {"results", "run.json"}
    found, expected = Distances.load(folder / "p"), Distances.load(folder / "t" / "results.npz")
    np.testing.assert_array_equal(found.l2, expected.l2)
    np.testing.assert_array_equal(np.asarray(found.flip_points), expected.flip_points)
    for name in ("data", "estimator", "account", "class_names"):
        one, other = found.run[name], expected.run[name]
        if name == "account":
            one, other = (
                {k: v for k, v in fact.items() if k != "seconds"} for fact in (one, other)
            )
        assert one == other, name
    first = found.files[0]
    assert first.beside("id")[:2] == ["d0", "d1"]
    assert first.beside("label")[:3] == ["0", "1", "2"]
    assert first.beside("data_row")[:3] == [0, 1, 2]


def test_merged_shards_are_the_whole_run(folder):
    """Byte for byte with the same edges; the account is the sum; a missing one is named."""
    for k in (1, 2, 3):
        typed = ["--shard", f"{k}/3", "--ledger", folder / f"{k}.db"]
        assert measured(folder, f"p{k}", *PARQUET, *typed).exit_code == 0
    assert measured(folder, "whole", *PARQUET, "--shards", 3).exit_code == 0
    parts = [folder / "p3", folder / "p1", folder / "p2"]
    found = run("merge", *parts, "--output", folder / "m", "--ledger", folder / "m.db")
    assert found.exit_code == 0, found.output
    merged, whole = (
        {file.name: file.read_bytes() for file in (folder / name / "results").iterdir()}
        for name in ("m", "whole")
    )
    assert merged == whole
    facts = json.loads((folder / "m" / "run.json").read_text())
    sent = [json.loads((part / "run.json").read_text())["account"]["sent"] for part in parts]
    assert facts["account"]["sent"] == sum(sent)
    found = run("merge", *parts[:2], "--output", folder / "n")
    assert (found.exit_code, "missing: 2" in found.stderr) == (3, True)
    assert not (folder / "n").exists()
    lost = min((folder / "p2" / "results").iterdir())
    lost.unlink()
    found = run("merge", *parts, "--output", folder / "n")
    assert (found.exit_code, "missing" in found.stderr) == (3, True)
    assert measured(folder, "t2", "--shard", "2/3", "--no-report").exit_code == 0
    found = run("merge", folder / "p1", folder / "t2", folder / "p3", "--output", folder / "n")
    assert (found.exit_code, "no results as Parquet" in found.stderr) == (3, True)


def test_data_that_changed_between_shards(folder):
    """The digests differ, and merge says so; so does a run that is resumed."""
    from pyarrow import parquet

    assert measured(folder, "p1", *PARQUET, "--shard", "1/2").exit_code == 0
    path = folder / "data" / "1.parquet"
    table = parquet.read_table(path)
    changed = table.set_column(5, "p4", pa.array(np.full(len(table), 0.5, np.float32)))
    parquet.write_table(changed, path)
    assert measured(folder, "p2", *PARQUET, "--shard", "2/2").exit_code == 0
    found = run("merge", folder / "p1", folder / "p2", "--output", folder / "m")
    assert (found.exit_code, "differ in: data" in found.stderr) == (3, True)
    found = measured(folder, "p1", *PARQUET, "--shard", "1/2", "--resume")
    assert (found.exit_code, "other data" in found.stderr) == (3, True)


def test_a_limit_and_a_resume(folder):
    """The second run finishes what the limit left, and costs only that."""
    first = measured(folder, "p", *PARQUET, "--max-queries", 700)
    assert first.exit_code == 5, first.output
    assert "--resume" in first.stderr
    assert measured(folder, "p", *PARQUET).exit_code == 3
    assert "--results parquet" in measured(folder, "p", "--resume").stderr
    found = measured(folder, "p", *PARQUET, "--resume")
    assert found.exit_code == 0, found.output
    assert measured(folder, "t", "--no-report").exit_code == 0
    one, other = Distances.load(folder / "p"), Distances.load(folder / "t" / "results.npz")
    np.testing.assert_allclose(one.l2, other.l2, rtol=1e-5)
    assert one.run["account"]["sent"] == one.run["n_queries"]
    assert measured(folder, "p", *PARQUET, "--overwrite").exit_code == 0


def test_report_compare_and_worst_read_the_files(folder):
    """The page of a run, with its data; the rows nearest to the boundary."""
    assert measured(folder, "p", *PARQUET).exit_code == 0
    assert measured(folder, "t", "--no-report").exit_code == 0
    data = ["--data", folder / "data", "--id", "name"]
    found = run("report", folder / "p", *data)
    assert found.exit_code == 0, found.output
    assert (folder / "p" / "report.html").stat().st_size > 10_000
    assert run("report", folder / "t", *data).stdout == found.stdout
    nearest = [run("worst", folder / name, *data, "--n", 5).stdout for name in ("p", "t")]
    assert nearest[0] == nearest[1]
    assert nearest[0].count("\n") == 6
    typed = ["compare", folder / "p", folder / "t", "--output", folder / "c.html"]
    assert run(*typed).exit_code == 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("schema", "must have the same columns"),
        ("group", "cannot be read"),
        ("cut", "cannot be read as Parquet"),
    ],
)
def test_bad_data_are_named_before_any_query(damage, said, folder):
    """Exit code 3, one line, no folder left."""
    from pyarrow import parquet

    path = folder / "data" / "1.parquet"
    if damage == "schema":
        parquet.write_table(parquet.read_table(path).drop_columns(["p7"]), path)
    else:
        content = bytearray(path.read_bytes())
        start = parquet.ParquetFile(path).metadata.row_group(2).column(9).data_page_offset
        content[start : start + 30] = b"\xff" * 30
        path.write_bytes(content[:-30] if damage == "cut" else content)
    found = measured(folder, "p", *PARQUET)
    assert found.exit_code == 3
    assert said in found.stderr
    assert "1.parquet" in found.stderr
    assert not (folder / "p").exists()


_LIMITED = """
import resource, sys
from blackbox_boundary.cli import main
from blackbox_boundary.measuring import blocks, results
results._PART_ROWS, blocks._CALLS = 64, 4
main.make_context
args = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main(args)
"""


def test_storage_that_fills_up(folder):
    """One line, exit code 3, what was sent is counted; with room the run goes on."""
    typed = ["measure", MODEL, folder / "data", "--id", "name", "--output", folder / "p", *PARQUET]
    typed = [*typed, *COMMON, "--batch-size", "16"]
    process = subprocess.run(
        [sys.executable, "-c", _LIMITED, *map(str, typed)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 3, process.stderr
    assert process.stderr.count("Error: ") == 1
    assert "The results of rows 0 to 63 cannot be written" in process.stderr
    before = SentCount(folder / "p").before
    assert before.sent > before.requests > 0
    found = measured(folder, "p", *PARQUET, "--resume")
    assert found.exit_code == 0, found.output
    facts = json.loads((folder / "p" / "run.json").read_text())
    for kind, name in (("queries", "sent"), ("requests", "requests")):
        assert facts["account"][name] == facts["sent"][kind] + getattr(before, name)
    assert len(Distances.load(folder / "p")) == 200


def test_a_run_that_is_replaced_leaves_no_file(folder):
    """Tables by Parquet and the other way round; an attempt that ends early replaces nothing."""
    assert measured(folder, "p", *PARQUET, "--rows", 40).exit_code == 0
    before = sorted(path.name for path in (folder / "p").rglob("*"))
    assert measured(folder, "p", "--overwrite", "--dry-run").exit_code == 0
    assert measured(folder, "p", "--overwrite", "--bounds", "5,6").exit_code == 3
    assert sorted(path.name for path in (folder / "p").rglob("*")) == before
    assert measured(folder, "p", "--overwrite", "--rows", 30, "--report").exit_code == 0
    tables = {"results.csv", "results.npz", "run.json", "flips.csv", "changes.csv", "report.html"}
    assert {path.name for path in (folder / "p").iterdir()} == tables
    assert measured(folder, "p", *PARQUET, "--overwrite", "--rows", 40).exit_code == 0
    assert sorted(path.name for path in (folder / "p").rglob("*")) == before


def test_tables_that_a_disk_has_no_room_for(folder, monkeypatch):
    """An error says so and where they are; the run that was to be replaced is whole."""
    assert measured(folder, "t", "--no-report", "--rows", 40).exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "t").iterdir()}
    save = Distances.save

    def full(self, path):
        if path.parent == folder / "t":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(self, path)

    monkeypatch.setattr(Distances, "save", full)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    found = measured(folder, "t", "--no-report", "--rows", 30, "--overwrite")
    assert found.exit_code == 3
    (elsewhere,) = folder.glob("boundary-run-*")
    assert f'Error: "{folder / "t"}" cannot be written' in found.stderr
    assert f'the results are in "{elsewhere}"' in found.stderr
    assert {path: path.read_bytes() for path in (folder / "t").iterdir()} == before


_SLOW = """
import sys, time
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from blackbox_boundary.cli import main
from blackbox_boundary.measuring import blocks, results
results._PART_ROWS, blocks._CALLS = 64, 4
ask = OnnxPredictor.predict
OnnxPredictor.predict = lambda self, x: (time.sleep(0.02), ask(self, x))[1]
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on(folder):
    """What was written stays; gaps are named; the resumed result is that of a whole run."""
    typed = ["measure", MODEL, folder / "data", "--id", "name", "--output", folder / "p", *PARQUET]
    typed = [*typed, *COMMON, "--batch-size", "16"]
    process = subprocess.Popen([sys.executable, "-c", _SLOW, *map(str, typed)])
    give_up = time.monotonic() + 120
    while not list(folder.glob("p/results/rows-*")) and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_before = len(list(folder.glob("p/results/rows-*")))
    assert n_before >= 1
    if n_before < 4:
        assert "--resume" in run("report", folder / "p").stderr
    found = measured(folder, "p", *PARQUET, "--resume")
    assert found.exit_code == 0, found.output
    assert measured(folder, "t", "--no-report").exit_code == 0
    one, other = Distances.load(folder / "p"), Distances.load(folder / "t" / "results.npz")
    np.testing.assert_array_equal(one.l2, other.l2)


def test_a_worker_writes_the_files_of_one_process(folder, monkeypatch):
    """Byte for byte, names and ids of rows included; none are copied."""
    monkeypatch.setattr(results, "_PART_ROWS", 2**16)  # as in the worker
    monkeypatch.setattr(blocks, "_CALLS", 16)
    shards = ["--shards", 3]
    found = measured(folder, "p", *PARQUET, *shards, "--workers", 1)
    assert found.exit_code == 0, found.output
    assert measured(folder, "one", *PARQUET, *shards).exit_code == 0
    one, many = (sorted((folder / name / "results").iterdir()) for name in ("one", "p"))
    assert [path.name for path in many] == [path.name for path in one]
    for path, other in zip(many, one, strict=True):
        assert path.read_bytes() == other.read_bytes()
        assert path.stat().st_nlink == 2
    assert run("report", folder / "p").exit_code == 0


HOLDER = """
import sys
from blackbox_boundary.cli.run_folder import RunFolder
folder = RunFolder(sys.argv[1], resume=True, in_parquet=True)
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_folder_that_another_process_uses(folder):
    """It is named, nothing is replaced; once it was killed, the folder is free."""
    assert measured(folder, "p", *PARQUET).exit_code == 0
    before = {path: path.read_bytes() for path in (folder / "p").rglob("*.*") if path.is_file()}
    command = [sys.executable, "-c", HOLDER, str(folder / "p")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        for option in ("--resume", "--overwrite"):
            found = measured(folder, "p", *PARQUET, option)
            assert found.exit_code == 3
            assert f"is in use by process {other.pid} on " in found.stderr
        other.kill()
    assert {path: path.read_bytes() for path in before} == before
    assert measured(folder, "p", *PARQUET, "--resume").exit_code == 0
    assert {path.name for path in (folder / "p").iterdir()} == {"results", "run.json"}
