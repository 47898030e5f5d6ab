"""The MNIST nets of the quality comparisons, dense 784-256-10 and conv3x3x32-128-10, trained here.

The seed is fixed. Needs torch and the four IDX files in the folder that the environment variable
``BLACKBOX_BOUNDARY_DATA`` names (with or without a subfolder ``mnist``). Trained weights are kept
in ``BLACKBOX_BOUNDARY_CACHE`` (default: the system's temporary folder).

    python tests/quality/mnist_nets.py        # trains both, prints their test accuracy
"""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

__all__ = ["NETS", "correct_test_rows", "load_net", "mnist", "near_flips"]

NETS = ("dense", "cnn")
EPOCHS = {"dense": 10, "cnn": 1, "conv": 1}
"""Passes over the training images, so that the nets are about as robust as the published ones."""


def mnist(part):
    """Images (n, 1, 28, 28) float32 in [0, 1] and labels (n,) of ``"train"`` or ``"t10k"``.

    Raises ``FileNotFoundError`` with what is missing.
    """
    if not (folder := os.environ.get("BLACKBOX_BOUNDARY_DATA")):
        raise FileNotFoundError(
            "BLACKBOX_BOUNDARY_DATA does not name a folder with the IDX files of MNIST."
        )
    folder = Path(folder) / "mnist" if (Path(folder) / "mnist").is_dir() else Path(folder)
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    x = np.frombuffer(images, np.uint8).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    return x, np.frombuffer(labels, np.uint8).astype(np.intp)


def build(name):
    """An untrained net; logits of inputs (n, 1, 28, 28)."""
    if name == "dense":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 26 * 26, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )
    if name == "conv":  # of the speed comparison
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 26 * 26, 10)
        )
    raise ValueError(f'"name" must be one of {", ".join(NETS)}; got "{name}".')


def load_net(name):
    """The trained net in evaluation mode, from the cache or trained now (about a minute)."""
    cache = (
        Path(os.environ.get("BLACKBOX_BOUNDARY_CACHE", tempfile.gettempdir()))
        / f"blackbox-boundary-mnist-{name}-v2.pt"
    )
    net = build(name)
    if cache.exists():
        net.load_state_dict(torch.load(cache, weights_only=True))
    else:
        train(net, *mnist("train"), epochs=EPOCHS[name])
        torch.save(net.state_dict(), cache)
    return net.eval().requires_grad_(requires_grad=False)


def train(net, x, labels, *, epochs, batch=128, seed=0):
    """Adam at its default rate; same seed, same weights on one machine."""
    torch.manual_seed(seed)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    optimiser = torch.optim.Adam(net.parameters())
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), labels[rows]).backward()
            optimiser.step()


def correct_test_rows(net, n):
    """The first ``n`` correctly labelled test images (n, 1, 28, 28), and their labels (n,)."""
    x, labels = mnist("t10k")
    with torch.no_grad():
        found = torch.cat(
            [net(part).argmax(-1) for part in torch.from_numpy(x).split(1000)]
        ).numpy()
    right = np.flatnonzero(found == labels)[:n]
    return x[right], labels[right]


def near_flips(net, x, labels, *, steps=300):
    """L2 distance (n,) of the nearest flip by decoupled direction and norm, an upper bound.

    J. Rony et al., "Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial
    Attacks", CVPR 2019. arXiv:1811.09600.
    """
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    moved, radius = torch.zeros_like(x), torch.ones(len(x))
    best = torch.full((len(x),), torch.inf)
    row = (-1, *(1,) * (x.ndim - 1))
    for step in range(steps):
        moved.requires_grad_()
        logits = net(x + moved)
        (slope,) = torch.autograd.grad(
            nn.functional.cross_entropy(logits, labels, reduction="sum"), moved
        )
        moved = moved.detach()
        flipped = logits.argmax(-1) != labels
        length = moved.flatten(1).norm(dim=1)
        best = torch.where(flipped, torch.minimum(best, length), best)
        rate = 0.01 + 0.99 * (1 + np.cos(np.pi * step / steps)) / 2
        moved = moved + rate * slope / slope.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(row)
        radius = torch.minimum(torch.where(flipped, 0.95 * radius, 1.05 * radius), best)
        moved = (x + moved * (radius / moved.flatten(1).norm(dim=1)).reshape(row)).clamp(0, 1) - x
    return best.numpy()


if __name__ == "__main__":
    for name in NETS:
        net = load_net(name)
        x, labels = mnist("t10k")
        with torch.no_grad():
            accuracy = np.mean(
                [
                    net(torch.from_numpy(x[i : i + 1000])).argmax(-1).numpy()
                    == labels[i : i + 1000]
                    for i in range(0, 10_000, 1000)
                ]
            )
        print(f"{name}: {accuracy:.4f} of the test images right")
