"""The paper's data sets as the experiments take them: training and test images, and the embedded digits for who has none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary import datasets
from blackbox_boundary.datasets.homes import find, folders
from blackbox_boundary.errors import InvalidInput

__all__ = ["Data", "cifar100", "embedded_digits", "mnist", "resnet20_weights"]


@dataclass(frozen=True, eq=False)
class Data:
    """Images in [0, 1] with labels: ``x`` (n, channels, height, width) float32, ``y`` (n,); training and test."""

    name: str
    x: NDArray[np.float32]
    y: NDArray[np.intp]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.intp]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self.x_test.shape[1:]


def mnist() -> Data:
    """MNIST, 60,000 + 10,000 images; missing or damaged files are named, with where to get them."""
    return Data("MNIST", *_read(datasets.mnist("train")), *_read(datasets.mnist("test")))


def cifar100(*, train: bool) -> Data:
    """CIFAR-100, 10,000 test images and, where ``train``, 50,000 training images (614 MB); else the training part is empty."""
    x_test, y_test = _read(datasets.cifar100("test"))
    x, y = _read(datasets.cifar100("train")) if train else (x_test[:0], y_test[:0])
    return Data("CIFAR-100", x, y, x_test, y_test)


def resnet20_weights() -> Path:
    """The file of the CIFAR-100 victim's weights, beside the images.

    Raises
    ------
    InvalidInput
        It is not there.
    """
    where = folders("cifar100")
    if (file := find(where, ["resnet20w64.npz"])) is None:
        raise InvalidInput(
            f'The CIFAR-100 victim needs "{where[0] / "resnet20w64.npz"}": the parameters of pretrained/resnet20_cifar100.pth of '
            "github.com/karanchahal/distiller (commit a17ec06), under their state-dict names. There is no such file."
        )
    return file


def embedded_digits() -> Data:
    """The embedded 8x8 digits: every fifth row is a test row."""
    x, y = datasets.digits()
    x = x.reshape(-1, 1, 8, 8)
    test = np.arange(len(x)) % 5 == 4
    return Data("digits", x[~test], y[~test], x[test], y[test])


def _read(found: datasets.Data) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    assert found.labels is not None
    return np.ascontiguousarray(found.x, np.float32), found.labels
