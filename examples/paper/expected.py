"""How long a reproduction is expected to take, from a few timed steps."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .curves import budgets_of, followed
from .samples import PAPER_SETS
from .section6 import transfer_sets

if TYPE_CHECKING:
    from .study import Study

__all__ = ["curve_pairs", "expected"]


def curve_pairs(study: Study) -> list[tuple[str, str]]:
    """The pairs of victim and surrogate whose curves are made."""
    (victim, *victims), (surrogate, *surrogates) = study.victims, study.surrogates
    pairs = [
        (victim, surrogate),
        *((other, surrogate) for other in victims),
        *((victim, other) for other in surrogates),
    ]
    return pairs[: study.scale.curve_pairs] if study.scale.curve_seeds else []


def expected(study: Study) -> Iterator[str]:
    """Lines of text: steps and hours of each surrogate's trainings, rows and hours of the searches.

    The studies of widths and lengths, the votes and a victim's own training are not counted.
    """
    hours = 0.0
    for name, (n_trainings, n_steps) in _trainings(study).items():
        step = _seconds_a_step(study, name)
        hours += step * n_steps / 3600
        yield (
            f"{name}: {n_trainings:,} trainings, {n_steps:,} steps of {study.scale.batch_size} "
            f"rows at {1000 * step:.1f} ms: {step * n_steps / 3600:.1f} hours"
        )
    for victim in study.victims:
        n_rows = sum(study.inputs.n_of(name) for name in study.input_sets)
        row = _seconds_a_row(study, victim)
        hours += row * n_rows / 3600
        yield (
            f"{victim}: {n_rows:,} rows measured at {1000 * row:.1f} ms: "
            f"{row * n_rows / 3600:.1f} hours"
        )
    yield (
        f"In all about {hours:.1f} hours on {study.device}, in one process; it may be stopped at "
        "any time and goes on after its last finished step."
    )


def _trainings(study: Study) -> dict[str, tuple[int, int]]:
    """Trainings and steps by surrogate; a step with a clearance or a margin counts twice."""
    scale, n_victims = study.scale, len(list(study.victims))
    count, steps = Counter[str](), Counter[str]()
    for place, name in enumerate(study.surrogates):
        n_sets = len(PAPER_SETS) + (place < scale.extra_surrogates) * len(scale.extra_sets)
        n = n_victims * n_sets * scale.seeds
        if place < scale.extra_surrogates:
            n += n_victims * len(transfer_sets(study)) * scale.transfer_seeds
        count[name], steps[name] = n, n * scale.table_steps
    for number, (_, surrogate) in enumerate(curve_pairs(study)):
        for strategy in followed(study, all_strategies=number == 0):
            n = len(budgets_of(study, strategy)) * scale.curve_seeds
            n *= 3 if strategy.startswith("InverseNet") else 1
            count[surrogate] += n
            slower = 2 if strategy.endswith((", clearance", ", large margin")) else 1
            steps[surrogate] += n * scale.curve_steps * slower
    return {name: (count[name], steps[name]) for name in study.surrogates}


def _seconds_a_step(study: Study, name: str) -> float:
    """Wall time of a training step, of twenty; the first training of a process loads more."""
    n = max(study.scale.batch_size, 1)
    random = np.random.default_rng(0)
    x = random.random((n, *study.data.input_shape), dtype=np.float32)
    y = random.integers(study.n_classes, size=n)
    study.surrogates[name](1).train(x, y, seed=0)
    started = time.perf_counter()
    study.surrogates[name](_TIMED_STEPS).train(x, y, seed=0)
    return (time.perf_counter() - started) / _TIMED_STEPS


_TIMED_STEPS = 20


def _seconds_a_row(study: Study, victim: str) -> float:
    """Wall time of measuring a row, of a few natural ones."""
    x, model = study.inputs.test[:64], study.victims.predictor(victim)
    started = time.perf_counter()
    study.measured(model, x, flip_points=False)
    return (time.perf_counter() - started) / len(x)
