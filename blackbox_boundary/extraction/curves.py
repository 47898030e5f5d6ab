"""Extract a victim: train surrogates on its answers, for each strategy, budget and seed.

Every surrogate is trained from scratch. The budgets count all rows that the victim answered for the
attack. Test sets are answered beforehand and are not charged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..predictor import Array, Predictor
from .evaluation import Score, TestSet, score
from .strategies import Progress, Strategy
from .training import Fit, FitStatus, Trainable
from .victim import Victim, targets_of

__all__ = ["Extraction", "budget_curve", "extract"]


@dataclass(frozen=True, eq=False)
class Extraction:
    """One trained surrogate, its cost and its quality.

    Attributes
    ----------
    n_queries : int
        Rows the victim answered for it.
    n_rows : int
        Rows it was trained on: those that got a label.
    rows_per_class : (n_classes,) int
        By the victim's label; zero for a class without training rows.
    fit : Fit
    scores : dict
        A :class:`Score` by name of test set.
    """

    n_queries: int
    n_rows: int
    rows_per_class: NDArray[np.intp]
    fit: Fit
    scores: dict[str, Score]

    def as_dict(self) -> dict[str, Any]:
        """The numbers, in JSON types; a diverged training is marked, with its seed."""
        return {
            "n_queries": self.n_queries,
            "n_rows": self.n_rows,
            "absent_classes": np.flatnonzero(self.rows_per_class == 0).tolist(),
            "imbalance": float(self.rows_per_class.max() / max(self.rows_per_class.mean(), 1e-9)),
            "seed": self.fit.seed,
            "status": self.fit.status.value,
            "diverged": self.fit.status is FitStatus.DIVERGED,
            "n_steps": self.fit.n_steps,
            "loss": self.fit.loss if np.isfinite(self.fit.loss) else None,
            "scores": {name: asdict(found) for name, found in self.scores.items()},
        }


def extract(
    trainable: Trainable,
    x: Array,
    targets: NDArray[Any],
    tests: Sequence[TestSet],
    *,
    n_classes: int,
    seed: int,
    n_queries: int | None = None,
) -> Extraction:
    """Train a surrogate on answered rows ``x`` (n, ...) and score it.

    ``targets`` are labels (n,) or probabilities (n, n_classes); rows with the label -1 are left
    out. ``n_queries`` is what the answers cost; default: one a row.

    Raises
    ------
    InvalidInput
        No row has a label.
    """
    label = targets if targets.ndim == 1 else targets.argmax(axis=-1)
    known = label >= 0 if targets.ndim == 1 else np.isfinite(targets).all(axis=-1)
    if not known.any():
        raise InvalidInput(
            "The victim gave no row a label: there is nothing to train a surrogate on."
        )
    fit = trainable.fit(x if known.all() else x[known], targets[known], seed=seed)
    per_class = np.bincount(label[known], minlength=n_classes)
    scores = {test.name: score(fit.predictor, test) for test in tests}
    return Extraction(
        len(x) if n_queries is None else n_queries, int(known.sum()), per_class, fit, scores
    )


def budget_curve(
    victim: Predictor, strategy: Strategy, trainable: Trainable, x: Array, tests: Sequence[TestSet],
    *, budgets: Sequence[int], seed: int, soft: bool = False,
) -> Iterator[Extraction]:  # fmt: skip
    r"""Spend each of the rising ``budgets`` in turn, and score a surrogate at each.

    The strategy receives the surrogate of each budget before it chooses rows for the next one, so
    one pass gives the whole curve.

    Parameters
    ----------
    victim : Predictor
        Label-only is enough, unless ``soft``: then surrogates learn from probabilities.
    strategy : Strategy
    trainable : Trainable
    x : array (n, *input_shape)
        The attacker's pool.
    tests : sequence of TestSet
    budgets : sequence of int
        Rising, in victim queries.
    seed : int
        For the strategy and the training alike.

    Raises
    ------
    InvalidInput
        Budgets that do not rise, or above what the pool can give; nothing has been sent.
    """
    if not budgets or budgets[0] < 1 or any(b <= a for a, b in pairwise(budgets)):
        raise InvalidInput(f'"budgets" must be rising numbers of at least 1; got {list(budgets)}.')
    sizes = [budgets[0], *(b - a for a, b in pairwise(budgets))]
    attacked, offers = Victim(victim, max_queries=budgets[-1]), strategy.offers(x, sizes, seed=seed)
    asked, targets, offered = [], [], next(offers)
    for place, budget in enumerate(budgets):
        answers = attacked.answer(offered)
        asked.append(offered)
        targets.append(targets_of(answers, victim, soft=soft))
        found = extract(
            trainable,
            np.concatenate(asked),
            np.concatenate(targets),
            tests,
            n_classes=victim.n_classes,
            seed=seed,
            n_queries=attacked.n_asked,
        )
        assert attacked.n_asked == budget
        yield found
        if place + 1 < len(budgets):
            offered = offers.send(Progress(answers.label, found.fit.predictor))
