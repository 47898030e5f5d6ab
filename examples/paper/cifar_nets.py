"""ResNets with published CIFAR-100 weights, and MobileNetV2 and VGG-16 for CIFAR images.

All take pixels in [0, 1], (n, 3, 32, 32) RGB, and normalise by themselves, so that a distance is in
pixel units.

References
----------
.. [1] He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
   arXiv:1512.03385.
.. [2] Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted Residuals and Linear
   Bottlenecks", CVPR 2018, table 2. arXiv:1801.04381.
.. [3] Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
   ICLR 2015, table 1 column D. arXiv:1409.1556.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from blackbox_boundary.errors import InvalidInput

__all__ = [
    "MEAN",
    "STD",
    "Normalise",
    "ResNet",
    "load_resnet",
    "mobilenet_v2",
    "read_parameters",
    "vgg16",
]

MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
"""Of the CIFAR-100 training images in [0, 1], per channel."""


Net = TypeVar("Net", bound=nn.Module)


class Normalise(nn.Module):
    """Subtract a mean and divide by a standard deviation, per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (n, channels, height, width)."""
        return (x - self.mean) / self.std


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; if ``ends_in_relu`` the sum is rectified."""

    def __init__(self, n_in: int, n_out: int, stride: int, *, ends_in_relu: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Sequential(
            *(
                []
                if same
                else [nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)]
            )
        )
        self.ends_in_relu = ends_in_relu

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        total: Tensor = residual + self.shortcut(x)
        return total.relu() if self.ends_in_relu else total


def _layer(n_in: int, n_out: int, n_blocks: int, *, stride: int, wide: bool) -> nn.Sequential:
    """Blocks of one width. Only the first strides.

    In the kind with a wide stem only the last rectifies its sum.
    """
    last = n_blocks - 1
    blocks = [
        _Block(n_out if k else n_in, n_out, 1 if k else stride, ends_in_relu=not wide or k == last)
        for k in range(n_blocks)
    ]
    return nn.Sequential(*blocks)


class ResNet(nn.Module):
    """CIFAR ResNet of depth ``6 * n_blocks + 2`` [1].

    The wide-stemmed kind (``n_stem=64``) whose weights are public rectifies only the last block of
    each layer, and pools to 2x2 and not to one pixel.
    """

    def __init__(
        self,
        n_blocks: int,
        *,
        n_stem: int,
        n_classes: int = 100,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
    ) -> None:
        super().__init__()
        wide = n_stem == 64
        self.normalise = Normalise(mean, std)
        self.conv1 = nn.Conv2d(3, n_stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_stem)
        self.layer1 = _layer(n_stem, 16, n_blocks, stride=1, wide=wide)
        self.layer2 = _layer(16, 32, n_blocks, stride=2, wide=wide)
        self.layer3 = _layer(32, 64, n_blocks, stride=2, wide=wide)
        self.pool = nn.AvgPool2d(4 if wide else 8)
        self.linear = nn.Linear(256 if wide else 64, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, n_classes) of pixels (n, 3, 32, 32) in [0, 1]."""
        x = self.bn1(self.conv1(self.normalise(x))).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.linear(self.pool(x).flatten(1))
        return logits


def read_parameters(path: str | Path) -> dict[str, NDArray[Any]]:
    """Arrays by name, from an ``.npz``.

    Raises
    ------
    InvalidInput
        The file is missing or damaged.
    """
    try:
        with Path(path).open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise InvalidInput(
                    f'"{path}" must be an .npz file of parameters; it holds a single array.'
                )
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f'"{path}" cannot be read as an .npz file of parameters: {error}'
        ) from error


def load_resnet(path: str | Path) -> ResNet:
    """Build a ResNet from an ``.npz`` of its parameters under PyTorch's state-dict names.

    Raises
    ------
    InvalidInput
        The file is missing, or does not hold such a network.
    """
    state = {name: torch.from_numpy(value) for name, value in read_parameters(path).items()}
    try:
        n_blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layer1."))
        n_stem = len(state["conv1.weight"])
        wide = {"mean": (0.507, 0.487, 0.441), "std": (0.267, 0.256, 0.276)} if n_stem == 64 else {}
        net = ResNet(n_blocks, n_stem=n_stem, n_classes=len(state["linear.bias"]), **wide)
        missing, superfluous = net.load_state_dict(state, strict=False)
    except (ValueError, KeyError, RuntimeError) as error:
        raise InvalidInput(
            f'"{path}" does not hold the parameters of a CIFAR ResNet: {error}'
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or superfluous:
        raise InvalidInput(
            f'"{path}" does not hold the parameters of a CIFAR ResNet: missing {missing}, '
            f"superfluous {superfluous}."
        )
    return _channels_last(net.eval())


def _channels_last(net: Net) -> Net:
    """The same network in another memory layout: a third to a half faster on one thread."""
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _InvertedResidual(nn.Module):
    """Widen by 1x1, filter channels by 3x3, narrow by 1x1; add the input if shapes agree [2]."""

    def __init__(self, n_in: int, n_out: int, stride: int, expansion: int) -> None:
        super().__init__()
        n_wide = n_in * expansion
        widen = (
            []
            if expansion == 1
            else [nn.Conv2d(n_in, n_wide, 1, bias=False), nn.BatchNorm2d(n_wide), nn.ReLU6()]
        )
        depthwise = [
            nn.Conv2d(n_wide, n_wide, 3, stride, padding=1, groups=n_wide, bias=False),
            nn.BatchNorm2d(n_wide),
            nn.ReLU6(),
        ]
        self.layers = nn.Sequential(
            *widen, *depthwise, nn.Conv2d(n_wide, n_out, 1, bias=False), nn.BatchNorm2d(n_out)
        )
        self.adds = stride == 1 and n_in == n_out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return x + out if self.adds else out


_MOBILENET = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repeats, first stride of each stage [2]; the second stage keeps its
pixels, the usual CIFAR change."""


