"""Rows as pictures: the original, the flip point, and their difference, as PNG data URIs.

Originals and flip points are shown on one scale, the difference on a scale of its own that grows
lighter from its negative to its positive end, so that it survives a grey print: dark blue is less,
grey is no change, amber is more. Also all label pairs as one picture, a pixel a pair, for models of
many classes.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy, take
from ..errors import InvalidInput
from ..predictor import Array, IntArray
from .tables import LabelPair

__all__ = ["ImageLayout", "Triptych", "image_layout", "label_map", "map_size", "triptychs"]

_LONGEST_SIDE = 128
"""Pixels; longer pictures are averaged over square blocks, or a page of ImageNet rows would
weigh megabytes."""

_COLOUR = (79, 134, 204)
"""Between the accents of the light and the dark page: it can be read on both."""

_MOST_LABELS = 1200
"""Labels drawn; a wider map would not fit a screen."""

_LESS, _SAME, _MORE = np.array([(24, 48, 122), (142, 142, 142), (255, 209, 102)], dtype=float)


@dataclass(frozen=True)
class ImageLayout:
    """Layout of a row as a picture.

    ``shape`` is the shape of the row, ``channels`` the axis of its colour channels (None: there is
    no such axis).
    """

    shape: tuple[int, ...]
    channels: int | None

    @property
    def is_colour(self) -> bool:
        """Whether there are three channels."""
        return self.channels is not None and self.shape[self.channels] == 3

    def pixels(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Arrange rows (k, ...) as (k, height, width, 1 or 3).

        Pixels are averaged over blocks, so that the longest side is at most 128.
        """
        images = rows.reshape(len(rows), *self.shape).astype(np.float64)
        images = (
            images[..., None]
            if self.channels is None
            else np.moveaxis(images, self.channels + 1, -1)
        )
        k, height, width, channels = images.shape
        block = -(-max(height, width) // _LONGEST_SIDE)
        if block == 1:
            return images
        height, width = height // block or 1, width // block or 1
        images = images[:, : height * block, : width * block]
        return np.asarray(
            images.reshape(k, height, -1, width, images.shape[2] // width, channels).mean(
                axis=(2, 4)
            )
        )


@dataclass(frozen=True)
class Triptych:
    """Three pictures of a row, as data URIs.

    ``flip`` and ``difference`` are None where the flip point is unknown or was not kept.
    ``largest`` is the row's largest change, of either sign (input units); the ends of the colours
    stand for the largest of its strip.
    """

    original: str
    flip: str | None
    difference: str | None
    largest: float


def image_layout(
    row_shape: tuple[int, ...], image_shape: tuple[int, ...] | None
) -> ImageLayout | None:
    """Return the layout of a row as a picture, or None if it is no picture.

    Parameters
    ----------
    row_shape : tuple of int
        Shape of a row, ``x.shape[1:]``.
    image_shape : tuple of int, optional
        ``(height, width)``, or with 1 or 3 colour channels first or last. Default: ``row_shape``,
        if it has such a form and is at least 8 pixels high and wide.

    Raises
    ------
    InvalidInput
        ``image_shape`` is not the shape of a picture, or holds another number of values than a row.
    """
    if image_shape is None:
        layout = _read(row_shape)
        sides = [size for axis, size in enumerate(row_shape) if layout and axis != layout.channels]
        return layout if min(sides, default=0) >= 8 else None
    image_shape = tuple(int(size) for size in image_shape)
    layout = _read(image_shape)
    if layout is None:
        raise InvalidInput(
            '"image_shape" must be (height, width), with 1 or 3 channels first or last; got '
            f"{image_shape}."
        )
    if np.prod(image_shape) != np.prod(row_shape):
        raise InvalidInput(
            f'"image_shape" must hold as many values as a row, {np.prod(row_shape)}; got '
            f"{image_shape}."
        )
    return layout


def _read(shape: tuple[int, ...]) -> ImageLayout | None:
    """Return the layout of a row of this shape; None if it is no picture.

    Two axes are a grey picture. Of three axes, the first or the last holds 1 or 3 channels; where
    both could, the first does.
    """
    if min(shape, default=0) < 1:
        return None
    if len(shape) == 2:
        return ImageLayout(shape, None)
    if len(shape) == 3 and shape[0] in (1, 3):
        return ImageLayout(shape, 0)
    if len(shape) == 3 and shape[2] in (1, 3):
        return ImageLayout(shape, 2)
    return None


def triptychs(
    x: Array,
    flip_points: Array | None,
    rows: IntArray,
    layout: ImageLayout,
    *,
    strip: IntArray | None = None,
) -> tuple[list[Triptych], tuple[float, float]]:
    """Draw some rows.

    Parameters
    ----------
    x : (n, ...) array
        The inputs, of any kind, on any device; only ``rows`` of it are copied.
    flip_points : (n, ...) array, or None
        NaN where there is none.
    rows : (k,) int
        Which rows to draw.
    layout : ImageLayout
    strip : (k,) int, optional
        Rows of the same strip have one scale of differences. Default: all are one strip.

    Returns
    -------
    list of Triptych
        One for each of ``rows``.
    (lowest, highest)
        Values shown as black and white (none and full colour): the extremes of these originals.
        What lies outside is clipped.
    """
    originals = layout.pixels(_rows(x, rows))
    lowest, highest = _range(originals)
    flips = (
        np.full_like(originals, np.nan)
        if flip_points is None
        else layout.pixels(_rows(flip_points, rows))
    )
    shades = [_shade(pixels, lowest, highest) for pixels in (originals, flips)]
    changes = [_strongest(change) for change in flips - originals]
    known = [bool(np.isfinite(pixels).all()) for pixels in flips]
    scales = _scales(changes, known, np.zeros(len(rows)) if strip is None else strip)
    drawn = []
    for i in range(len(rows)):
        original = _png_uri(shades[0][i])
        if not known[i]:
            drawn.append(Triptych(original, None, None, 0.0))
            continue
        difference = _coloured(changes[i], scales[i])
        largest = float(np.abs(changes[i]).max())
        drawn.append(Triptych(original, _png_uri(shades[1][i]), _png_uri(difference), largest))
    return drawn, (lowest, highest)


def _rows(array: Array, rows: IntArray) -> NDArray[Any]:
    return np.asarray(as_numpy(take(array, rows)))


def _range(pixels: NDArray[np.float64]) -> tuple[float, float]:
    finite = pixels[np.isfinite(pixels)]
    if not finite.size or finite.min() == finite.max():
        return 0.0, 1.0
    return float(finite.min()), float(finite.max())


def _shade(pixels: NDArray[np.float64], lowest: float, highest: float) -> NDArray[np.uint8]:
    unit = np.clip((np.nan_to_num(pixels, nan=lowest) - lowest) / (highest - lowest), 0, 1)
    return np.round(255 * unit).astype(np.uint8)


def _scales(
    changes: list[NDArray[np.float64]], known: list[bool], strip: NDArray[Any]
) -> NDArray[np.float64]:
    """Largest known change (k,) of each row's strip; 1 where there is none."""
    largest = np.array(
        [np.abs(c).max() if is_known else 0.0 for c, is_known in zip(changes, known, strict=True)]
    )
    return np.array([largest[strip == one].max() or 1.0 for one in strip])


def _strongest(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, at each pixel, the change of the channel that changes most.

    ``change`` is (height, width, channels).
    """
    most = np.abs(change).argmax(axis=-1, keepdims=True)
    return np.take_along_axis(change, most, axis=-1)


def _coloured(change: NDArray[np.float64], scale: float) -> NDArray[np.uint8]:
    """Colour a change (height, width, 1); ``scale`` is the change at the ends of the colours."""
    unit = change / (scale or 1.0)
    colour = _SAME + np.maximum(unit, 0) * (_MORE - _SAME) + np.maximum(-unit, 0) * (_LESS - _SAME)
    return np.round(colour).astype(np.uint8)


def _png_uri(pixels: NDArray[np.uint8]) -> str:
    """Encode (height, width, 1, 3 or 4) bytes as PNG [1]_; of four channels the last is opacity.

    References
    ----------
    .. [1] "Portable Network Graphics (PNG) Specification", W3C, sections 5 and 9.
       https://www.w3.org/TR/png-3/
    """
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    lines = np.concatenate(
        [np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1
    )  # filter 0: none
    png = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def map_size(pairs: list[LabelPair]) -> int:
    """Labels along a side of the map."""
    return min(_MOST_LABELS, 1 + max(max(pair.home, pair.flipped) for pair in pairs))


def label_map(pairs: list[LabelPair]) -> str:
    """Draw counts as a picture (a data URI): home labels as lines, flipped labels as columns.

    Both are in the order of the labels. Opacity grows with the logarithm of the count, so that
    single rows stay visible.
    """
    size = map_size(pairs)
    counts = np.zeros((size, size))
    for pair in pairs:
        if max(pair.home, pair.flipped) < size:
            counts[pair.home, pair.flipped] += pair.n
    opacity = np.where(counts > 0, 0.2 + 0.8 * np.log1p(counts) / np.log1p(counts.max()), 0.0)
    pixels = np.empty((size, size, 4), np.uint8)
    pixels[..., :3] = _COLOUR
    pixels[..., 3] = np.round(255 * opacity)
    return _png_uri(pixels)
