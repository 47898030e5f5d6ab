"""``columns`` and ``measure --columns``: from a table to a run that keeps to its description."""

import csv
import json
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary.cli import main

MODULE = """
import numpy as np
from blackbox_boundary import Access, Prediction

class Plane:
    access, input_shape, n_classes, bounds = Access.LOGITS, (3,), 2, None
    def predict(self, x):
        side = (np.asarray(x, float) * [0.1, 1, 1e-3]).sum(axis=-1) - 5
        return Prediction.from_scores(np.stack([side, -side], axis=-1))

class Named(Plane):
    input_names = ("age", "smokes", "income")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model and a table of 30 rows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "planes_in_columns.py").write_text(MODULE)
    rng = np.random.default_rng(0)
    rows = zip(
        rng.integers(20, 80, 30), rng.integers(0, 2, 30), rng.normal(500, 300, 30), strict=True
    )
    lines = [f"{age},{smokes},{income:.2f}" for age, smokes, income in rows]
    (tmp_path / "d.csv").write_text("\n".join(["age,smokes,income", *lines]) + "\n")
    return tmp_path


def run(*arguments):
    """Exit code, standard output, messages."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def described(folder, *edits):
    """Write columns.toml as the command infers it, with replacements."""
    code, text, _ = run("columns", "d.csv")
    assert code == 0
    for before, after in edits:
        assert before in text
        text = text.replace(before, after, 1)
    (folder / "columns.toml").write_text(text)
    return tomllib.loads(text)["column"]


def measure(*options, model="Plane"):
    """Measure with the description in columns.toml."""
    command = ("measure", f"planes_in_columns:{model}", "d.csv", "--columns", "columns.toml")
    return run(*command, "--output", "out", "--no-progress", "--no-report", *options)


def test_a_description_is_inferred_edited_and_kept(folder):
    """Frozen columns keep their values, whole numbers stay whole, distances are in scales."""
    columns = described(folder, ('name = "smokes"', 'name = "smokes"\nfrozen = true'))
    assert [c["kind"] for c in columns] == ["integer", "binary", "continuous"]
    code, _, said = measure()
    assert code == 0, said
    with (folder / "d.csv").open() as file:
        before = [[float(v) for v in row.values()] for row in csv.DictReader(file)]
    with (folder / "out/flips.csv").open() as file:
        after = [[float(v) for v in list(row.values())[:3]] for row in csv.DictReader(file)]
    with (folder / "out/results.csv").open() as file:
        l2 = [float(row["l2"]) for row in csv.DictReader(file)]
    before, after = np.array(before), np.array(after)
    np.testing.assert_array_equal(before[:, 1], after[:, 1])
    np.testing.assert_array_equal(after[:, 0], np.round(after[:, 0]))
    moved = (after - before) / [c["scale"] for c in columns]
    np.testing.assert_allclose(np.linalg.norm(moved, axis=-1), l2, rtol=1e-4)
    facts = json.loads((folder / "out/run.json").read_text())
    assert [c["name"] for c in facts["columns"]] == ["age", "smokes", "income"]


def test_a_run_goes_on_with_the_same_columns_alone(folder):
    """--resume with an edited description is refused, and says what differs."""
    described(folder)
    code, _, said = measure("--max-queries", 4000)
    assert code == 5, said
    described(folder, ('name = "smokes"', 'name = "smokes"\nfrozen = true'))
    code, _, said = measure("--resume")
    assert (code, "columns" in said) == (3, True)
    described(folder)
    assert measure("--resume")[0] == 0


def test_columns_are_matched_by_name(folder):
    """Another order is said; missing and unknown columns are named."""
    described(folder)
    text = (folder / "columns.toml").read_text()
    head, *tables = text.split("[[column]]")
    (folder / "columns.toml").write_text(
        "[[column]]".join([head, *tables[::-1]]).replace("]]", "]]\n")
    )
    code, _, said = measure(model="Named")
    assert (code, "matched with the inputs by name" in said) == (0, True), said
    described(folder, ('name = "income"', 'name = "wage"'))
    code, _, said = measure("--overwrite")
    assert code == 3
    assert "lacks income" in said
    assert "no input is called wage" in said


