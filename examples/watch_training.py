"""Watch a training by distance to the boundary, and draw its map.

    python examples/watch_training.py                       # digits, seconds
    python examples/watch_training.py --full --out folder   # MNIST, 10,000 images; goes on

The history is saved after each epoch: a stopped command goes on with the next one. A small part of
the labels is wrong on purpose; the map shows where those samples lie.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from at_work import accuracy, digits, mnist, small_cnn
from blackbox_boundary.adapters.training import TrainingMonitor, WithIds
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from blackbox_boundary.analysis.history import History
from blackbox_boundary.report.training_map import training_map


def mislabelled(labels, share=0.02):
    """Labels (n,) of which a share was moved to the next class, and which."""
    wrong = torch.from_numpy(np.random.default_rng(0).random(len(labels)) < share)
    return torch.where(wrong, (labels + 1) % (int(labels.max()) + 1), labels), wrong.numpy()


def train(net, x, labels, n_epochs, folder):
    """Train with a monitor; the history, continued from the folder where one is there."""
    file, state = folder / "history.npz", folder / "net.pt"
    history = History.load(file) if file.exists() else History(len(x))
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    first = 0
    if state.exists():
        kept = torch.load(state, weights_only=True)
        net.load_state_dict(kept["net"])
        optimiser.load_state_dict(kept["optimiser"])
        first = kept["epoch"]
    monitor = TrainingMonitor(net, history, level="bracketed")
    data = WithIds(TensorDataset(x, labels))
    for epoch in range(first, n_epochs):
        shuffle = torch.Generator().manual_seed(epoch)
        for images, classes, ids in DataLoader(data, 64, shuffle=True, generator=shuffle):
            with monitor.step(images, classes, ids, epoch=epoch) as watched:
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(watched).double(), classes).backward()
            optimiser.step()
        history.save(file)
        kept = {"net": net.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save(kept | {"epoch": epoch + 1}, state)
    return history


def main():
    """Train, and print what the history says of the wrong labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="MNIST in place of digits")
    parser.add_argument("--out", default="watched", help="folder of the history and the map")
    parser.add_argument("--rows", type=int, help="training images  [default: all]")
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    folder = Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    x, labels, x_test, labels_test = mnist(10_000, 2000) if given.full else digits()
    x, labels = x[: given.rows], labels[: given.rows]
    labels, wrong = mislabelled(labels)
    torch.manual_seed(0)
    net = small_cnn(x, 10)
    history = train(net, x, labels, given.epochs, folder)
    found = history.dynamics(since=3)
    training_map(found).savefig(folder / "map.png", dpi=150)
    nearest = np.argsort(found.mean)[: wrong.sum()]
    print(f"test accuracy {accuracy(net, x_test, labels_test):.1%}")
    print(
        f"mean distance from the fourth epoch on: {np.nanmedian(found.mean[~wrong]):.2f} "
        "(median), ",
        end="",
    )
    print(f"{np.nanmedian(found.mean[wrong]):.2f} of the {wrong.sum()} wrong labels")
    print(
        f"of the {wrong.sum()} lowest mean distances {wrong[nearest].mean():.0%} are wrong labels"
    )
    print(f"wrote {folder / 'history.npz'} and {folder / 'map.png'}")


if __name__ == "__main__":
    main()
