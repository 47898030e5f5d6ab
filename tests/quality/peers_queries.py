"""The reach of peers with a number of queries, on two MNIST nets; in their own environment.

``peers_env.sh`` builds the environment. With ``BLACKBOX_BOUNDARY_DATA`` set::

    PEERS/bin/python tests/quality/peers_queries.py hopskipjump-foolbox dense --queries 5000

Each image is attacked alone. Every query counts, the search for a starting point included, and the
nearest misclassified point among all that were *asked* counts as found: more generous to a peer
than what it returns. One JSON line goes to stdout; append it to ``runs.jsonl``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
import warnings

import numpy as np
import torch
from mnist_nets import NETS, correct_test_rows, load_net
from queries import MARKS, describe


class SpentError(Exception):
    """The allowance of one image is used up."""


class Counted(torch.nn.Module):
    """A net that counts rows and keeps the nearest flip asked so far; raises at the allowance."""

    def __init__(self, net, limit):
        super().__init__()
        self.net, self.limit = net, limit

    def begin(self, x, label):
        self.x, self.label, self.n, self.best = torch.from_numpy(x).reshape(1, -1), label, 0, np.inf
        self.marks = {}

    def forward(self, points):
        points = points.float()
        logits = self.net(points)
        flipped = (logits.argmax(-1) != self.label).numpy()
        length = (points.detach().reshape(len(points), -1) - self.x).norm(dim=1).numpy()
        for flip, distance in zip(flipped, length, strict=True):
            self.n += 1
            if flip:
                self.best = min(self.best, float(distance))
            for mark in MARKS:
                if self.n <= mark:
                    self.marks[mark] = self.best
        if self.n >= self.limit:
            raise SpentError
        return logits


def foolbox_hopskipjump(counted, x, label, limit):
    """HopSkipJump with Foolbox's defaults; the allowance ends it."""
    import foolbox as fb

    model = fb.PyTorchModel(counted, bounds=(0, 1), device="cpu")
    fb.attacks.HopSkipJumpAttack(steps=200).run(model, torch.from_numpy(x), torch.tensor([label]))


def _art(counted):
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        counted, torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1), device_type="cpu"
    )


def art_hopskipjump(counted, x, label, limit):
    """HopSkipJump with ART's defaults; the allowance ends it."""
    from art.attacks.evasion import HopSkipJump

    HopSkipJump(_art(counted), norm=2, max_iter=200, verbose=False).generate(x, y=np.array([label]))


def art_signopt(counted, x, label, limit):
    """Sign-OPT with ART's defaults."""
    from art.attacks.evasion import SignOPTAttack

    SignOPTAttack(_art(counted), targeted=False, query_limit=limit, verbose=False).generate(
        x, y=np.array([label])
    )


def art_geoda(counted, x, label, limit):
    """GeoDA with a tolerance that suits MNIST; it plans with the allowance."""
    from art.attacks.evasion import GeoDA

    np.mat = np.asmatrix  # noqa: NPY201 - GeoDA calls the name that NumPy 2 dropped
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):  # GeoDA leaves a file where it runs
        GeoDA(_art(counted), norm=2, max_iter=limit, bin_search_tol=0.001, verbose=False).generate(
            x, y=np.array([label])
        )


def art_zoo(counted, x, label, limit):
    """ZOO, from scores; the best of four settings tried on five images.

    With ART's defaults, four of the five had no flip after 2,000 queries.
    """
    from art.attacks.evasion import ZooAttack

    settings = {
        "learning_rate": 0.1,
        "initial_const": 10.0,
        "variable_h": 0.01,
        "binary_search_steps": 1,
        "abort_early": False,
    }
    ZooAttack(
        _art(counted),
        **settings,
        max_iter=limit,
        use_resize=False,
        use_importance=False,
        batch_size=256,
        verbose=False,
    ).generate(x, y=np.array([label]))


PEERS = {
    "hopskipjump-foolbox": foolbox_hopskipjump,
    "hopskipjump-art": art_hopskipjump,
    "signopt-art": art_signopt,
    "geoda-art": art_geoda,
    "zoo-art": art_zoo,
}


def run(peer, name, n, limit):
    """Attack ``n`` images one by one; medians after each number of queries."""
    net = load_net(name)
    x, labels = correct_test_rows(net, n)
    counted, marks, began = Counted(net, limit), [], time.perf_counter()
    for i in range(n):
        torch.manual_seed(i)
        np.random.seed(i)
        counted.begin(x[i : i + 1], int(labels[i]))
        with warnings.catch_warnings(), contextlib.suppress(SpentError):
            warnings.simplefilter("ignore")
            PEERS[peer](counted, x[i : i + 1], int(labels[i]), limit)
        marks.append(counted.marks)
    reached = {mark: np.array([m[mark] for m in marks]) for mark in MARKS if mark <= limit}
    return describe(
        peer if peer != "geoda-art" else f"geoda-art-{limit}",
        name,
        reached,
        (time.perf_counter() - began) / n,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=50)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.peer, arguments.net, arguments.rows, arguments.queries)))
