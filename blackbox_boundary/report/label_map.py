"""All label pairs as one picture: a pixel a pair, for models of many classes."""

from __future__ import annotations

import numpy as np

from .pictures import png_uri
from .tables import LabelPair

__all__ = ["label_map", "map_size"]

_COLOUR = (79, 134, 204)
"""Between the accents of the light and the dark page: it can be read on both."""

_MOST = 1200
"""Labels drawn; a wider map would not fit a screen."""


def map_size(pairs: list[LabelPair]) -> int:
    """Labels along a side of the map."""
    return min(_MOST, 1 + max(max(pair.home, pair.flipped) for pair in pairs))


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
    return png_uri(pixels)
