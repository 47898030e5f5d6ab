#!/usr/bin/env bash
# Guess: rows written by dump_svmlight_file and read by load_svmlight_file with the same number of
#   features are the same rows.
# Seen: the writer counts columns from 0, the reader guesses: where no row has a value in column 0,
#   it takes the file for one that counts from 1, and each value moves one column to the left,
#   without a warning. Pictures with an empty first pixel (digits, MNIST) always fall into it. The
#   guess is made per file, so of two files of one audit one can be shifted and the other not.
# Why it matters: inputs and flip points kept in libsvm files come back as other rows with other
#   labels, and the distance between an input and its flip is that of the shift. Pass
#   zero_based=True to the reader, and compare labels after reading.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1
"$work/venv/bin/python" -W error - <<'PYTHON'
import io

import numpy as np
import sklearn
from sklearn.datasets import dump_svmlight_file, load_digits, load_svmlight_file
from sklearn.neighbors import KNeighborsClassifier

x, y = load_digits(return_X_y=True)
model = KNeighborsClassifier(3).fit(x, y)


def round_trip(rows, **settings):
    file = io.BytesIO()
    dump_svmlight_file(rows, np.zeros(len(rows)), file)
    file.seek(0)
    read, _ = load_svmlight_file(file, n_features=rows.shape[1], **settings)
    return read.toarray()


first = set(x[:, 0].tolist())
print("scikit-learn", sklearn.__version__, "| digits, 64 pixels; values of the first:", first)
inputs = x[:200]
flips = inputs.copy()
flips[:, 0] = 0.25  # a perturbation that touches each pixel, the first one too
back = {"inputs": round_trip(inputs), "perturbed": round_trip(flips)}
stated = round_trip(inputs, zero_based=True)
labels = model.predict(inputs)
changed = int((model.predict(back["inputs"]) != labels).sum())
print(f"labels changed by writing and reading, expected 0 of 200; seen {changed}")
print(f"  with zero_based=True: {int((model.predict(stated) != labels).sum())}")
apart = np.linalg.norm(back["perturbed"] - back["inputs"], axis=1)
print(f"distance of perturbed rows, expected 0.25; seen {apart.min():.2f} to {apart.max():.2f}")
assert np.array_equal(stated, inputs) and np.array_equal(back["perturbed"], flips)
assert np.array_equal(back["inputs"][:, :-1], inputs[:, 1:]) and changed > 20
assert apart.min() > 5
PYTHON
