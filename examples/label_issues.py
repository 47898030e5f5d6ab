"""Find wrong labels by the distance to the boundary, and beside cleanlab, on the same models.

Labels are flipped at random; cross-validation gives each row a model that did not see it; the rows
are ranked by signed distance and, where cleanlab is installed, by its two label quality scores.

    python examples/label_issues.py                # digits, one seed: seconds
    pip install cleanlab==2.9.0
    BLACKBOX_BOUNDARY_DATA=… python examples/label_issues.py --data mnist --seeds 5

Precision at k, %: the share of wrong labels among the first k rows, k being the number of labels
that are wrong; mean and standard deviation over seeds, then the lead over cleanlab, paired by seed,
with its 95 % interval (Student's t). Results are kept below --out, one file a case; the script goes
on where it was stopped.
"""

import argparse
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from blackbox_boundary.reproduction.mnist_nets import dense
from blackbox_boundary.reproduction.store import Store
from scipy.stats import rankdata

from blackbox_boundary import datasets, measure
from blackbox_boundary.analysis.label_issues import label_issues
from blackbox_boundary.analysis.uncertainty import probabilities
from blackbox_boundary.estimators import Ray, Tangent
from blackbox_boundary.extraction import lead, spread

NOISES = ("2 %", "10 %", "asymmetric")
CONFUSED = {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}
"""Asymmetric noise: a fifth of the rows of each class gets the label of a similar digit."""
N_FOLDS = 5
OURS = "signed distance"
RANKINGS = {
    OURS: (Tangent(), True),
    "signed distance, one ray": (Ray(direction="margin"), False),
}
"""The estimator, and whether a row on the wrong side is measured back to its label."""


def data(name, n_rows):
    """Images (n, 1, height, width) in [0, 1] and their true labels."""
    if name == "digits":
        x, y = datasets.digits()
        return x[:n_rows].reshape(-1, 1, 8, 8), y[:n_rows]
    x, y = datasets.mnist("train").x[:n_rows], datasets.mnist("train").labels[:n_rows]
    return np.asarray(x, np.float32), np.asarray(y)


def noisy(truth, noise, seed):
    """Labels of which some are wrong."""
    random = np.random.default_rng(seed)
    labels = truth.copy()
    if noise == "asymmetric":
        for label, other in CONFUSED.items():
            rows = random.permutation(np.flatnonzero(truth == label))
            labels[rows[: len(rows) // 5]] = other
        return labels
    rows = random.permutation(len(truth))[: round(len(truth) * float(noise[:-2]) / 100)]
    labels[rows] = (truth[rows] + random.integers(1, 10, len(rows))) % 10
    return labels


def out_of_sample(x, labels, seed, n_steps):
    """Class probabilities and signed distances of each row, by a model that did not see it."""
    build = partial(dense, x.shape[1:], 10, width=128)
    trainable = TorchTrainable("dense", build, x.shape[1:], 10, (0.0, 1.0), n_steps=n_steps)
    fold = np.random.default_rng([seed, 1]).permutation(len(x)) % N_FOLDS
    probs, suspicion = np.empty((len(x), 10)), {name: np.empty(len(x)) for name in RANKINGS}
    for number in range(N_FOLDS):
        rows, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        model = trainable.fit(x[rest], labels[rest], seed=seed).predictor
        probs[rows] = probabilities(model.predict(x[rows]), model.access)
        for name, (estimator, back) in RANKINGS.items():
            given = labels[rows] if back else None
            found = measure(
                model, x[rows], estimator=estimator, from_label=given, flip_points=False
            )
            suspicion[name][rows] = label_issues(labels[rows], found).signed_distance
    return probs, suspicion


def case(x, truth, noise, seed, n_steps):
    """Precision at k of each ranking, and of what two of them find together."""
    labels = noisy(truth, noise, seed)
    wrong = labels != truth
    k = int(wrong.sum())
    probs, suspicion = out_of_sample(x, labels, seed, n_steps)
    if find_spec("cleanlab"):
        from cleanlab.rank import get_label_quality_scores

        for method in ("normalized_margin", "self_confidence"):
            scores = get_label_quality_scores(labels, probs, method=method)
            suspicion[f"cleanlab, {method}"] = scores
    found = {name: _precision(score, wrong, k) for name, score in suspicion.items()}
    if "cleanlab, normalized_margin" in suspicion:
        ours, theirs = suspicion[OURS], suspicion["cleanlab, normalized_margin"]
        found |= _together(ours, theirs, wrong, k)
    return {"k": k, **found}


def _precision(score, wrong, k):
    return float(wrong[np.argsort(score, kind="stable")[:k]].mean())


def _together(ours, theirs, wrong, k):
    """Of the first k of both: how many are the same, their precision, and the mean rank's."""
    rows = np.arange(len(wrong))
    mine, other = (np.isin(rows, np.argsort(s, kind="stable")[:k]) for s in (ours, theirs))
    both, either = mine & other, mine | other
    return {
        "mean of both ranks": _precision(rankdata(ours) + rankdata(theirs), wrong, k),
        "in both: share of k": float(both.sum() / k),
        "in both: precision": float(wrong[both].mean()),
        "in either: wrong labels found, of k": float(wrong[either].sum() / k),
    }


def main(arguments=None):
    """Run the cases that are not there yet, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument(
        "--rows", type=int, default=4000, help="images, at most as many as there are"
    )
    parser.add_argument("--noises", nargs="+", choices=NOISES, default=NOISES)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("label-issues"))
    given = parser.parse_args(arguments)
    x, truth = data(given.data, given.rows)
    store = Store(given.out, print)
    with_cleanlab = bool(find_spec("cleanlab"))
    if not with_cleanlab:
        print("cleanlab is not installed: its columns are left out.")
    sizes = {"data": given.data, "n": len(x), "steps": given.steps, "cleanlab": with_cleanlab}
    for noise in given.noises:
        runs = [
            store.numbers(
                "labels",
                {**sizes, "noise": noise, "seed": seed},
                partial(case, x, truth, noise, seed, given.steps),
            )
            for seed in range(given.seeds)
        ]
        print(f"{given.data}, {noise}: {len(x):,} rows, {runs[0]['k']} wrong labels")
        for name in runs[0]:
            if name != "k":
                values = spread([100 * run[name] for run in runs])
                print(f"  {name:38} {values.mean:5.1f}", f"± {values.std:.1f}" * (values.n > 1))
        for name in (name for name in runs[0] if name.startswith("cleanlab") and given.seeds > 1):
            ahead = lead(*([100 * run[ranking] for run in runs] for ranking in (OURS, name)))
            print(f"  {OURS} over {name}: {ahead.mean:+.1f} [{ahead.lo:+.1f}, {ahead.hi:+.1f}]")


if __name__ == "__main__":
    main()
