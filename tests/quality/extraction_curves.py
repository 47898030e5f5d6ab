"""Budget curves of chosen strategies, and the robustness table, as ``reproduce`` makes them.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/extraction_curves.py mnist --out curves
    python tests/quality/extraction_curves.py mnist --out curves --robustness
    python tests/quality/extraction_curves.py cifar100 --out curves

Agreement with the victim on natural test rows, %: mean and standard deviation over seeds; then how
far each strategy is ahead of the first one, paired by seed, with the 95 % interval (Student's t).
Results are kept below ``--out``, each trained surrogate in its own file; repeat a stopped
command to continue it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from blackbox_boundary.reproduction import data
from blackbox_boundary.reproduction.command import CIFAR100_REDUCED, REDUCED
from blackbox_boundary.reproduction.curves import budgets_of, curve
from blackbox_boundary.reproduction.robustness import section6_robustness
from blackbox_boundary.reproduction.samples import Samples
from blackbox_boundary.reproduction.scale import Scale
from blackbox_boundary.reproduction.store import Store
from blackbox_boundary.reproduction.studies import cifar100_study, mnist_study
from blackbox_boundary.reproduction.study import Study

from blackbox_boundary.extraction import lead, spread

SCALES = {
    "mnist": replace(
        REDUCED,
        budgets=(250, 500, 1000, 2500, 5000),
        curve_strategies=(
            "random",
            "InverseNet",
            "InverseNet, all scores",
            "margin, whole pool",
            "random, large margin",
            "random, clearance",
            "margin, whole pool, large margin",
            "margin, whole pool, clearance",
        ),
    ),
    "cifar100": replace(
        CIFAR100_REDUCED,
        budgets=(500, 1000, 2500, 5000),
        curve_strategies=("random", "lowest", "margin, whole pool"),
        n_pool=6000,
        n_measured=2000,
    ),
}
"""The scales of ``reproduce``, with fewer strategies and budgets; of CIFAR-100 fewer rows, too."""


def study_of(name: str, scale: Scale, store: Store) -> Study:
    """The study of ``reproduce`` at this scale."""
    if name == "mnist":
        return mnist_study(data.mnist(), scale, store)
    weights = data.resnet20_weights()
    return cifar100_study(data.cifar100(), scale, store, weights)


def agreements(study: Study, name: str, seeds: range) -> list[list[float]]:
    """Agreement, %, of the first surrogate with the first victim, by budget, then seed."""
    victim, surrogate = next(iter(study.victims)), next(iter(study.surrogates))
    samples = Samples(study, victim)
    runs = [curve(study, samples, surrogate, name, seed) for seed in seeds]
    return [
        [100 * point["scores"]["natural"]["agreement"] for point in points]
        for points in zip(*runs, strict=True)
    ]


def tables(study: Study) -> Iterator[str]:
    """Lines of both tables in Markdown; runs what is not there yet."""
    scale = study.scale
    found = {
        name: agreements(study, name, range(scale.curve_seeds)) for name in scale.curve_strategies
    }
    first = scale.curve_strategies[0]
    budgets = budgets_of(study, first)
    yield from _table("strategy", budgets, {name: map(_spread, found[name]) for name in found})
    ahead = {name: map(_lead, found[name], found[first]) for name in scale.curve_strategies[1:]}
    yield from _table(f"ahead of {first}", budgets, ahead)


def _table(title: str, budgets: list[int], cells: Mapping[str, Iterable[str]]) -> Iterator[str]:
    yield f"| {title} | " + " | ".join(f"{budget:,}" for budget in budgets) + " |"
    yield "|---" * (len(budgets) + 1) + "|"
    for name, values in cells.items():
        yield f"| {name} | " + " | ".join(values) + " |"
    yield ""


def _spread(values: list[float]) -> str:
    known = spread(values)
    return f"{known.mean:.1f}" + f" ± {known.std:.1f}" * (known.n > 1)


def _lead(ours: list[float], theirs: list[float]) -> str:
    ahead = lead(ours, theirs)
    return f"{ahead.mean:+.1f}" + f" [{ahead.lo:+.1f}, {ahead.hi:+.1f}]" * (ahead.n > 1)


def main() -> None:
    """Run what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", choices=sorted(SCALES))
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, help="of the curves, or of the robustness table")
    parser.add_argument("--steps", type=int, help="optimiser steps of a surrogate")
    parser.add_argument("--budgets", type=int, nargs="+")
    parser.add_argument("--strategies", nargs="+")
    parser.add_argument("--robustness", action="store_true", help="the table in place of curves")
    given = parser.parse_args()
    scale = SCALES[given.data]
    scale = replace(
        scale,
        curve_seeds=given.seeds or scale.curve_seeds,
        transfer_seeds=given.seeds or scale.transfer_seeds,
        curve_steps=given.steps or scale.curve_steps,
        budgets=tuple(given.budgets or scale.budgets),
        curve_strategies=tuple(given.strategies or scale.curve_strategies),
    )
    study = study_of(given.data, scale, Store(given.out, lambda text: print(text, flush=True)))
    if given.robustness:
        for exhibit in section6_robustness(study):
            print(f"\n{exhibit.note}\n")
            for cells in (exhibit.heads, ["---"] * len(exhibit.heads), *exhibit.cells()):
                print("| " + " | ".join(cells) + " |")
        return
    victim = next(iter(study.victims))
    print(f"{victim}: {study.victim_facts(victim)['accuracy']:.2%} of the test rows right\n")
    print("\n".join(tables(study)))


if __name__ == "__main__":
    main()
