"""Flips of trees from labels alone, as ratios to the exact distance.

    python tests/quality/label_trees.py --rows 40            # the tables of quality-tables.md
    python tests/quality/label_trees.py --rows 24 --seeds 4 5 6 --only-ours

Needs the extra ``test-trees``: XGBoost, 100 trees of depth 5 on a made table of 8 columns.
"""

import argparse
import os
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import xgboost
from sklearn.datasets import make_classification

from blackbox_boundary import load, measure
from blackbox_boundary.estimators import AxisSplits, HalfSpace, Trees
from blackbox_boundary.wrappers import LabelOnly


def trained(seed):
    """A predictor, and rows that it was not trained on."""
    x, y = make_classification(
        3000, 8, n_informative=6, n_redundant=0, n_clusters_per_class=3, random_state=seed
    )
    x = x.astype(np.float32)
    model = xgboost.XGBClassifier(n_estimators=100, max_depth=5, random_state=0, n_jobs=1)
    return load(model.fit(x[:2000], y[:2000])), x[2000:]


def compared(predictor, rows, norm, settings, exact):
    """Ratios to the exact distances (n,)."""
    found = measure(LabelOnly(predictor), rows, estimator=settings)
    return found.norm(norm) / exact.norm(norm)


def table(n_rows, n_queries, seeds, estimators):
    """One line for each norm and estimator, over the rows of all tables."""
    tables = [(predictor, rows[:n_rows]) for predictor, rows in map(trained, seeds)]
    print("| norm | estimator | rows | median | 95 % | largest |\n|---|---|---|---|---|---|")
    for norm in ("l1", "l2", "linf"):
        exact = [measure(*each, estimator=Trees(norm=norm)) for each in tables]
        n_exact = sum((e.certified >= e.norm(norm) * (1 - 1e-6)).sum() for e in exact)
        for kind in estimators:
            settings = kind(norm=norm, max_queries_per_row=n_queries)
            ratio = np.concatenate(
                [compared(*each, norm, settings, e) for each, e in zip(tables, exact, strict=True)]
            )
            print(
                f"| {norm} | `{settings.name}` | {len(ratio)} ({n_exact} exact) | "
                f"{np.median(ratio):.3f} | {np.quantile(ratio, 0.95):.3f} | {ratio.max():.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a table each")
    parser.add_argument("--only-ours", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = [AxisSplits] if given.only_ours else [AxisSplits, HalfSpace]
    table(given.rows, given.queries, given.seeds, kinds)
