"""Budget curves: the agreement of surrogates by strategy and number of victim queries."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from blackbox_boundary.adapters.torch_modules.inverter import TorchInverter

from blackbox_boundary import measure
from blackbox_boundary.analysis import selection
from blackbox_boundary.analysis.selection import k_centre, k_centre_of
from blackbox_boundary.estimators import Ray
from blackbox_boundary.extraction import (
    Active,
    InverseNet,
    Jacobian,
    Strategy,
    Upfront,
    budget_curve,
    by_distance,
    by_entropy,
    by_margin,
    extract,
    lead,
)

from .drawings import Line, disagreement
from .exhibit import Exhibit, Row, slug_of
from .kept import Kept
from .samples import Samples
from .seeds import scores_over_seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .study import Study

__all__ = ["budgets_of", "curve", "followed", "section6_curves", "strategies"]

_LARGEST_ACTIVE = 10_000
"""Budget beyond which strategies that train as they go, and k-centre, are not followed: the
question is asked up to here."""


_CLEAR = ", clearance"
"""Ends the name of a strategy whose surrogates are trained to keep their boundary off the rows,
by the study's clearance."""

_LARGE_MARGIN = ", large margin"
"""Ends the name of a strategy whose surrogates minimise the study's large-margin loss."""

_PHASED = "InverseNet"
"""Begins the names of strategies whose budgets are spent in phases: a run for each budget."""

_BEST = f"surrogate distance, whole pool{_CLEAR}"
"""Driven by distance in what it asks and in how it learns; compared with all others seed by
seed."""


def strategies(samples: Samples) -> dict[str, Callable[[], Strategy]]:
    """The strategies that are compared, made when needed: k-centre's features take seconds."""

    def upfront(name: str, selector: Any, *, features: bool = False) -> Callable[[], Strategy]:
        return lambda: Upfront(
            name,
            selector,
            replace(samples.pool, features=samples.features) if features else samples.pool,
        )

    def active(
        name: str, scorer: Any, *, spread_over: int = 1, n_candidates: int = 10_000
    ) -> Callable[[], Strategy]:
        features = spread_over > 1
        return lambda: Active(
            name,
            scorer,
            n_candidates=n_candidates,
            spread_over=spread_over,
            features=samples.features if features else None,
        )

    whole, n_classes = len(samples.x), samples.study.n_classes
    nearest = by_distance(Ray(direction="margin"))
    return {
        "random": upfront("random", selection.random),
        "uniform distance": upfront("uniform distance", selection.uniform_distance),
        "lowest": upfront("lowest", selection.lowest),
        "highest": upfront("highest", selection.highest),
        "k-centre": upfront("k-centre", k_centre, features=True),
        "lowest + k-centre": upfront(
            "lowest + k-centre", k_centre_of(selection.lowest), features=True
        ),
        "highest + k-centre": upfront(
            "highest + k-centre", k_centre_of(selection.highest), features=True
        ),
        "surrogate distance + k-centre": active(
            "surrogate distance + k-centre", nearest, spread_over=4
        ),
        "surrogate distance, whole pool": active(
            "surrogate distance, whole pool", nearest, n_candidates=whole
        ),
        "entropy": active("entropy", by_entropy),
        "margin, whole pool": active("margin, whole pool", by_margin, n_candidates=whole),
        "Jacobian": Jacobian,
        _PHASED: lambda: InverseNet(TorchInverter(), nearest, features=samples.features),
        f"{_PHASED}, all scores": lambda: InverseNet(
            TorchInverter(), nearest, n_scores=n_classes, features=samples.features
        ),
    }


_UPFRONT_AND_ACTIVE = (
    "random",
    "uniform distance",
    "lowest",
    "highest",
    "k-centre",
    "lowest + k-centre",
    "highest + k-centre",
    "surrogate distance + k-centre",
    "surrogate distance, whole pool",
    "entropy",
    "margin, whole pool",
    "Jacobian",
    _PHASED,
    f"{_PHASED}, all scores",
)
"""All of :func:`strategies`, in the order of the tables."""

_FOLLOWED = ("random", "uniform distance", "lowest", "highest")
"""Strategies followed to the largest budget, which cost the same whatever it is."""

_CHARGED = "random + flip points, searches charged"

_WITH_CLEARANCE = (_BEST, f"margin, whole pool{_CLEAR}", f"random{_CLEAR}")
"""The last two show how much of the lead is due to the training, whatever the strategy."""

