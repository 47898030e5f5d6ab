#!/usr/bin/env bash
# Guess: a float32 row written as JSON or CSV and read back is the same row; nine digits identify
#   a float32.
# Seen: orjson and DataFrame.to_csv write the SHORTEST decimal that identifies the float32. A
#   reader that parses it as float64, as JSON readers do, gets another number than the float32:
#   0.1 is not float32(0.1). And DataFrame.to_json cannot write a float64 exactly, even with its
#   largest double_precision, 15.
# Why it matters: boundary points differ from the threshold by one rounding. Behind a server with
#   a float64 model, some of them are back on the home side. json.dumps(row.tolist()) widens first
#   and is exact.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scikit-learn==1.9.1 pandas==3.1.1 orjson==3.13.0
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import io
import json

import numpy as np
import orjson
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

rng = np.random.default_rng(0)
x = rng.uniform(0, 1, size=(20000, 1))
y = (np.floor(100 * x[:, 0]) % 2).astype(int)
model = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(
    x, y
)  # thresholds and rows in float64
flips = lambda values: model.predict(np.asarray(values, dtype=float)[:, None])


def nearest_flips(dtype):
    """Bisect between the middles of neighbouring bands down to neighbouring numbers."""
    low = ((np.arange(99) + 0.5) / 100).astype(dtype)
    high = ((np.arange(99) + 1.5) / 100).astype(dtype)
    home = flips(low)
    for _ in range(60):
        middle = ((low + high) / 2).astype(dtype)
        kept = flips(middle) == home
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    keep = (flips(high) != home) & (high == np.nextafter(low, dtype(2)))
    return high[keep], home[keep]


writers = {
    "json.dumps(tolist)": lambda v: json.loads(json.dumps(v.tolist())),
    "orjson": lambda v: orjson.loads(orjson.dumps(v, option=orjson.OPT_SERIALIZE_NUMPY)),
    "DataFrame.to_csv": lambda v: pd.read_csv(
        io.StringIO(pd.DataFrame({"x": v}).to_csv(index=False))
    )["x"],
    "DataFrame.to_json, 15 digits": lambda v: json.loads(
        pd.Series(v).to_json(orient="values", double_precision=15)
    ),
}
print("orjson", orjson.__version__, "pandas", pd.__version__)
lost = {}
for dtype in (np.float32, np.float64):
    points, home = nearest_flips(dtype)
    for name, through_text in writers.items():
        lost[name, dtype] = int((flips(through_text(points)) == home).sum())
        print(
            f"{dtype.__name__}, {name}: flips lost of {len(points)}, expected 0; seen "
            f"{lost[name, dtype]}"
        )
    assert len(points) > 60
assert lost["json.dumps(tolist)", np.float32] == lost["json.dumps(tolist)", np.float64] == 0
assert lost["orjson", np.float64] == lost["DataFrame.to_csv", np.float64] == 0
assert min(lost["orjson", np.float32], lost["DataFrame.to_csv", np.float32]) > 1
assert lost["DataFrame.to_json, 15 digits", np.float64] > 10
PYTHON
