"""The nets of the label tables, as torch modules of pixels in [0, 1], and their images.

The images are those that the net labels correctly. ``BLACKBOX_BOUNDARY_DATA`` names a folder with
``cifar100``, ``cifar10``, ``mnist`` and ``mnist-robust``; each file's README describes its network.
``lite0`` needs no data, but the wheels that :mod:`label_photos` names.
"""

from __future__ import annotations

import os
from pathlib import Path

import label_photos
import numpy as np
import torch
from mnist_nets import load_net, mnist
from torch import nn
from torch.nn import functional

__all__ = ["NETS", "load_rows"]

NETS = ("dense", "cnn", "ddn", "trades", "resnet8", "resnet20", "cifar10-resnet20", "lite0")

CIFAR100 = ((0.507, 0.487, 0.441), (0.267, 0.256, 0.276))
CIFAR10 = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class ResNet(nn.Module):
    """A small residual net of stored weights, its batch norms folded into the convolutions.

    ``wide`` is the non-standard shape of the CIFAR-100 nets: a ReLU only at the end of a layer, and
    a 4x4 average pool.
    """

    def __init__(self, weights, normalisation, *, wide):
        super().__init__()
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in normalisation)
        self.w = {name: torch.from_numpy(weights[name]) for name in weights.files}
        self.wide, self.folded = wide, {}
        for name in self.w:
            if name.endswith(".running_mean"):
                norm = name.removesuffix(".running_mean")
                conv = norm.replace("shortcut.1", "shortcut.0").replace("bn", "conv")
                gain = self.w[norm + ".weight"] / torch.sqrt(self.w[norm + ".running_var"] + 1e-5)
                bias = self.w[norm + ".bias"] - self.w[name] * gain
                self.folded[conv] = (self.w[conv + ".weight"] * gain.view(-1, 1, 1, 1), bias)
        self.blocks = [
            (
                f"layer{layer}.{i}.",
                2 if layer > 1 and i == 0 else 1,
                f"layer{layer}.{i + 1}.conv1" not in self.folded,
            )
            for layer in (1, 2, 3)
            for i in range(9)
            if f"layer{layer}.{i}.conv1" in self.folded
        ]  # fmt: skip

    def _conv(self, x, name, stride=1, padding=1):
        return functional.conv2d(x, *self.folded[name], stride=stride, padding=padding)

    def forward(self, x):
        x = ((x - self.mean) / self.std).to(memory_format=torch.channels_last)
        x = functional.relu(self._conv(x, "conv1"))
        for name, stride, is_last in self.blocks:
            y = self._conv(functional.relu(self._conv(x, name + "conv1", stride)), name + "conv2")
            if name + "shortcut.0" in self.folded:
                x = self._conv(x, name + "shortcut.0", stride, 0)
            elif stride == 2:
                side = (y.shape[1] - x.shape[1]) // 2
                x = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
            x = x + y
            if is_last or not self.wide:
                x = functional.relu(x)
        x = functional.avg_pool2d(x, 4).flatten(1) if self.wide else x.mean((2, 3))
        return functional.linear(x, self.w["linear.weight"], self.w["linear.bias"])


class SmallCNN(nn.Module):
    """The adversarially trained MNIST nets."""

    def __init__(self, weights):
        super().__init__()
        w = {name: torch.from_numpy(weights[name]) for name in weights.files}
        names = [name for name in w if name.endswith(".weight")]
        self.layers = [
            (w[name], w[name.replace("weight", "bias")]) for name in sorted(names, key=_depth)
        ]

    def forward(self, x):
        convolutions = [layer for layer in self.layers if layer[0].ndim == 4]
        dense = [layer for layer in self.layers if layer[0].ndim == 2]
        for i, layer in enumerate(convolutions):
            x = functional.relu(functional.conv2d(x, *layer))
            if i in (1, 3):
                x = functional.max_pool2d(x, 2)
        x = x.flatten(1)
        for layer in dense[:-1]:
            x = functional.relu(functional.linear(x, *layer))
        return functional.linear(x, *dense[-1])


def _depth(name):
    """Convolutions before dense layers, each by its number."""
    return ("fc" in name, name)


def _net(name):
    data = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", "."))
    if name in ("resnet8", "resnet20"):
        return ResNet(np.load(data / "cifar100" / f"{name}w64.npz"), CIFAR100, wide=True)
    if name == "cifar10-resnet20":
        return ResNet(np.load(data / "cifar10" / "resnet20.npz"), CIFAR10, wide=False)
    if name in ("ddn", "trades"):
        return SmallCNN(np.load(data / "mnist-robust" / f"smallcnn-{name}.npz"))
    return load_net(name)


def _images(name, first, n):
    data = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", "."))
    if name in ("resnet8", "resnet20"):
        f = np.load(data / "cifar100" / "test.npz")
        part = slice(first, first + 4 * n)
        return f["images"][part].transpose(0, 3, 1, 2) / np.float32(255), f["labels"][part]
    if name == "cifar10-resnet20":
        f = np.load(data / "cifar10" / "images.npz")
        return f["images"] / np.float32(255), f["labels"]
    x, labels = mnist("t10k")
    return x[first : first + 4 * n], labels[first : first + 4 * n]


def load_rows(name, first, n):
    """The net, and ``n`` correctly labelled test images from number ``first`` on, with labels.

    The hundred CIFAR-10 images at hand are counted from 0, whatever ``first``, and so are photos.
    """
    if name == "lite0":
        net, x, labels = label_photos.load_photos()
        return net, x[:n], labels[:n]
    net = _net(name).eval()
    x, labels = _images(name, first, n)
    x = np.ascontiguousarray(x, np.float32)
    with torch.no_grad():
        right = net(torch.from_numpy(x)).argmax(-1).numpy() == labels
    return net, x[right][:n], labels[right][:n].astype(int)
