"""Distributions of distances in a data set, and their comparison (the paper's section 5).

Rows without a known flip point have no finite distance: they are counted, never averaged. No
function here sends a query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from ..errors import InvalidInput
from ..predictor import FloatArray, IntArray, Real

__all__ = ["Comparison", "Distribution", "by_class", "by_label_pair", "compare"]

_QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)


@dataclass(frozen=True, eq=False)
class Distribution:
    """A histogram of distances with its mode and quantiles.

    Attributes
    ----------
    edges : (k + 1,) float
        Of the histogram's bins, from 0, in the unit of the distances.
    counts : (k,) int
        Rows a bin; the last bin also holds the rows beyond it, where ``edges`` were given.
    n, n_without : int
        Rows with a known flip point; and without.
    mean, std : float
        Over the ``n`` rows; NaN where there are none.
    quantiles : dict
        Distance by share of rows, 1 % to 99 %.
    """

    edges: Real
    counts: IntArray
    n: int
    n_without: int
    mean: float
    std: float
    quantiles: dict[float, float]

    @classmethod
    def of(cls, distance: FloatArray, *, edges: FloatArray | None = None) -> Distribution:
        """Describe distances (n,); infinite ones (no flip point known) are counted apart.

        Without ``edges``, bins run from 0 to the largest distance and are as wide as Freedman and
        Diaconis advise (``2 IQR / n^(1/3)``), but are at least 10 and at most 100.

        Raises
        ------
        InvalidInput
            Negative or NaN distances, or edges that do not rise.

        Examples
        --------
        >>> distance = np.array([1.0, 1.5, 1.5, 9.0, np.inf])
        >>> Distribution.of(distance, edges=np.array([0.0, 1.0, 2.0, 10.0])).counts.tolist()
        [0, 3, 1]
        """
        distance = np.asarray(distance, np.float64)
        if distance.ndim != 1 or np.isnan(distance).any() or (distance < 0).any():
            raise InvalidInput(
                '"distance" of Distribution must be (n,) numbers of at least 0; got shape '
                f"{distance.shape} or a negative or NaN."
            )
        known = distance[np.isfinite(distance)]
        bins = _edges(known) if edges is None else np.asarray(edges, np.float64)
        if bins.ndim != 1 or len(bins) < 2 or not (np.diff(bins) > 0).all():
            raise InvalidInput('"edges" of Distribution must be at least two rising numbers.')
        counts, _ = np.histogram(np.minimum(known, bins[-1]), bins)
        quantiles = (
            dict(zip(_QUANTILES, np.quantile(known, _QUANTILES).tolist(), strict=True))
            if len(known)
            else {}
        )
        mean, std = (
            (float(known.mean()), float(known.std()))
            if len(known)
            else (float("nan"), float("nan"))
        )
        return cls(bins, counts, len(known), len(distance) - len(known), mean, std, quantiles)

    @property
    def mode(self) -> float:
        """Middle of the densest bin (rows divided by width); NaN without rows.

        Among equally dense bins, the one nearest to the boundary counts.
        """
        place = self._densest
        return float((self.edges[place] + self.edges[place + 1]) / 2) if self.n else float("nan")

    @property
    def mode_rank(self) -> float:
        """Share of rows nearer to the boundary than the middle of the densest bin.

        A share near 0 means that the mode lies at the boundary.
        """
        place = self._densest
        return (
            float((self.counts[:place].sum() + self.counts[place] / 2) / self.n)
            if self.n
            else float("nan")
        )

    @property
    def _densest(self) -> int:
        return int((self.counts / np.diff(self.edges)).argmax())

    def summary(self) -> dict[str, float | int]:
        """The numbers of a table's line."""
        named = {f"q{round(100 * share):02d}": value for share, value in self.quantiles.items()}
        return {
            "n": self.n,
            "n_without": self.n_without,
            "mean": self.mean,
            "std": self.std,
            "mode": self.mode,
            "mode_rank": self.mode_rank,
            **named,
        }


def _edges(known: FloatArray) -> Real:
    largest = float(known.max()) if len(known) else 0.0
    if largest == 0:
        return np.linspace(0, 1, 11)
    iqr = float(np.subtract(*np.quantile(known, [0.75, 0.25])))
    width = 2 * iqr / len(known) ** (1 / 3)
    n_bins = int(np.clip(np.ceil(largest / width), 10, 100)) if width > 0 else 10
    return np.linspace(0, largest, n_bins + 1)


@dataclass(frozen=True)
class Comparison:
    """How far apart two sets of distances are.

    Attributes
    ----------
    wasserstein : float
        Mean distance that one set's values must move to become the other's, in their unit.
    ks, ks_p : float
        Largest difference of the cumulative shares, 0-1, and the probability of such a one if both
        were drawn alike.
    median_ratio : float
        First median over second.
    n : (int, int)
        Rows compared, with known flip points.
    """

    wasserstein: float
    ks: float
    ks_p: float
    median_ratio: float
    n: tuple[int, int]


def compare(first: FloatArray, second: FloatArray) -> Comparison:
    """Compare two sets of distances (n,) and (m,); rows without a known flip point are left out.

    Raises
    ------
    InvalidInput
        A set without any finite distance.

    Examples
    --------
    >>> compare(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])).wasserstein
    1.0
    """
    a, b = (np.asarray(part, np.float64) for part in (first, second))
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not len(a) or not len(b):
        raise InvalidInput(
            f"Comparing distances needs finite ones on both sides; got {len(a)} and {len(b)}."
        )
    test: Any = ks_2samp(a, b, method="asymp")
    ratio = float(np.median(a) / np.median(b)) if np.median(b) > 0 else float("inf")
    return Comparison(
        float(wasserstein_distance(a, b)),
        float(test.statistic),
        float(test.pvalue),
        ratio,
        (len(a), len(b)),
    )


def by_class(distance: FloatArray, label: IntArray, *, n_classes: int) -> dict[int, Distribution]:
    """Describe the distances of each class separately.

    A class without rows has a distribution of zero rows.
    """
    return {
        k: Distribution.of(np.asarray(distance)[np.asarray(label) == k]) for k in range(n_classes)
    }


def by_label_pair(
    distance: FloatArray, home: IntArray, flipped: IntArray, *, n_classes: int
) -> tuple[IntArray, Real]:
    """Count rows and compute their median distance for each pair of labels.

    ``counts`` and ``medians`` are (n_classes, n_classes), home label by flipped label. The median
    of a pair that does not occur is NaN; rows without a home or a flipped label are left out.
    """
    home, flipped, distance = (
        np.asarray(home),
        np.asarray(flipped),
        np.asarray(distance, np.float64),
    )
    known = (home >= 0) & (flipped >= 0)
    pair = home[known] * n_classes + flipped[known]
    counts = np.bincount(pair, minlength=n_classes**2)
    medians = np.full(n_classes**2, np.nan)
    for number in np.flatnonzero(counts):
        medians[number] = np.median(distance[known][pair == number])
    return counts.reshape(n_classes, n_classes), medians.reshape(n_classes, n_classes)
