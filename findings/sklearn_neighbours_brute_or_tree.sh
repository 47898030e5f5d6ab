#!/usr/bin/env bash
# Guess: algorithm="brute" and "kd_tree" of KNeighborsClassifier are two ways to the same answer.
# Seen: they break ties differently: on whole-number data many rows have several equally near
#   neighbours, and the labels differ. And brute force computes |a|^2 - 2ab + |b|^2: with a column
#   far from zero, such as a time in milliseconds, the difference cancels and most neighbours are
#   wrong; kd_tree subtracts first and is right. "auto" takes brute force above 15 columns and for
#   sparse data, a tree otherwise.
# Why it matters: a boundary point of this classifier IS a tie. One more column, or another format
#   of the same data, moves the boundary. Centre the columns first, and expect both labels on the
#   boundary itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
from sklearn.neighbors import KNeighborsClassifier

rng = np.random.default_rng(0)


def labels(x, y, rows, k):
    return [
        KNeighborsClassifier(k, algorithm=name).fit(x, y).predict(rows)
        for name in ("brute", "kd_tree")
    ]


def exact_labels(x, y, rows, k):
    distance = np.linalg.norm(rows[:, None] - x[None], axis=2)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return (y[nearest].mean(axis=1) > 0.5).astype(int)


print("scikit-learn", sklearn.__version__)
grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
y = rng.integers(0, 2, len(grid))
rows = rng.integers(0, 7, size=(400, 2)) + 0.5
brute, tree = labels(grid, y, rows, 3)
print(
    "rows half way between grid points: expected 0 of 400 labels differ; seen "
    f"{(brute != tree).sum()}"
)
assert (brute != tree).sum() > 0

start = 1.7e12  # milliseconds since 1970; rows a few seconds apart
x = rng.normal(size=(500, 3)) * 1000
rows = rng.normal(size=(500, 3)) * 1000
y = (x[:, 0] > 0).astype(int)
brute, tree = labels(x + start, y, rows + start, 3)
right = exact_labels(x + start, y, rows + start, 3)
print("three columns of times: labels that differ from the exact neighbours, expected 0 of 500;")
print(f"  seen: kd_tree {(tree != right).sum()}, brute {(brute != right).sum()}")
assert (tree == right).all() and (brute != right).sum() > 100
brute, tree = labels(x, y, rows, 3)
print(f"  the same rows without the offset: brute {(brute != tree).sum()}")
assert (brute == tree).all()
PYTHON
