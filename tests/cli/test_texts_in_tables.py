"""Columns of texts in files: described, measured, and written as texts again."""

import csv
import json
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import InvalidInput, column_inference
from blackbox_boundary.cli import main
from blackbox_boundary.datasets import parquet_files, read
from blackbox_boundary.stored_rows import StoredRows

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

MODULE = """
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def pipeline():
    frame = pd.read_csv("people.csv")
    parts = [("n", StandardScaler(), ["age", "income"]), ("c", OneHotEncoder(), ["job"])]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression())
    return model.fit(frame[["age", "income", "job"]], frame["granted"])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table of people, and a pipeline that is fitted on it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people_model.py").write_text(MODULE)
    rng = np.random.default_rng(0)
    n = 120
    frame = pd.DataFrame(
        {
            "name": [f"p{k}" for k in range(n)],
            "job": rng.choice(["clerk", "nurse, day", "smith"], n),
            "age": rng.integers(18, 80, n),
            "income": rng.normal(3000, 900, n).round(2),
        }
    )
    lead = 0.05 * frame.age + 0.002 * frame.income + 2 * (frame.job == "smith") - 9
    frame["granted"] = np.where(lead + rng.logistic(size=n) > 0, "yes", "no")
    frame.to_csv(tmp_path / "people.csv", index=False)
    frame.to_parquet(tmp_path / "people.parquet", index=False)
    return tmp_path


def run(*arguments):
    """Exit code, standard output, messages."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def table(path):
    """The lines of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


ROLES = ("--id", "name", "--labels", "granted")


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_from_a_file_with_texts_to_flips_with_texts(folder, name):
    """Described, measured and written again: categories are texts wherever a person reads them."""
    code, text, said = run("columns", name, *ROLES)
    assert code == 0, said
    columns = tomllib.loads(text)["column"]
    assert [c["name"] for c in columns] == ["job", "age", "income"]
    assert columns[0]["values"] == ["clerk", "nurse, day", "smith"]
    (folder / "columns.toml").write_text(text)
    command = ("measure", "people_model:pipeline", name, *ROLES, "--columns", "columns.toml")
    code, _, said = run(*command, "--rows", 12, "--no-progress", "--no-report", "--output", "out")
    assert code == 0, said
    assert "columns of inputs: age, income, job; of texts: job (3 categories)" in said
    assert "no inputs: name (id), granted (labels)" in said
    results, flips = table(folder / "out/results.csv"), table(folder / "out/flips.csv")
    assert [row["id"] for row in results] == [f"p{k}" for k in range(12)]
    assert {row["home_name"] for row in results} == {"yes", "no"}
    assert list(flips[0]) == ["name", "age", "income", "job"]
    assert {row["job"] for row in flips} <= {"clerk", "nurse, day", "smith"}
    assert all(row["age"] == str(int(row["age"])) for row in flips)
    assert run("report", "out", "--data", name)[0] == 0
    jobs = [line for line in table(folder / "out/changes.csv") if line["column"] == "job"]
    assert {line["after"] for line in jobs} <= {"clerk", "nurse, day", "smith"}
    # the flips are a table of the same columns, which flips in the pipeline
    again = read(folder / "out/flips.csv", ids="name", texts={"job": columns[0]["values"]})
    assert again.columns == ("age", "income", "job")
    assert again.texts == {"job": ("clerk", "nurse, day", "smith")}


def test_texts_that_are_no_categories(folder):
    """A category not described, names in every row, and texts not described are reported."""
    _, text, _ = run("columns", "people.csv", *ROLES)
    (folder / "columns.toml").write_text(text.replace('"smith"', '"Smith"'))
    command = ("measure", "people_model:pipeline", "people.csv", *ROLES, "--output", "o")
    code, _, said = run(*command, "--columns", "columns.toml")
    assert code == 3
    assert "unknown categories" in said  # the pipeline was not fitted on it
    (folder / "columns.toml").write_text(text.replace(', "smith"', ""))
    code, _, said = run(*command, "--columns", "columns.toml")
    assert code == 3
    assert 'Column "job" holds values that are no category of it in ' in said
    assert "rows: smith; known are clerk, nurse, day" in said
    code, _, said = run("columns", "people.csv", "--labels", "granted")
    assert code == 3
    assert '"name" of "people.csv" holds 120 different texts' in said
    code, _, said = run(*command)
    assert code == 3
    assert "say what the columns hold" in said
    assert "--columns" in said
    with pytest.raises(InvalidInput, match='"blackbox-boundary columns" describes them'):
        read("people.csv", ids="name")


@pytest.mark.parametrize("scale", ["std", "mad", "range"])
def test_a_large_file_is_described_in_blocks(tmp_path, monkeypatch, scale):
    """Row group by row group, as the same file in memory; no block holds half of the rows."""
    rng = np.random.default_rng(1)
    n = 900
    color = rng.choice(["blue", "green", "red"], n)
    city = rng.choice(["Bonn", "Paris", "Rome"], n).astype(object)
    city[5] = None
    frame = pd.DataFrame(
        {
            "city": city,
            "age": rng.integers(18, 80, n),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.normal(3e3, 900, n)),
            "level": rng.choice([0.5, 1.5, 4.0], n),
            "member": rng.integers(0, 2, n),
            "same": 3.0,
            **{f"color_{each}": (color == each).astype(int) for each in set(color)},
            **{f"tag_{k}": rng.integers(0, 2, n) for k in range(2)},
        }
    )
    frame.to_parquet(tmp_path / "t.parquet", index=False, row_group_size=200)
    whole = tomllib.loads(run("columns", tmp_path / "t.parquet", "--scale", scale)[1])
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    monkeypatch.setattr(parquet_files, "_TEXT_BLOCK_BYTES", 8 * 100)
    monkeypatch.setattr(column_inference, "row_blocks", in_blocks_of(100))
    code, out, said = run("columns", tmp_path / "t.parquet", "--scale", scale)
    assert code == 0, said
    streamed = tomllib.loads(out)
    kinds = {each["name"]: each["kind"] for each in streamed["column"]}
    assert kinds["city"] == "categorical"
    assert kinds["level"] == "ordinal"
    assert kinds["color_red"] == "one_hot"
    assert kinds["tag_0"] == "binary"
    for mine, theirs in zip(streamed["column"], whole["column"], strict=True):
        assert mine.pop("scale") == pytest.approx(theirs.pop("scale"), rel=1e-12)
        assert mine == theirs


def in_blocks_of(n):
    """``row_blocks`` with so many rows a block."""

    def blocks(x):
        assert isinstance(x, StoredRows)
        for first in range(0, len(x), n):
            yield first, np.asarray(x[first : first + n])

    return blocks


def test_names_in_a_large_file_are_no_categories(tmp_path, monkeypatch):
    """A text of its own in every row is refused, as in a small file."""
    frame = pd.DataFrame({"name": [f"p{k}" for k in range(300)], "age": np.arange(300.0)})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    code, _, said = run("columns", tmp_path / "t.parquet")
    assert code == 3
    assert "these are no categories" in said


def test_missing_texts_are_missing_values(tmp_path):
    """An empty field is NaN, in a category as in a number, and no category of its own."""
    path = tmp_path / "d.csv"
    path.write_text("a;b\nx;1,5\n;2,5\nz; \n")
    data = read(path, texts="found")
    assert data.texts == {"a": ("x", "z")}
    np.testing.assert_array_equal(data.x, [[0, 1.5], [np.nan, 2.5], [1, np.nan]])
    frame = data.frame()
    assert frame.columns[0].tolist() == ["x", None, "z"]


def test_an_export_with_an_input_a_column_is_fed_from_a_file(folder):
    """The categories of --columns are those of the graph's input of texts."""
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    space = {}
    exec(MODULE, space)
    types = [
        ("age", Int64TensorType([None, 1])),
        ("income", FloatTensorType([None, 1])),
        ("job", StringTensorType([None, 1])),
    ]
    options = {"zipmap": False}
    graph = skl2onnx.to_onnx(space["pipeline"](), initial_types=types, options=options)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    _, text, _ = run("columns", "people.csv", *ROLES)
    (folder / "columns.toml").write_text(text)
    command = ("measure", "model.onnx", "people.csv", *ROLES, "--rows", 8, "--no-report")
    code, _, said = run(*command, "--columns", "columns.toml", "--no-progress", "--output", "out")
    assert code == 0, said
    assert json.loads((folder / "out/run.json").read_text())["class_names"] == ["no", "yes"]
    assert {row["job"] for row in table(folder / "out/flips.csv")} <= {
        "clerk",
        "nurse, day",
        "smith",
    }
    code, _, said = run(*command, "--output", "o")
    assert code == 3
    assert "takes texts" in said
    assert "--columns" in said
