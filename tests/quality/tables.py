"""Tables: distances of linear models against the closed form, and whether flips keep the domain.

    OMP_NUM_THREADS=1 python tests/quality/tables.py [ROWS]

1. Logistic regression on breast cancer, wine and iris, by gradients, logits, probabilities, labels;
   on raw columns with a domain (units: standard deviations) and on columns scaled beforehand. The
   closed form of the L2 distance is the least lead over a rival, divided by the length of the
   difference of weights in the same units.
2. A synthetic census-like table (whole numbers, two one-hot groups, levels, frozen and one-way
   columns) and three models: the share of flips that keep the domain, checked by its declaration.

Columns of both tables: rows, worst and median ratio to the closed form, share within the goal
(1e-3; labels 2 %), queries a row; and flips, share that keeps the domain, median L2, queries a row.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from census import census, census_models, keeps
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from blackbox_boundary import Access, Prediction, measure
from blackbox_boundary.column import Column
from blackbox_boundary.column_inference import infer_domain
from blackbox_boundary.domain import Domain

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
GOALS = {"gradients": 1e-3, "logits": 1e-3, "probabilities": 1e-3, "labels": 0.02}


class Linear:
    """Linear scores, as an access reveals them."""

    bounds = None

    def __init__(self, weights, offset, access):
        self.weights, self.offset = weights, offset
        self.access = {
            "probabilities": Access.PROBABILITIES,
            "labels": Access.LABEL,
        }.get(access, Access.LOGITS)
        self.input_shape, self.n_classes = (weights.shape[1],), len(weights)

    def predict(self, x):
        z = (x[:, None, :] * self.weights).sum(axis=-1) + self.offset
        if self.access is Access.PROBABILITIES:
            z = np.exp(z - z.max(axis=-1, keepdims=True))
            z /= z.sum(axis=-1, keepdims=True)
        answer = Prediction.from_scores(z)
        return Prediction(answer.label) if self.access is Access.LABEL else answer


class WithGradients(Linear):
    """The same, with gradients."""

    def vjp(self, x, v):
        return v @ self.weights


def linear_models():
    """Name, rows, domain, weights and offsets of raw and of scaled columns."""
    for load in (load_breast_cancer, load_wine, load_iris):
        data = load()
        spread, mean = data.data.std(axis=0), data.data.mean(axis=0)
        scaled = (data.data - mean) / spread
        fitted = LogisticRegression(max_iter=2000).fit(scaled, data.target)
        w, b = fitted.coef_, fitted.intercept_
        if len(w) == 1:
            w, b = np.concatenate([-w / 2, w / 2]), np.concatenate([-b / 2, b / 2])
        name = load.__name__.removeprefix("load_")
        free = Domain(tuple(Column(str(k), scale=s) for k, s in enumerate(spread)))
        some = np.random.default_rng(0).permutation(len(scaled))[:ROWS]
        yield f"{name}, raw", data.data[some], free, w / spread, b - w @ (mean / spread), spread
        yield f"{name}, scaled", scaled[some], None, w, b, np.ones(len(spread))


def closed_form(x, w, b, unit):
    """The L2 distance of each row, in units of the columns."""
    z = x @ w.T + b
    home = z.argmax(axis=-1)
    length = np.linalg.norm((w[home][:, None] - w) * unit, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (z[np.arange(len(z)), home][:, None] - z) / length
    ratio[np.arange(len(z)), home] = np.inf
    return ratio.min(axis=-1)


def first_table():
    """Distances against the closed form."""
    print(
        f"{'model':24} {'access':14} {'rows':>4} {'worst':>8} {'median':>8} {'share':>6} "
        f"{'queries':>8}"
    )
    for name, x, domain, w, b, unit in linear_models():
        exact = closed_form(x, w, b, unit)
        for access, goal in GOALS.items():
            kind = WithGradients if access == "gradients" else Linear
            named = {"gradients": "tangent", "labels": "halfspace"}
            estimator = named.get(access, "broyden")
            found = measure(kind(w, b, access), x, estimator=estimator, columns=domain)
            ratio = found.l2 / exact
            queries = (found.n_predictions + found.n_gradients).mean()
            share = (np.abs(ratio - 1) <= goal).mean()
            print(
                f"{name:24} {access:14} {len(x):4} {ratio.max():8.5f} {np.median(ratio):8.5f} "
                f"{share:6.1%} {queries:8.0f}"
            )


def census_domain(x):
    """Inferred from all rows; age only rises, the home group is frozen, education only rises."""
    names = ["age", "hours", "gain", "education"]
    names += [f"job={k}" for k in range(6)] + [f"home={k}" for k in range(4)] + ["size", "noise"]
    inferred = infer_domain(x, names)
    edits = {"age": {"only": "rise"}, "education": {"only": "rise"}}
    edits |= {f"home={k}": {"frozen": True} for k in range(4)}
    edits["size"] = {"kind": "ordinal", "values": (1, 2, 5, 10), "group": None}
    kept = ("name", "kind", "scale", "values", "group", "frozen", "only", "lowest", "highest")
    columns = [
        Column(**{name: getattr(c, name) for name in kept} | edits.get(c.name, {}))
        for c in inferred.columns
    ]
    return Domain(tuple(columns))


def second_table():
    """Whether flips keep the domain."""
    data, y = census(30_000)
    domain = census_domain(data)
    x = data[:ROWS]
    train = slice(0, 10_000)
    models = census_models()
    print(
        f"\n{'model':20} {'estimator':10} {'flips':>5} {'keep':>7} {'L2':>7} {'L0':>5} "
        f"{'queries':>8}"
    )
    for name, model in models.items():
        model.fit(data[train], y[train])
        for estimator in ("auto", "tangent", "broyden", "halfspace", "directions", "fewest"):
            found = measure(model, x, estimator=estimator, columns=domain)
            flips = found.has_flip
            share = keeps(found.flip_points[flips], x[flips], data).mean() if flips.any() else 1.0
            queries = (found.n_predictions + found.n_gradients).mean()
            print(
                f"{name:20} {estimator:10} {flips.sum():5} {share:7.1%} "
                f"{np.median(found.l2[flips]):7.3f} {np.median(found.l0[flips]):5.1f} "
                f"{queries:8.0f}"
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    first_table()
    second_table()
