"""Tables as people have them: indexes, ids, truth values, decimal commas, columns by name."""

import json

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.datasets import read


def table(tmp_path, text, name="t.csv", **choice):
    """Read a table of this text."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read(tmp_path / name, **choice)


def test_an_index_without_a_name_names_the_rows(tmp_path):
    """As ``DataFrame.to_csv()`` writes it: no input, and said in the source."""
    data = table(tmp_path, ",age,height\n300,1,2\n301,3,4\n")
    assert data.x.tolist() == [[1, 2], [3, 4]]
    assert data.columns == ("age", "height")
    assert data.ids.tolist() == ["300", "301"]
    assert data.source["index"] == ["Unnamed: 0"]


def test_an_index_is_used_where_it_is_named(tmp_path):
    """Whoever names a column decides what it is."""
    data = table(tmp_path, ",a\n5,1\n6,2\n", use=["Unnamed: 0", "a"])
    assert data.x.tolist() == [[5, 1], [6, 2]]
    assert data.ids is None


@pytest.mark.parametrize("column", ["1,1", "0.5,1.5"])
def test_a_first_column_that_may_be_a_feature_is_refused(tmp_path, column):
    """Values that repeat or have fractions do not number the rows."""
    first, second = column.split(",")
    with pytest.raises(InvalidInput, match=r'no name, and its values .*drop "Unnamed: 0"'):
        table(tmp_path, f",a\n{first},1\n{second},2\n")


def test_columns_have_the_roles_they_are_given(tmp_path):
    """Inputs in the order of ``use``; ids and labels are text or numbers; others are left out."""
    text = "name,a,b,city,kind\nx1,1,2,Rome,cat\nx2,3,4,Paris,dog\n"
    data = table(tmp_path, text, use=["b", "a"], ids="name", labels="kind")
    assert data.x.tolist() == [[2, 1], [4, 3]]
    assert data.columns == ("b", "a")
    assert data.ids.tolist() == ["x1", "x2"]
    assert (data.labels.tolist(), data.names) == ([0, 1], ("cat", "dog"))
    assert data.source["left_out"] == ["city"]
    assert data.source["labels_numbered"] == "by the alphabet"
    dropped = table(tmp_path, text, drop=["city", "kind"], ids="name")
    assert dropped.columns == ("a", "b")
    assert dropped.labels is None


def test_labels_may_be_left_out(tmp_path):
    """The column ``label`` is neither input nor label then."""
    data = table(tmp_path, "a,label\n1,7\n2,x\n", labels="none")
    assert data.labels is None
    assert data.columns == ("a",)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"use": ["b", "c"]}, 'no column "c"; it has a, a, b'),
        ({"drop": ["a"]}, 'two columns "a"'),
        ({"drop": ["b"], "ids": "b"}, 'Column "b" .* one role'),
        ({"use": ["b", "b"]}, 'Column "b" .* one role'),
    ],
)
def test_wrong_choices_are_refused(tmp_path, choice, says):
    """Unknown, ambiguous, or in two roles."""
    with pytest.raises(InvalidInput, match=says):
        table(tmp_path, "a,a,b\n1,2,3\n", **choice)


def test_columns_of_what_is_no_table(tmp_path):
    """An array has no columns to name."""
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(InvalidInput, match="is no table"):
        read(tmp_path / "x.npy", drop=["a"])


def test_truth_values_are_numbers(tmp_path):
    """As ``get_dummies`` writes them; without a header, too."""
    data = table(tmp_path, "a,member\n1,True\n2,False\n3,TRUE\n4,\n")
    np.testing.assert_array_equal(data.x[:, 1], [1, 0, 1, np.nan])
    assert table(tmp_path, "1,true\n2,false\n").x.tolist() == [[1, 1], [2, 0]]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(tmp_path, separator):
    """Semicolons and tabs are seen in the first line, and then a comma is a decimal mark."""
    text = "größe;gewicht\n1,5;2\n-3,25e2;0,5\n".replace(";", separator)
    data = table(tmp_path, text)
    assert data.x.tolist() == [[1.5, 2], [-325, 0.5]]
    assert data.columns == ("größe", "gewicht")


def test_two_decimal_marks_are_refused(tmp_path):
    """1.234 may be a thousand and more beside 1,5."""
    with pytest.raises(InvalidInput, match=r'one decimal mark; it has "1,5" and "1\.234"'):
        table(tmp_path, "a;b\n1,5;2\n1;1.234\n")


@pytest.mark.parametrize("text", ["12_34", "1,5", "0x10", "Paris"])
def test_a_text_column_is_named(tmp_path, text):
    """The message names column, line, cell, and what to do."""
    with pytest.raises(InvalidInput, match=r'Column "city" .* line 3 has ".*" *.*drop "city"'):
        table(tmp_path, f'a,city\n1,2\n3,"{text}"\n')


class TestLabels:
    """Labels are matched with the names of the model's classes by value."""

    @pytest.mark.parametrize(
        ("cells", "names", "labels"),
        [
            (["dog", "cat"], ["ape", "cat", "dog"], [2, 1]),
            (["1", "3.0"], ["1", "2", "3"], [0, 2]),
            (["-1", "1"], ["-1", "1"], [0, 1]),
            (["01", "1"], ["1", "01"], [1, 0]),
            (["True", "False"], ["False", "True"], [1, 0]),
            (["0.5", "1.5"], ["0.5", "1.5"], [0, 1]),
        ],
    )
    def test_by_value(self, tmp_path, cells, names, labels):
        """Words, numbers however written, negative numbers, truth values."""
        lines = "".join(f"{k},{cell}\n" for k, cell in enumerate(cells))
        data = table(tmp_path, "a,label\n" + lines, class_names=names)
        assert data.labels.tolist() == labels
        assert data.names == tuple(names)
        assert data.source["labels_numbered"] == "by value"

    def test_arrays_match_too(self, tmp_path):
        """Numbers and bytes of an archive."""
        for stored in (np.array([3, 1]), np.array([3.0, 1.0]), np.array([b"3", b"1"])):
            np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=stored)
            assert read(tmp_path / "d.npz", class_names=["1", "2", "3"]).labels.tolist() == [2, 0]

    def test_an_unknown_label_is_an_error(self, tmp_path):
        """The message lists the classes, the unknown labels and the rows that have them."""
        with pytest.raises(InvalidInput, match="classes of the model, a, b; got c, d in 3 of 4"):
            table(tmp_path, "x,label\n1,a\n2,c\n3,d\n4,c\n", class_names=["a", "b"])

    def test_numbers_beyond_any_class(self, tmp_path):
        """Neither infinity nor 1e300 is cast to a number of a class."""
        for cell in ("inf", "1e300", "nan"):
            with pytest.raises(InvalidInput, match="whole numbers from 0"):
                table(tmp_path, f"a,label\n1,{cell}\n")


