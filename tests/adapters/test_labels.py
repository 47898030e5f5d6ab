"""Labels of any shape, type and value become indices of the classes."""

import numpy as np
import pytest
from blackbox_boundary.adapters.labels import check_labels, label_indices, listed_classes
from hypothesis import example, given
from hypothesis import strategies as st

from blackbox_boundary import BadPrediction, InvalidInput

CLASSES = st.one_of(
    st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=6, unique=True),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=6, unique=True),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=6, unique=True),
)


def guises(labels):
    """The same labels in every type that holds them exactly."""
    yield np.array(labels, dtype=object)
    if isinstance(labels[0], str):
        yield np.array([label.encode() for label in labels], dtype=object)
        if not any("\0" in label for label in labels):
            yield np.array(labels)
    elif isinstance(labels[0], int):
        yield np.array(labels, np.int64)
        yield np.array(labels, np.int32)
        yield np.array(labels, np.float64)
    else:
        yield np.array(labels, np.float32)


@given(classes=CLASSES, data=st.data())
@example(classes=[-1, 1], data=None)
def test_labels_are_places_in_the_list_of_classes(classes, data):
    """Whatever the type and the shape, a label is the index at which the classes list it."""
    size = len(classes) - 1
    index = [0, 1] if data is None else data.draw(st.lists(st.integers(0, size), min_size=1))
    n = len(index)
    for labels in guises([classes[i] for i in index]):
        for shape in ((n,), (n, 1), (1, n), (n, 1, 1)):
            assert label_indices(labels.reshape(shape), n, classes).tolist() == index


@given(st.lists(st.integers(0, 9), min_size=1), st.sampled_from(["i8", "u1", "i4", "f4", "f8"]))
def test_labels_without_a_list_are_indices(index, dtype):
    """Whole numbers from 0 are the index, in floating point, too; NaN is no answer."""
    n = len(index)
    assert label_indices(np.array(index, dtype).reshape(1, n), n).tolist() == index
    if dtype.startswith("f"):
        assert label_indices(np.array([*index, np.nan], dtype), n + 1).tolist() == [*index, -1]


def test_booleans_are_the_second_class_or_the_first():
    """Whether the classes are listed as booleans, as 0 and 1, or not at all."""
    labels = np.array([True, False])
    for classes in (None, [0, 1], [False, True]):
        assert label_indices(labels, 2, classes).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([-1, 1], None, "whole numbers from 0.*got -1"),
        ([0.5, 1.0], None, "whole numbers from 0.*got 0.5"),
        (["cat", "dog"], None, "their classes listed"),
        ([0, 1, 1], None, r"one label a row, 2; got an output of shape \(3,\)"),
        ([1, 2], [1, 3], "among the classes 1, 3; got '2'"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(labels, classes, message):
    """An error names the label and says how to list the classes."""
    with pytest.raises(BadPrediction, match=message):
        label_indices(np.array(labels), 2, classes)


def test_classes_are_listed_by_the_labels_seen():
    """As many distinct labels as classes are these in ascending order; indices need no list."""
    assert listed_classes(np.array([1, -1, 1]), 2, "M") == [-1, 1]
    assert listed_classes(np.array(["b", "a"]), 2, "M") == ["a", "b"]
    assert listed_classes(np.array([[0.0], [2.0]]), 3, "M") is None
    with pytest.raises(InvalidInput, match=r'"labels" of M must list the classes.*labels -1, 1'):
        listed_classes(np.array([-1, 1]), 3, "M")


def test_a_list_of_classes_is_checked():
    """Two or more classes, each once by name, as many as there are."""
    assert check_labels(None, 3, "M") is None
    assert check_labels(("a", "b"), 2, "M") == ["a", "b"]
    for labels, n_classes in (("ab", None), (["a"], None), ([1, 1.0], 2), (["a", "b"], 3)):
        with pytest.raises(InvalidInput, match='"labels" of M must list'):
            check_labels(labels, n_classes, "M")
