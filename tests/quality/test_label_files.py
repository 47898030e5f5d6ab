"""Files of results of the label tables: what is read back, and which images a run still lacks."""

import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import label_marks
import label_table

RUN = {"method": "cgba", "net": "dense", "norm": "l2", "first": 5000, "queries": 300}


def reached(lengths):
    """One image whose flips along one axis come at these lengths, one after the other."""
    noted = label_marks.Reached(1)
    for length in lengths:
        noted.note([0], np.array([[length, 0.0]]), [np.isfinite(length)])
    return noted


def test_the_nearest_flip_of_each_mark_is_read_back(tmp_path):
    """After each number of queries, in each norm."""
    file = tmp_path / "labels.jsonl"
    label_marks.append(file, RUN, 4, reached([np.inf] * 99 + [9.0] + [3.0] * 150), 0.5)
    (line,) = label_marks.read(file)
    assert (line["image"], line["asked"], line["seconds"]) == (4, 250, 0.5)
    assert (line["l1"]["100"], line["linf"]["250"]) == (9.0, 3.0)


def test_images_of_the_same_run_are_left_out(tmp_path):
    """A run with a larger limit has them, too, one with a smaller limit has not."""
    file = tmp_path / "labels.jsonl"
    assert label_marks.known(file, RUN) == set()
    for image in (0, 2):
        label_marks.append(file, RUN, image, reached([1.0]), 0.1)
    for image, queries in ((1, 200), (3, 400)):
        label_marks.append(file, {**RUN, "queries": queries}, image, reached([1.0]), 0.1)
    label_marks.append(file, {**RUN, "norm": "linf"}, 4, reached([1.0]), 0.1)
    assert label_marks.known(file, RUN) == {0, 2, 3}


def test_the_table_compares_images_that_both_have(tmp_path, capsys, monkeypatch):
    """The median of ours is over all of its own."""
    file = tmp_path / "labels.jsonl"
    for image, ours in enumerate([1.0, 2.0, 7.0]):
        label_marks.append(file, {**RUN, "method": "halfspace"}, image, reached([ours]), 0.0)
    for image, theirs in enumerate([4.0, 1.0]):
        label_marks.append(file, RUN, image, reached([theirs]), 0.0)
    given = ["label_table.py", "dense", "--queries", "300", "--file", str(file)]
    monkeypatch.setattr(sys, "argv", given)
    label_table.main()
    ours, cgba = capsys.readouterr().out.splitlines()[2:]
    assert ours.split(" | ")[1:4] == ["3", "2.0000", "2.0000"]
    assert cgba.split(" | ")[1:3] == ["2", "2.5000 (50%) 0.60 1.12"]
