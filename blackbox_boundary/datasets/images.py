"""A folder of image files, or one folder a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing, InvalidInput
from .data import Raw

__all__ = ["read_images"]

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def read_images(folder: Path, *, channels_last: bool = False) -> Raw:
    """Read all images of a folder in the order of their names; its subfolders, if there are any, are the classes, in the order of theirs.

    Images have 8 bits a channel: one channel if all are grey, else three (red, green, blue; transparency is dropped). All must have the
    same size: resizing is the caller's choice to make, since it changes the distances. Shape (n, channels, height, width), or with
    ``channels_last`` (n, height, width, channels).

    Raises
    ------
    CapabilityMissing
        Pillow is not installed.
    InvalidInput
        No images, images beside subfolders of images, a file that is no image or is damaged, or images of different sizes.
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
    read = [_read(file) for file in files]
    for file, image in zip(files, read, strict=True):
        if image.shape[:2] != read[0].shape[:2]:
            sizes = " and ".join(
                f"{values.shape[1]}x{values.shape[0]}" for values in (read[0], image)
            )
            raise InvalidInput(
                f'The images in "{folder}" must have one size; "{files[0].name}" and "{file.name}" have {sizes}.'
            )
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


def _read(file: Path) -> NDArray[Any]:
    """One image (height, width, channels) of bytes."""
    try:
        from PIL import Image
    except ImportError as error:
        raise CapabilityMissing(
            'Reading images needs Pillow: pip install "blackbox-boundary[images]".'
        ) from error
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise InvalidInput(
                    f'"{file}" must have 8 bits a channel; it is of mode {image.mode}.'
                )
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(f'"{file}" cannot be read as an image: {error}') from error
    return pixels.reshape(*pixels.shape[:2], -1)
