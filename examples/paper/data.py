"""The paper's data sets as the experiments read them, and the embedded digits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary import datasets
from blackbox_boundary.datasets.homes import find, folders
from blackbox_boundary.errors import InvalidInput

from .cifar_nets import read_parameters

__all__ = ["Data", "cifar100", "embedded_digits", "mnist", "resnet20_weights"]


@dataclass(frozen=True, eq=False)
class Data:
    """Images in [0, 1] with labels, training and test.

    ``x`` (n, channels, height, width) float32, ``y`` (n,).
    """

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


def cifar100() -> Data:
    """CIFAR-100, 50,000 + 10,000 images (614 MB); an error names missing or damaged files."""
    return Data("CIFAR-100", *_read(datasets.cifar100("train")), *_read(datasets.cifar100("test")))


_RESNET20 = "f795c89ac4dd80897477fb88cf02ffee05f693786c1190f69279f98cfe34d754"
"""SHA-256 of the victim's parameters: of each, by name, the name and the values, as bytes."""


def resnet20_weights() -> Path:
    """The file of the CIFAR-100 victim's weights, beside the images.

    Raises
    ------
    InvalidInput
        It is not there, or holds something else.
    """
    where = folders("cifar100")
    file = find(where, ["resnet20w64.npz"]) or where[0] / "resnet20w64.npz"
    needed = (
        f'The CIFAR-100 victim needs "{file}": the parameters of pretrained/resnet20_cifar100.pth '
        "of github.com/karanchahal/distiller "
        f"(commit a17ec06), under their state-dict names, with the SHA-256 {_RESNET20}"
    )
    try:
        found = _sha256(read_parameters(file))
    except InvalidInput as error:
        raise InvalidInput(f"{needed}. {error}") from error
    if found != _RESNET20:
        raise InvalidInput(f"{needed}; got {found}. The file is damaged, or of another network.")
    return file


def embedded_digits() -> Data:
    """The embedded 8x8 digits: every fifth row is a test row."""
    x, y = datasets.digits()
    x = x.reshape(-1, 1, 8, 8)
    test = np.arange(len(x)) % 5 == 4
    return Data("digits", x[~test], y[~test], x[test], y[test])


def _sha256(parameters: dict[str, NDArray[Any]]) -> str:
    whole = hashlib.sha256()
    for name, values in sorted(parameters.items()):
        whole.update(name.encode() + values.tobytes())
    return whole.hexdigest()


def _read(found: datasets.Data) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    assert found.labels is not None
    return np.ascontiguousarray(found.x, np.float32), found.labels
