"""Thresholds on a run, for continuous integration: ``STAT OP NUMBER``.

The text is parsed and never evaluated.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..errors import InvalidInput
from ..search.asks import are_final
from .distances import Distances
from .overview import NAMES, unit_of
from .robustness import RobustnessCurve, certified_curve, counted_rows

__all__ = ["STATS", "Judgement", "Outcome", "Threshold"]

STATS = {
    "min": 0.0, "p1": 0.01, "p5": 0.05, "p10": 0.1, "p25": 0.25,
    "median": 0.5, "p50": 0.5, "p75": 0.75, "p90": 0.9,
}  # fmt: skip
"""Name and share: the smallest distance within which at least this share of the rows flips."""

_FORM = re.compile(r"\s*([a-z]\w*)\s*(<=|<)\s*(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*")


class Outcome(enum.Enum):
    """Outcome of comparing a run with a threshold."""

    FAILS = "fails"
    """Flips were seen nearer than the threshold allows."""
    NOT_REFUTED = "not refuted"
    """No such flips were found. Distances are upper bounds, so this is no proof."""
    CERTIFIED = "certified"
    """Certificates prove that there are none."""
    INCONCLUSIVE = "inconclusive"
    """Rows without a final status could change the outcome."""


@dataclass(frozen=True)
class Judgement:
    """The outcome, with the reason in one sentence."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Threshold:
    """A condition under which a run fails.

    Attributes
    ----------
    stat : str
        One of :data:`STATS`.
    is_strict : bool
        ``<``; else ``<=``.
    distance : float
        Input units.

    Examples
    --------
    >>> Threshold.parse("p5 < 0.1")
    Threshold(stat='p5', is_strict=True, distance=0.1)
    """

    stat: str
    is_strict: bool
    distance: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``STAT OP NUMBER``.

        Raises
        ------
        InvalidInput
            Another form, an unknown STAT, or a number that is not finite.
        """
        found = _FORM.fullmatch(text)
        if found is None or found[1] not in STATS or not np.isfinite(float(found[3])):
            raise InvalidInput(
                'A threshold must be "STAT OP NUMBER", such as "p5 < 0.1": STAT one of '
                f"{', '.join(STATS)}; OP < or <=; NUMBER a distance in input units. Got {text!r}."
            )
        return cls(found[1], found[2] == "<", float(found[3]))

    def __str__(self) -> str:
        return f"{self.stat} {'<' if self.is_strict else '<='} {self.distance:g}"

    def judge(self, distances: Distances, norm: str = "l2") -> Judgement:
        """Compare a run with the threshold.

        Rows that no search can measure (invalid input, an answer that is not finite at the row
        itself, the target class already) are left out. A row without a known flip is farther than
        any threshold.
        """
        final = are_final(distances.status)
        counted = counted_rows(distances) | ~final
        distance, unfinished = distances.norm(norm)[counted], ~final[counted]
        if not distance.size:
            return Judgement(Outcome.INCONCLUSIVE, "No row could be measured.")
        seen, unit = RobustnessCurve(np.sort(distance)), unit_of(distances, norm)
        if self._holds(seen):
            return Judgement(Outcome.FAILS, self._says(seen.radius(STATS[self.stat]), norm, unit))
        certified = certified_curve(distances, norm)
        if certified is not None and not self._holds(_padded(certified, distance.size)):
            return Judgement(
                Outcome.CERTIFIED,
                f"Certificates show that {self.stat} is at least "
                f"{_padded(certified, distance.size).radius(STATS[self.stat]):.4g} "
                f"({NAMES[norm]}).",
            )
        if self._holds(RobustnessCurve(np.sort(np.where(unfinished, 0.0, distance)))):
            return Judgement(
                Outcome.INCONCLUSIVE,
                f"{int(unfinished.sum()):,} of {distance.size:,} rows are not finished and could "
                "change the outcome.",
            )
        return Judgement(Outcome.NOT_REFUTED, self._says(seen.radius(STATS[self.stat]), norm, unit))

    def _holds(self, curve: RobustnessCurve) -> bool:
        value = curve.radius(STATS[self.stat])
        return value < self.distance if self.is_strict else value <= self.distance

    def _says(self, value: float, norm: str, unit: str) -> str:
        if not np.isfinite(value):
            return f"{self.stat} is not known: too few rows were seen to flip."
        return f"{self.stat} is at most {value:.4g} ({NAMES[norm]}, {unit})."


def _padded(curve: RobustnessCurve, n: int) -> RobustnessCurve:
    """The same curve over ``n`` rows, of which those that it does not hold have no certificate."""
    return RobustnessCurve(np.concatenate([np.zeros(n - len(curve)), curve.distance]))