def test_rows_outside_are_refused_or_repaired(folder):
    """Rows that violate the description are counted by column; --repair moves them and says so."""
    described(folder, ("highest = 7", "highest = 5"))
    code, _, said = measure()
    assert code == 3
    assert '"age" in' in said
    assert "--repair" in said
    code, _, said = measure("--repair", "--output", "repaired")
    assert code == 0
    assert "by column: age (" in said
    assert run("worst", "repaired", "--data", "d.csv", "--n", 2)[0] == 0


def test_what_is_no_table_is_refused(folder):
    """Images have no columns; --repair needs a description; a bad file is an input error."""
    np.save(folder / "images.npy", np.zeros((3, 4, 4)))
    assert run("columns", "images.npy")[0] == 3
    described(folder, ("kind = ", "kinds = "))
    code, _, said = measure()
    assert (code, "kinds" in said) == (3, True)
    command = ("measure", "planes_in_columns:Plane", "d.csv", "--repair", "--output", "o")
    assert run(*command)[0] == 2


def test_columns_of_other_units_are_named(folder):
    """The warning names columns as the table does, once, and only if no description has units."""
    command = ("measure", "planes_in_columns:Plane", "d.csv", "--no-progress", "--no-report")
    code, _, said = run(*command, "--output", "raw")
    assert code == 0, said
    assert said.count("differ by over a hundred times") == 1
    assert '(column "smokes") to' in said
    assert '("income")' in said
    described(folder)
    assert "hundred times" not in measure()[2]


def test_distances_to_a_class_and_back_to_the_true_one(folder):
    """--towards measures rows of other classes only; --from-label those with another label."""
    command = ("measure", "planes_in_columns:Plane", "d.csv", "--no-progress", "--no-report")

    def rows(*options):
        code, _, said = run(*command, *options, "--output", "out", "--overwrite")
        assert code == 0, said
        with (folder / "out/results.csv").open() as file:
            return list(csv.DictReader(file))

    for row in rows("--towards", "1"):
        assert (row["status"] == "AT_TARGET") == (row["home"] == "1")
        assert row["flipped"] == ("-1" if row["home"] == "1" else "1")
    table = (folder / "d.csv").read_text().splitlines()
    labels = ["label", *(str(k % 2) for k in range(30))]
    (folder / "d.csv").write_text("\n".join(map(",".join, zip(table, labels, strict=True))))
    for row in rows("--from-label"):
        assert row["home"] == row["label"] or row["flipped"] == row["label"]
    assert run(*command, "--towards", "2", "--output", "o")[0] == 3
    assert run(*command, "--labels", "none", "--from-label", "--output", "o")[0] == 3


def test_the_number_of_columns_is_a_norm(folder):
    """--norm l0 changes few columns, ranks and judges by their number, also without a domain."""
    described(folder)
    for given in (("--columns", "columns.toml"), ("--bounds=-1e4,1e4",)):
        command = ("measure", "planes_in_columns:Plane", "d.csv", *given, "--norm", "l0")
        code, _, said = run(*command, "--output", "few", "--overwrite", "--fail-if", "p90 <= 1")
        assert code == 7, said
        assert "p90 is at most 1 (L0, columns)" in said
        assert "change their label when 1 column changes" in said
        with (folder / "few/results.csv").open() as file:
            assert {row["l0"] for row in csv.DictReader(file)} == {"1.0"}
        with (folder / "few/changes.csv").open() as file:
            changes = list(csv.DictReader(file))
        assert len(changes) == len({line["row"] for line in changes}) == 30
        facts = json.loads((folder / "few/run.json").read_text())
        assert (facts["estimator"]["name"], facts["norm"]) == ("fewest", "l0")
        page = (folder / "few/report.html").read_text()
        assert "Share of 30 rows without a flip nearer than a radius (L0, columns)" in page
        assert "l0" in run("worst", "few", "--n", 2)[1].splitlines()[0].split(",")
    code, _, said = run(*command, "--estimator", "ray", "--output", "o")
    assert (code, "minimised by fewest, tangent, trees" in said) == (2, True), said
    assert measure("--overwrite")[0] == 0
    code, _, said = run("report", "out", "--norm", "l0", "--fail-if", "p5 < 1")
    assert (code, "p5 is at most" in said) == (0, True), said
    bare = ("measure", "planes_in_columns:Plane", "d.csv", "--bounds=-1e4,1e4", "--rows", 2)
    assert run(*bare, "--no-report", "--output", "raw")[0] == 0
    code, _, said = run("report", "raw", "--norm", "l0")
    assert (code, "did not count the columns" in said) == (3, True), said