_WITH_LARGE_MARGIN = (f"margin, whole pool{_LARGE_MARGIN}", f"random{_LARGE_MARGIN}")
"""The same by another training."""

_MAIN = (
    *_FOLLOWED,
    "k-centre",
    "lowest + k-centre",
    "highest + k-centre",
    "surrogate distance, whole pool",
    "margin, whole pool",
    _BEST,
)
"""What is asked of every pair of networks: when near beats far. Variants of active learning are
compared on one pair."""


def section6_curves(
    study: Study, victim: str, surrogate: str, *, all_strategies: bool = True
) -> Iterator[Exhibit]:
    """Agreement by budget and strategy, all or the main ones: a figure and its numbers."""
    samples = Samples(study, victim)
    seeds = range(study.scale.curve_seeds)
    found: Found = {name: [] for name in followed(study, all_strategies=all_strategies)}
    for seed in seeds:
        for name, runs in found.items():
            runs.append(curve(study, samples, surrogate, name, seed))
    if all_strategies and not study.scale.curve_strategies:
        found[_CHARGED] = [_charged(study, samples, surrogate, seed) for seed in seeds]
    yield _agreement(study, victim, surrogate, found)
    if _BEST in found:
        yield _leads(victim, surrogate, found)


def followed(study: Study, *, all_strategies: bool) -> tuple[str, ...]:
    """Names of the strategies whose curves are made of a pair of networks."""
    if study.scale.curve_strategies:
        return study.scale.curve_strategies
    names = (
        (*_UPFRONT_AND_ACTIVE, *_WITH_CLEARANCE, *_WITH_LARGE_MARGIN) if all_strategies else _MAIN
    )
    return tuple(
        name
        for name in names
        if (study.clearance or not name.endswith(_CLEAR))
        and (study.large_margin or not name.endswith(_LARGE_MARGIN))
    )


def budgets_of(study: Study, name: str, *, soft: bool = False) -> list[int]:
    """The budgets to which a strategy is followed."""
    pool = study.inputs.n_pool
    largest = pool if name in _FOLLOWED and not soft else min(pool, _LARGEST_ACTIVE)
    if name in study.scale.curve_strategies[1:]:
        largest = min(largest, pool - 1)
    return [budget for budget in study.scale.budgets if budget <= largest]


Found = dict[str, list[list[dict[str, Any]]]]
"""By strategy, seed and budget."""


def _agreement(study: Study, victim: str, surrogate: str, found: Found) -> Exhibit:
    rows: list[Row] = [
        {
            "strategy": name,
            "budget": points[0]["n_queries"],
            **scores_over_seeds(points, ("agreement", "accuracy")),
            "absent classes": float(np.mean([len(point["absent_classes"]) for point in points])),
            "largest class (times even)": float(np.mean([point["imbalance"] for point in points])),
            "seeds": len(points),
        }
        for name, runs in found.items()
        for points in zip(*runs, strict=True)
    ]
    note = (
        f"{victim} extracted by {surrogate}, hard labels, {study.scale.curve_steps} optimiser "
        "steps from scratch at each budget. "
        "Budgets count labels asked; lowest, highest and uniform distance are told the victim's "
        "distances for nothing (their search is not "
        "charged here, but is in the last strategy); the surrogate's distances, entropies and "
        "margins cost no victim queries."
    )
    title = f"Agreement by budget, {victim} → {surrogate}"
    return Exhibit(
        slug_of("curves", victim, surrogate),
        title,
        rows,
        note,
        partial(disagreement, _lines(rows)),
    )


def _leads(victim: str, surrogate: str, found: Found) -> Exhibit:
    """The lead of our best strategy over the others, seed by seed.

    Runs of one seed begin with the same rows and weights.
    """

    def agreement(name: str) -> list[list[float]]:
        """By budget, then seed."""
        return [
            [100 * point["scores"]["natural"]["agreement"] for point in points]
            for points in zip(*found[name], strict=True)
        ]

    budgets, best = [point["n_queries"] for point in found[_BEST][0]], agreement(_BEST)
    rows: list[Row] = []
    for name in (name for name in found if name not in (_BEST, _CHARGED)):
        for budget, ours, theirs in zip(budgets, best, agreement(name), strict=False):
            ahead = lead(ours, theirs)
            rows.append(
                {
                    "over": name,
                    "budget": budget,
                    "lead (points of agreement)": ahead.mean,
                    "95 % low": None if np.isnan(ahead.lo) else ahead.lo,
                    "95 % high": None if np.isnan(ahead.hi) else ahead.hi,
                    "seeds": ahead.n,
                }
            )
    note = f"“{_BEST}” over each other strategy on natural test rows; paired by seed, Student's t."
    title = f"What the best distance-driven strategy is ahead, {victim} → {surrogate}"
    return Exhibit(slug_of("leads", victim, surrogate), title, rows, note)


