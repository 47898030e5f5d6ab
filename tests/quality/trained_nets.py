"""Published nets of the comparisons, as torch modules of pixels in [0, 1], from stored weights.

``ddn`` and ``trades``: adversarially trained MNIST nets. ``resnet8``, ``resnet20``: CIFAR-100, of a
non-standard kind. ``cifar10``: the usual ResNet-20 with shortcuts of kind A. Their READMEs in the
data folder say where the weights are from. :func:`load` also knows the two nets of
:mod:`mnist_nets`.
"""

from __future__ import annotations

import os
from pathlib import Path

import mnist_nets
import numpy as np
import torch
from torch import nn

__all__ = ["NETS", "load", "rows_of"]

NETS = ("dense", "cnn", "ddn", "trades", "resnet8", "resnet20", "cifar10")


class Normalised(nn.Module):
    """Pixels minus a mean, over a deviation, for each channel; then a net."""

    def __init__(self, net, mean, deviation):
        super().__init__()
        self.net = net
        for name, value in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(value).reshape(-1, 1, 1))

    def forward(self, x):
        """Logits of pixels."""
        return self.net((x - self.mean) / self.deviation)


class Block(nn.Module):
    """Two convolutions and a shortcut: a projection, or every other pixel padded with zeros."""

    def __init__(self, before, after, stride, *, project, rectified):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.changes, self.rectified = stride > 1 or before != after, rectified
        if self.changes and project:
            conv = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(after))

    def forward(self, x):
        """The branch plus the shortcut."""
        out = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if not self.changes:
            short = x
        elif hasattr(self, "shortcut"):
            short = self.shortcut(x)
        else:
            pad = (out.shape[1] - x.shape[1]) // 2
            short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return (out + short).relu() if self.rectified else out + short


class ResNet(nn.Module):
    """The CIFAR nets of He et al.; ``wide`` is the non-standard kind of the CIFAR-100 data."""

    def __init__(self, depth, n_classes, *, wide):
        super().__init__()
        before = 64 if wide else 16
        self.conv1 = nn.Conv2d(3, before, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(before)
        self.wide, n = wide, (depth - 2) // 6
        for number, after in enumerate((16, 32, 64), 1):
            blocks = []
            for k in range(n):
                stride = 2 if number > 1 and k == 0 else 1
                rectified = not wide or k == n - 1
                blocks.append(Block(before, after, stride, project=wide, rectified=rectified))
                before = after
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(256 if wide else 64, n_classes)

    def forward(self, x):
        """Logits."""
        x = self.bn1(self.conv1(x)).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        x = nn.functional.avg_pool2d(x, 4 if self.wide else 8)
        return self.linear(x.flatten(1))


class SmallCnn(nn.Sequential):
    """Of the robust MNIST nets: four convolutions, three dense layers."""

    def __init__(self):
        conv, relu, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
        super().__init__(
            conv(1, 32, 3), relu(), conv(32, 32, 3), relu(), pool(2),
            conv(32, 64, 3), relu(), conv(64, 64, 3), relu(), pool(2), nn.Flatten(),
            nn.Linear(1024, 200), relu(), nn.Linear(200, 200), relu(), nn.Linear(200, 10),
        )  # fmt: skip


def load(name):
    """A net in evaluation mode, without gradients of its weights."""
    if name in mnist_nets.NETS:
        return mnist_nets.load_net(name)
    if name in ("ddn", "trades"):
        net = SmallCnn()
        weights = _weights("mnist-robust", f"smallcnn-{name}")
        weights.pop("reference_logits")
        net.load_state_dict(dict(zip(net.state_dict(), weights.values(), strict=True)))
    elif name == "cifar10":
        inner = ResNet(20, 10, wide=False)
        inner.load_state_dict(_weights("cifar10", "resnet20"), strict=False)
        net = Normalised(inner, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    else:
        inner = ResNet(int(name.removeprefix("resnet")), 100, wide=True)
        inner.load_state_dict(_weights("cifar100", f"{name}w64"), strict=False)
        net = Normalised(inner, (0.507, 0.487, 0.441), (0.267, 0.256, 0.276))
    return net.eval().requires_grad_(requires_grad=False)


def rows_of(name, net, n, *, first=0):
    """The first ``n`` test images from ``first`` on that a net labels correctly, and labels."""
    if name.startswith("resnet"):
        with np.load(_folder() / "cifar100" / "test.npz") as known:
            x, labels = known["images"].transpose(0, 3, 1, 2), known["labels"].astype(np.intp)
    elif name == "cifar10":
        with np.load(_folder() / "cifar10" / "images.npz") as known:
            x, labels = known["images"], known["labels"].astype(np.intp)
    else:
        x, labels = mnist_nets.mnist("t10k")
    some = slice(first, first + 2 * n + 20)
    x, labels = x[some], labels[some]
    x = x if x.dtype == np.float32 else x.astype(np.float32) / 255
    with torch.no_grad():
        right = np.flatnonzero(net(torch.from_numpy(x)).argmax(-1).numpy() == labels)[:n]
    return x[right], labels[right]


def _folder():
    return Path(os.environ["BLACKBOX_BOUNDARY_DATA"])


def _weights(folder, name):
    with np.load(_folder() / folder / f"{name}.npz") as known:
        return {key: torch.from_numpy(known[key]) for key in known.files}
