"""The domain of a table: which inputs exist, and which a row may become."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput

COLUMNS = (
    Column("age", "integer", 0, 120, only="rise"),
    Column("income", lowest=0.0, highest=1e5, scale=1e3),
    Column("debt", only="fall"),
    Column("red", "one_hot", group="colour"),
    Column("green", "one_hot", group="colour"),
    Column("blue", "one_hot", group="colour"),
    Column("stars", "ordinal", values=(0, 1, 5)),
    Column("weight", frozen=True),
    Column("city", "categorical", values=("Bern", "Graz", "Ulm")),
    Column("smokes", "binary"),
)
DOMAIN = Domain(COLUMNS)
ROW = np.array([30, 3e4, 10.0, 1, 0, 0, 1, 62.5, 0, 0])


def exists(points, x):
    """Whether each point is one that its row may become, by the words of the declaration."""
    age, income, debt, red, green, blue, stars, weight, city, smokes = points.T
    return (
        (age >= x[:, 0]) & (age <= 120) & (age == np.round(age))
        & (income >= 0) & (income <= 1e5) & (debt <= x[:, 2])
        & (red + green + blue == 1) & np.isin(points[:, 3:6], (0, 1)).all(axis=-1)
        & np.isin(stars, (0, 1, 5)) & (weight == x[:, 7])
        & np.isin(city, (0, 1, 2)) & np.isin(smokes, (0, 1))
    )  # fmt: skip


@given(
    st.lists(st.floats(width=32), min_size=10, max_size=10),
    st.sampled_from((np.float32, np.float64)),
)
def test_projected_points_exist(values, dtype):
    """Any point projected becomes a possible input, also from NaN and infinity, and stays one."""
    x = ROW[None].astype(dtype)
    points = DOMAIN.nearest(np.array([values], dtype), x)
    assert points.dtype == dtype
    assert exists(points, x).all()
    assert not DOMAIN.violations(points)
    np.testing.assert_array_equal(DOMAIN.nearest(points, x), points)


def test_nearest_is_the_nearest():
    """No whole number, level or category that exists is nearer, by trying all of them."""
    small = Domain((*COLUMNS[3:7], Column("n", "integer", -2, 2)))
    there = np.array(
        [[*one, level, n] for one, level, n in product(np.eye(3), (0, 1, 5), range(-2, 3))]
    )
    rng = np.random.default_rng(0)
    points = rng.uniform(-3, 6, (200, 5))
    points[:, :3] = rng.dirichlet(np.ones(3), 200)
    moved = small.nearest(points, np.tile([1.0, 0, 0, 0, 0], (200, 1)))
    best = np.linalg.norm(points[:, None] - there, axis=-1).min(axis=-1)
    np.testing.assert_allclose(np.linalg.norm(points - moved, axis=-1), best)


def test_half_a_step_is_not_lost():
    """Midway between two values the one farther from the row is taken, in both directions."""
    domain = Domain((Column("n", "integer"), Column("level", "ordinal", values=(0, 2, 3))))
    moved = domain.nearest(np.array([[3.5, 1.0], [2.5, 2.5]]), np.array([[3.0, 0.0], [3.0, 3.0]]))
    np.testing.assert_array_equal(moved, [[4, 2], [2, 2]])


def test_violations_are_named_and_repaired():
    """Each column with values that do not exist is named with a count; repaired rows have none."""
    x = np.tile(ROW, (4, 1))
    x[0, 0], x[1, 0], x[2, 3:6], x[3, 1] = 30.5, 121, (1, 1, 0), -1
    assert [(v.column, v.n_rows) for v in DOMAIN.violations(x)] == [
        ("colour (one-hot)", 1), ("age", 2), ("income", 1)
    ]  # fmt: skip
    repaired = DOMAIN.repaired(x)
    assert not DOMAIN.violations(repaired)
    np.testing.assert_array_equal(repaired[:, 6:], x[:, 6:])


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kind": "whole"}, "kind"),
        ({"lowest": 2, "highest": 1}, "lowest"),
        ({"kind": "integer", "lowest": 0.2, "highest": 0.8}, "lowest"),
        ({"kind": "ordinal", "values": (1, 0)}, "ascend"),
        ({"kind": "ordinal"}, "values"),
        ({"kind": "categorical", "values": ("a", 1)}, "values"),
        ({"kind": "categorical", "values": ("a", "b"), "only": "rise"}, "only"),
        ({"kind": "one_hot"}, "group"),
        ({"scale": 0.0}, "scale"),
    ],
)
def test_bad_columns_are_refused_by_name(settings, word):
    """A column that cannot be is refused; the message names it and the setting."""
    with pytest.raises(InvalidInput, match=word) as refused:
        Column("height", **settings)
    assert "height" in str(refused.value)


def test_groups_and_names_are_checked():
    """Names differ; a one-hot group has two columns, all of them frozen or none."""
    red, green = Column("red", "one_hot", group="c"), Column("green", "one_hot", group="c")
    frozen = Column("blue", "one_hot", group="c", frozen=True)
    for columns, word in (
        ((red, red), "twice"),
        ((red,), "at least two"),
        ((red, green, frozen), "frozen"),
    ):
        with pytest.raises(InvalidInput, match=word):
            Domain(columns)


def test_columns_are_matched_by_name():
    """Another order is taken over; missing and unknown columns are named."""
    assert DOMAIN.selected(DOMAIN.names[::-1]).names == DOMAIN.names[::-1]
    with pytest.raises(InvalidInput, match=r"lacks sex.*no input is called smokes"):
        DOMAIN.selected((*DOMAIN.names[:-1], "sex"))
