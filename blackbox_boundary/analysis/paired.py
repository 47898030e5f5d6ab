"""Two runs on the same rows, compared row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .distances import Distances

__all__ = ["MedianChange", "PairedRuns", "check_comparable", "differences_of_method"]

_N_RESAMPLES = 1000
"""Settles the ends of a 95 % interval to about a twentieth of its width."""

_RESOLVED = 1e-3
"""Relative loss from which a row came nearer: less is left to brackets and rounding."""

_UNITS = {"data.divided_by": "scale of the inputs", "columns": "columns and their units"}


@dataclass(frozen=True)
class MedianChange:
    """Median distance in both runs, with a 95 % interval of the change by paired bootstrap [1]_.

    Distances are in input units, of the ``n`` rows with a known flip in both runs.

    References
    ----------
    .. [1] Efron, Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall 1993, chapter 13.
    """

    n: int
    before: float
    after: float
    lo: float
    hi: float

    @property
    def change(self) -> float:
        """``after - before``."""
        return self.after - self.before


@dataclass(frozen=True, eq=False)
class PairedRuns:
    """The same rows in two runs.

    Attributes
    ----------
    before, after : (n,) float
        Distances, input units; infinite where no flip is known.
    relabelled : (n,) bool
        The home labels differ: the models disagree on the row itself.
    reclassed : (n,) bool
        Same home label, but the flip leads to another class.
    """

    before: NDArray[np.float64]
    after: NDArray[np.float64]
    relabelled: NDArray[np.bool_]
    reclassed: NDArray[np.bool_]

    @classmethod
    def of(cls, before: Distances, after: Distances, norm: str = "l2") -> PairedRuns:
        """Pair two runs; :func:`check_comparable` checks whether they may be paired.

        Raises
        ------
        InvalidInput
            Other numbers of rows.
        """
        if len(before) != len(after):
            raise InvalidInput(
                f"Runs that are compared must have the same rows; got {len(before)} and "
                f"{len(after)}."
            )
        known = (before.home >= 0) & (after.home >= 0)
        same = known & (before.home == after.home)
        both = before.has_flip & after.has_flip
        return cls(
            before.norm(norm),
            after.norm(norm),
            known & ~same,
            same & both & (before.flipped != after.flipped),
        )

    @property
    def both(self) -> NDArray[np.bool_]:
        """(n,) rows with a known flip in both runs."""
        return np.isfinite(self.before) & np.isfinite(self.after)

    @property
    def difference(self) -> NDArray[np.float64]:
        """(n,) ``after - before`` of the rows with a flip in both, else NaN."""
        return np.where(self.both, _minus(self.after, self.before), np.nan)

    def nearer(self) -> NDArray[np.intp]:
        """Rows whose distance fell by more than 0.1 %, the largest loss first.

        A row without a known flip before counts as farthest.
        """
        loss = _minus(self.before, self.after)
        rows = np.flatnonzero(np.isfinite(self.after) & (loss > _RESOLVED * self.after))
        return rows[np.argsort(-loss[rows], kind="stable")]

    def median_change(self, *, seed: int = 0) -> MedianChange | None:
        """Change of the median with its interval; None where no row has a flip in both runs."""
        before, after = self.before[self.both], self.after[self.both]
        n = len(before)
        if not n:
            return None
        generator = np.random.default_rng(seed)
        changes = np.empty(_N_RESAMPLES)
        for k in range(_N_RESAMPLES):
            rows = generator.integers(0, n, n)
            changes[k] = np.median(after[rows]) - np.median(before[rows])
        lo, hi = np.quantile(changes, (0.025, 0.975))
        return MedianChange(
            n, float(np.median(before)), float(np.median(after)), float(lo), float(hi)
        )


def check_comparable(
    first: Mapping[str, Any], second: Mapping[str, Any], *, names: tuple[str, str]
) -> None:
    """Raise if two runs measured different rows, in different units, or for another norm.

    The runs are compared by their facts.

    Raises
    ------
    InvalidInput
        With the reason.
    """
    title = f'"{names[0]}" and "{names[1]}" cannot be compared'
    rows = [_fact(run, "data.blake2b") for run in (first, second)]
    if None in rows:
        unknown = names[rows.index(None)]
        raise InvalidInput(f'{title}: "{unknown}" does not say which rows it measured.')
    for fact, what in _UNITS.items():
        units = [_fact(run, fact) for run in (first, second)]
        if units[0] != units[1]:
            shown = [f"{unit!r}"[:80] for unit in units]
            raise InvalidInput(f"{title}: the {what} differ, {shown[0]} and {shown[1]}.")
    if rows[0] != rows[1]:
        counts = [_fact(run, "data.rows") for run in (first, second)]
        raise InvalidInput(
            f"{title}: they measured other rows ({counts[0]} and {counts[1]}; the digests differ)."
        )
    norms = [_fact(run, "estimator.norm") or "l2" for run in (first, second)]
    if norms[0] != norms[1]:
        raise InvalidInput(
            f"{title}: one minimised {norms[0]} distance, the other {norms[1]} distance."
        )


def differences_of_method(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """List the differences between the search settings of two runs, in words.

    The weaker search makes its model look more robust.
    """
    facts = {
        "estimator": "estimators", "access": "access", "max_queries": "query limits",
        "votes": "votes", "gradients": "sources of gradients", "bounds": "bounds",
        "aim": "target classes",
    }  # fmt: skip
    return [name for fact, name in facts.items() if first.get(fact) != second.get(fact)]


def _fact(run: Mapping[str, Any], name: str) -> Any:
    """A fact by its dotted name; None where it is missing."""
    value: Any = run
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _minus(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """``a - b``, 0 where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(a) & np.isinf(b), 0.0, a - b)
