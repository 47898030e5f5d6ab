"""Peers on the census table of tables.py: flips, share that keeps the domain, distances, queries.

    bash tests/quality/tables_peers.sh [ROWS]

ART's HopSkipJump and ZOO know labels or probabilities and no columns; DiCE knows which columns may
vary and their ranges, and is told so. The environment is their own: DiCE and alibi need NumPy 1.
Distances are in units of the columns' standard deviations (one-hot columns: 1), as in tables.py.
"""

import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pandas as pd
from census import census, census_models, keeps

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
NAMES = ["age", "hours", "gain", "education"]
NAMES += [f"job_{k}" for k in range(6)] + [f"home_{k}" for k in range(4)] + ["size", "noise"]


class Counted:
    """A fitted model that counts the rows it is asked."""

    def __init__(self, model):
        self.model, self.classes_, self.n = model, model.classes_, 0

    def predict_proba(self, x):
        self.n += len(x)
        return self.model.predict_proba(np.asarray(x, float))

    def predict(self, x):
        return self.predict_proba(x).argmax(axis=-1)


def by_art(kind, model, x, data):
    """Nearest points by HopSkipJump or ZOO, within the ranges of the data."""
    from art.attacks.evasion import HopSkipJump, ZooAttack
    from art.estimators.classification import BlackBoxClassifier

    low, high = data.min(axis=0), data.max(axis=0)
    wrapped = BlackBoxClassifier(
        lambda rows: model.predict_proba(low + rows * (high - low)), x.shape[1:], 2, (0, 1)
    )
    rows = ((x - low) / (high - low)).astype(np.float32)
    if kind == "HopSkipJump":
        attack = HopSkipJump(
            wrapped, norm=2, max_iter=20, max_eval=500, init_eval=50, verbose=False
        )
    else:
        attack = ZooAttack(
            wrapped,
            max_iter=200,
            nb_parallel=4,
            use_resize=False,
            use_importance=False,
            binary_search_steps=3,
            batch_size=1,
            verbose=False,
        )
    return low + attack.generate(rows) * (high - low)


def by_dice(model, x, data, labels):
    """Counterfactuals of DiCE, one a row: frozen groups do not vary, whole numbers are declared."""
    import dice_ml

    frame = pd.DataFrame(data, columns=NAMES).astype(
        {name: int for name in NAMES if name != "noise"}
    )
    known = dice_ml.Data(
        dataframe=frame.assign(income=labels), continuous_features=NAMES, outcome_name="income"
    )
    explainer = dice_ml.Dice(known, dice_ml.Model(model=model, backend="sklearn"), method="genetic")
    vary = [name for name in NAMES if not name.startswith("home")]
    out = np.full(x.shape, np.nan)
    for i, row in enumerate(x):
        query = pd.DataFrame(row[None], columns=NAMES).astype(frame.dtypes)
        ranges = {
            name: [float(row[at]), float(frame[name].max())]
            for at, name in enumerate(NAMES)
            if name in ("age", "education")
        }
        try:
            found = explainer.generate_counterfactuals(
                query,
                total_CFs=1,
                desired_class="opposite",
                features_to_vary=vary,
                permitted_range=ranges,
                verbose=False,
            )
            out[i] = found.cf_examples_list[0].final_cfs_df[NAMES].to_numpy(float)[0]
        except Exception as error:  # noqa: BLE001  DiCE raises where it finds none
            print(f"DiCE, row {i}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
    return out


def main():
    """One line for each model and peer."""
    warnings.simplefilter("ignore")
    data, y = census(30_000)
    unit = data.std(axis=0)
    unit[4:14] = 1.0
    x = data[:ROWS]
    print(
        "| model | peer | flips | keep the domain | median L2 | median columns | queries a row "
        "| s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, model in census_models().items():
        model.fit(data[:10_000], y[:10_000])
        home = model.predict(x)
        for peer in ("HopSkipJump", "ZOO", "DiCE"):
            asked = Counted(model)
            began = time.process_time()
            points = (
                by_dice(asked, x, data[:10_000], y[:10_000])
                if peer == "DiCE"
                else by_art(peer, asked, x, data)
            )
            seconds = time.process_time() - began
            known = np.isfinite(points).all(axis=-1)
            flips = known.copy()
            flips[known] = model.predict(points[known]) != home[known]
            moved = (points[flips] - x[flips]) / unit
            share = keeps(points[flips], x[flips], data).mean() if flips.any() else float("nan")
            print(
                f"| {name} | {peer} | {flips.sum()} of {len(x)} | {share:.0%} | "
                f"{np.median(np.linalg.norm(moved, axis=-1)):.3f} | "
                f"{np.median((moved != 0).sum(axis=-1)):.1f} | {asked.n / len(x):.0f} | "
                f"{seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
