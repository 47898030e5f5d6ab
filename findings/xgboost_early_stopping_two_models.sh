#!/usr/bin/env bash
# Guess: an XGBClassifier with early stopping, its booster, its saved file and Treelite are one
#   model.
# Seen: the classifier predicts with the trees up to the best round; the rounds after it stay in
#   the booster. The booster's own predict, a Booster loaded from the file, and Treelite use all
#   of them. The ONNX export and an XGBClassifier loaded from the file stop at the best round.
# Why it matters: two boundaries in one file, and which of them is measured depends on the class
#   that reads it. The rounds after the best one are those that overfit, so the labels differ most
#   near the boundary.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scikit-learn==1.9.1 xgboost-cpu==3.2.0 treelite==4.8.1 onnxmltools==1.16.0 \
    onnx==1.23.2 onnxruntime==1.32.0
cd "$work"
venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
import onnxmltools
import onnxruntime as ort
import treelite
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType

ort.set_default_logger_severity(3)
rng = np.random.default_rng(0)


def sample(n):
    rows = rng.normal(size=(n, 4)).astype(np.float32)
    return rows, (rows[:, 0] + 2 * rng.normal(size=n) > 0).astype(int)


x, y = sample(400)
model = xgb.XGBClassifier(
    n_estimators=200, early_stopping_rounds=20, max_depth=4, random_state=0, base_score=0.5
)
model.fit(x, y, eval_set=[sample(300)], verbose=False)
model.save_model("model.json")
again = xgb.XGBClassifier()
again.load_model("model.json")
booster = model.get_booster()
rows, _ = sample(2000)
graph = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 4]))])
exported = ort.InferenceSession(graph.SerializeToString()).run(None, {"x": rows})[0]
answers = {
    "XGBClassifier loaded from the file": again.predict(rows),
    "ONNX export": exported,
    "booster of the same object": booster.inplace_predict(rows) > 0.5,
    "Booster loaded from the file": xgb.Booster(model_file="model.json").inplace_predict(rows)
    > 0.5,
    "Treelite": treelite.gtil.predict(treelite.frontend.from_xgboost(booster), rows).reshape(-1)
    > 0.5,
}
print(
    "xgboost",
    xgb.__version__,
    "treelite",
    treelite.__version__,
    "onnxmltools",
    onnxmltools.__version__,
)
print("best round", model.best_iteration, "of", booster.num_boosted_rounds(), "rounds kept")
differ = {
    name: int((answer.astype(int) != model.predict(rows)).sum()) for name, answer in answers.items()
}
for name, count in differ.items():
    print(
        f"{name}: labels that differ from the fitted classifier, expected 0 of 2000; seen {count}"
    )
counts = list(differ.values())
assert booster.num_boosted_rounds() == model.best_iteration + 21
assert counts[:2] == [0, 0] and min(counts[2:]) > 100 and len(set(counts[2:])) == 1
PYTHON
