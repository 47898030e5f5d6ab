"""Labels in a file of their own, beside data of any kind."""

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.datasets import check_source, read

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 2, 1, 2])


def _data(folder, kind):
    path = folder / f"data{kind}"
    if kind == ".npy":
        np.save(path, X)
    elif kind == ".npz":
        np.savez(path, x=X, y=1 - Y % 2)
    else:
        rows = [",".join(map(str, [*row, "old"])) for row in X]
        path.write_text("\n".join(["a,b,c,label", *rows]) + "\n", encoding="utf-8")
    return path


def _labels(folder, kind):
    path = folder / f"labels{kind}"
    if kind == ".npy":
        np.save(path, Y)
    elif kind == ".npz":
        np.savez(path, other=np.zeros(2), y=Y)
    elif kind == ".txt":
        path.write_text("\n".join(map(str, Y)) + "\n", encoding="utf-8")
    else:
        lines = ["id,label", *(f"r{at},{label}" for at, label in enumerate(Y))]
        text = "\n".join(lines).replace(",", "\t" if kind == ".tsv" else ",")
        path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", [".npy", ".npz", ".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("data", [".npy", ".npz", ".csv"])
def test_labels_of_every_kind_beside_data_of_every_kind(tmp_path, data, kind):
    """They replace labels that the data hold themselves, whose column is no input."""
    found = read(_data(tmp_path, data), labels=_labels(tmp_path, kind))
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_array_equal(found.x, X)


def test_words_in_a_file_of_labels_are_matched_with_the_classes(tmp_path):
    """A header is none of the labels, whatever it says."""
    path = tmp_path / "words.csv"
    path.write_text("class\nred\nblue\ngreen\nblue\n", encoding="utf-8")
    found = read(_data(tmp_path, ".npz"), labels=path, class_names=["red", "green", "blue"])
    np.testing.assert_array_equal(found.labels, Y)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "must hold labels alone"),
        ("", "there must be some"),
        ("label\n1\n", "one a row"),
    ],
)
def test_what_is_no_file_of_labels_is_refused(tmp_path, text, message):
    """Several columns without a name that says which, no line, too few labels."""
    path = tmp_path / "odd.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        read(_data(tmp_path, ".npy"), labels=path)


def test_missing_files_are_found_without_reading(tmp_path):
    """Before a model is loaded: data, their kind, and the file of labels."""
    data = _data(tmp_path, ".npy")
    check_source(data)
    check_source("digits")
    for wrong in (
        (tmp_path / "no.npy",),
        (data, tmp_path / "no.csv"),
        (_labels(tmp_path, ".txt"),),
    ):
        with pytest.raises(InvalidInput):
            check_source(*wrong)
