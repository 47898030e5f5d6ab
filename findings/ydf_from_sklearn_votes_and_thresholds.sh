#!/usr/bin/env bash
# Guess: ydf.from_sklearn takes over a scikit-learn classifier: the same probabilities, hence the
#   same boundary.
# Seen: three things differ. In YDF the imported trees VOTE, where scikit-learn averages their
#   probabilities: a single tree answers only 0 and 1, and a forest of shallow trees has other
#   labels. A row whose feature EQUALS a threshold goes to the other child (YDF asks "x >= t",
#   scikit-learn "x <= t"). A missing value takes the "no" branch, where scikit-learn takes the
#   child with more training rows. Only trees grown until each leaf has one class hide the first.
# Why it matters: boundary, entropy and margins are those of another classifier. Even with pure
#   leaves a flip point exactly at a threshold has the home label in the other library; one
#   float32 further both agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 ydf==0.16.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import sklearn
import ydf
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

rng = np.random.default_rng(0)
x = rng.integers(0, 10, size=(800, 2)).astype(float)
y = (x.sum(axis=1) + 2 * rng.normal(size=800) > 9).astype(int)


def probabilities(source):
    """The probability of class 1, in scikit-learn and after the import."""
    imported = ydf.from_sklearn(source)
    return (
        lambda rows: source.predict_proba(rows)[:, 1],
        lambda rows: imported.predict({"features": rows.astype(np.float32)}),
    )


print("ydf", ydf.__version__, "scikit-learn", sklearn.__version__)
tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(x, y)
native, imported = probabilities(tree)
print(
    "one tree: probabilities expected",
    np.unique(native(x).round(2)).tolist(),
    "seen",
    np.unique(imported(x)).tolist(),
)
assert len(np.unique(native(x))) > 8 and set(np.unique(imported(x)).tolist()) == {0, 1}

shallow = RandomForestClassifier(9, max_depth=4, random_state=0).fit(x, y)
native, imported = probabilities(shallow)
others = int(((native(x) > 0.5) != (imported(x) > 0.5)).sum())
votes = np.mean([tree.predict(x) for tree in shallow.estimators_], axis=0)
print(f"shallow forest: other labels, expected 0 of {len(x)}; seen {others}")
assert others > 2 and np.abs(votes - imported(x)).max() < 1e-6

pure = RandomForestClassifier(9, random_state=0).fit(x, x.sum(axis=1) > 9)
native, imported = probabilities(pure)
halves = rng.integers(0, 9, size=(1000, 2)) + 0.5
moved = np.nextafter(halves.astype(np.float32), np.float32(99))
differing = {}
for name, rows in (("whole numbers", x), ("at the halves", halves), ("next float32", moved)):
    labels = (native(rows) > 0.5) != (imported(rows) > 0.5)
    differing[name] = (int((np.abs(native(rows) - imported(rows)) > 1e-6).sum()), int(labels.sum()))
    print(
        f"pure leaves, {name}: rows with other probabilities, expected 0 of {len(rows)}; seen "
        f"{differing[name][0]}, with another label {differing[name][1]}"
    )
assert differing["whole numbers"] == differing["next float32"] == (0, 0)
assert differing["at the halves"][0] > 100 and differing["at the halves"][1] > 10

missing = np.array([[np.nan, 2.0], [np.nan, 8.0], [9.0, np.nan]])
print(
    "missing values: expected",
    native(missing).round(3).tolist(),
    "seen",
    imported(missing).round(3).tolist(),
)
assert np.abs(native(missing) - imported(missing)).max() > 0.3
PYTHON
