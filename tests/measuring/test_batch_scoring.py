"""A model that answers by file gives the results of one that answers at once, asked only once."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from blackbox_boundary import (
    Access,
    BadPrediction,
    Distances,
    InvalidInput,
    LedgerError,
    Prediction,
    Status,
)
from blackbox_boundary.cli import main
from blackbox_boundary.estimators import by_name
from blackbox_boundary.ledger import summarise, verify
from blackbox_boundary.ledger.records import content_keys
from blackbox_boundary.measuring.batch_files import read_scores
from blackbox_boundary.measuring.batch_scoring import BatchScoring
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.wrappers import LedgerPredictor

WEIGHTS = np.random.default_rng(2).normal(size=(6, 3))
X = np.random.default_rng(3).uniform(0.1, 0.9, size=(5, 2, 3)).astype(np.float32)
JOB = {
    "model": "linear-1",
    "access": "logits",
    "n_classes": 3,
    "bounds": (0.0, 1.0),
    "settings": {"direction": "margin"},
}


def logits(x):
    """Row by row, so that batches change no bit; in float64, which a CSV file keeps."""
    return np.stack([row.reshape(-1).astype(np.float64) @ WEIGHTS for row in x])


class Model:
    """The same model, when it answers at once."""

    access, input_shape, n_classes, bounds, fingerprint = (
        Access.LOGITS,
        (2, 3),
        3,
        (0.0, 1.0),
        "linear-1",
    )

    def predict(self, x):
        return Prediction.from_scores(logits(x))


def expected_distances():
    """By ``measure``, in one go."""
    return measure(Model(), X, estimator=by_name("ray", direction="margin"))


def score(asked, scored):
    """Score a file in the same format, as another program does; tables return in another order."""
    if asked.suffix == ".npy":
        np.save(scored, logits(np.load(asked)))
        return
    if asked.suffix == ".csv":
        with asked.open() as file:
            lines = list(csv.DictReader(file))
        ids = [line["id"] for line in lines]
        x = np.array([[np.float32(line[f"x_{i}"]) for i in range(6)] for line in lines])
    else:
        table = pq.read_table(asked)
        ids, x = table["id"].to_pylist(), np.array(table["inputs"].to_pylist(), np.float32)
    order = np.random.default_rng(0).permutation(len(ids))
    columns = {
        "id": [ids[i] for i in order],
        **{f"score_{k}": logits(x)[order, k] for k in range(3)},
    }
    if asked.suffix == ".parquet":
        pq.write_table(pa.table({"id": columns["id"], "scores": logits(x)[order].tolist()}), scored)
        return
    with scored.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


@pytest.mark.parametrize("form", ["npy", "csv", "parquet"])
def test_the_result_is_that_of_a_model_that_answers_at_once(tmp_path, form):
    """A new process per file: bits, statuses and query counts agree with ``measure``."""
    ledger, asked, scored = (
        tmp_path / "job.db",
        tmp_path / f"next.{form}",
        tmp_path / f"scored.{form}",
    )
    BatchScoring.create(ledger, X, **JOB)
    n_asked, steps = 0, 0
    while True:
        with BatchScoring(ledger, X) as job:
            if not (n := job.ask(asked)):
                break
        score(asked, scored)
        with BatchScoring(ledger, X) as job:
            assert job.tell(scored) == n
        n_asked, steps = n_asked + n, steps + 1
    with BatchScoring(ledger, X) as job:
        got = job.distances()
    expected = expected_distances()
    for name in ("l2", "lo", "hi", "home", "flipped", "status", "n_predictions", "flip_points"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    assert (got.status == Status.CONVERGED).all()
    assert verify(ledger).n_answered == n_asked <= expected.n_predictions.sum()
    assert steps > 3


def test_asking_again_gives_the_same_file(tmp_path):
    """Until the scores are told, however often it is asked; it is claimed once."""
    BatchScoring.create(tmp_path / "job.db", X, **JOB)
    contents = set()
    for _ in range(3):
        with BatchScoring(tmp_path / "job.db", X) as job:
            assert job.ask(tmp_path / "next.npy") == 5
            assert (job.distances().status == Status.NOT_MEASURED).all()
        contents.add((tmp_path / "next.npy").read_bytes())
    assert len(contents) == 1
    report = summarise(tmp_path / "job.db")
    assert (report.n_asked, report.n_in_flight, report.n_lost) == (5, 5, 0)


def test_answers_that_came_another_way_are_used(tmp_path):
    """A live run on the same ledger waits for no file; the next file asks only what is missing."""
    BatchScoring.create(tmp_path / "job.db", X, **JOB)
    with BatchScoring(tmp_path / "job.db", X) as job:
        job.ask(tmp_path / "next.npy")
    with LedgerPredictor(Model(), tmp_path / "job.db") as live:
        live.predict(X[:3])
    with BatchScoring(tmp_path / "job.db", X) as job:
        assert job.ask(tmp_path / "next.npy") == 2
    np.testing.assert_array_equal(np.load(tmp_path / "next.npy"), X[3:])
    report = verify(tmp_path / "job.db")
    assert (report.n_answered, report.n_in_flight) == (3, 2)


def test_a_limit_ends_the_job(tmp_path):
    """``max_queries`` is kept, and what it left is said row by row."""
    BatchScoring.create(tmp_path / "job.db", X, **JOB, max_queries=12)
    with BatchScoring(tmp_path / "job.db", X) as job:
        while job.ask(tmp_path / "next.npy"):
            score(tmp_path / "next.npy", tmp_path / "scored.npy")
            job.tell(tmp_path / "scored.npy")
        distances = job.distances()
    assert distances.n_predictions.sum() <= 12
    assert (distances.status == Status.OUT_OF_BUDGET).any()


def bad_scores(tmp_path):
    """Files that do not answer, and what is said of each."""
    ids = pq.read_table(tmp_path / "next.parquet")["id"].to_pylist()

    def npy(values):
        np.save(tmp_path / "bad.npy", values)
        return tmp_path / "bad.npy"

    def table(text):
        (tmp_path / "bad.csv").write_text(text)
        return tmp_path / "bad.csv"

    yield npy(np.zeros((4, 3))), "must answer the 5 rows that were asked; it has 4"
    yield npy(np.zeros(5, int)), r"must hold floating-point scores of shape \(n, n_classes\)"
    yield npy(np.zeros((5, 2))), r"requires scores of shape \(5, 3\)"
    yield npy(np.array([["a"]])), "must hold floating-point"
    yield table("id,score_0,score_1\n" + f"{ids[0]},1,2\n"), "lacks the column score_2"
    yield table("id,score_0,score_1,score_2\n" + f"{ids[0]},1,2,3\n"), "4 are missing"
    yield (
        table("id,score_0,score_1,score_2\n" + "".join(f"{name},1,2,x\n" for name in ids)),
        "cannot be read",
    )
    yield table("id,score_0\n1\n"), "2 fields in every line"
    yield table(""), "cannot be read"
    yield table("id,score_0\n" + "1" * 200_000 + ",1\n"), "cannot be read"
    yield (
        table(
            "id,score_0,score_1,score_2\n" + "".join(f"{name},1,2,3\n" for name in [*ids, ids[2]])
        ),
        f"has the id {ids[2]} several",
    )
    pq.write_table(
        pa.table({"id": ids, "scores": [[1.0, 2.0, 3.0]] * 4 + [None]}), tmp_path / "bad.parquet"
    )
    yield tmp_path / "bad.parquet", "cannot be read"
    yield tmp_path / "next.txt", "must end in"
    yield tmp_path / "none.npy", "cannot be read"


def test_bad_scores_are_refused(tmp_path):
    """One message each, and nothing recorded."""
    BatchScoring.create(tmp_path / "job.db", X, **JOB)
    with BatchScoring(tmp_path / "job.db", X) as job:
        with pytest.raises(InvalidInput, match="ask first"):
            job.tell(tmp_path / "none.npy")
        job.ask(tmp_path / "next.parquet")
        for path, message in bad_scores(tmp_path):
            with pytest.raises((InvalidInput, BadPrediction), match=message):
                job.tell(path)
    assert summarise(tmp_path / "job.db").n_answered == 0


def test_bad_jobs_are_refused(tmp_path):
    """Wrong inputs, settings, ledgers and files."""
    ledger = tmp_path / "job.db"
    with pytest.raises(InvalidInput, match='"ray" has the settings'):
        BatchScoring.create(ledger, X, **JOB | {"settings": {"speed": 3}})
    with pytest.raises(InvalidInput, match="JSON types"):
        BatchScoring.create(ledger, X, **JOB | {"settings": {"direction": {1}}})
    with pytest.raises(InvalidInput, match="inside the bounds"):
        BatchScoring.create(ledger, X + 1, **JOB)
    with pytest.raises(LedgerError, match="There is no ledger"):
        BatchScoring(ledger, X)
    BatchScoring.create(ledger, X, **JOB, data="x.npy")
    with pytest.raises(InvalidInput, match="already holds"):
        BatchScoring.create(ledger, X, **JOB)
    with pytest.raises(LedgerError, match="another model"):
        BatchScoring.create(ledger, X, **JOB | {"model": "linear-2"})
    with pytest.raises(InvalidInput, match=r"other inputs: go on with x\.npy"):
        BatchScoring(ledger, X + np.float32(1e-6))
    with BatchScoring(ledger, X) as job:
        for path in ("next.txt", tmp_path / "no" / "next.npy"):
            with pytest.raises(InvalidInput, match=r"must end in|cannot be written"):
                job.ask(path)
    with LedgerPredictor(Model(), tmp_path / "plain.db") as plain:
        plain.predict(X)
    with pytest.raises(InvalidInput, match="holds no batch-scoring job"):
        BatchScoring(tmp_path / "plain.db", X)


def test_top_scores_in_a_table(tmp_path):
    """A label and its score, for an estimator that needs no more."""
    BatchScoring.create(tmp_path / "job.db", X, model="m", access="top1", n_classes=3)
    with BatchScoring(tmp_path / "job.db", X) as job:
        job.ask(tmp_path / "next.csv")
        with (tmp_path / "next.csv").open() as file:
            ids = [line["id"] for line in csv.DictReader(file)]
        (tmp_path / "scored.csv").write_text(
            "label,id,top1\n" + "".join(f"2,{name},0.5\n" for name in ids)
        )
        assert job.tell(tmp_path / "scored.csv") == 5
        job.ask(tmp_path / "next.npy")
        distances = job.distances()
    assert (distances.home == 2).all()
    assert (distances.top1 == 0.5).all()


def test_labels(tmp_path):
    """As an array in order, or as a table in any order."""
    keys = content_keys(X)
    np.save(tmp_path / "labels.npy", np.array([0, 1, 2, 0, 1]))
    assert read_scores(tmp_path / "labels.npy", keys, Access.LABEL, 3).label.tolist() == [
        0,
        1,
        2,
        0,
        1,
    ]
    lines = [
        f"{key.tobytes().hex()},{label}" for key, label in zip(keys, [0, 1, 2, 0, 1], strict=True)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label", *lines[::-1]]))
    assert read_scores(tmp_path / "labels.csv", keys, Access.LABEL, 3).label.tolist() == [
        0,
        1,
        2,
        0,
        1,
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label", *(f"{line}.5" for line in lines)]))
    with pytest.raises(InvalidInput, match="integer labels"):
        read_scores(tmp_path / "labels.csv", keys, Access.LABEL, 3)
    with pytest.raises(BadPrediction, match="Labels must lie"):
        read_scores(tmp_path / "labels.npy", keys, Access.LABEL, 2)


def test_the_commands(tmp_path):
    """begin, ask, tell and results, as a user would type them."""
    np.save(tmp_path / "x.npy", X)
    ledger, asked, scored = (str(tmp_path / name) for name in ("job.db", "next.npy", "scored.npy"))

    def run(*arguments):
        return CliRunner().invoke(main, ["batch", *arguments], catch_exceptions=False)

    options = [
        "--model",
        "linear-1",
        "--access",
        "logits",
        "--n-classes",
        "3",
        "--bounds",
        "0,1",
        "--set",
        "direction=margin",
    ]
    assert run("begin", ledger, str(tmp_path / "x.npy"), *options).exit_code == 0
    assert run("results", ledger, "--output", str(tmp_path / "early")).exit_code == 5
    assert run("ask", ledger, str(tmp_path / "x.npy")).exit_code == 3
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)
    while int(run("ask", ledger, asked).stdout):
        score(tmp_path / "next.npy", tmp_path / "scored.npy")
        assert run("tell", ledger, scored).exit_code == 0
    assert run("results", ledger, "--output", str(tmp_path / "run")).exit_code == 0
    np.testing.assert_array_equal(
        Distances.load(tmp_path / "run" / "results.npz").l2, expected_distances().l2
    )
    header = (tmp_path / "run" / "results.csv").read_text().splitlines()[0]
    assert header.endswith(",id,data_row,label,home_name,flipped_name")
    check_that_other_commands_read(tmp_path)
    assert run("tell", ledger, scored).exit_code == 3
    assert run("begin", ledger, str(tmp_path / "x.npy"), *options).exit_code == 3
    assert run("ask", str(tmp_path / "none.db"), asked).exit_code == 3


def check_that_other_commands_read(folder):
    """The run says which rows, which model and which ledger: it is compared, reported, attested."""
    run, data, other = (str(folder / name) for name in ("run", "x.npy", "other.npy"))
    np.save(other, X[::-1])

    def typed(*arguments):
        return CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert typed("worst", run, "--data", data).exit_code == 0
    refused = typed("worst", run, "--data", other)
    assert refused.exit_code == 3
    assert "does not hold the rows" in refused.stderr
    page = str(folder / "comparison.html")
    assert typed("compare", run, run, "--output", page).exit_code == 0
    assert typed("evidence", run).exit_code == 0
    said = (folder / "run" / "statement.md").read_text(encoding="utf-8")
    assert said.startswith("# Distance to the decision boundary: linear-1\n")
    assert "Every query is in a ledger" in said
