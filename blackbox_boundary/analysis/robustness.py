"""The robustness curve: the share of rows without a flip nearer than a radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..predictor import BoolArray, Real
from ..search.asks import Status
from .distances import Distances

__all__ = ["RobustnessCurve", "certified_curve", "counted_rows", "robustness_curve"]


@dataclass(frozen=True, eq=False)
class RobustnessCurve:
    """A falling step function of the radius.

    Attributes
    ----------
    distance : (n,) float
        Distance of each row, ascending, input units; infinite where no flip is known.

    Examples
    --------
    >>> curve = RobustnessCurve(np.array([1.0, 2.0, 4.0, np.inf]))
    >>> curve([0.5, 1.0, 1.5, 9.0]).tolist()
    [1.0, 1.0, 0.75, 0.25]
    """

    distance: Real

    def __len__(self) -> int:
        return len(self.distance)

    def __call__(self, radius: object) -> Real:
        """Share of the rows (0-1) whose distance is at least ``radius``."""
        nearer = np.searchsorted(self.distance, np.asarray(radius, np.float64), side="left")
        return np.asarray(1 - nearer / max(1, len(self.distance)), np.float64)

    def radius(self, share: float) -> float:
        """Return the smallest radius within which at least ``share`` of the rows flip.

        Infinite if there is none.

        Examples
        --------
        >>> RobustnessCurve(np.array([1.0, 2.0, 4.0, np.inf])).radius(0.5)
        2.0
        """
        n = len(self.distance)
        return float(self.distance[max(0, int(np.ceil(share * n)) - 1)]) if n else float("inf")

    def steps(self, most: int = 200) -> tuple[Real, Real]:
        """Return the corners (k,) of the curve from radius 0: radii, and the share from each on.

        At most ``most`` corners are returned; of more, those at equal steps of the share are kept.
        """
        finite = self.distance[np.isfinite(self.distance)]
        if len(finite) > most:
            finite = finite[np.linspace(0, len(finite) - 1, most).round().astype(int)]
        radius = np.unique(finite)
        beyond = np.searchsorted(self.distance, radius, side="right")
        share = 1 - beyond / max(1, len(self.distance))
        return np.concatenate([[0.0], radius]), np.concatenate([[1.0], share])


def counted_rows(distances: Distances) -> BoolArray:
    """(n,) rows that have a distance to know: their home label is known, and is not the target."""
    return np.asarray((distances.home >= 0) & (distances.status != Status.AT_TARGET))


def robustness_curve(
    distances: Distances, norm: str = "l2", *, rows: BoolArray | None = None
) -> RobustnessCurve:
    """Return the robustness curve of the rows that count (:func:`counted_rows`).

    ``rows`` (n,) is a mask that selects some of them.

    A row without a known flip counts as flip-free at every radius. So the curve is an upper bound
    of the share of rows that keep their label: a stronger search can only lower it.
    """
    counted = counted_rows(distances)
    if rows is not None:
        counted &= rows
    return RobustnessCurve(np.sort(distances.norm(norm)[counted]))


def certified_curve(distances: Distances, norm: str = "l2") -> RobustnessCurve | None:
    """Return the curve of certified radii; None without certificates of this norm.

    It gives the share of the rows that count whose certificate is at least a radius.
    """
    if distances.certified is None or distances.run.get("estimator", {}).get("norm", norm) != norm:
        return None
    radius = np.nan_to_num(distances.certified[counted_rows(distances)], nan=0.0)
    return RobustnessCurve(np.sort(radius)) if radius.any() else None
