"""Results for reports: a nearest-mean classifier on digits, with distances in closed form."""

from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits

from blackbox_boundary import Distances, Status

HOSTILE = (
    "</style><script>alert('x')</script><img src=http://evil.example/a.png onerror=alert(1)> "
    '& "$a_b\u202e\x00'
)


def digits(n=300):
    """``n`` digits (n, 64) in 0 to 16, their labels, their distances to a linear boundary."""
    data, labels = load_digits(return_X_y=True)
    x, labels = data[:n], labels[:n]
    means = np.stack(
        [data[n:][load_digits().target[n:] == label].mean(axis=0) for label in range(10)]
    )
    w, b = means / 16, -(means**2).sum(axis=1) / 32
    scores = x @ w.T + b
    home, rows = scores.argmax(axis=1), np.arange(n)
    to_rival = w[None] - w[home][:, None]
    distance = (scores[rows, home][:, None] - scores) / np.maximum(
        np.linalg.norm(to_rival, axis=-1), 1e-12
    )
    distance[rows, home] = np.inf
    flipped, l2 = distance.argmin(axis=1), 1.0001 * distance.min(axis=1) + 1e-6
    direction = to_rival[rows, flipped]
    step = l2[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    run = {
        "predictor": "Linear()", "estimator": {"name": "ray", "direction": "margin"},
        "access": "logits", "gradients": "predictor", "seed": 0, "numpy": np.__version__,
        "bounds": [[0.0] * 64, [16.0] * 64],
    }  # fmt: skip
    measured = replace(
        Distances.empty(n), l1=np.abs(step).sum(axis=1), l2=l2, linf=np.abs(step).max(axis=1),
        lo=0.999 * l2, hi=l2, home=home, flipped=flipped,
        status=np.full(n, Status.CONVERGED, np.int8), n_predictions=np.full(n, 6),
        n_gradients=np.ones(n, np.int64), flip_points=x + step, top1=p.max(axis=1),
        entropy=-(p * np.log(p + 1e-300)).sum(axis=1), run=run,
    )  # fmt: skip
    return x, labels, without_flip(measured, slice(0, 4), Status.NO_FLIP)


def without_flip(distances, rows, status):
    """The same distances, but for these rows no flip was found."""
    l1, l2, linf, hi = (
        part.copy() for part in (distances.l1, distances.l2, distances.linf, distances.hi)
    )
    flipped, statuses, points = (
        distances.flipped.copy(),
        distances.status.copy(),
        distances.flip_points.copy(),
    )
    for part in (l1, l2, linf, hi):
        part[rows] = np.inf
    flipped[rows], statuses[rows], points[rows] = -1, status, np.nan
    return replace(
        distances,
        l1=l1,
        l2=l2,
        linf=linf,
        hi=hi,
        flipped=flipped,
        status=statuses,
        flip_points=points,
    )
