"""Index of answers in memory: from 128 bits of the key of a question to a place.

Almost all keys lie in sorted arrays, 24 bytes a key, and a lookup is a binary search; the newest
lie in a dictionary that is merged into the arrays now and then. Two different questions share 128
bits with probability n² / 2¹²⁹: 1e-25 at ten million.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .records import Keys

__all__ = ["NOWHERE", "KeyIndex", "Places"]

Places: TypeAlias = NDArray[np.int64]
NOWHERE = -1

_RECENT = 1 << 16
"""Keys kept in the dictionary (about 150 bytes each) before a merge, and at least; a merge
copies the arrays."""
_SHARE = 64
"""A larger index merges once the dictionary holds this share of it: at ten million keys each
copy serves 156,000 new ones."""


class KeyIndex:
    """Find places by key."""

    def __init__(self) -> None:
        self._first = np.empty(0, np.uint64)
        self._second = np.empty(0, np.uint64)
        self._places = np.empty(0, np.int64)
        self._recent: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._first) + len(self._recent)

    def add(self, keys: Keys, places: Places) -> None:
        """Remember where these answers lie."""
        if len(keys) > _RECENT:
            self._merge(keys, places)
            return
        self._recent.update(zip(_short(keys), places.tolist(), strict=True))
        if len(self._recent) > max(_RECENT, len(self._first) // _SHARE):
            recent = np.frombuffer(b"".join(self._recent), np.uint8).reshape(-1, 16)
            self._merge(recent, np.fromiter(self._recent.values(), np.int64))
            self._recent.clear()

    def find(self, keys: Keys) -> Places:
        """The place of each key (n,), ``NOWHERE`` where it is not known."""
        places = np.full(len(keys), NOWHERE, np.int64)
        self._find_sorted(keys, places)
        if self._recent:
            for i in np.flatnonzero(places == NOWHERE).tolist():
                places[i] = self._recent.get(keys[i, :16].tobytes(), NOWHERE)
        return places

    def _find_sorted(self, keys: Keys, places: Places) -> None:
        first, second = _words(keys)
        at = np.searchsorted(self._first, first)
        rows = np.arange(len(keys))
        while len(
            rows := rows[at[rows] < len(self._first)]
        ):  # a second turn only where keys share 64 bits
            rows = rows[self._first[at[rows]] == first[rows]]
            hit = self._second[at[rows]] == second[rows]
            places[rows[hit]] = self._places[at[rows[hit]]]
            rows = rows[~hit]
            at[rows] += 1

    def _merge(self, keys: Keys, places: Places) -> None:
        first, second = _words(keys)
        order = np.argsort(first, kind="stable")
        first, second, places = first[order], second[order], places[order]
        at = np.searchsorted(self._first, first)
        self._first = np.insert(self._first, at, first)
        self._second = np.insert(self._second, at, second)
        self._places = np.insert(self._places, at, places)


def _words(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The first 128 bits of each key as two numbers."""
    words = np.ascontiguousarray(keys[:, :16]).view(np.uint64)
    return words[:, 0], words[:, 1]


def _short(keys: Keys) -> list[bytes]:
    data = np.ascontiguousarray(keys[:, :16]).tobytes()
    return [data[i : i + 16] for i in range(0, len(data), 16)]
