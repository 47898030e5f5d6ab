"""A folder of image files, one folder a class, or image files that an index lists."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing, InvalidInput
from ..stored_rows import StoredRows
from .data import STREAMED, Raw
from .unpacking import check_unpacked

__all__ = ["read_images"]

_GREY = ("1", "L", "LA")

_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


_INDEX = "metadata.csv"


def read_images(folder: Path, *, channels_last: bool = False, labels: str | None = None) -> Raw:
    """Read all images of a folder in the order of their names; subfolders are classes.

    A file ``metadata.csv`` in the folder is an index: its column ``file_name`` lists the images,
    in their order, and the column ``labels`` (default: ``label``) holds their labels. The names
    become the ids of the rows, and no folder is listed.

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
    listed = _listed if (folder / _INDEX).is_file() else _found
    files, beside = listed(folder, labels)
    shape = _common_shape(folder, files)

    def read(first: int, end: int) -> NDArray[Any]:
        images = (np.broadcast_to(_read(file), shape) for file in files[first:end])
        block = np.stack([*images]) if end > first else np.empty((0, *shape), np.uint8)
        return block if channels_last else block.transpose(0, 3, 1, 2)

    ordered = shape if channels_last else (shape[2], *shape[:2])
    values: Any = StoredRows((len(files), *ordered), np.uint8, read, folder)
    if 4 * values.nbytes <= STREAMED:  # as float32
        values = np.asarray(values)
    layout = "height, width, channels" if channels_last else "channels, height, width"
    return beside._replace(values=values, source={**beside.source, "layout": layout})


def _found(folder: Path, labels: str | None) -> tuple[list[Path], Raw]:
    """The images in a folder, or in its subfolders, which are then classes."""
    if labels is not None:
        raise InvalidInput(
            f'"labels" of read must name a file of labels, or a column of "{_INDEX}" in the folder '
            f'of images, which "{folder}" does not have; got "{labels}".'
        )
    classes = [(sub, _images(sub)) for sub in sorted(folder.iterdir()) if sub.is_dir()]
    classes = [(sub, images) for sub, images in classes if images]
    own = _images(folder)
    files = [file for _, images in classes for file in images] or own
    if not files:
        raise InvalidInput(
            f'"{folder}" must hold images ({" ".join(sorted(_SUFFIXES))}), or folders of them; it '
            "holds neither."
        )
    if not classes:
        return files, Raw(None)
    if own:
        raise InvalidInput(
            f'"{folder}" must hold either images or one folder a class; it holds both, '
            f"{own[0].name} for one."
        )
    numbers = np.repeat(np.arange(len(classes)), [len(images) for _, images in classes])
    return files, Raw(None, numbers, tuple(sub.name for sub, _ in classes))


def _listed(folder: Path, labels: str | None) -> tuple[list[Path], Raw]:
    """The images that the index of a folder lists."""
    path = folder / _INDEX
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f'"{path}" cannot be read: {error}') from error
    columns = list(lines[0]) if lines else []
    column = labels or ("label" if "label" in columns else None)
    for name in ("file_name", column):
        if name is not None and name not in columns:
            raise InvalidInput(f'"{path}" must have a column "{name}", and at least one row.')
    names = [line["file_name"] or "" for line in lines]
    for name in names:
        inside = Path(name)
        if inside.is_absolute() or ".." in inside.parts or not (folder / inside).is_file():
            raise InvalidInput(f'"{path}" must list files in its folder; "{name}" is none.')
    values = None if column is None else np.array([line[column] or "" for line in lines], np.str_)
    source = {"index": _INDEX} | ({} if column is None else {"labels": column})
    return [folder / name for name in names], Raw(
        None, values, source=source, ids=np.array(names, np.str_)
    )


def _images(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file()
    )


def _common_shape(folder: Path, files: list[Path]) -> tuple[int, int, int]:
    """Height, width and channels of all images, by their headers, before anything is decoded."""
    width, height = _opened(files[0], lambda image: image.size)
    n_channels, stored = 1, 0
    for file in files:
        size, mode = _opened(file, lambda image: (image.size, image.mode))
        if size != (width, height):
            raise InvalidInput(
                f'The images in "{folder}" must have one size; "{files[0].name}" and '
                f'"{file.name}" have {width}x{height} and {size[0]}x{size[1]}.'
            )
        n_channels = n_channels if mode in _GREY or mode.startswith(("I", "F")) else 3
        stored += file.stat().st_size
    check_unpacked(3 * width * height * len(files), stored, folder)
    return height, width, n_channels


def _read(file: Path) -> NDArray[Any]:
    """One image (height, width, channels) of bytes."""
    pixels: NDArray[Any] = _opened(file, lambda image: _pixels(image, file))
    return pixels.reshape(*pixels.shape[:2], -1)


def _pixels(image: Any, file: Path) -> NDArray[Any]:
    if image.mode.startswith(("I", "F")):
        raise InvalidInput(f'"{file}" must have 8 bits a channel; it is of mode {image.mode}.')
    return np.asarray(image.convert("L" if image.mode in _GREY else "RGB"))


def _opened(file: Path, look: Callable[[Any], Any]) -> Any:
    """The result of ``look`` for the image in a file."""
    try:
        from PIL import Image
    except ImportError as error:
        raise CapabilityMissing(
            'Reading images needs Pillow: pip install "blackbox-boundary[images]".'
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # see _common_shape
            with Image.open(file) as image:
                return look(image)
    except InvalidInput:
        raise
    except Exception as error:  # a crafted file leads Pillow's decoders to any error
        raise InvalidInput(f'"{file}" cannot be read as an image: {error}') from error
