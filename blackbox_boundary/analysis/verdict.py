"""Summarize a measurement in words.

The sentences give the distance, the distance relative to a typical input, the rows that the model
misreads, and the rows to look at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import as_numpy, take
from ..predictor import Array, IntArray
from ..printable import printable
from ..search.asks import Status
from .distances import Distances
from .overview import NAMES, overview, status_words, unit_of
from .robustness import certified_curve, robustness_curve

__all__ = ["ENOUGH_CONVERGED", "Verdict", "in_words", "typical_norm", "verdict"]

ENOUGH_CONVERGED = 0.9
"""Share of the rows that must have converged for a median without a warning."""

_SAMPLED = 1000
"""Rows from which a typical norm is taken; they are spread evenly over the data."""

_FRACTIONS = {
    1 / 100: "a hundredth", 1 / 50: "a fiftieth", 1 / 20: "a twentieth", 1 / 10: "a tenth",
    1 / 8: "an eighth", 1 / 6: "a sixth", 1 / 5: "a fifth", 1 / 4: "a quarter",
    1 / 3: "a third", 1 / 2: "half", 2 / 3: "two thirds", 3 / 4: "three quarters",
}  # fmt: skip
_CLOSE = 0.08
"""Relative difference up to which a ratio is called by the name of a fraction."""


@dataclass(frozen=True)
class Verdict:
    """Summary of a measurement in words.

    Attributes
    ----------
    sentences : tuple of str
        The answer, most important sentence first.
    warning : str
        Why the answer may be wrong: too few rows converged. Empty where enough did.
    n_converged : int
        Rows that converged.
    """

    sentences: tuple[str, ...]
    warning: str
    n_converged: int

    @property
    def text(self) -> str:
        """The sentences in one line."""
        return " ".join(self.sentences)


def verdict(
    distances: Distances,
    norm: str = "l2",
    *,
    labels: IntArray | None = None,
    typical: float | None = None,
    noun: str = "row",
) -> Verdict:
    """Put a measurement in words. No query is sent.

    Parameters
    ----------
    distances : Distances
    norm : {"l0", "l1", "l2", "linf"}
        The distance that is reported.
    labels : (n,) int, optional
        True labels, to compare the rows that the model misreads with the others.
    typical : float, optional
        Norm of a typical input (:func:`typical_norm`): the unit of the relative distance.
    noun : str
        What a row is: "row", "image".
    """
    numbers = overview(distances)
    n_converged = numbers.by_status.get(Status.CONVERGED, 0)
    if distances.run.get("columns"):  # distances are in units of the columns' scales
        typical = None
    sentences = [
        _how_far(distances, norm, typical, noun),
        _certified(distances, norm, noun),
        _misread(distances, norm, labels),
        _look_first(distances, norm, noun),
    ]
    return Verdict(tuple(filter(None, sentences)), _warning(distances, n_converged), n_converged)


def typical_norm(x: Array, norm: str = "l2") -> float | None:
    """Median norm of the finite rows of ``x`` (n, ...), input units.

    None where it is 0 or no row is finite, and for ``"l0"``. At most 1,000 rows, evenly spaced, are
    read.
    """
    n = int(x.shape[0])
    if not n or norm == "l0":
        return None
    rows = np.unique(np.linspace(0, n - 1, min(n, _SAMPLED)).round().astype(np.intp))
    flat = np.asarray(as_numpy(take(x, rows)), np.float64).reshape(len(rows), -1)
    flat = flat[np.isfinite(flat).all(axis=-1)]
    if not flat.size:
        return None
    order = {"l1": 1, "l2": 2, "linf": np.inf}[norm]
    median = float(np.median(np.linalg.norm(flat, ord=order, axis=-1)))
    return median or None


def in_words(ratio: float) -> str:
    """A ratio as a fraction, a percentage or a multiple.

    Examples
    --------
    >>> in_words(0.2), in_words(0.19), in_words(0.42), in_words(2.5), in_words(0.0031)
    ('a fifth', 'a fifth', '42 %', '2.5 times', '0.31 %')
    """
    name, nearest = min(
        ((name, value) for value, name in _FRACTIONS.items()), key=lambda of: abs(of[1] / ratio - 1)
    )
    if abs(nearest / ratio - 1) <= _CLOSE:
        return name
    return f"{100 * ratio:.2g} %" if ratio < 1 else f"{ratio:.2g} times"


def _how_far(distances: Distances, norm: str, typical: float | None, noun: str) -> str:
    curve = robustness_curve(distances, norm)
    n, n_flips = len(curve), int(distances.has_flip.sum())
    target = _target(distances)
    counted = _counted(n, noun)
    if target is not None:
        counted += " of other classes"
    elif n < len(distances):
        counted += " with a known label"
    if not n_flips:
        return f"No flip was seen for any of the {_counted(len(distances), noun)}."
    change = "change the label" if target is None else f"reach the class {target}"
    median = curve.radius(0.5)
    if not np.isfinite(median):
        known = float(np.median(distances.norm(norm)[distances.has_flip]))
        if norm == "l0":
            return (
                f"{n_flips:,} of {counted} {_is(n_flips)} seen to {change}, at a "
                f"median of {known:g} columns changed."
            )
        return (
            f"{n_flips:,} of {counted} {_is(n_flips)} seen to {change}, at a "
            "median "
            f"{NAMES[norm]} distance of {_short(known)}{_relative(known, typical, noun)}."
        )
    if target is not None:
        subject = f"Half of the {counted} reach" if n > 1 else f"The {noun} reaches"
        label = f"the class {target}"
    else:
        subject = f"Half of the {counted} change" if n > 1 else f"The {noun} changes"
        label = "their label" if n > 1 else "its label"
    if norm == "l0":
        count = "1 column changes" if median == 1 else f"{int(median):,} columns or fewer change"
        return f"{subject} {label} when {count}."
    return (
        f"{subject} {label} when moved by {_short(median)} ({NAMES[norm]}{_unit(distances)}) or "
        "less"
        f"{_relative(median, typical, noun)}."
    )


def _target(distances: Distances) -> str | None:
    """The class of ``towards``, by name where the run has names."""
    number = (distances.run.get("aim") or {}).get("towards")
    names = distances.run.get("class_names") or ()
    if number is None:
        return None
    return printable(names[number]) if number < len(names) else str(number)


def _unit(distances: Distances) -> str:
    return f", {unit_of(distances)}" if distances.run.get("columns") else ""


def _relative(distance: float, typical: float | None, noun: str) -> str:
    if not typical or distance <= 0:
        return ""
    ratio = distance / typical
    if abs(ratio - 1) <= _CLOSE:
        return f", about the norm of a typical {noun}"
    shown = in_words(ratio)
    of = "the norm of a typical" if shown.endswith("times") else "of the norm of a typical"
    return f", {shown} {of} {noun}"


def _certified(distances: Distances, norm: str, noun: str) -> str:
    curve = certified_curve(distances, norm)
    median = curve.radius(0.5) if curve is not None else 0.0
    if not median:
        return ""
    target = _target(distances)
    keep = "keep their label" if target is None else f"do not reach the class {target}"
    if norm == "l0":
        fewer = _counted(int(np.ceil(median)) - 1, "column")
        return f"Half of the {noun}s provably {keep} whatever {fewer} hold."
    return f"Half of the {noun}s provably {keep} within {_short(median)}."


def _misread(distances: Distances, norm: str, labels: IntArray | None) -> str:
    if labels is None:
        return ""
    known = distances.home >= 0
    wrong = known & (distances.home != labels)
    n = int(wrong.sum())
    if not n:
        return ""
    said = f"{n:,} {_is(n)} misread by the model"
    inner, outer = (
        distances.norm(norm)[part & distances.has_flip] for part in (wrong, known & ~wrong)
    )
    if min(len(inner), len(outer)) < 5 or np.median(inner) <= 0:
        return said + "."
    ratio = float(np.median(outer) / np.median(inner))
    if ratio > 1.1:
        return f"{said} and lie{_s(n)} {ratio:.2g} times nearer than the others."
    if ratio < 1 / 1.1:
        return f"{said} and lie{_s(n)} {1 / ratio:.2g} times farther than the others."
    return f"{said} and lie{_s(n)} as far as the others."


def _look_first(distances: Distances, norm: str, noun: str) -> str:
    nearest = distances.first_row + distances.nearest_first(norm)[:3]
    if not nearest.size or len(distances) == 1:
        return ""
    return (
        f"Look first at {noun}{'s' * (len(nearest) > 1)} {', '.join(map(str, nearest.tolist()))}."
    )


def _warning(distances: Distances, n_converged: int) -> str:
    n = int((distances.status != Status.AT_TARGET).sum())
    if not n or n_converged >= ENOUGH_CONVERGED * n:
        return ""
    others = ", ".join(
        f"{count:,} {status_words(status)}"
        for status, count in overview(distances).by_status.items()
        if status not in (Status.CONVERGED, Status.AT_TARGET)
    )
    share = "None" if not n_converged else f"Only {n_converged:,}"
    return (
        f"{share} of the {n:,} rows converged ({others}). Distances are upper bounds; those of "
        "rows "
        "that did not converge may be far too large."
    )


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + "s" * (n != 1)


def _short(value: float) -> str:
    return f"{value:.3g}" if 1e-4 <= value < 1e6 else f"{value:.2e}"


def _is(n: int) -> str:
    return "was" if n == 1 else "were"


def _s(n: int) -> str:
    return "s" if n == 1 else ""
