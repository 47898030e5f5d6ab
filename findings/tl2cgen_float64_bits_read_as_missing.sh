#!/usr/bin/env bash
# Guess: C code that TL2cgen generates from a float64 model (LightGBM, scikit-learn) treats a
#   value as missing when it is NaN.
# Seen: value and the mark "missing" share their memory: a value counts as missing when its low 32
#   bits are all ones. In float64 these are ordinary numbers, among them the largest number below
#   each number with a short binary form: just below 2, 2.5 or 3. They go where missing values go.
#   LightGBM and Treelite's own interpreter compare them. Float32 models are safe: there such bits
#   are a NaN.
# Why it matters: a bisection that runs to the last bit ends exactly at such numbers. Far from
#   each boundary of LightGBM the compiled model has flips one number wide, and a certified
#   interval of the source is not one of the code. Check each boundary point in the compiled model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 lightgbm==4.7.0 treelite==4.8.1 tl2cgen==1.0.0
"$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PYTHON' || { tail -5 "$work/log" >&2; exit 1; }
import tempfile

import lightgbm as lgb
import numpy as np
import tl2cgen
import treelite

rng = np.random.default_rng(0)
x = rng.integers(0, 8, size=(2000, 1)).astype(float)
y = (x[:, 0] > 4).astype(int)
unknown = rng.random(2000) < 0.1
x[unknown], y[unknown] = np.nan, 1  # missing values speak for class 1
booster = lgb.train(
    {"objective": "binary", "num_threads": 1, "verbose": -1}, lgb.Dataset(x, y), num_boost_round=20
)
trees = treelite.frontend.from_lightgbm(booster)
folder = tempfile.TemporaryDirectory()
library = folder.name + "/model.so"
tl2cgen.export_lib(trees, toolchain="gcc", libpath=library, params={}, nthread=1, verbose=False)
compiled = tl2cgen.Predictor(library, nthread=1, verbose=False)


def answers(values):
    rows = np.array(values, dtype=np.float64)[:, None]
    return (
        booster.predict(rows),
        treelite.gtil.predict(trees, rows).ravel(),
        compiled.predict(tl2cgen.DMatrix(rows, dtype="float64")).ravel(),
    )


print("tl2cgen", tl2cgen.__version__, "treelite", treelite.__version__, "lightgbm", lgb.__version__)
short = np.array([1.0, 1.5, 2.0, 2.5, 3.0])
for name, values in (
    ("1, 1.5 .. 3", short),
    ("one number above", np.nextafter(short, 9)),
    ("one number below", np.nextafter(short, -9)),
    ("NaN", np.full(5, np.nan)),
):
    native, interpreted, seen = answers(values)
    print(f"{name}: probability expected {native.round(3).tolist()}, seen {seen.round(3).tolist()}")
    assert np.allclose(native, interpreted)
    if name == "one number below":
        assert (native < 0.5).all() and (seen > 0.5).all()
    else:
        assert np.allclose(native, seen)
PYTHON
