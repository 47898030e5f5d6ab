"""The capacity sheet: rows a second of one core, queries a row and bytes a row of each estimator.

    OMP_NUM_THREADS=1 python tests/quality/capacity.py [ESTIMATOR ...]

Rows of 30 numbers, a perceptron of two hidden layers of 32 on one thread of ONNX Runtime, results
as Parquet. Seconds are processor time, so that other work on the machine does not count; the
model's time is measured apart, by the same calls again. Prints the table of
docs/explanation/capacity.md.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from large import perceptron

WIDTH = 30
ROWS = {
    "linearised": 20_480, "ray": 20_480, "lower_bound": 20_480, "tangent": 400, "directions": 60,
    "homotopy": 40, "broyden": 40, "flip_point": 20, "halfspace": 20,
}  # fmt: skip


def sheet(name, n, model, x):
    """One line of the table."""
    from blackbox_boundary import load
    from blackbox_boundary.measuring.to_parquet import measure_to_parquet

    predictor, calls = load(model, access="logits", threads=1), []
    predict, vjp = predictor.predict, predictor.vjp
    predictor.predict = lambda rows: (calls.append((predict, rows.shape)), predict(rows))[1]
    predictor.vjp = lambda rows, v: (calls.append((vjp, rows.shape)), vjp(rows, v))[1]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measure_to_parquet(predictor, x[:64], Path(folder) / "warm", estimator=name)
        calls.clear()
        began = time.process_time()
        found = measure_to_parquet(predictor, x[:n], folder, estimator=name)
        seconds = time.process_time() - began
        size = sum(file.stat().st_size for file in (Path(folder) / "results").iterdir())
        few = Path(folder) / "few"
        measure_to_parquet(
            load(model, access="logits"), x[:n], few, flip_points=False, estimator=name
        )
        small = sum(file.stat().st_size for file in (few / "results").iterdir())
    v = np.ones((512, 3), np.float32)
    began = time.process_time()
    for ask, (k, _) in calls:
        predict(x[:k]) if ask is predict else vjp(x[:k], v[:k])
    model_seconds = time.process_time() - began
    queries = found.run["n_queries"] / n
    print(
        f"| `{name}` | {n / seconds:,.0f} | {1e6 * (seconds - model_seconds) / n:,.0f} | "
        f"{queries:,.0f} | {size / n:.0f} | {small / n:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    rows = np.random.default_rng(0).standard_normal((max(ROWS.values()), WIDTH), np.float32)
    with tempfile.TemporaryDirectory() as place:
        perceptron(WIDTH, Path(place) / "model.onnx")
        print(
            "| estimator | rows a second and core | without the model, us a row | queries a row | "
            "bytes a row | without flip points |"
        )
        print("|---|---|---|---|---|---|")
        for each in sys.argv[1:] or ROWS:
            sheet(each, ROWS[each], Path(place) / "model.onnx", rows)
