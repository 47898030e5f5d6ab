"""CIFAR-100: 50,000 + 10,000 colour images of 100 classes, 32x32.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", University of Toronto, 2009.

Three containers hold the same images:

- the public binary version: ``train.bin``, ``test.bin`` (a coarse label, a fine label, 3 x 1024
  levels), unpacked or in its archive;
- ``test.npz`` with ``images`` (n, 32, 32, 3) and ``labels``; here rows 100 p to 100 p + 99 are the
  p-th image of each class;
- ``train-0.npz`` to ``train-4.npz`` with ``residual`` (n, 3, 32, 32) and ``labels``: differences
  modulo 256 along rows and columns, and of red and blue from green, which compress better by a
  third.

The public Python version is pickled, and therefore not read.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .data import Data, Raw, finish
from .homes import check_content, find, folders, home_named, missing
from .numpy_files import read_npz
from .unpacking import DAMAGE

__all__ = ["cifar100", "read_cifar100"]

_CONTENT = {
    "train": "bdfe49e4ec9b244c8843cfe8c99261bd78967d8abab51c162320fa799840ed52",
    "test": "b0bfdc8d38dbdbeb0ed9d3336ed4dfee5a653525f00450679dd776783a4f8d59",
}
_ARCHIVE = "cifar-100-binary.tar.gz"
_UNPACKED = "cifar-100-binary"
_RECORD = 2 + 3 * 32 * 32
_LONGEST = 50_000 * _RECORD + 1
"""Bytes that are unpacked of a member at most: the training images, and one more to see that
there are others."""


def cifar100(split: str = "test", folder: str | Path | None = None) -> Data:
    """Read CIFAR-100 with its fine labels.

    Parameters
    ----------
    split : str
        ``"train"`` or ``"test"``.
    folder : path, optional
        Holds the files of one of the containers above. Default: see
        :mod:`blackbox_boundary.datasets.homes`.

    Returns
    -------
    Data
        ``x`` (n, 3, 32, 32) float32 in [0, 1], red, green, blue; 614 MB for the training images.

    Raises
    ------
    InvalidInput
        Files are missing, damaged, pickled, or of another data set.
    """
    return finish(read_cifar100(split, folder), f"cifar100:{split}")


def read_cifar100(split: str, folder: str | Path | None = None) -> Raw:
    """The same as bytes, with the source's facts."""
    if split not in _CONTENT:
        raise InvalidInput(f'The split of CIFAR-100 must be train or test; got "{split}".')
    with home_named("cifar100"):
        return _read(split, folder)


def _read(split: str, folder: str | Path | None) -> Raw:
    where = [place / sub for place in folders("cifar100", folder) for sub in ("", _UNPACKED)]
    parts = (
        [find(where, [f"train-{part}.npz"]) for part in range(5)]
        if split == "train"
        else [find(where, ["test.npz"])]
    )
    if files := [file for file in parts if file is not None]:
        if len(files) < len(parts):
            raise missing("cifar100", f"train-{parts.index(None)}.npz", where[:1])
        images, labels = (_from_differences if split == "train" else _from_images)(files)
    elif file := find(where, [f"{split}.bin", _ARCHIVE]):
        files = [file]
        images, labels = _from_binary(_content(file, f"{split}.bin"), file)
    else:
        if pickled := find(
            [*where, where[0] / "cifar-100-python"], [split, "cifar-100-python.tar.gz"]
        ):
            raise InvalidInput(f'"{pickled}" is pickled, which is not read: unpickling runs code.')
        raise missing("cifar100", f"{split}.bin", where[:1])
    check_content(f"the {split} images of CIFAR-100", images, labels, _CONTENT[split], files)
    return Raw(
        images,
        labels,
        _names(where),
        {"format": "CIFAR-100", "files": [str(file) for file in files]},
    )


def _from_images(files: list[Path]) -> tuple[NDArray[Any], NDArray[Any]]:
    images, labels = _pair(files[0], "images", (32, 32, 3))
    return images.transpose(0, 3, 1, 2), labels


def _from_differences(files: list[Path]) -> tuple[NDArray[Any], NDArray[Any]]:
    images, labels = [], []
    for file in files:
        residual, part = _pair(file, "residual", (3, 32, 32))
        planes = np.cumsum(np.cumsum(residual, axis=2, dtype=np.uint8), axis=3, dtype=np.uint8)
        planes[:, 0] += planes[:, 1]
        planes[:, 2] += planes[:, 1]
        images.append(planes)
        labels.append(part)
    return np.concatenate(images), np.concatenate(labels)


def _pair(file: Path, array: str, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    raw = read_npz(file, array, "labels")
    labels = raw.labels
    if (
        raw.values.dtype != np.uint8
        or raw.values.shape[1:] != shape
        or labels is None
        or labels.shape != raw.values.shape[:1]
    ):
        raise InvalidInput(
            f'"{file}" must hold bytes of shape (n, {", ".join(map(str, shape))}) and labels '
            f"(n,); got {raw.values.shape}."
        )
    return raw.values, labels


def _content(file: Path, member: str) -> bytes:
    """A file of the binary version, read out of the archive where it is packed."""
    try:
        if file.name != _ARCHIVE:
            return file.read_bytes()
        with tarfile.open(file) as archive:
            packed = archive.extractfile(f"{_UNPACKED}/{member}")
            return b"" if packed is None else packed.read(_LONGEST)
    except DAMAGE as error:
        raise InvalidInput(f'"{file}" cannot be read: {error}') from error


def _from_binary(content: bytes, file: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    if not content or len(content) % _RECORD:
        raise InvalidInput(
            f'"{file}" must hold records of {_RECORD} bytes; got {len(content)} bytes.'
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return records[:, 2:].reshape(-1, 3, 32, 32), records[:, 1]


def _names(where: list[Path]) -> tuple[str, ...] | None:
    """Names of the classes, from the file beside the images that has them."""
    if file := find(where, ["class-names.txt", "fine_label_names.txt"]):
        lines = file.read_text(encoding="utf-8").split()
    elif file := find(where, [_ARCHIVE]):
        lines = _content(file, "fine_label_names.txt").decode().split()
    else:
        return None
    return tuple(lines)
