"""``report``, ``worst`` and ``--fail-if``: a run folder is read again, and answers a threshold."""

import csv
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import Distances
from blackbox_boundary.cli import main
from blackbox_boundary.ledger import summarise

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

OLD = Path(__file__).parents[1] / "made_by_0_1"

PLANE = '''
import numpy as np
from blackbox_boundary import Access, Prediction


class Plane:
    """Class 1 above the plane of coordinate sum 3 (n inputs)."""

    access, n_classes, bounds = Access.LOGITS, 2, None
    input_shape = {shape}

    def predict(self, x):
        z = x.reshape(len(x), -1).sum(axis=-1) - 3.0
        return Prediction.from_scores(np.stack([-z, z], axis=-1))

    def vjp(self, x, v):
        return np.ones_like(x) * (v[:, 1] - v[:, 0]).reshape(-1, *[1] * (x.ndim - 1))
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a picture model and a table model, and rows; 12 of 20 pictures are measured."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(20, 8, 8)))
    lines = [f"{a},{b},{a > b}" for a, b in rng.normal(size=(9, 2)).round(3).tolist()]
    (tmp_path / "t.csv").write_text("\n".join(["first,second,label", *lines]))
    (tmp_path / "pictures_model.py").write_text(PLANE.format(shape=(8, 8)))
    (tmp_path / "table_model.py").write_text(PLANE.format(shape=(2,)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*arguments):
    """Run a command in this process: its exit code, and all that it printed."""
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def measured(*more):
    """Measure rows 3 to 14 of the pictures into ``run``."""
    return run(
        "measure", "pictures_model:Plane", "x.npy", "--rows", "3:15",
        "--output", "run", "--no-progress", *more,
    )  # fmt: skip


def test_report_is_the_one_that_measure_wrote(folder):
    """With the data, byte for byte; the slice of --rows is found by itself."""
    code, said = measured()
    assert code == 0, said
    written = (folder / "run" / "report.html").read_bytes()
    (folder / "run" / "report.html").unlink()
    code, said = run("report", "run", "--data", "x.npy")
    assert code == 0, said
    assert "Half of the 12 rows" in said
    assert (folder / "run" / "report.html").read_bytes() == written
    assert b"<img" in written
    assert run("report", "run", "--output", "bare.html")[0] == 0
    assert b"<img" not in (folder / "bare.html").read_bytes()


def test_other_data_are_refused(folder):
    """A changed value, another number of rows and another shape: the message says which."""
    assert measured("--no-report")[0] == 0
    x = np.load(folder / "x.npy")
    x[5, 0, 0] += 1e-9
    np.save(folder / "y.npy", x)
    np.save(folder / "few.npy", x[:5])
    np.save(folder / "flat.npy", x[:, 0])
    for name, words in (("y", "digest differs"), ("few", "measured 12"), ("flat", "shape")):
        code, said = run("report", "run", "--data", f"{name}.npy")
        assert code == 3
        assert words in said
    code, said = run("report", "x.npy")
    assert code == 3
    assert "holds no run" in said


def test_folders_of_0_1_are_read(tmp_path):
    """With and without their data."""
    shutil.copytree(OLD, tmp_path / "old")
    for data in ([], ["--data", tmp_path / "old" / "x.npy"]):
        code, said = run("report", tmp_path / "old" / "run", *data)
        assert code == 0, said
    assert "plane:make" in (tmp_path / "old" / "run" / "report.html").read_text()


def test_worst_rows_are_the_nearest(folder):
    """Row numbers of the table by increasing distance; three PNG files of 8 x 8 pixels a row."""
    assert measured("--no-report")[0] == 0
    arguments = (
        "worst",
        "run",
        "--data",
        "x.npy",
        "--n",
        4,
        "--output",
        "w.csv",
        "--images",
        "out",
    )
    code, said = run(*arguments)
    assert code == 0, said
    found = Distances.load(folder / "run" / "results.npz")
    with (folder / "w.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == np.argsort(found.l2)[:4].tolist()
    assert [int(line["data_row"]) for line in lines] == (3 + np.argsort(found.l2)[:4]).tolist()
    assert np.allclose([float(line["l2"]) for line in lines], np.sort(found.l2)[:4])
    pictures = sorted((folder / "out").iterdir())
    assert len(pictures) == 12
    assert all(struct.unpack(">II", p.read_bytes()[16:24]) == (8, 8) for p in pictures)


def test_worst_rows_of_a_table_have_their_columns(folder):
    """Each column before and after the flip; the flips lie on the plane."""
    code, said = run(
        "measure", "table_model:Plane", "t.csv", "--output", "run", "--no-report",
        "--no-progress", "--labels", "none", "--drop", "label",
    )  # fmt: skip
    assert code == 0, said
    code, said = run("worst", "run", "--data", "t.csv", "--n", 3, "--output", "w.csv")
    assert code == 0, said
    with (folder / "w.csv").open() as file:
        for line in csv.DictReader(file):
            before = np.array([float(line["first"]), float(line["second"])])
            after = np.array([float(line["first at flip"]), float(line["second at flip"])])
            assert after.sum() == pytest.approx(3, rel=1e-4)
            assert np.linalg.norm(after - before) == pytest.approx(float(line["l2"]), rel=1e-6)
    assert run("worst", "run", "--images", "out")[0] == 2


def test_a_table_that_cannot_be_written_is_a_message(folder):
    """In a folder that does not exist, and on a full disk: exit code 3."""
    assert measured("--no-report")[0] == 0
    code, said = run("worst", "run", "--output", "none/w.csv")
    assert (code, 'Error: "none/w.csv" cannot be written' in said) == (3, True), said
    if Path("/dev/full").exists():
        code, said = run("worst", "run", "--output", "/dev/full")
        assert (code, "Error: The output cannot be written" in said) == (3, True), said


def test_label_issues_come_first(folder):
    """The one wrong label of a table comes first, with the model's label; labels are required."""
    rows = np.random.default_rng(1).normal(1.5, 1, size=(9, 2)).round(3)
    above = rows.sum(axis=1) > 3
    above[4] = not above[4]
    lines = [
        f"r{i},{a},{b},{int(c)}" for i, ((a, b), c) in enumerate(zip(rows, above, strict=True))
    ]
    (folder / "d.csv").write_text("\n".join(["name,first,second,label", *lines]))
    measure = ("measure", "table_model:Plane", "d.csv", "--id", "name", "--output", "run")
    code, said = run(*measure, "--from-label", "--no-report", "--no-progress")
    assert code == 0, said
    code, said = run("label-issues", "run", "--data", "d.csv", "--n", 3, "--output", "l.csv")
    assert (code, "another label to 1 of 9 rows" in said) == (0, True), said
    with (folder / "l.csv").open() as file:
        first, *others = csv.DictReader(file)
    assert (first["id"], first["row"], len(others)) == ("r4", "4", 2)
    assert (first["label"], first["suggested"]) == (str(int(above[4])), str(int(not above[4])))
    expected = -abs(rows[4].sum() - 3) / np.sqrt(2)
    assert float(first["signed_distance"]) == pytest.approx(expected, rel=1e-3)
    assert 0 < float(others[0]["signed_distance"]) <= float(others[1]["signed_distance"])
    code, said = run("label-issues", "run", "--data", "d.csv", "--labels", "none")
    assert (code, "needs labels" in said) == (3, True), said


@pytest.mark.parametrize(
    ("threshold", "code", "word"),
    [("min < 1e-9", 0, "not refuted"), ("median < 1e9", 7, "fails"), ("p5 > 1", 2, "STAT OP")],
)
def test_thresholds_of_measure_and_report(folder, threshold, code, word):
    """The same code from both, with the outcome in words."""
    measure_code, said = measured("--no-report", "--fail-if", threshold)
    assert measure_code == code, said
    assert word in said
    if code != 2:
        report_code, said = run("report", "run", "--fail-if", threshold)
        assert report_code == code
        assert re.search(rf"--fail-if .*: {word}", said)


def test_a_threshold_answers_for_rows_that_a_limit_ended(folder):
    """Open: 8 in place of 5. Already failed: 7. Nothing unfinished could change it: 0."""
    limit = ("--no-report", "--max-queries", "40")
    assert measured(*limit)[0] == 5
    for threshold, code in (
        ("min < 1e-9", 8),
        ("min < 1e9", 7),
        ("min < 0", 0),
    ):
        assert measured(*limit, "--overwrite", "--fail-if", threshold)[0] == code
    assert measured(*limit, "--overwrite", "--fail-if", "min < 0", "--fail-if", "min < 1e9")[0] == 7


def test_bad_input_wins_over_a_threshold(folder):
    """Code 3 stays 3."""
    assert measured("--fail-if", "min < 1", "--bounds", "0,1e-9")[0] == 3


def test_runs_are_compared(folder):
    """The same run twice: no change; another bound: refused rows are named, other data refused."""
    for name in ("one", "two"):
        code, said = run(
            "measure",
            "pictures_model:Plane",
            "x.npy",
            "--output",
            name,
            "--no-report",
            "--no-progress",
        )
        assert code == 0, said
    code, said = run("compare", "one", "two")
    assert code == 0, said
    assert "distance stayed" in said
    assert "n = 20. 0 of 20 rows came nearer" in said
    assert (folder / "comparison.html").exists()
    assert measured("--no-report")[0] == 0
    code, said = run("compare", "one", "run")
    assert code == 3
    assert "they measured other rows (20 and 12" in said
    assert run("compare", "one")[0] == 2


def test_the_last_line_is_the_answer(folder):
    """Median, relative distance, nearest rows, price and report, below the tables and notes."""
    code, said = measured("--price-per-query", "0.01")
    assert code == 0, said
    last = said.strip().splitlines()[-1]
    assert re.match(
        r"Half of the 12 rows change their label when moved by \S+ \(L2\) or less", last
    )
    assert "norm of a typical row" in last
    assert "Look first at rows " in last
    assert re.search(r"price \d+\.\d\d\. Report: run/report\.html$", last)


def test_evidence_is_written_beside_the_results(folder):
    """Both files, also of a folder of 0.1."""
    shutil.copytree(OLD, folder / "old")
    code, said = run("evidence", "old/run")
    assert code == 0, said
    for name in ("evidence.cdx.json", "statement.md"):
        assert "aab1d7b3a643b434" in (folder / "old" / "run" / name).read_text()


def test_rows_of_a_shard_have_one_number(folder):
    """Every table, report and picture counts as the table of the whole run does."""
    common = ["--no-progress", "--ledger", "all.db", "--model-name", "plane"]
    table = ["measure", "table_model:Plane", "t.csv", "--rows", "1:9", *common]
    assert run(*table, "--output", "whole", "--no-report")[0] == 0
    for k in (1, 2):
        code, said = run(*table, "--shard", f"{k}/2", "--output", f"p{k}", "--interactive")
        assert code == 0, said
    found, numbers = Distances.load("p2/results.npz"), set(range(4, 8))
    nearest = [4 + row for row in found.nearest_first()[:3].tolist()]
    assert f"Look first at rows {', '.join(map(str, nearest))}." in said
    with Path("p2/changes.csv").open(newline="") as file:
        assert {int(line["row"]) for line in csv.DictReader(file)} == numbers
    for command in ("worst", "label-issues"):
        code, said = run(command, "p2", "--data", "t.csv", "--output", "out.csv")
        assert code == 0, said
        with Path("out.csv").open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert {int(line["row"]) for line in lines} == numbers
    rows = [line.split(",") for line in Path("t.csv").read_text().splitlines()[2:]]
    code, said = run("worst", "p2", "--data", "t.csv")
    for line in csv.DictReader(said.splitlines()):
        assert [line["first"], line["second"]] == rows[int(line["row"])][:2]
    assert run("report", "p2", "--data", "t.csv", "--interactive")[0] == 0
    assert '"row":[4,5,6,7]' in Path("p2/explorer.html").read_text()
    assert set(re.findall(r">row (\d+)<", Path("p2/report.html").read_text())) == {*"4567"}

    code, said = run("merge", "p1", "p2", "--output", "merged", "--ledger", "merged.db")
    assert code == 0, said
    for name in ("results.csv", "flips.csv", "changes.csv"):
        assert Path("merged", name).read_bytes() == Path("whole", name).read_bytes()
    assert summarise("merged.db").n_answered == summarise("all.db").n_answered

    pictures = [
        "measure",
        "pictures_model:Plane",
        "x.npy",
        "--shard",
        "2/2",
        "--output",
        "pictures",
    ]
    assert run(*pictures, "--no-progress", "--no-report")[0] == 0
    assert run("worst", "pictures", "--data", "x.npy", "--n", 1, "--images", "drawn")[0] == 0
    (drawn,) = (int(path.stem) for path in Path("drawn").glob("*.png") if path.stem.isdecimal())
    assert drawn == 10 + Distances.load("pictures/results.npz").nearest_first()[0]
