"""The quality of a surrogate: its accuracy, and its agreement with the victim.

*Accuracy* is the share of rows with the true label, *agreement* the share with the victim's label
("fidelity" in Jagielski, Carlini, Berthelot, Kurakin, Papernot, "High Accuracy and High Fidelity
Extraction of Neural Networks", USENIX Security 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ..errors import InvalidInput
from ..predictor import Array, IntArray, Predictor

__all__ = ["Lead", "Score", "Spread", "TestSet", "better_than_chance", "lead", "score", "spread"]


@dataclass(frozen=True, eq=False)
class TestSet:
    r"""Inputs not used for extraction.

    Attributes
    ----------
    name : str
    x : array (n, *input_shape)
    victim : (n,) int
        The victim's labels. The author of the set queries them once; the attack is not charged.
    truth : (n,) int, optional
        True labels, where such exist.
    """

    __test__ = False  # pytest: this is no test class

    name: str
    x: Array
    victim: IntArray
    truth: IntArray | None = None

    def __post_init__(self) -> None:
        if (
            len(self.x) == 0
            or len(self.victim) != len(self.x)
            or (self.truth is not None and len(self.truth) != len(self.x))
        ):
            raise InvalidInput(
                f'Test set "{self.name}" must have rows, a victim label each, and a true label '
                "each or none."
            )


@dataclass(frozen=True)
class Score:
    """A surrogate on one test set; shares, 0-1.

    ``accuracy`` is None without true labels. ``recall`` maps each class the victim gives to the
    share of those rows the surrogate gives it too; a class the victim never gives here is absent.
    """

    accuracy: float | None
    agreement: float
    n: int
    recall: dict[int, float]


def score(surrogate: Predictor, test: TestSet, *, batch_size: int = 256) -> Score:
    """Ask a surrogate all rows of a test set; costs no victim queries."""
    parts = [
        surrogate.predict(test.x[start : start + batch_size]).label
        for start in range(0, len(test.x), batch_size)
    ]
    label = np.concatenate(parts)
    same = label == test.victim
    recall = {int(k): float(same[test.victim == k].mean()) for k in np.unique(test.victim)}
    accuracy = None if test.truth is None else float((label == test.truth).mean())
    return Score(accuracy, float(same.mean()), len(label), recall)


def better_than_chance(label: IntArray, truth: IntArray) -> bool:
    """Whether a victim is better than the commonest label by three standard errors.

    Three: a false alarm in about 1,000. If a victim fails this, every table made from it says so.
    """
    trivial = np.bincount(truth).max() / len(truth)
    return bool(
        (label == truth).mean() > trivial + 3 * np.sqrt(trivial * (1 - trivial) / len(truth))
    )


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1) over ``n`` seeds; the deviation of one seed is NaN."""

    mean: float
    std: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.std:.4f} (n={self.n})"


def spread(values: list[float]) -> Spread:
    """Summarise the same number over seeds.

    Examples
    --------
    >>> print(spread([0.9, 0.92]))
    0.9100 ± 0.0141 (n=2)
    """
    return Spread(
        float(np.mean(values)),
        float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"),
        len(values),
    )


@dataclass(frozen=True)
class Lead:
    """Mean difference over ``n`` seeds with its 95 % interval; of one seed the interval is NaN."""

    mean: float
    lo: float
    hi: float
    n: int


def lead(ours: Sequence[float], theirs: Sequence[float]) -> Lead:
    """Mean lead of one over another, paired by seed (Student's t).

    Raises
    ------
    InvalidInput
        Not as many of one as of the other, or none.

    Examples
    --------
    >>> found = lead([0.93, 0.95, 0.94], [0.92, 0.93, 0.93])
    >>> f"{found.mean:.4f} [{found.lo:.4f}, {found.hi:.4f}]"
    '0.0133 [-0.0010, 0.0277]'
    """
    if len(ours) != len(theirs) or len(ours) == 0:
        raise InvalidInput(
            f'"ours" and "theirs" of lead must have one result a seed each; got {len(ours)} and '
            f"{len(theirs)}."
        )
    found = spread(np.subtract(ours, theirs).tolist())
    half = (
        float(stats.t.ppf(0.975, found.n - 1) * found.std / np.sqrt(found.n))
        if found.n > 1
        else float("nan")
    )
    return Lead(found.mean, found.mean - half, found.mean + half, found.n)
