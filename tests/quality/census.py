"""A synthetic census-like table, its domain in words, and models of it; needs scikit-learn only."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


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


def census_models():
    """Models by name, not fitted."""
    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
        "MLP": make_pipeline(
            StandardScaler(), MLPClassifier((32, 32), max_iter=30, random_state=0)
        ),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
    }
