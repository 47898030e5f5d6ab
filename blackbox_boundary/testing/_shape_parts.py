"""Products, pairs of logits and crossings of half-spaces, of which shapes are made."""

from __future__ import annotations

import numpy as np

from ..predictor import FloatArray

__all__ = ["between_faces", "crossings", "dot", "pair", "pull_pair", "ratio"]


def dot(x: FloatArray, normals: FloatArray) -> FloatArray:
    """Product (n, k) of (n, d) and (k, d), each row summed alone.

    The last bits of a matrix product may depend on n.
    """
    return (np.ascontiguousarray(x)[:, None, :] * np.ascontiguousarray(normals, dtype=x.dtype)).sum(
        axis=-1
    )


def pair(margin: FloatArray) -> FloatArray:
    """The logits ``(-f/2, f/2)`` (n, 2) of a margin (n,)."""
    return np.stack([-margin / 2, margin / 2], axis=-1)


def pull_pair(slope: FloatArray, v: FloatArray) -> FloatArray:
    """Gradient of ``v · (-f/2, f/2)`` where ``slope`` (n, d) is that of ``f``."""
    return slope * ((v[:, 1:] - v[:, :1]) / 2).astype(slope.dtype)


def ratio(room: FloatArray, speed: FloatArray) -> FloatArray:
    """Radius at which the room is used up; infinite where it is not being used."""
    return np.divide(
        room,
        speed,
        out=np.full(np.broadcast_shapes(room.shape, speed.shape), np.inf),
        where=speed > 0,
    )


def between_faces(margins: FloatArray, slopes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Radii (n,) at which rays enter and leave the set where all ``margins`` are positive.

    ``margins`` and their ``slopes`` along the ray are (n, k).
    """
    enter = np.where(
        slopes > 0,
        -ratio(margins, slopes),
        np.where((slopes == 0) & (margins <= 0), np.inf, -np.inf),
    )
    return enter.max(axis=-1), ratio(margins, -slopes).min(axis=-1)


def crossings(enter: FloatArray, leave: FloatArray) -> FloatArray:
    """Crossings (n, 2) of rays that are inside a convex set between two radii, if positive."""
    meets = (leave > enter) & (leave > 0)
    first, second = np.where(meets, enter, np.inf), np.where(meets, leave, np.inf)
    inside = first < 0
    return np.stack([np.where(inside, second, first), np.where(inside, np.inf, second)], axis=-1)
