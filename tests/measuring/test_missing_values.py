"""Missing values: kept and tried where a column allows them, and nowhere else."""

import csv
import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, Status, measure
from blackbox_boundary.cli import main
from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.estimators import Broyden, Directions, Fewest, HalfSpace, Tangent
from blackbox_boundary.predictor import Prediction
from blackbox_boundary.search.scaled_columns import ScaledColumns
from blackbox_boundary.testing import Adversary

NAN = np.nan
DOMAIN = Domain(
    (
        Column("age", "integer", 0, 120, scale=10.0, missing=True),
        Column("income", lowest=0.0, highest=100.0, scale=5.0),
        Column("city", "categorical", values=("a", "b", "c"), missing=True),
        Column("stars", "ordinal", values=(0, 1, 5), missing=True, frozen=True),
        Column("debt", scale=2.0, only="fall", missing=True),
    )
)
X = np.array(
    [[30, 50, 1, 5, 3.5], [NAN, 50, 2, 1, 3.5], [30, 20, NAN, NAN, NAN], [30, NAN, 0, 5, 3.5]]
)


def exist(points, x):
    """Whether the rows (k, 5) may become the points (k, 5), by the words of the declaration."""
    age, income, city, stars, debt = points.T
    return (
        (np.isnan(age) | ((age == np.round(age)) & (age >= 0) & (age <= 120)))
        & (income >= 0) & (income <= 100) & (np.isnan(city) | np.isin(city, (0, 1, 2)))
        & ((stars == x[:, 3]) | (np.isnan(stars) & np.isnan(x[:, 3])))
        & (np.isnan(debt) | np.isnan(x[:, 4]) | (debt <= x[:, 4]))
    )  # fmt: skip


class Witness:
    """A predictor that keeps every point it is sent."""

    n_classes, bounds, input_shape = 3, None, (5,)

    def __init__(self, inner):
        self.access, self.inner, self.sent = inner.access, inner, []

    def predict(self, x):
        self.sent.append(x.copy())
        return self.inner.predict(np.nan_to_num(x, nan=-77.0))


@pytest.mark.parametrize(
    "estimator",
    [Tangent(), HalfSpace(max_queries_per_row=120), Broyden(max_queries_per_row=120),
     Directions(count=3), Fewest(max_queries_per_row=150, base=HalfSpace(60))],
    ids=lambda each: each.name,
)  # fmt: skip
@given(seed=st.integers(0, 99), row=st.integers(0, 2))
@settings(max_examples=8, deadline=None)
def test_every_point_sent_exists(estimator, seed, row):
    """For any model, only columns that may be missing are, and frozen ones keep their values."""
    witness = Witness(Adversary((5,), 3, access=Access.LOGITS, seed=seed))
    x = X[row : row + 1]
    found = measure(witness, x, estimator=estimator, columns=DOMAIN)
    sent = np.concatenate(witness.sent)
    assert exist(sent, np.broadcast_to(x, sent.shape)).all()
    known = found.has_flip
    assert exist(found.flip_points[known], x[known]).all()


class Gaps:
    """Class 1 where the age is missing, or the income large."""

    access, n_classes, bounds, input_shape = Access.PROBABILITIES, 2, None, (5,)

    def predict(self, x):
        p = np.where(np.isnan(x[:, 0]), 0.9, 1 / (1 + np.exp((90 - x[:, 1]) / 10)))
        return Prediction.from_scores(np.stack([1 - p, p], axis=-1))


def test_a_missing_value_is_a_flip_of_length_one():
    """Taking the age away flips, at a distance of 1; giving it back flips the row without one."""
    frozen = (dataclasses.replace(column, frozen=True) for column in DOMAIN.columns[2:])
    free = Domain((*DOMAIN.columns[:2], *frozen))
    found = measure(Gaps(), X[:2], columns=free)
    assert found.status.tolist() == [Status.CONVERGED] * 2
    assert np.isnan(found.flip_points[0, 0])
    np.testing.assert_allclose(found.l2, 1.0)
    np.testing.assert_array_equal(found.l0, [1, 1])
    assert found.flip_points[1, 0] == 60  # the middle of its bounds
    assert found.flip_points[1, 1] == 50


def test_rows_with_other_gaps_are_not_measured():
    """A missing income is no input; without a description, neither is any."""
    found = measure(Gaps(), X, columns=DOMAIN, max_queries=0)
    assert (found.status == Status.INVALID_INPUT).tolist() == [False, False, False, True]
    found = measure(Gaps(), X, max_queries=0)
    assert (found.status == Status.INVALID_INPUT).tolist() == [False, True, True, True]


def test_translations_are_inverse():
    """Coordinates of rows with gaps lead back to the rows, bit for bit; their length is zero."""
    columns, rows = ScaledColumns(DOMAIN), X[:3]
    there = columns.encode(rows)
    np.testing.assert_array_equal(columns.decode(there, rows), rows)
    np.testing.assert_array_equal(columns.nearest(there, there), there)
    np.testing.assert_array_equal(columns.length(rows, rows, 2), 0.0)
    assert [len(unit) for unit in columns.units] == [2, 1, 4, 2]


def test_values_beside_gaps_are_checked_and_repaired():
    """A wrong value is found and mended in a row that has a gap elsewhere, and the gap stays."""
    x = X[1:2].copy()
    x[0, 1] = 170
    assert [v.column for v in DOMAIN.violations(x)] == ["income"]
    np.testing.assert_array_equal(DOMAIN.repaired(x), [[NAN, 100, 2, 1, 3.5]])
    with pytest.raises(InvalidInput, match="one_hot"):
        Column("red", "one_hot", group="colour", missing=True)


MODULE = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

def boosted():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    x[rng.random(300) < 0.3, 0] = np.nan
    y = np.where(np.isnan(x[:, 0]), 1, x.sum(axis=-1) > 0)
    return HistGradientBoostingClassifier(max_iter=20).fit(x, y)
"""


def test_on_the_command_line(tmp_path, monkeypatch):
    """Rows with gaps are counted by column; ``missing = true`` measures them, also to gaps."""
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model_of_gaps.py").write_text(MODULE)
    rows = np.random.default_rng(1).normal(size=(12, 2)).round(3).tolist()
    lines = [f"{'' if k % 3 == 0 else a},{b}" for k, (a, b) in enumerate(rows)]
    (tmp_path / "d.csv").write_text("a,b\n" + "\n".join(lines) + "\n")
    described = CliRunner().invoke(main, ["columns", "d.csv"]).stdout
    command = ["measure", "model_of_gaps:boosted", "d.csv", "--no-report", "--no-progress"]

    def run(text):
        (tmp_path / "columns.toml").write_text(text)
        more = ["--columns", "columns.toml", "--output", "out", "--overwrite"]
        done = CliRunner().invoke(main, [*command, *more])
        with (tmp_path / "out/results.csv").open() as file:
            return done.stderr, list(csv.DictReader(file))

    said, results = run(described)
    assert "4 rows are not measured, since values are missing, by column: a (4)" in said
    assert sum(row["status"] == "INVALID_INPUT" for row in results) == 4
    said, results = run(described.replace('name = "a"', 'name = "a"\nmissing = true'))
    assert "missing" not in said
    assert {row["status"] for row in results} == {"CONVERGED"}
    with (tmp_path / "out/changes.csv").open() as file:
        changes = list(csv.DictReader(file))
    assert "missing" in {line["before"] for line in changes} | {line["after"] for line in changes}
