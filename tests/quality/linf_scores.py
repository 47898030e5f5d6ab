"""L-infinity from scores alone: ``broyden`` beside Square, median distance after so many queries.

    BLACKBOX_BOUNDARY_DATA=... python tests/quality/linf_scores.py dense --rows 30 --queries 2000

Square [1]_ asks whether a ball of fixed radius holds a flip. Here it is a small version of our own,
turned minimum-norm: it starts at a radius of .3, and after a flip the radius falls to
``--shrink`` of the nearest one while the pattern is kept. Initial vertical stripes, squares whose
side falls with the share of the queries spent, and ``p = .8`` are the authors'. Every row sent
counts, and the nearest flip of all that were asked counts as found.

.. [1] M. Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via
   random search", ECCV 2020. arXiv:1912.00049.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from label_marks import Reached
from label_nets import NETS, load_rows

from blackbox_boundary import Access, Measurement, Prediction
from blackbox_boundary.estimators import Broyden

MARKS = (100, 250, 500, 1000, 2000)
FALLS = np.array([0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])
"""Shares of the queries after which the share of pixels in a square is halved."""


class Asked:
    """A net, and the nearest flip of each image among all that it was asked."""

    def __init__(self, name, first, n):
        self.net, self.x, self.labels = load_rows(name, first, n)
        self.reached = Reached(len(self.x))

    def scores(self, rows, points):
        """Logits of points (k, ...) that belong to images (k,)."""
        with torch.no_grad():
            parts = torch.from_numpy(points).split(128)
            z = np.concatenate([self.net(part).numpy() for part in parts])
        away = (points.astype(float) - self.x[rows]).reshape(len(rows), -1)
        self.reached.note(rows, away, z.argmax(axis=-1) != self.labels[rows])
        return z

    def lead(self, rows, step):
        """Lead of the label over the others at steps (k, ...) inside the box, and their length."""
        points = np.clip(self.x[rows] + step, 0, 1).astype(np.float32)
        z = self.scores(rows, points)
        at = np.arange(len(rows)), self.labels[rows]
        own = z[at].copy()
        z[at] = -np.inf
        return own - z.max(axis=-1), np.abs(points - self.x[rows]).reshape(len(rows), -1).max(-1)


def broyden(asked, limit, seed):
    """Ours, all images together; microseconds of its own a query."""
    began, model = time.process_time(), 0.0
    running = Measurement(
        asked.x,
        estimator=Broyden(max_queries_per_row=limit, norm="linf"),
        access=Access.LOGITS,
        n_classes=len(asked.net(torch.from_numpy(asked.x[:1]))[0]),
        bounds=(0.0, 1.0),
        seed=seed,
    )
    while (ask := running.ask()) is not None:
        before = time.process_time()
        z = asked.scores(ask.rows, ask.points)
        model += time.process_time() - before
        running.tell(Prediction.from_scores(z))
    return (time.process_time() - began - model) / asked.reached.asked.sum() * 1e6


def square(asked, limit, seed, shrink):
    """The peer, all images together."""
    rng, (n, channels, height, width) = np.random.default_rng(seed), asked.x.shape
    everyone, radius = np.arange(n), np.full(n, 0.3)
    stripes = rng.random((n, channels, 1, width)) < 0.5
    pattern = np.where(stripes, -1.0, 1.0) * np.ones((n, channels, height, width))
    lead, length = asked.lead(everyone, pattern * radius[:, None, None, None])
    while asked.reached.asked.min() < limit:
        if (flipped := np.flatnonzero(lead < 0)).size:
            radius[flipped] = shrink * np.minimum(radius, length)[flipped]
            step = pattern[flipped] * radius[flipped, None, None, None]
            lead[flipped], length[flipped] = asked.lead(flipped, step)
            continue
        new, spent = pattern.copy(), asked.reached.asked / limit
        for i in everyone:
            share = 0.8 / 2.0 ** np.searchsorted(FALLS, spent[i])
            side = min(max(round(np.sqrt(share * height * width)), 1), height - 1)
            top, left = rng.integers(0, height - side), rng.integers(0, width - side)
            signs = np.where(rng.random((channels, 1, 1)) < 0.5, -1.0, 1.0)
            new[i, :, top : top + side, left : left + side] = signs
        new_lead, new_length = asked.lead(everyone, new * radius[:, None, None, None])
        better = new_lead < lead
        pattern[better], lead[better] = new[better], new_lead[better]
        length[better] = new_length[better]


def main():
    """Run both, and print medians and the share of images on which ours is nearer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shrink", type=float, nargs="*", default=[0.98])
    a = parser.parse_args()
    ours = Asked(a.net, a.first, a.rows)
    own = broyden(ours, a.queries, a.seed)
    print(f"{a.net}, {len(ours.x)} images; broyden's own time a query {own:.0f} us")
    methods = {"broyden": ours.reached}
    for shrink in a.shrink:
        peer = Asked(a.net, a.first, a.rows)
        square(peer, a.queries, a.seed, shrink)
        methods[f"square, {shrink}"] = peer.reached
    for name, reached in methods.items():
        for mark in (mark for mark in MARKS if mark <= a.queries):
            here, known = reached.at["linf"][mark], ours.reached.at["linf"][mark]
            print(
                f"{name:14} {mark:5}: median {np.median(here):.4f} mean {here.mean():.4f}, "
                f"ours nearer on {np.mean(known < here):.0%}"
            )


if __name__ == "__main__":
    main()
