"""Tables: distances of linear models against the closed form, and whether flips keep the domain.

    OMP_NUM_THREADS=1 python tests/quality/tables.py [ROWS]

1. Logistic regression on breast cancer, wine and iris, by gradients, logits, probabilities and labels;
   on raw columns with a domain (units: standard deviations) and on columns scaled beforehand. The
   closed form of the L2 distance is the least lead over a rival, divided by the length of the
   difference of weights in the same units.
2. A made table like a census (whole numbers, two one-hot groups, levels, frozen and one-way columns) and
   three models: the share of flips that keep the domain, checked by the words of its declaration.

Columns of both tables: rows, worst and median ratio to the closed form, share within the goal (1e-3;
labels 2 %), queries a row; and flips, share that keeps the domain, median L2, queries a row.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
        f"{'model':24} {'access':14} {'rows':>4} {'worst':>8} {'median':>8} {'share':>6} {'queries':>8}"
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


def census(n, seed=0):
    """Rows like those of a census, and whether an income is high."""
    rng = np.random.default_rng(seed)
    age = rng.integers(17, 91, n)
    hours = np.clip(rng.normal(40, 12, n).round(), 1, 99)
    gain = np.where(rng.random(n) < 0.1, rng.gamma(1.0, 12000, n).round(), 0)
    education = rng.integers(1, 17, n)
    job, home = rng.integers(0, 6, n), rng.integers(0, 4, n)
    size = rng.choice((1, 2, 5, 10), n)
    x = np.column_stack(
        [age, hours, gain, education, np.eye(6)[job], np.eye(4)[home], size, rng.normal(size=n)]
    )
    lead = (
        0.04 * (age - 40) + 0.03 * (hours - 40) + 2e-4 * gain + 0.35 * (education - 9)
        + np.array([-1, 0.5, 1, 0, -0.5, 0.8])[job] + 0.4 * (home == 2) - 0.1 * size
    )  # fmt: skip
    return x, (lead + rng.logistic(size=n) > 0).astype(int)


def census_domain(x):
    """Inferred from all rows; age only rises, the home group is frozen, education only rises."""
    names = ["age", "hours", "gain", "education"]
    names += [f"job={k}" for k in range(6)] + [f"home={k}" for k in range(4)] + ["size", "noise"]
    inferred = infer_domain(x, names)
    edits = {"age": {"only": "rise"}, "education": {"only": "rise"}}
    edits |= {f"home={k}": {"frozen": True} for k in range(4)}
    edits["size"] = {"kind": "ordinal", "values": (1, 2, 5, 10), "group": None}
    columns = [
        Column(**({f: getattr(c, f) for f in ("name", "kind", "scale", "values", "group", "frozen", "only")}
                  | {"lowest": c.lowest, "highest": c.highest} | edits.get(c.name, {})))
        for c in inferred.columns
    ]  # fmt: skip
    return Domain(tuple(columns))


def keeps(points, x, data):
    """Whether flips are rows that their rows may become, by the words of the declaration."""
    whole = points[:, :4]
    job, home = points[:, 4:10], points[:, 10:14]
    return (
        (whole == np.round(whole)).all(axis=-1)
        & (whole >= data[:, :4].min(axis=0)).all(axis=-1)
        & (whole <= data[:, :4].max(axis=0)).all(axis=-1)
        & (points[:, 0] >= x[:, 0])
        & (points[:, 3] >= x[:, 3])
        & np.isin(job, (0, 1)).all(axis=-1)
        & (job.sum(axis=-1) == 1)
        & (home == x[:, 10:14]).all(axis=-1)
        & np.isin(points[:, 14], (1, 2, 5, 10))
    )


def second_table():
    """Whether flips keep the domain."""
    data, y = census(30_000)
    domain = census_domain(data)
    x = data[:ROWS]
    train = slice(0, 10_000)
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        "MLP": make_pipeline(
            StandardScaler(), MLPClassifier((32, 32), max_iter=30, random_state=0)
        ),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=50),
    }
    print(
        f"\n{'model':20} {'estimator':10} {'flips':>5} {'keep':>7} {'L2':>7} {'L0':>5} {'queries':>8}"
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
                f"{np.median(found.l2[flips]):7.3f} {np.median(found.l0[flips]):5.1f} {queries:8.0f}"
            )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    first_table()
    second_table()
