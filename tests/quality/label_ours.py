"""The reach of ``halfspace`` with a number of queries, counted as for peers in ``label_peers.py``.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/label_ours.py resnet8 --norm l2 --rows 30 >> labels.jsonl
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from label_marks import LIMIT, Reached, describe
from label_nets import NETS, load_rows

from blackbox_boundary import Access, Measurement, Prediction
from blackbox_boundary.estimators import HalfSpace

N_CLASSES = {"resnet8": 100, "resnet20": 100, "lite0": 1000}
"""Of the nets that have more than ten."""


def run(name, n, limit, norm, first):
    """Search ``n`` images together."""
    net, x, labels = load_rows(name, first, n)
    reached, model, began = Reached(len(x)), 0.0, time.process_time()
    running = Measurement(
        x,
        estimator=HalfSpace(max_queries_per_row=limit, norm=norm),
        access=Access.LABEL,
        n_classes=N_CLASSES.get(name, 10),
        bounds=(0.0, 1.0),
    )
    while (ask := running.ask()) is not None:
        before = time.process_time()
        with torch.no_grad():
            parts = torch.from_numpy(ask.points).split(128)
            label = np.concatenate([net(part).argmax(-1).numpy() for part in parts])
        away = (ask.points.astype(float) - x[ask.rows]).reshape(len(label), -1)
        reached.note(ask.rows, away, label != labels[ask.rows])
        model += time.process_time() - before
        running.tell(Prediction(label))
    own = time.process_time() - began - model
    told = describe("halfspace", name, first, norm, [reached], own / len(x))
    return {**told, "own_us_per_query": round(own / reached.asked.sum() * 1e6, 1)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--queries", type=int, default=LIMIT)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--norm", choices=("l1", "l2", "linf"), default="l2")
    a = parser.parse_args()
    print(json.dumps(run(a.net, a.rows, a.queries, a.norm, a.first)))
