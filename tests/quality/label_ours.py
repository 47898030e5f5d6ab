"""The reach of ``halfspace`` with a number of queries, counted as for peers in ``label_peers.py``.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/label_ours.py resnet8 --norm l2 --rows 30 --file labels.jsonl
"""

from __future__ import annotations

import time

import numpy as np
import torch
from label_marks import ORDERS, Reached, append, arguments, known
from label_nets import load_rows

from blackbox_boundary import Access, Measurement, Prediction
from blackbox_boundary.estimators import HalfSpace

N_CLASSES = {"resnet8": 100, "resnet20": 100, "lite0": 1000}
"""Of the nets that have more than ten."""


def search(net, x, labels, n_classes, limit, norm):
    """Search images together; what was reached, and processor seconds an image of our own."""
    reached, model, began = Reached(len(x)), 0.0, time.process_time()
    running = Measurement(
        x,
        estimator=HalfSpace(max_queries_per_row=limit, norm=norm),
        access=Access.LABEL,
        n_classes=n_classes,
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
    return reached, (time.process_time() - began - model) / len(x)


def main():
    """Search the images together, unless the file has them all."""
    a = arguments(__doc__, tuple(ORDERS)).parse_args()
    run = {
        "method": "halfspace",
        "net": a.net,
        "norm": a.norm,
        "first": a.first,
        "queries": a.queries,
    }
    net, x, labels = load_rows(a.net, a.first, a.rows)
    if len(known(a.file, run)) < len(x):
        found = search(net, x, labels, N_CLASSES.get(a.net, 10), a.queries, a.norm)
        append(a.file, run, 0, *found)


if __name__ == "__main__":
    main()
