"""Budget curves: when near beats far, and what an attacker's own surrogate knows of the boundary for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary import selection
from blackbox_boundary.estimators import Ray
from blackbox_boundary.extraction import Active, Jacobian, Strategy, Upfront, budget_curve, by_distance, by_entropy, by_margin, spread
from blackbox_boundary.selection import k_centre, k_centre_of

from .exhibit import Exhibit
from .samples import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .study import Study

__all__ = ["section6_curves", "strategies"]

_LARGEST_ACTIVE = 10_000
"""Budget beyond which strategies that train as they go, and k-centre, are not followed: the question is asked up to here."""


def strategies(samples: Samples) -> dict[str, Callable[[], Strategy]]:
    """Every way to spend queries that is compared; made when needed, since k-centre's features take seconds."""

    def upfront(name: str, selector: Any, *, features: bool = False) -> Callable[[], Strategy]:
        return lambda: Upfront(name, selector, replace(samples.pool, features=samples.features) if features else samples.pool)

    def active(name: str, scorer: Any, spread_over: int = 1) -> Callable[[], Strategy]:
        return lambda: Active(
            name, scorer, n_candidates=10_000, spread_over=spread_over, features=samples.features if spread_over > 1 else None
        )

    nearest = by_distance(Ray(direction="margin"))
    return {
        "random": upfront("random", selection.random),
        "uniform distance": upfront("uniform distance", selection.uniform_distance),
        "lowest": upfront("lowest", selection.lowest),
        "highest": upfront("highest", selection.highest),
        "k-centre": upfront("k-centre", k_centre, features=True),
        "lowest + k-centre": upfront("lowest + k-centre", k_centre_of(selection.lowest), features=True),
        "highest + k-centre": upfront("highest + k-centre", k_centre_of(selection.highest), features=True),
        "surrogate distance": active("surrogate distance", nearest),
        "surrogate distance + k-centre": active("surrogate distance + k-centre", nearest, 4),
        "entropy": active("entropy", by_entropy),
        "margin": active("margin", by_margin),
        "Jacobian": Jacobian,
    }


_TRAINS = (
    "surrogate distance",
    "surrogate distance + k-centre",
    "entropy",
    "margin",
    "Jacobian",
    "k-centre",
    "lowest + k-centre",
    "highest + k-centre",
)


def section6_curves(study: Study, victim: str, surrogate: str) -> Iterator[Exhibit]:
    """Agreement by budget and strategy: a figure, and its numbers with their spread."""
    samples = Samples(study, victim)
    found = {
        name: [_curve(study, samples, surrogate, name, make, seed) for seed in range(study.scale.curve_seeds)]
        for name, make in strategies(samples).items()
    }
    rows: list[tuple[Any, ...]] = []
    for name, runs in found.items():
        for points in zip(*runs, strict=True):
            cells = []
            for test, what in (("natural", "agreement"), ("natural", "accuracy"), ("near-boundary", "agreement"), ("uniform", "agreement")):
                one = spread([100 * point["scores"][test][what] for point in points])
                cells += [one.mean, None if np.isnan(one.std) else one.std]
            absent = float(np.mean([len(point["absent_classes"]) for point in points]))
            rows.append(
                (name, points[0]["n_queries"], *cells, absent, float(np.mean([point["imbalance"] for point in points])), len(points))
            )
    columns = (
        "strategy | budget | agreement (%) | ± std | accuracy (%) | ± std | near-boundary agreement (%) | "
        "± std | uniform agreement (%) | ± std | absent classes | largest class (times even) | seeds"
    )
    note = (
        f"{victim} extracted by {surrogate}, hard labels, {study.scale.curve_steps} optimiser steps from scratch at each budget. "
        "Budgets count labels asked; lowest, highest and uniform distance are told the victim's distances for nothing (their search is not "
        "charged here); the surrogate's distances, entropies and margins cost no victim queries."
    )
    slug = f"curves-{victim}-{surrogate}".lower().replace(" ", "-")
    yield Exhibit(slug, f"Agreement by budget, {victim} → {surrogate}", columns, rows, note, _drawn(rows), size=(8.0, 4.6))


def _curve(study: Study, samples: Samples, surrogate: str, name: str, make: Callable[[], Strategy], seed: int) -> list[dict[str, Any]]:
    pool = len(samples.x)
    budgets = [budget for budget in study.scale.budgets if budget <= (_LARGEST_ACTIVE if name in _TRAINS else pool) and budget <= pool]
    steps, batch = study.scale.curve_steps, study.scale.batch_size
    configuration = study.about(samples.victim, surrogate=surrogate, strategy=name, seed=seed, steps=steps, batch=batch, budgets=budgets)

    def compute() -> list[dict[str, Any]]:
        victim, trainable = study.victim(samples.victim), study.surrogates[surrogate](steps)
        points = budget_curve(victim, make(), trainable, samples.x, study.test_sets(samples.victim), budgets=budgets, seed=seed)
        return [point.as_dict() for point in points]

    return list(study.store.numbers("curve", configuration, compute))


def _drawn(rows: list[tuple[Any, ...]]) -> Callable[[Any], None]:
    def draw(figure: Any) -> None:
        axes = figure.subplots()
        names = list(dict.fromkeys(row[0] for row in rows))
        for number, name in enumerate(names):
            line = [(row[1], row[2], row[3] or 0) for row in rows if row[0] == name]
            budget, mean, std = (np.array(part) for part in zip(*line, strict=True))
            style = {"marker": "osv^Dx*P<>ph"[number % 12], "linestyle": ("-", "--", ":", "-.")[number % 4]}
            axes.errorbar(budget, mean, std, **style, markersize=4, linewidth=1, label=name)
        axes.set(xscale="log", xlabel="victim queries (labels)", ylabel="agreement with the victim, natural test rows (%)")
        axes.legend(fontsize=7, ncols=2)

    return draw
