"""``measure`` with tables: which columns are taken, what is said, and what the results hold."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary.cli import main

MODULE = """
import numpy as np
from blackbox_boundary import Access, Prediction

class Plane:
    access, input_shape, n_classes, bounds = Access.LOGITS, (4,), 2, None
    def predict(self, x):
        side = np.asarray(x, float) @ [1, 2, -1, 0.5] - 0.4
        return Prediction.from_scores(np.stack([side, -side], axis=-1))

class Named(Plane):
    class_names = ("yes", "no")
"""
NORMAL = np.array([1, 2, -1, 0.5])
X = np.random.default_rng(0).normal(size=(20, 4)).round(3)
WORDS = np.where(X @ NORMAL > 0.4, "yes", "no")
COLUMNS = ["age", "height", "weight", "pulse"]


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Write a table, measure it, and return the exit code, the messages and the output folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "planes_of_tables.py").write_text(MODULE)

    def run(header, columns, *options, model="Plane", name="d.csv"):
        lines = [",".join(map(str, values)) for values in zip(*columns, strict=True)]
        (tmp_path / name).write_text("\n".join([",".join(header), *lines]) + "\n")
        command = ["measure", f"planes_of_tables:{model}", name, "--no-progress", "--no-report"]
        result = CliRunner().invoke(main, [*command, "--output", "out", "--overwrite", *options])
        assert not isinstance(result.exception, Exception) or isinstance(
            result.exception, SystemExit
        )
        return result.exit_code, result.stderr, tmp_path / "out"

    return run


def rows_of(path):
    """The lines of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_columns_are_taken_by_role_and_said(measured):
    """Ids, labels and left-out columns are no inputs; results and flips name the rows."""
    code, said, out = measured(
        ["name", *COLUMNS, "city", "kind"],
        [[f"p{k}" for k in range(20)], *X.T, ["Rome"] * 20, WORDS],
        *("--id", "name", "--labels", "kind", "--drop", "city", "--rows", "3:9"),
        model="Named",
    )
    assert code == 0
    assert "age, height, weight, pulse; no inputs: name (id), kind (labels), city" in said
    assert "Warning" not in said
    results, flips = rows_of(out / "results.csv"), rows_of(out / "flips.csv")
    assert list(results[0])[-5:] == ["id", "data_row", "label", "home_name", "flipped_name"]
    assert [row["id"] for row in results] == [f"p{k}" for k in range(3, 9)]
    assert [row["data_row"] for row in results] == list("345678")
    assert [row["label"] for row in results] == WORDS[3:9].tolist()
    assert [row["home_name"] for row in results] == WORDS[3:9].tolist()
    assert all({row["home_name"], row["flipped_name"]} == {"yes", "no"} for row in results)
    assert list(flips[0]) == ["name", *COLUMNS]
    points = np.array([[float(row[name]) for name in COLUMNS] for row in flips])
    np.testing.assert_allclose(points @ NORMAL, 0.4, atol=1e-4)
    facts = json.loads((out / "run.json").read_text())
    assert facts["class_names"] == ["yes", "no"]
    assert facts["data"]["columns"] == COLUMNS


def test_columns_in_another_order_are_used_by_name(measured):
    """``--use`` gives the order of the model, and may be repeated or quoted."""
    code, _, out = measured(
        ["pulse", "weight", '"body, height"', "age"],
        X[:, ::-1].T,
        *("--use", 'age,"body, height"', "--use", "weight, pulse"),
    )
    assert code == 0
    truth = np.abs(X @ NORMAL - 0.4) / np.linalg.norm(NORMAL)
    l2 = [float(row["l2"]) for row in rows_of(out / "results.csv")]
    np.testing.assert_allclose(l2, truth, rtol=1e-3)


def test_a_surplus_column_is_named(measured):
    """Nothing is measured, and the message lists columns, index and options."""
    header, columns = ["", *COLUMNS, "target"], [range(300, 320), *X.T, range(20)]
    code, said, out = measured(header, columns)
    assert code == 3
    for word in ("takes 4 inputs", "target", "Unnamed: 0 (index)", "--use", "--drop"):
        assert word in said
    assert not out.exists()
    code, _, out = measured(header, columns, "--drop", "target")
    assert code == 0
    assert rows_of(out / "results.csv")[0]["id"] == "300"


def test_a_row_outside_the_bounds_is_named_by_its_column(measured):
    """Column, row of the file and value."""
    x = X.clip(-1, 1)
    x[7, 2] = 1.5
    code, said, _ = measured(COLUMNS, x.T, "--bounds=-1,1", "--rows", "5:")
    assert code == 3
    assert 'row 7, input [2] "weight" is 1.5' in said


class TestLabels:
    """Labels and the names of the classes."""

    header = (*COLUMNS, "label")

    def test_words_of_a_model_without_names(self, measured):
        """How they were numbered is said, and a warning where they contradict the model."""
        code, said, _ = measured(self.header, [*X.T, WORDS])
        assert code == 0
        assert "alphabetical order: no = 0, yes = 1" in said
        assert "Warning: the labels agree with the model in 0.0% of 20 rows" in said
        names = ("--class-names", "yes,no")
        code, said, out = measured(self.header, [*X.T, WORDS], *names)
        assert code == 0
        assert "Warning" not in said
        assert all(row["label"] == row["home_name"] for row in rows_of(out / "results.csv"))

    def test_numbers_are_matched_by_value(self, measured):
        """Classes 1 and 2, or -1 and 1; beyond the classes of a model without names: refused."""
        for one, two in ((2, 1), (-1, 1)):
            labels = np.where(WORDS == "yes", one, two)
            code, said, _ = measured(self.header, [*X.T, labels])
            assert code == 3
            assert "--class-names" in said
            code, said, _ = measured(self.header, [*X.T, labels], "--class-names", f"{one},{two}")
            assert (code, "Warning" in said) == (0, False)

    def test_unknown_labels_are_refused_or_left_out(self, measured):
        """Labels of another problem are no labels of the model."""
        columns = [*X.T, ["maybe", *WORDS[1:]]]
        code, said, _ = measured(self.header, columns, model="Named")
        assert code == 3
        assert "among the classes of the model, yes, no; got maybe in 1 of 20 rows" in said
        code, _, out = measured(self.header, columns, "--labels", "none", model="Named")
        assert code == 0
        assert {row["label"] for row in rows_of(out / "results.csv")} == {""}

    def test_wrong_class_names(self, measured):
        """As many as classes, all different."""
        for names in ("a", "a,b,c", "a,a"):
            code, said, _ = measured(COLUMNS, X.T, "--class-names", names)
            assert code == 3
            assert "class_names" in said


def test_cells_cannot_steer_the_terminal(measured):
    """Escape sequences of headers and cells are shown by their codes."""
    header = ["a\x1b[2J", *COLUMNS[1:]]
    code, said, _ = measured(header, X.T)
    assert code == 0
    assert r"a\x1b[2J" in said
    assert "\x1b" not in said
