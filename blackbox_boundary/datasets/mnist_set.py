"""MNIST: 60,000 + 10,000 grey images of digits, 28x28 (LeCun, Cortes, Burges; CC BY-SA 3.0)."""

from __future__ import annotations

from pathlib import Path

from ..errors import InvalidInput
from .data import Data, Raw, finish
from .homes import check_content, find, folders, home_named, missing
from .idx import read_idx

__all__ = ["mnist", "read_mnist"]

_CONTENT = {
    "train": "cdc689293db40b0dd43e9f59bf240c7ab45966944925340c4d72ffd32dd0bfec",
    "test": "15e694de0de66bd08ee25b9ada3b36e31a362ec4dc70302a1602d3c806850441",
}
_STEMS = {"train": "train", "test": "t10k"}


def mnist(split: str = "test", folder: str | Path | None = None) -> Data:
    """Read MNIST.

    Parameters
    ----------
    split : str
        ``"train"`` or ``"test"``.
    folder : path, optional
        Holds the four IDX files, plain or as ``.gz``. Default: see
        :mod:`blackbox_boundary.datasets.homes`.

    Returns
    -------
    Data
        ``x`` (n, 1, 28, 28) float32 in [0, 1], in the original order.

    Raises
    ------
    InvalidInput
        Files are missing, damaged, or of another data set (Fashion-MNIST has the same names).
    """
    return finish(read_mnist(split, folder), f"mnist:{split}")


def read_mnist(split: str, folder: str | Path | None = None) -> Raw:
    """The same as bytes, with the source's facts."""
    if split not in _STEMS:
        raise InvalidInput(f'The split of MNIST must be train or test; got "{split}".')
    with home_named("mnist"):
        return _read(split, folder)


def _read(split: str, folder: str | Path | None) -> Raw:
    where = [place / sub for place in folders("mnist", folder) for sub in ("", "MNIST/raw")]
    files = []
    for part in ("images-idx3", "labels-idx1"):
        name = f"{_STEMS[split]}-{part}-ubyte"
        if (file := find(where, [name, f"{name}.gz"])) is None:
            raise missing("mnist", f"{name}.gz", where[:1])
        files.append(file)
    images, labels = (read_idx(file) for file in files)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise InvalidInput(
            f'"{files[0]}" and "{files[1]}" must hold as many images as labels; got '
            f"{images.shape} and {labels.shape}."
        )
    images = images[:, None]
    check_content(f"the {split} images of MNIST", images, labels, _CONTENT[split], files)
    return Raw(
        images,
        labels,
        tuple("0123456789"),
        {"format": "MNIST", "files": [str(file) for file in files]},
    )
