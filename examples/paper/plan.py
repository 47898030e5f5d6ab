"""How many results a reproduction computes: the total of its progress."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from .curves import followed
from .expected import curve_pairs
from .robustness import trainings
from .samples import PAPER_SETS
from .section4 import VOTED_INPUTS
from .section5 import METHODS
from .section6 import STEPS, STEPS_SETS, WIDTH_CASES, WIDTH_SETS, transfer_sets

if TYPE_CHECKING:
    from .study import Study

__all__ = ["OTHER_WIDTHS", "n_steps"]

OTHER_WIDTHS = (32, 512)
"""Widths of Model 1 in the studies that vary it."""


def n_steps(study: Study, *, trains_victims: bool) -> int:
    """Count the different results of all sections; a result that two of them use counts once.

    ``trains_victims``: whether the victims' weights are results, too.
    """
    scale, victims = study.scale, list(study.victims)
    measured = sum(_n_chunks(study, inputs) for inputs in study.input_sets)
    n = len(victims) * (trains_victims + 1 + measured + len(VOTED_INPUTS) + len(METHODS))
    n += len(set(_extractions(study)))
    n += _n_curves(study) + _n_robustness(study)
    n += len(victims) * len(_extra(study)) * len(transfer_sets(study)) * scale.transfer_seeds
    if scale.width_seeds:
        others = len(WIDTH_SETS) * scale.width_seeds + 1 + _n_chunks(study, "natural")
        n += len(OTHER_WIDTHS) * others
    return n


def _n_curves(study: Study) -> int:
    """Curves of all pairs, one for each strategy and seed; on the first one is charged besides."""
    n = 0
    for number, _ in enumerate(curve_pairs(study)):
        is_first = number == 0
        n += len(followed(study, all_strategies=is_first))
        n += is_first and not study.scale.curve_strategies
    return n * study.scale.curve_seeds


def _n_robustness(study: Study) -> int:
    return len(trainings(study)) * study.scale.transfer_seeds if study.clearance else 0


def _extra(study: Study) -> list[str]:
    return list(study.surrogates)[: study.scale.extra_surrogates]


def _n_chunks(study: Study, inputs: str) -> int:
    return -(-study.inputs.n_of(inputs) // study.chunk)


def _extractions(study: Study) -> Iterator[tuple[Any, ...]]:
    """Victim, surrogate, sample, seed, steps and units of every surrogate of section 6."""
    scale, victims = study.scale, list(study.victims)
    seeds, few = range(scale.seeds), range(scale.width_seeds)
    usual, chosen = [scale.table_steps], [None]
    yield from product(victims, list(study.surrogates), PAPER_SETS, seeds, usual, chosen)
    yield from product(victims, _extra(study), scale.extra_sets, seeds, usual, chosen)
    yield from product(victims, list(study.surrogates)[:1], STEPS_SETS, few, STEPS, chosen)
    yield from product(["Model 1"], ["Model 3"], WIDTH_SETS, few, usual, WIDTH_CASES)
