#!/usr/bin/env bash
# Guess: the Python and C++ source that CatBoost writes with save_model computes what the model
#   computes, as the other formats do.
# Seen: nan_mode is left out. The source compares a missing value with each border, so it always
#   goes to the low side; a model that was trained with nan_mode="Max" puts it on the high side.
#   And the model rounds features to float32 first, while the Python source compares float64 with
#   borders that are printed in decimal: rows at the borders that get_borders returns take the
#   other branch.
# Why it matters: rows with a missing value have another label in the exported code; "set to
#   missing" flips in one of them only. A flip point at a border falls back. Compare with such rows
#   before the source is deployed, and round rows to float32 first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 scipy==1.16.3 pandas==3.1.1 six==1.17.0
"$work/venv/bin/pip" install -q --no-deps catboost==1.2.10 graphviz==0.21
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.util
import subprocess
from pathlib import Path

import catboost
import numpy as np

settings = {"verbose": 0, "thread_count": 1, "random_seed": 0, "allow_writing_files": False}
rng = np.random.default_rng(0)


def python_source(model, name):
    """The function of the exported Python module."""
    model.save_model(f"{name}.py", format="python")
    spec = importlib.util.spec_from_file_location(name, f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda rows: np.array([module.apply_catboost_model(list(row)) for row in rows])


def cpp_source(model, name):
    """The function of the exported C++ source, called through a small program."""
    model.save_model(f"{name}.cpp", format="cpp")
    Path("main.cpp").write_text(
        f'#include "{name}.cpp"\n#include <cstdio>\n'
        "int main() {\n    float a, b;\n"
        '    while (std::scanf("%f %f", &a, &b) == 2)\n'
        '        std::printf("%.17g\\n", ApplyCatboostModel(std::vector<float>{a, b}));\n}\n'
    )
    subprocess.run(["g++", "-O0", "-std=c++14", "-o", name, "main.cpp"], check=True)

    def call(rows):
        text = "\n".join(" ".join(repr(float(v)) for v in row) for row in rows)
        done = subprocess.run([f"./{name}"], input=text, capture_output=True, text=True, check=True)
        return np.array(done.stdout.split(), dtype=float)

    return call


print("catboost", catboost.__version__)
x = rng.normal(size=(3000, 2))
x[rng.random(x.shape) < 0.15] = np.nan
y = (np.nan_to_num(x, nan=2.0).sum(axis=1) > 1).astype(int)
missing = np.isnan(x).any(axis=1)
for mode in ("Min", "Max"):
    model = catboost.CatBoostClassifier(iterations=20, depth=4, nan_mode=mode, **settings).fit(x, y)
    exact = model.predict(x, prediction_type="RawFormulaVal")
    for language, source in (("Python", python_source), ("C++", cpp_source)):
        flipped = (source(model, f"{mode}_model")(x) > 0) != (exact > 0)
        print(
            f"{language}, nan_mode {mode}: labels changed of {missing.sum()} rows with a missing "
            f"value, expected 0; seen {(flipped & missing).sum()}; of the others "
            f"{(flipped & ~missing).sum()}"
        )
        assert not (flipped & ~missing).any()
        assert flipped[missing].any() == (mode == "Max")

x = rng.uniform(0, 1, size=(4000, 1))
y = (np.floor(40 * x[:, 0]) % 2).astype(int)
model = catboost.CatBoostClassifier(iterations=60, depth=4, **settings).fit(x, y)
borders = np.array(model.get_borders()[0])[:, None]
source = python_source(model, "bands")
changed = {}
for name, rows in (("at", borders), ("one float32 above", np.nextafter(np.float32(borders), 2))):
    exact = model.predict(np.float64(rows), prediction_type="RawFormulaVal")
    changed[name] = int(((source(np.float64(rows)) > 0) != (exact > 0)).sum())
    print(f"rows {name} the {len(rows)} borders: labels, expected 0 changed; seen {changed[name]}")
assert changed["at"] > 5 and changed["one float32 above"] == 0
PYTHON
