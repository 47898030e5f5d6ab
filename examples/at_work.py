"""What the examples of distances at work share: data, a small net, and runs that are kept.

MNIST and CIFAR-100 are read from the folder that BLACKBOX_BOUNDARY_DATA names.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from blackbox_boundary import datasets


class Runs:
    """Results of runs by their settings, one JSON line each; a run that is there is not repeated.

    A command that was stopped goes on where it was. ``path=None`` keeps nothing.
    """

    def __init__(self, path=None):
        self.path, self.known = None if path is None else Path(path), {}
        if self.path is not None and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                key, result = json.loads(line)
                self.known[json.dumps(key)] = result

    def __call__(self, key, compute):
        """The result of these settings (a list of JSON values), known or computed now."""
        name = json.dumps(key)
        if name not in self.known:
            self.known[name] = compute()
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, self.known[name]]) + "\n")
        return self.known[name]


def digits():
    """Images (n, 1, 8, 8) and labels: training (every fifth left out) and test, as tensors."""
    x, labels = datasets.digits()
    x, labels = torch.from_numpy(x).unsqueeze(1), torch.from_numpy(labels)
    test = torch.arange(len(x)) % 5 == 4
    return x[~test], labels[~test], x[test], labels[test]


def mnist(n_train, n_test):
    """The first training and test images of MNIST, (n, 1, 28, 28), and their labels."""
    parts = []
    for part, n in (("train", n_train), ("test", n_test)):
        found = datasets.mnist(part)
        x = torch.from_numpy(np.array(found.x[:n], np.float32)).reshape(-1, 1, 28, 28)
        parts += [x, torch.from_numpy(np.array(found.labels[:n], np.int64))]
    return parts


def cifar100(classes, n_train, n_test):
    """Images (n, 3, 32, 32) of some classes of CIFAR-100, so many a class, labels from 0 on."""
    parts = []
    for part, n in (("train", n_train), ("test", n_test)):
        found = datasets.cifar100(part)
        rows = np.concatenate([np.flatnonzero(found.labels == kind)[:n] for kind in classes])
        parts += [
            torch.from_numpy(np.ascontiguousarray(found.x[rows], np.float32)),
            torch.from_numpy(np.repeat(np.arange(len(classes)), n)),
        ]
    return parts


def small_cnn(x, n_classes, *, channels=(8, 16)):
    """Two convolutions of stride 2 and one dense layer, for images like ``x``."""
    first, second = channels
    body = nn.Sequential(
        nn.Conv2d(x.shape[1], first, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
    )
    return nn.Sequential(body, nn.Linear(body(x[:1]).shape[1], n_classes))


def accuracy(net, x, labels):
    """Share of rows whose largest logit is their label's."""
    was_training = net.training
    net.eval()
    with torch.no_grad():
        found = torch.cat([net(part).argmax(1) for part in x.split(1000)])
    net.train(was_training)
    return float((found == labels).float().mean())


def spread(values):
    """``median [smallest, largest]``."""
    return f"{np.median(values):.4g} [{np.min(values):.4g}, {np.max(values):.4g}]"
