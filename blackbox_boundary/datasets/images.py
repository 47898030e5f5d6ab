"""A folder of image files, or one folder a class."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing, InvalidInput
from .data import Raw
from .unpacking import check_unpacked

__all__ = ["read_images"]

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def read_images(folder: Path, *, channels_last: bool = False) -> Raw:
    """Read all images of a folder in the order of their names; subfolders are classes.

    Images have 8 bits a channel: one channel if all are grey, else three (red, green, blue;
    transparency is dropped). All must have the same size: the caller must resize, since this
    changes the distances. Shape (n, channels, height, width), or with ``channels_last`` (n, height,
    width, channels).

    Raises
    ------
    CapabilityMissing
        Pillow is not installed.
    InvalidInput
        No images, images beside subfolders of images, a file that is no image or is damaged, or
        images of different sizes.
    """
    classes = [sub for sub in sorted(folder.iterdir()) if sub.is_dir() and _images(sub)]
    files = [file for sub in classes for file in _images(sub)] or _images(folder)
    if not files:
        raise InvalidInput(
            f'"{folder}" must hold images ({" ".join(sorted(_SUFFIXES))}), or folders of them; it holds neither.'
        )
    if classes and _images(folder):
        raise InvalidInput(
            f'"{folder}" must hold either images or one folder a class; it holds both, {_images(folder)[0].name} for one.'
        )
    _check_sizes(folder, files)
    read = [_read(file) for file in files]
    n_channels = max(image.shape[2] for image in read)
    values = np.stack([np.broadcast_to(image, (*image.shape[:2], n_channels)) for image in read])
    labels = (
        np.repeat(np.arange(len(classes)), [len(_images(sub)) for sub in classes])
        if classes
        else None
    )
    names = tuple(sub.name for sub in classes) or None
    layout = "height, width, channels" if channels_last else "channels, height, width"
    return Raw(
        values if channels_last else values.transpose(0, 3, 1, 2), labels, names, {"layout": layout}
    )


def _images(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file()
    )


def _check_sizes(folder: Path, files: list[Path]) -> None:
    """Compare the sizes that the headers state, before anything is decoded."""
    sizes = [_opened(file, lambda image: image.size) for file in files]
    width, height = sizes[0]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise InvalidInput(
                f'The images in "{folder}" must have one size; "{files[0].name}" and '
                f'"{file.name}" have {width}x{height} and {size[0]}x{size[1]}.'
            )
    stored = sum(file.stat().st_size for file in files)
    check_unpacked(3 * width * height * len(files), stored, folder)


def _read(file: Path) -> NDArray[Any]:
    """One image (height, width, channels) of bytes."""
    pixels: NDArray[Any] = _opened(file, lambda image: _pixels(image, file))
    return pixels.reshape(*pixels.shape[:2], -1)


def _pixels(image: Any, file: Path) -> NDArray[Any]:
    if image.mode.startswith(("I", "F")):
        raise InvalidInput(f'"{file}" must have 8 bits a channel; it is of mode {image.mode}.')
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def _opened(file: Path, look: Callable[[Any], Any]) -> Any:
    """What ``look`` returns of the image in a file."""
    try:
        from PIL import Image
    except ImportError as error:
        raise CapabilityMissing(
            'Reading images needs Pillow: pip install "blackbox-boundary[images]".'
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # see _check_sizes
            with Image.open(file) as image:
                return look(image)
    except InvalidInput:
        raise
    except Exception as error:  # a crafted file leads Pillow's decoders to any error
        raise InvalidInput(f'"{file}" cannot be read as an image: {error}') from error