def mobilenet_v2(
    n_classes: int = 100, *, width: float = 1.0, stem_stride: int = 1
) -> nn.Sequential:
    """MobileNetV2 for 32x32 images.

    ``width`` multiplies the channels, to multiples of eight, of all but the last layer [2]. The
    stem keeps all 32x32 pixels, the usual CIFAR change; a ``stem_stride`` of 2 is that of the
    source, and costs a quarter.
    """
    n_in = _eighths(32 * width)
    layers = [
        Normalise(MEAN, STD),
        nn.Conv2d(3, n_in, 3, stem_stride, padding=1, bias=False),
        nn.BatchNorm2d(n_in),
        nn.ReLU6(),
    ]
    for expansion, n_channels, repeats, first_stride in _MOBILENET:
        n_out = _eighths(n_channels * width)
        for place in range(repeats):
            layers.append(
                _InvertedResidual(n_in, n_out, first_stride if place == 0 else 1, expansion)
            )
            n_in = n_out
    head = [
        nn.Conv2d(n_in, 1280, 1, bias=False),
        nn.BatchNorm2d(1280),
        nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return _channels_last(nn.Sequential(*layers, *head, nn.Linear(1280, n_classes)))


def _eighths(n_channels: float) -> int:
    """The nearest multiple of eight, at least eight."""
    return max(8, 8 * round(n_channels / 8))


_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of each 3x3 convolution, 0 for a pooling that halves the sides [3]."""


def vgg16(n_classes: int = 100, *, width: float = 1.0) -> nn.Sequential:
    """VGG-16 with batch norm for 32x32 images: one dense layer on the last features.

    ``width`` multiplies the channels, to multiples of eight.
    """
    layers: list[nn.Module] = [Normalise(MEAN, STD)]
    n_in = 3
    for n_channels in _VGG16:
        if n_channels == 0:
            layers.append(nn.MaxPool2d(2))
            continue
        n_out = _eighths(n_channels * width)
        layers += [
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        ]
        n_in = n_out
    return _channels_last(nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_in, n_classes)))