def curve(
    study: Study, samples: Samples, surrogate: str, name: str, seed: int, *, soft: bool = False
) -> list[dict[str, Any]]:
    """One strategy over the budgets, learned from labels, or from probabilities if ``soft``.

    ``name`` is one of :func:`strategies`, and ends in ", clearance" or ", large margin" where the
    surrogates are trained with the study's.
    """
    steps, budgets = study.scale.curve_steps, budgets_of(study, name, soft=soft)
    rule = name.removesuffix(_CLEAR).removesuffix(_LARGE_MARGIN)
    trained: dict[str, Any] = {}
    if name.endswith(_CLEAR):
        trained = {"clearance": study.clearance}
    elif name.endswith(_LARGE_MARGIN) and study.large_margin is not None:
        trained = {"large_margin": study.large_margin}
    more = {
        key: value if key == "clearance" else value.as_dict() for key, value in trained.items()
    } | ({"soft": True} if soft else {})
    configuration = study.about(
        samples.victim,
        surrogate=surrogate,
        strategy=name,
        seed=seed,
        steps=steps,
        batch=study.scale.batch_size,
        budgets=budgets,
        **more,
    )

    def compute() -> list[dict[str, Any]]:
        victim = study.victims.predictor(samples.victim) if soft else study.recalled(samples.victim)
        trainable = Kept(
            replace(study.surrogates[surrogate](steps), **trained),
            study.store.parts("curve", configuration),
        )

        def spent(budgets: Sequence[int]) -> list[dict[str, Any]]:
            points = budget_curve(
                victim,
                strategies(samples)[rule](),
                trainable,
                samples.x,
                study.test_sets(samples.victim),
                budgets=budgets,
                seed=seed,
                soft=soft,
            )
            return [point.as_dict() for point in points]

        if rule.startswith(_PHASED):
            return [spent(InverseNet.budgets(budget))[-1] for budget in budgets]
        return spent(budgets)

    return list(study.store.numbers("curve", configuration, compute))


def _charged(study: Study, samples: Samples, surrogate: str, seed: int) -> list[dict[str, Any]]:
    """Random rows are measured until the budget is spent; rows and flip points are learned.

    Every query of the searches counts.
    """
    steps, batch = study.scale.curve_steps, study.scale.batch_size
    budgets = [budget for budget in study.scale.budgets if budget <= len(samples.x)]
    configuration = study.about(
        samples.victim,
        surrogate=surrogate,
        strategy=_CHARGED,
        seed=seed,
        steps=steps,
        batch=batch,
        budgets=budgets,
    )

    def one(budget: int) -> dict[str, Any]:
        victim = study.victims.predictor(samples.victim)
        x = samples.x[
            np.random.default_rng(seed).permutation(len(samples.x))[
                : max(1, budget // _QUERIES_A_SEARCH)
            ]
        ]
        found = measure(victim, x, max_queries=budget)
        flips = np.flatnonzero(found.has_flip)
        assert found.flip_points is not None
        rows = np.concatenate([x, found.flip_points[flips]])
        label = np.concatenate([found.home, found.flipped[flips]])
        tests, n_classes = study.test_sets(samples.victim), study.n_classes
        return extract(
            study.surrogates[surrogate](steps),
            rows,
            label,
            tests,
            n_classes=n_classes,
            seed=seed,
            n_queries=budget,
        ).as_dict()

    return list(
        study.store.numbers("curve", configuration, lambda: [one(budget) for budget in budgets])
    )


_QUERIES_A_SEARCH = 7
"""Rows started for a budget: a search takes 8.1 queries in the mean; the limit then ends the
last of them, whose flips are still used."""


def _lines(rows: list[Row]) -> list[Line]:
    lines = []
    for name in dict.fromkeys(row["strategy"] for row in rows):
        line: list[Any] = [row for row in rows if row["strategy"] == name]
        heads = ("budget", "agreement (%)", "agreement ± std (%)")
        lines.append(Line(str(name), *([row[head] for row in line] for head in heads)))
    return lines
