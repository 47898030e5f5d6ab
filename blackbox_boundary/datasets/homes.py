"""Where the public data sets are stored, where they are downloaded, and their checksums.

A data set is looked for in the folder given, else in ``BLACKBOX_BOUNDARY_DATA`` (in a subfolder of
its name, or in that folder itself), else in the user's cache. Nothing is downloaded unless
:func:`fetch` is called.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput

__all__ = ["ENVIRONMENT", "check_content", "fetch", "find", "folders", "home_named", "missing"]

ENVIRONMENT = "BLACKBOX_BOUNDARY_DATA"

_HOMES: dict[str, tuple[str, dict[str, str]]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "cifar100": (
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
    ),
}
"""Address and files with their MD5, as published: by torchvision for MNIST, whose own site is
closed; on the home page for CIFAR-100."""


def folders(name: str, folder: str | Path | None = None) -> list[Path]:
    """Where to look for a data set, in this order."""
    if folder is not None:
        return [Path(folder)]
    if root := os.environ.get(ENVIRONMENT):
        return [Path(root) / name, Path(root)]
    return [_cache() / name]


def find(where: Iterable[Path], names: Iterable[str]) -> Path | None:
    """The first of these files that exists in one of these folders."""
    names = list(names)
    return next(
        (folder / name for folder in where for name in names if (folder / name).is_file()), None
    )


def missing(name: str, file: str, where: list[Path]) -> InvalidInput:
    """The error for a file that is not there."""
    places = " or ".join(f'"{folder}"' for folder in where)
    return InvalidInput(
        f'The data set "{name}" needs the file {file} in {places}; it is not there. Name the '
        f"folder in {ENVIRONMENT}."
    )


@contextmanager
def home_named(name: str) -> Iterator[None]:
    """Add to an error on a data set's files the address of intact files and their checksums."""
    try:
        yield
    except InvalidInput as error:
        address, files = _HOMES[name]
        named = ", ".join(f"{file} (MD5 {md5})" for file, md5 in files.items())
        raise InvalidInput(
            f"{str(error).rstrip('.')}. Get {named} from {address} with "
            f'blackbox_boundary.datasets.fetch("{name}").'
        ) from error


def check_content(
    name: str, images: NDArray[Any], labels: NDArray[Any], expected: str, files: list[Path]
) -> None:
    """Compare images (n, channels, height, width) and labels with those of the public data set.

    The SHA-256 is that of the images sorted by label (each class in its own order), followed by the
    sorted labels, as bytes.

    Raises
    ------
    InvalidInput
        They differ: the files are damaged, or are another data set under the same names.
    """
    order = np.argsort(labels, kind="stable")
    digest = hashlib.sha256(np.ascontiguousarray(images[order], np.uint8).data)
    digest.update(labels[order].astype(np.uint8).tobytes())
    if digest.hexdigest() != expected:
        named = ", ".join(f'"{file}"' for file in files)
        raise InvalidInput(
            f"{named} must hold {name}, a content with the SHA-256 {expected}; got "
            f"{digest.hexdigest()}. "
            "A file is damaged, or of another data set."
        )


def fetch(
    name: str,
    folder: str | Path | None = None,
    *,
    address: str | None = None,
    timeout_s: float = 60.0,
) -> Path:
    """Download the files of a data set that are not there yet, and check them.

    Parameters
    ----------
    name : str
        ``"mnist"`` (11 MB) or ``"cifar100"`` (161 MB).
    folder : path, optional
        Where to put them. Default: a folder of that name in ``BLACKBOX_BOUNDARY_DATA``, or in the
        user's cache.
    address : str, optional
        A mirror of the public home: the files must have the same names and content.
    timeout_s : float
        Seconds that the server may stay silent.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InvalidInput
        No such data set, no answer, or a file whose MD5 is not the published one; such a file is
        not kept.
    """
    if name not in _HOMES:
        raise InvalidInput(f'"name" of fetch must be one of {", ".join(_HOMES)}; got "{name}".')
    home, files = _HOMES[name]
    target = folders(name, folder)[0]
    target.mkdir(parents=True, exist_ok=True)
    for file, md5 in files.items():
        if not (target / file).exists():
            _download((address or home).rstrip("/") + "/" + file, target / file, md5, timeout_s)
    return target


def _download(url: str, path: Path, md5: str, timeout_s: float) -> None:
    partial = path.with_name(path.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer, partial.open("wb") as file:  # noqa: S310 -- the caller's or our own address
            shutil.copyfileobj(answer, file, 1 << 20)
        with partial.open("rb") as file:
            got = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if got != md5:
            raise InvalidInput(
                f'"{path.name}" from {url} must have the MD5 {md5}; got {got}. It was not kept.'
            )
        partial.replace(path)
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f'"{path.name}" could not be fetched from {url}: {error}. Put it into "{path.parent}" '
            "yourself."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blackbox_boundary"