class TestParquet:
    """Frames as pandas stores them."""

    def frame(self, tmp_path, columns, index):
        """Write columns with the metadata of a frame whose index is ``index``."""
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        facts = {b"pandas": json.dumps({"index_columns": index}).encode()}
        parquet.write_table(pa.table(columns).replace_schema_metadata(facts), tmp_path / "t.pq")
        return tmp_path / "t.pq"

    @pytest.mark.parametrize(
        ("name", "index"), [("__index_level_0__", []), ("key", ["key"]), ("__index_level_0__", 3)]
    )
    def test_the_index_is_no_input(self, tmp_path, name, index):
        """By its name, or by the metadata; its values name the rows."""
        data = read(self.frame(tmp_path, {"a": [1.0, 2.0], name: [30, 31]}, index))
        assert data.x.tolist() == [[1], [2]]
        assert data.ids.tolist() == ["30", "31"]
        assert data.source["index"] == [name]

    def test_a_range_index_is_no_column(self, tmp_path):
        """Pandas stores it in the metadata alone."""
        index = [{"kind": "range", "start": 0, "stop": 2, "step": 1}]
        data = read(self.frame(tmp_path, {"a": [1.0, 2.0], "b": [True, None]}, index))
        np.testing.assert_array_equal(data.x, [[1, 1], [2, np.nan]])
        assert data.columns == ("a", "b")
        assert data.ids is None

    def test_a_text_column_is_named(self, tmp_path):
        """The message says what to do."""
        path = self.frame(tmp_path, {"a": [1.0, 2.0], "city": ["x", "y"]}, [])
        with pytest.raises(InvalidInput, match=r'Column "city" .* got string.*drop "city"'):
            read(path)
        assert read(path, ids="city").ids.tolist() == ["x", "y"]
        assert read(path, use=["a"]).columns == ("a",)
