"""The reach of our estimators with a number of queries, on two MNIST nets, counted as for peers.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/our_queries.py halfspace dense --queries 5000 --rows 50 >> runs.jsonl
    python tests/quality/our_queries.py tangent dense --rows 50 >> runs.jsonl

One JSON line goes to stdout, in the format of ``peers_queries.py``: ``l2`` holds the distance of
each image after each number of queries. A run with few queries is the beginning of a run with many,
so one run gives the distance after any number. ``white_box`` is the nearest flip of 300 white-box
steps (:func:`mnist_nets.near_flips`), and ``ratio`` compares with it. ``tangent`` is there to
compare with: a gradient counts as one query.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from mnist_nets import NETS, correct_test_rows, load_net, near_flips
from queries import MARKS, describe

from blackbox_boundary import Access, Measurement, Prediction, measure
from blackbox_boundary.estimators import Tangent, by_name


def run(estimator, name, n, limit):
    """Search ``n`` images together; medians after each number of queries, all of them counted."""
    net = load_net(name)
    x, labels = correct_test_rows(net, n)
    reference = near_flips(net, x, labels)
    access = Access.LABEL if estimator == "halfspace" else Access.LOGITS
    began = time.perf_counter()
    running = Measurement(
        x,
        estimator=by_name(estimator, max_queries_per_row=limit),
        access=access,
        n_classes=10,
        bounds=(0.0, 1.0),
    )
    asked, best = np.zeros(n, int), np.full(n, np.inf)
    reached = {mark: best.copy() for mark in MARKS if mark <= limit}
    while (ask := running.ask()) is not None:
        with torch.no_grad():
            scores = np.concatenate(
                [net(part).numpy() for part in torch.from_numpy(ask.points).split(512)]
            )
        told = Prediction.from_scores(scores)
        length = np.linalg.norm((ask.points - x[ask.rows]).reshape(len(ask.rows), -1), axis=-1)
        for row, flipped, distance in zip(
            ask.rows, told.label != labels[ask.rows], length, strict=True
        ):
            asked[row] += 1
            best[row] = min(best[row], distance if flipped else np.inf)
            for mark, values in reached.items():
                if asked[row] < mark:  # one is kept for the confirmation
                    values[row] = best[row]
        running.tell(told if access is Access.LOGITS else Prediction(told.label))
    found = running.distances()
    ratio = {mark: values / reference for mark, values in reached.items()}
    return {
        **describe(estimator, name, reached, (time.perf_counter() - began) / n),
        "most_queries": int(found.n_predictions.max()),
        "status": found.count_by_status(),
        "median_ratio": {
            mark: round(float(np.median(values)), 3) for mark, values in ratio.items()
        },
        "p95_ratio": {
            mark: round(float(np.quantile(values, 0.95)), 3) for mark, values in ratio.items()
        },
        "white_box": [round(float(value), 5) for value in reference],
    }


def run_tangent(name, n):
    """The reach of ``tangent`` with ever more steps and rounds, in the mean over ``n`` images.

    Gradients and predictions count alike.
    """
    net = load_net(name)
    x, _ = correct_test_rows(net, n)
    predictor = TorchPredictor(net, input_shape=x.shape[1:], n_classes=10, bounds=(0.0, 1.0))
    reached, began = {}, time.perf_counter()
    for steps, rounds in ((6, 1), (12, 1), (24, 1), (24, 2), (24, 5)):
        found = measure(predictor, x, estimator=Tangent(steps=steps, rounds=rounds))
        reached[round(float((found.n_gradients + found.n_predictions).mean()))] = found.l2
    return describe("tangent", name, reached, (time.perf_counter() - began) / n)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("estimator", choices=["broyden", "halfspace", "tangent"])
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=50)
    arguments = parser.parse_args()
    if arguments.estimator == "tangent":
        print(json.dumps(run_tangent(arguments.net, arguments.rows)))
    else:
        print(
            json.dumps(run(arguments.estimator, arguments.net, arguments.rows, arguments.queries))
        )
