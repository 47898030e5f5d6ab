"""Models 1-4 of the paper (section 6), and what we chose where it prints no number.

The paper names the layers and no widths. Chosen here: 128 hidden units in Model 1, 64 in Model 3,
32 filters of 3x3 in Model 2, ReLU between layers. All networks return logits; the paper's closing
softmax is left to the caller.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn

__all__ = ["dense", "linear", "shallow_cnn"]


def dense(input_shape: tuple[int, ...], n_classes: int, *, width: int) -> nn.Sequential:
    """Models 1 and 3: flatten, dense, dense."""
    layers = {
        "flatten": nn.Flatten(),
        "hidden": nn.Linear(math.prod(input_shape), width),
        "relu": nn.ReLU(),
        "output": nn.Linear(width, n_classes),
    }
    return nn.Sequential(OrderedDict(layers))


def linear(input_shape: tuple[int, ...], n_classes: int) -> nn.Sequential:
    """Model 4: flatten, dense."""
    return nn.Sequential(
        OrderedDict(flatten=nn.Flatten(), output=nn.Linear(math.prod(input_shape), n_classes))
    )


def shallow_cnn(
    input_shape: tuple[int, int, int], n_classes: int, *, n_filters: int = 32
) -> nn.Sequential:
    """Model 2: one 3x3 convolution without padding, flatten, dense."""
    n_channels, height, width = input_shape
    layers = {
        "convolution": nn.Conv2d(n_channels, n_filters, 3),
        "relu": nn.ReLU(),
        "flatten": nn.Flatten(),
        "output": nn.Linear(n_filters * (height - 2) * (width - 2), n_classes),
    }
    return nn.Sequential(OrderedDict(layers))
