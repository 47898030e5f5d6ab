"""Continual learning with a replay memory that is diverse in distance to the boundary.

    python examples/replay_memory.py                                  # digits, seconds
    python examples/replay_memory.py --full mnist --out runs.jsonl    # five seeds; goes on
    python examples/replay_memory.py --full cifar100 --out runs.jsonl

Tasks of a few classes follow each other. The rows of a task arrive in chunks, once; each chunk is
trained on together with rows from the memory, then the memory chooses anew among its rows and the
chunk's. What differs is the score of the rows:

| memory | score | predictions a row scored |
|---|---|---|
| none, reservoir, balanced | none; `balanced` is the rule of `ReplayMemory` on random numbers | 0 |
| votes | share of augmented copies that disagree (Rainbow Memory) | 8; CIFAR-100 4 |
| loss | of the row | 1 |
| distance | `ray` along the margin's gradient | about 5, and one gradient |

CIFAR-100: a net is trained on classes 0 to 49 and frozen; the tasks are classes 50 to 99, seen
through its features.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from at_work import Runs, accuracy, cifar100, digits, mnist, spread
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from torch import nn

from blackbox_boundary import measure
from blackbox_boundary.analysis.replay import ReplayMemory, Reservoir
from blackbox_boundary.estimators import Ray

MEMORIES = ("none", "reservoir", "balanced", "votes", "loss", "distance")
SETTINGS = {
    "digits": {"n_tasks": 5, "slots": 60, "chunk": 100, "n_steps": 10},
    "mnist": {"n_tasks": 5, "slots": 500, "chunk": 500, "n_steps": 15},
    "cifar100": {"n_tasks": 10, "slots": 500, "chunk": 500, "n_steps": 20},
}
"""Tasks, rows kept, rows of the stream that arrive together, optimiser steps on them."""
BATCH = 32
"""Rows of the chunk in a step, and as many of the memory."""


def shifted(x, by):
    """Images moved by (down, right) pixels, what leaves on one side cut off."""
    moved = torch.roll(x, by, dims=(-2, -1))
    for axis, n in zip((-2, -1), by, strict=True):
        if n:
            edge = slice(0, n) if n > 0 else slice(n, None)
            moved[(..., edge, slice(None)) if axis == -2 else (..., edge)] = 0
    return moved


SHIFTS = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]


def images_of(name):
    """Rows, copies of each for votes (copies, n, ...), labels, test rows and labels."""
    x, labels, x_test, labels_test = digits() if name == "digits" else mnist(10_000, 2000)
    return x, torch.stack([shifted(x, by) for by in SHIFTS]), labels, x_test, labels_test


def features_of(cache):
    """The same for CIFAR-100: features of classes 50 to 99 by a net of classes 0 to 49."""
    file = Path(cache)
    if not file.exists():
        first = cifar100(range(50), 300, 20)
        net = extractor(*first)
        x, labels, x_test, labels_test = cifar100(range(50, 100), 250, 100)
        views = [x, x.flip(-1), *(shifted(x, by) for by in ((2, 2), (-2, 2), (0, -3)))]
        with torch.no_grad():
            seen = [torch.cat([net(part) for part in view.split(500)]) for view in (*views, x_test)]
        arrays = [part.numpy() for part in (torch.stack(seen[:-1]), seen[-1], labels, labels_test)]
        np.savez(file, **dict(zip(("views", "test", "labels", "labels_test"), arrays, strict=True)))
    with np.load(file) as known:
        found = {key: torch.from_numpy(known[key]) for key in known.files}
    views = found["views"]
    return views[0], views[1:], found["labels"], found["test"], found["labels_test"]


def extractor(x, labels, x_test, labels_test, *, n_epochs=5):
    """Train three convolutions on images of other classes; features (n, 512), standardised."""
    torch.manual_seed(0)
    layers, before = [], 3
    for after in (32, 64, 128):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        before = after
    body = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten())
    net = nn.Sequential(body, nn.Linear(512, 50))
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for epoch in range(n_epochs):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / n_epochs)
        for rows in torch.randperm(len(x)).split(128):
            part = x[rows] if torch.rand(()) < 0.5 else x[rows].flip(-1)
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(part), labels[rows]).backward()
            optimiser.step()
        print(f"extractor, epoch {epoch}: {accuracy(net, x_test, labels_test):.1%}", flush=True)
    net.eval()
    with torch.no_grad():
        seen = torch.cat([body(part) for part in x[::10].split(500)])
    scale = nn.BatchNorm1d(512, affine=False).eval()
    scale.running_mean, scale.running_var = seen.mean(0), seen.var(0)
    return nn.Sequential(body, scale).eval()


def scores_of(kind, net, x, copies, labels, random):
    """The score (n,) that a memory of this kind orders rows by; low is unsure."""
    if kind == "balanced":
        return random.random(len(x))
    if kind == "distance":
        predictor = TorchPredictor(
            net, input_shape=tuple(x.shape[1:]), n_classes=net[-1].out_features
        )
        found = measure(
            predictor, x, estimator=Ray(direction="margin", rtol=0.01), flip_points=False
        )
        SPENT.append([found.n_predictions.mean(), found.n_gradients.mean()])
        return found.l2
    with torch.no_grad():
        if kind == "loss":
            return -nn.functional.cross_entropy(net(x), labels, reduction="none").numpy()
        votes = torch.stack([net(view).argmax(1) for view in copies])
    return np.array([np.bincount(row).max() for row in votes.T.numpy()]) / len(votes)


SPENT = []
"""Predictions and gradients a row, of each measurement of distances."""


def learn(data, kind, *, seed, n_tasks, slots, chunk, n_steps):
    """Learn the tasks in turn; accuracy on each task after each (n_tasks, n_tasks)."""
    x, copies, labels, x_test, labels_test = data
    n_classes = int(labels.max()) + 1
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    tasks = np.array_split(random.permutation(n_classes), n_tasks)
    net = nn.Sequential(
        nn.Flatten(), nn.Linear(x[0].numel(), 128), nn.ReLU(), nn.Linear(128, n_classes)
    )
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    memory = (
        Reservoir(slots, seed=seed)
        if kind == "reservoir"
        else ReplayMemory(slots, n_classes=n_classes)
    )
    right = np.full((n_tasks, n_tasks), np.nan)
    for number, classes in enumerate(tasks):
        stream = random.permutation(np.flatnonzero(np.isin(labels.numpy(), classes)))
        for rows in np.split(stream, range(chunk, len(stream), chunk)):
            for _ in range(n_steps):
                batch = [random.choice(rows, BATCH)]
                if len(memory):
                    batch.append(memory.ids[random.integers(len(memory), size=BATCH)])
                batch = np.concatenate(batch)
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(x[batch]), labels[batch]).backward()
                optimiser.step()
            remember(memory, kind, net, rows, (x, copies, labels), random)
        for earlier in range(number + 1):
            mine = torch.from_numpy(np.isin(labels_test.numpy(), tasks[earlier]))
            right[number, earlier] = accuracy(net, x_test[mine], labels_test[mine])
    return {"right": np.round(right, 4).tolist()}


def remember(memory, kind, net, rows, data, random):
    """Let the memory choose among what it holds and rows of the stream, scored by the net now."""
    x, copies, labels = data
    if kind == "none":
        return
    if kind == "reservoir":
        memory.update(rows, x[rows], labels[rows])
        return
    both = np.concatenate([memory.ids, rows])
    scores = scores_of(kind, net, x[both], copies[:, both], labels[both], random)
    held, new = scores[: len(memory)], scores[len(memory) :]
    memory.update(rows, x[rows], labels[rows], new, held_scores=held)


def report(name, found, settings):
    """Print one line a memory: accuracy over all tasks at the end, and forgetting."""
    print(
        f"{name}: {settings['slots']} slots, {settings['n_tasks']} tasks; accuracy at the end and "
        f"forgetting, in %: median [range] of {len(found['none'])} seeds; accuracy over balanced, "
        "same seed, in points: mean [range]"
    )
    rights = {kind: np.array([run["right"] for run in runs], float) for kind, runs in found.items()}
    ends = {kind: 100 * right[:, -1].mean(axis=1) for kind, right in rights.items()}
    for kind, right in rights.items():
        fallen = 100 * (np.nanmax(right[:, :-1, :-1], axis=1) - right[:, -1, :-1]).mean(axis=1)
        over = ends[kind] - ends["balanced"]
        print(
            f"  {kind:10s} {spread(ends[kind]):24s} {spread(fallen):24s} "
            f"{over.mean():+.1f} [{over.min():+.1f}, {over.max():+.1f}]"
        )
    if SPENT:
        predictions, gradients = np.mean(SPENT, axis=0)
        print(
            f"  distance: {predictions:.1f} predictions and {gradients:.1f} gradients a row scored"
        )


def main():
    """Run the experiment of one data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", choices=sorted(SETTINGS), help="five seeds of this data set")
    parser.add_argument("--slots", type=int, help="rows kept")
    parser.add_argument("--out", help="a file that keeps finished runs")
    parser.add_argument("--features", default="features.npz", help="cache of CIFAR-100's features")
    parser.add_argument("--seeds", type=int, nargs="+", help="these alone, of 0 to 4")
    given = parser.parse_args()
    name = given.full or "digits"
    settings = dict(SETTINGS[name])
    settings["slots"] = given.slots or settings["slots"]
    data = features_of(given.features) if name == "cifar100" else images_of(name)
    runs, found = Runs(given.out), {kind: [] for kind in MEMORIES}
    for seed in given.seeds or (range(5) if given.full else range(1)):
        for kind in MEMORIES:
            key = [name, settings["slots"], kind, seed]
            found[kind].append(runs(key, lambda k=kind, s=seed: learn(data, k, seed=s, **settings)))
    report(name, found, settings)


if __name__ == "__main__":
    main()
