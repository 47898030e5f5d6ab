"""Order training samples by distance to the boundary, and count the steps to an accuracy.

    python examples/curriculum.py                               # digits, seconds
    python examples/curriculum.py --full mnist --out runs.jsonl # five seeds; continues after a stop

Each epoch draws as many samples as there are, by weights of their last known score: the distance of
a first-order monitor, the margin or the loss of the training steps. The first epoch is uniform. The
same seed gives the same weights at the start and the same first epoch.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from at_work import Runs, accuracy, cifar100, digits, mnist, small_cnn, spread
from blackbox_boundary.adapters.training import TrainingMonitor, WeightedEpochs
from torch import nn

from blackbox_boundary.analysis.curriculum import lean, weights
from blackbox_boundary.analysis.history import History

ORDERS = ("near first", "far first", "annealed")
SCORES = ("distance", "margin", "loss")
SETTINGS = {
    "digits": {"target": 0.85, "n_epochs": 6, "every": 10, "channels": (8, 16)},
    "mnist": {"target": 0.88, "n_epochs": 6, "every": 10, "channels": (8, 16)},
    "cifar100": {"target": 0.40, "n_epochs": 10, "every": 20, "channels": (16, 32)},
}
"""Test accuracy to reach, epochs, steps between two looks at the test accuracy, channels."""


def data_of(name):
    """Training and test images and labels."""
    if name == "digits":
        return digits()
    if name == "mnist":
        return mnist(3000, 1000)
    x, labels, x_test, labels_test = cifar100(range(10), 300, 100)
    return nn.functional.avg_pool2d(x, 2), labels, nn.functional.avg_pool2d(x_test, 2), labels_test


def train(data, score, order, *, seed, n_epochs, every, channels):
    """Train once; test accuracy every so many steps."""
    x, labels, x_test, labels_test = data
    torch.manual_seed(seed)
    net = small_cnn(x, int(labels.max()) + 1, channels=channels)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    sampler = WeightedEpochs(len(x), seed=seed)
    history, other = History(len(x)), History(len(x))
    monitor = TrainingMonitor(net, history)
    step, curve = 0, []
    for epoch in range(n_epochs):
        sampler.set_epoch(epoch)
        if order is not None:
            known = (history if score == "distance" else other).latest()
            sampler.update(weights(known, lean(order, epoch / (n_epochs - 1))))
        for ids in torch.tensor(list(sampler)).split(64):
            classes = labels[ids]
            with monitor.step(x[ids], classes, ids, epoch=epoch) as watched:
                optimiser.zero_grad()
                logits = net(watched)
                nn.functional.cross_entropy(logits.double(), classes).backward()
            optimiser.step()
            other.record(epoch, ids, classes, plain_score(score, logits.detach(), classes))
            step += 1
            if step % every == 0:
                curve.append(accuracy(net, x_test, labels_test))
    return [round(right, 4) for right in curve]


def plain_score(score, logits, labels):
    """The margin, or minus the loss, of each row: what the distance is compared with."""
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    own = nn.functional.one_hot(labels, logits.shape[1]).bool()
    margin = logits[own] - logits.masked_fill(own, -torch.inf).amax(1)
    return margin if score == "margin" else -loss


def arms(scores, orders):
    """Uniform, and each score in each order."""
    return [(None, None), *((score, order) for score in scores for order in orders)]


def report(name, found, target, every):
    """Print one line an arm: steps to the target, and the ratio to uniform with the same seed."""
    curves = {arm: np.array(runs) for arm, runs in found.items()}
    uniform = steps_to(curves[None, None], target, every)
    n, n_looks = curves[None, None].shape
    print(
        f"{name}: steps to {target:.0%} test accuracy, of {every * n_looks} (median [range] of {n} "
        "seeds), ratio to uniform with the same seed (geometric mean [range]), accuracy at the end "
        "in %"
    )
    for arm, runs in curves.items():
        steps = steps_to(runs, target, every)
        known = np.isfinite(steps)
        both = known & np.isfinite(uniform)
        ratios = steps[both] / uniform[both]
        ratio = (
            f"x {np.exp(np.log(ratios).mean()):.2f} [{ratios.min():.2f}, {ratios.max():.2f}]"
            if both.any()
            else ""
        )
        title = "uniform" if arm == (None, None) else f"{arm[0]}, {arm[1]}"
        reached = spread(steps[known]) if known.any() else "-"
        never = "" if known.all() else f"  ({n - known.sum()} never)"
        print(f"  {title:22s} {reached:18s} {ratio:19s} {spread(100 * runs[:, -1])}{never}")


def steps_to(curves, target, every):
    """Steps (n,) after which test accuracy was first at the target; infinite: never."""
    first = (curves >= target).argmax(axis=1)
    return np.where((curves >= target).any(axis=1), every * (first + 1.0), np.inf)


def main():
    """Run the experiment of one data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", choices=sorted(SETTINGS), help="five seeds of this data set")
    parser.add_argument("--target", type=float, help="test accuracy to reach")
    parser.add_argument("--out", help="a file that keeps finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="these alone, of 0 to 4")
    given = parser.parse_args()
    name = given.full or "digits"
    data, runs, settings = data_of(name), Runs(given.out), dict(SETTINGS[name])
    target = given.target or settings["target"]
    del settings["target"]
    seeds = given.seeds or (range(5) if given.full else range(1))
    compared = arms(SCORES, ORDERS) if given.full else arms(("distance",), ORDERS)
    found = {arm: [] for arm in compared}
    for seed in seeds:
        for score, order in compared:
            result = runs(
                [name, score, order, seed],
                lambda s=score, o=order, k=seed: train(data, s, o, seed=k, **settings),
            )
            found[score, order].append(result)
    report(name, found, target, settings["every"])


if __name__ == "__main__":
    main()
