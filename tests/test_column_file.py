"""Descriptions of columns: inferred from data, written as TOML, read again."""

import tomllib

import numpy as np
import pytest

from blackbox_boundary.column import Column
from blackbox_boundary.column_file import domain_text, read_domain
from blackbox_boundary.column_inference import infer_domain
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput


def test_kinds_are_inferred():
    """Each kind of column is recognised by its values; one-hot groups by their names and sums."""
    rng = np.random.default_rng(0)
    n = 300
    colour = np.eye(3)[rng.integers(0, 3, n)]
    x = np.column_stack(
        [
            rng.integers(18, 90, n),
            rng.normal(0, 1e4, n),
            np.full(n, 7.0),
            colour,
            rng.choice((0.5, 1.0, 2.5), n),
            rng.integers(0, 2, n),
            rng.integers(0, 2, n),
        ]
    )
    x[0, 1] = np.nan
    names = ["age", "income", "year", "colour_red", "colour_green", "colour_blue", "rate", "a", "b"]
    domain = infer_domain(x, names)
    kinds = [str(c.kind) for c in domain.columns]
    assert kinds == ["integer", "continuous", "continuous"] + ["one_hot"] * 3 + [
        "ordinal",
        "binary",
        "binary",
    ]
    assert domain.columns[2].frozen
    assert domain.columns[3].group == "colour"
    assert domain.columns[6].values == (0.5, 1, 2.5)
    assert not domain.violations(x)
    np.testing.assert_allclose(domain.scale[1], x[1:, 1].std())
    np.testing.assert_allclose(domain.scale[3:6], 1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("std", np.std([0, 1, 2, 3, 10.5])), ("range", 10.5), ("mad", 1.4826)],
)
def test_scales_follow_their_definition(rule, expected):
    """Standard deviation, median absolute deviation and range, by hand."""
    x = np.array([[0, 1, 2, 3, 10.5]]).T
    np.testing.assert_allclose(infer_domain(x, scale=rule).scale, [expected])


def test_texts_are_categories():
    """A frame's column of texts lists its values; the frame names the columns."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"city": ["Ulm", "Bern", "Ulm"], "age": [1.5, 2.5, 4.0]})
    domain = infer_domain(frame)
    assert domain.names == ("city", "age")
    assert domain.columns[0] == Column("city", "categorical", values=("Bern", "Ulm"))


def test_what_is_written_is_read(tmp_path):
    """A domain survives its file, whatever its names hold."""
    domain = Domain(
        (
            Column('a "quoted" = \\name\n', "integer", 0, 9, only="rise", scale=0.1),
            Column("b", frozen=True),
            Column("c", "categorical", values=("x", "ÿ")),
            Column("d", "ordinal", values=(0, 0.5)),
            Column("e", "one_hot", group="g"),
            Column("f", "one_hot", group="g"),
        )
    )
    path = tmp_path / "columns.toml"
    path.write_text(domain_text(domain, "a note\nof two lines"), "utf-8")
    assert read_domain(path) == domain
    assert tomllib.loads(path.read_text("utf-8"))["column"][1] == {
        "name": "b", "kind": "continuous", "scale": 1.0, "frozen": True
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[[column]]\nkind = 'integer'", "name"),
        ("[[column]]\nname = 'a'\nfreeze = true", "freeze"),
        ("[[column]]\nname = 'a'\nscale = 'std'", "scale"),
        ("[[column]]\nname = 'a'\nfrozen = 'no'", "frozen"),
        ("[[column]]\nname = 'a'\nlowest = 3\nhighest = 2", "lowest"),
        ("a = 1", "column"),
        ("", "nothing"),
        ("[[", "cannot be read"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, text, word):
    """A file that describes no columns is refused; the message says what and where."""
    path = tmp_path / "columns.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=word):
        read_domain(path)


def test_what_is_no_table_is_refused():
    """Images, empty tables, columns without numbers and other scales are refused by name."""
    with pytest.raises(InvalidInput, match="table"):
        infer_domain(np.zeros((3, 2, 2)))
    with pytest.raises(InvalidInput, match='"a"'):
        infer_domain(np.array([[np.nan, 1.0]]), ["a", "b"])
    with pytest.raises(InvalidInput, match="scale"):
        infer_domain(np.zeros((3, 2)), scale="sd")
    with pytest.raises(InvalidInput, match="names"):
        infer_domain(np.eye(2), ["a"])
