#!/usr/bin/env bash
# Guess: predict_log_proba of Perpetual's classifiers is the logarithm of predict_proba, of shape
#   (rows, classes), as its documentation and scikit-learn say.
# Seen: it is the raw score. With two classes it has shape (rows,) and holds log-odds, up to
#   values far above 0; with three it holds unnormalised scores, off by another constant on each
#   row.
# Why it matters: "more probable than one half", asked as a log-probability above log(0.5), cuts
#   at probability 1/3; differences between rows, entropies and log-losses of it are wrong, while
#   labels and argmax are right. Take the logarithm of predict_proba.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 perpetual==2.3.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import numpy as np
from perpetual.sklearn import PerpetualClassifier

rng = np.random.default_rng(0)
x = rng.normal(size=(2000, 2))
noisy = x[:, 0] + 0.5 * rng.normal(size=2000)
print("perpetual", version("perpetual"))
for classes in (2, 3):
    labels = np.digitize(noisy, [0.0, 0.8][: classes - 1])
    model = PerpetualClassifier(budget=0.3, num_threads=1).fit(x, labels)
    probability, seen = model.predict_proba(x), model.predict_log_proba(x)
    assert np.allclose(probability.sum(axis=1), 1)
    assert (probability.argmax(axis=1) == model.predict(x)).all()
    print(
        f"{classes} classes: shape, expected {probability.shape}; seen {seen.shape}; largest "
        f"value, expected {np.log(probability).max():.3f}; seen {seen.max():.3f}"
    )
    assert seen.max() > 1
    if classes == 2:
        assert seen.shape == (2000,)
        second = probability[:, 1]
        assert np.abs(seen - np.log(second / (1 - second))).max() < 1e-6
        cut = second[seen > np.log(0.5)].min()
        print(f"probability from which it exceeds log(0.5), expected 0.5; seen {cut:.3f}")
        assert cut < 0.4
    else:
        offset = seen - np.log(probability)
        print(
            f"difference to the logarithm, expected 0; seen from {offset.min():.3f} to "
            f"{offset.max():.3f}, within one row up to {np.ptp(offset, axis=1).max():.1e}"
        )
        assert np.ptp(offset) > 0.5 and np.ptp(offset, axis=1).max() < 1e-6
PYTHON
