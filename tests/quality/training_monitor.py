"""Price of the training monitor on the MNIST CNN, and how far its levels agree.

    BLACKBOX_BOUNDARY_DATA=... OMP_NUM_THREADS=1 python tests/quality/training_monitor.py

Each round trains five copies of one net on the same batches, one after the other: plain, and with
each level of the monitor on all batches and on one in four. Printed: the ratios of processor
time to the plain copy, for each round. Then, with the net of the last round, for some training
rows: how the levels rank, and what the loss's direction costs beside the margin's.
"""

from __future__ import annotations

import argparse
import copy
import time

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.training import TrainingMonitor
from mnist_nets import build, mnist
from scipy.stats import spearmanr
from torch import nn

from blackbox_boundary import measure
from blackbox_boundary.analysis.history import History
from blackbox_boundary.estimators import Ray

LEVELS = {
    "plain": None,
    "first order": {},
    "first order, one in four": {"every": 4},
    "bracketed": {"level": "bracketed"},
    "bracketed, one in four": {"level": "bracketed", "every": 4},
}


def seconds(net, optimiser, monitor, x, labels, rows):
    """Processor time of training once on these rows, in batches of 128."""
    started = time.process_time()
    for ids in rows.split(128):
        part, classes = x[ids], labels[ids]
        if monitor is None:
            step(net, optimiser, part, classes)
        else:
            with monitor.step(part, classes, ids, epoch=0) as watched:
                step(net, optimiser, watched, classes, update=False)
            optimiser.step()
    return time.process_time() - started


def step(net, optimiser, x, labels, *, update=True):
    """Forward, backward, and the optimiser's step unless it is to come later."""
    optimiser.zero_grad()
    nn.functional.cross_entropy(net(x), labels).backward()
    if update:
        optimiser.step()


def prices(x, labels, n_rounds, n_batches):
    """Ratios (rounds,) to plain by level, and the net as it was trained."""
    torch.manual_seed(0)
    first = build("cnn")
    loops = {}
    for name, settings in LEVELS.items():
        net = copy.deepcopy(first)
        monitor = (
            None
            if settings is None
            else TrainingMonitor(net, History(n_rounds * 128 * n_batches), **settings)
        )
        loops[name] = (net, torch.optim.Adam(net.parameters()), monitor)
    spent = {name: [] for name in LEVELS}
    for rows in torch.arange(n_rounds * 128 * n_batches).split(128 * n_batches):
        for name, loop in loops.items():
            spent[name].append(seconds(*loop, x, labels, rows))
    plain = np.array(spent["plain"])
    trained = loops["plain"][0]
    for net, _, _ in loops.values():
        pairs = zip(net.parameters(), trained.parameters(), strict=True)
        assert all(torch.equal(mine, other) for mine, other in pairs)
    return {name: np.array(each) / plain for name, each in spent.items()}, trained


def agreement(net, x, labels):
    """Compare the levels, and both with rays along the margin's gradient."""
    found = {}
    for level in ("first order", "bracketed"):
        history = History(len(x))
        monitor = TrainingMonitor(net, history, level=level)
        for ids in torch.arange(len(x)).split(128):
            with monitor.step(x[ids], labels[ids], ids, epoch=0) as part:
                nn.functional.cross_entropy(net(part), labels[ids]).backward()
        found[level] = history.latest()
    predictor = TorchPredictor(net, input_shape=(1, 28, 28))
    margin = measure(predictor, x, estimator=Ray(direction="margin"), flip_points=False)
    found["margin ray"] = np.where(margin.home == labels.numpy(), margin.l2, -margin.l2)
    return found


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    x, labels = (torch.from_numpy(part) for part in mnist("train"))
    ratios, net = prices(x, labels, given.rounds, given.batches)
    print(f"processor time over plain: median [range] of {given.rounds} rounds")
    for name, ratio in ratios.items():
        print(f"  {name:26s} {np.median(ratio):.2f} [{ratio.min():.2f}, {ratio.max():.2f}]")
    found = agreement(net, x[-given.rows :], labels[-given.rows :])
    finite = np.logical_and.reduce([np.isfinite(d) for d in found.values()])
    right = finite & (found["bracketed"] > 0)
    print(f"{finite.sum()} of {given.rows} rows finite at all levels, {right.sum()} of them right")
    for one, other in (
        ("first order", "bracketed"),
        ("first order", "margin ray"),
        ("bracketed", "margin ray"),
    ):
        rank = spearmanr(found[one][finite], found[other][finite])[0]
        ratio = np.quantile((found[one] / found[other])[right], [0.05, 0.5, 0.95])
        print(
            f"  {one} beside {other}: Spearman {rank:.3f}; ratio on right rows, 5 %, median, "
            f"95 %: {', '.join(f'{q:.2f}' for q in ratio)}"
        )


if __name__ == "__main__":
    main()
