"""``blackbox-boundary reproduce``: every experiment of the paper, resumable, on one page."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from blackbox_boundary.datasets.homes import ENVIRONMENT

from . import data
from .claims import claims_table
from .curves import section6_curves
from .exhibit import Exhibit, Row
from .expected import curve_pairs, expected
from .page import write_page
from .plan import OTHER_WIDTHS, n_steps
from .robustness import section6_robustness
from .scale import Scale
from .section4 import section4
from .section5 import section5
from .section6 import section6_steps, section6_tables, section6_transfer, section6_widths
from .store import Store
from .studies import cifar100_study, mnist_study
from .study import Study

__all__ = [
    "CIFAR100_FULL",
    "CIFAR100_QUICK",
    "CIFAR100_REDUCED",
    "FULL",
    "QUICK",
    "REDUCED",
    "reproduce",
]

_BUDGETS = (250, 500, 1000, 2500, 5000, 10_000, 25_000, 60_000)

FULL = Scale(
    "full",
    seeds=10,
    victim_steps=4500,
    table_steps=3000,
    curve_seeds=5,
    curve_steps=3000,
    budgets=_BUDGETS,
    width_seeds=5,
    transfer_seeds=5,
    curve_pairs=3,
    extra_surrogates=2,
)
"""The paper's sizes and more seeds: some hours on two cores."""

REDUCED = Scale(
    "reduced",
    seeds=5,
    victim_steps=4500,
    table_steps=2000,
    curve_seeds=5,
    curve_steps=1500,
    budgets=_BUDGETS,
    width_seeds=3,
    transfer_seeds=3,
    curve_pairs=2,
    extra_surrogates=2,
)
"""All the paper's inputs, five seeds, fewer optimiser steps: about an hour on two cores."""

QUICK = Scale(
    "quick",
    seeds=2,
    victim_steps=600,
    table_steps=300,
    curve_seeds=1,
    curve_steps=200,
    budgets=(50, 100, 250),
    width_seeds=1,
    n_measured=2000,
    n_transfer=200,
    n_votes=300,
    batch_size=32,
)
"""Two minutes: shows that everything runs, and proves nothing."""

CIFAR100_FULL = Scale(
    "full",
    seeds=5,
    victim_steps=0,
    table_steps=40_000,
    curve_seeds=3,
    curve_steps=20_000,
    budgets=(500, 1000, 2500, 5000, 10_000, 25_000, 50_000),
    width_seeds=0,
)
"""For a GPU: each surrogate takes 40,000 steps of 128 images."""

CIFAR100_REDUCED = Scale(
    "reduced",
    seeds=3,
    victim_steps=0,
    table_steps=2000,
    curve_seeds=2,
    curve_steps=2000,
    budgets=(1000, 2500, 5000, 10_000),
    width_seeds=0,
    curve_strategies=("random", "lowest", "highest", "margin, whole pool"),
    n_pool=10_000,
    n_random=10_000,
    n_transfer=200,
    n_votes=1000,
    batch_size=32,
    extra_sets=("random",),
    extra_surrogates=2,
    small_surrogates=True,
)
"""For two cores, two hours of one of them: all test images in figures 1 and 3; small surrogates
that learn from 10,000 training images."""

CIFAR100_QUICK = replace(
    CIFAR100_REDUCED,
    name="quick",
    seeds=1,
    table_steps=20,
    curve_steps=20,
    budgets=(50, 200),
    n_measured=200,
    n_pool=200,
    n_random=200,
    n_transfer=50,
    n_votes=50,
)


def reproduce(
    name: str,
    folder: Path,
    *,
    quick: bool,
    scale: str,
    device: str,
    say: Callable[[str], None],
    dry_run: bool = False,
) -> Path | None:
    """Run or continue a reproduction and write ``folder/report.html``.

    Parameters
    ----------
    name : str
        ``"mnist"`` or ``"cifar100"``.
    folder : path
        Results are kept below ``folder/results``, one file a step; what is there for the same
        configuration is not computed again.
    quick : bool
        Two minutes' worth; on the embedded digits where the environment variable
        ``BLACKBOX_BOUNDARY_DATA`` names no folder.
    scale : str
        ``"reduced"`` or ``"full"``; ``quick`` is smaller than either.
    device : str
        Where torch trains and predicts.
    say : callable
        Receives a message when a step ends.
    dry_run : bool
        Time a few steps of each surrogate and rows of each victim on the device, say how long the
        whole is expected to take, and return None. Only the victims' weights are kept.

    Raises
    ------
    InvalidInput
        The data are missing or are not what they should be; a victim diverged.
    """
    store = Store(folder / "results", say)
    study = _study(name, store, quick=quick, scale=scale, device=device)
    if dry_run:
        for line in expected(study):
            say(line)
        return None
    store.n_steps = n_steps(study, trains_victims=name == "mnist")
    sections = [(title, list(exhibits)) for title, exhibits in _sections(study)]
    claims = claims_table([exhibit for _, exhibits in sections for exhibit in exhibits])
    return write_page(
        folder,
        f"The paper, reproduced: {study.data.name}",
        list(_facts(study)),
        [("The 17 claims", [claims]), *sections],
        is_quick=study.scale.name == "quick",
    )


def _study(name: str, store: Store, *, quick: bool, scale: str, device: str) -> Study:
    full = scale == "full" and not quick
    if name == "mnist":
        images = data.embedded_digits() if quick and ENVIRONMENT not in os.environ else data.mnist()
        return mnist_study(
            images, QUICK if quick else FULL if full else REDUCED, store, device=device
        )
    size = CIFAR100_FULL if full else CIFAR100_QUICK if quick else CIFAR100_REDUCED
    weights = data.resnet20_weights()  # first: the images take seconds to read
    return cifar100_study(data.cifar100(), size, store, weights, device=device)


def _sections(study: Study) -> Iterator[tuple[str, Iterator[Exhibit]]]:
    yield "The victims", _victims(study)
    yield "Distance and uncertainty (section 4)", section4(study)
    yield "Distance properties (section 5)", section5(study)
    yield "Extraction (section 6)", section6_tables(study)
    if study.scale.curve_seeds:
        yield "Extraction by budget", _curves(study)
    if study.clearance:
        yield "Training that keeps the boundary off", section6_robustness(study)
    yield "Boundary knowledge", section6_transfer(study)
    if study.scale.width_seeds:
        others = {
            width: mnist_study(study.data, study.scale, study.store, widths=(width, 64))
            for width in OTHER_WIDTHS
        }
        yield (
            "What the paper does not print",
            chain(section6_steps(study), section6_widths(study, others)),
        )


def _curves(study: Study) -> Iterator[Exhibit]:
    for number, pair in enumerate(curve_pairs(study)):
        yield from section6_curves(study, *pair, all_strategies=number == 0)


def _victims(study: Study) -> Iterator[Exhibit]:
    rows: list[Row] = []
    for name in study.victims:
        facts = study.victim_facts(name)
        rows.append(
            {
                "victim": name,
                "test accuracy (%)": 100 * facts["accuracy"],
                "n": facts["n"],
                "better than chance": "yes"
                if facts["better_than_chance"]
                else "NO: every table made from it is void",
            }
        )
    yield Exhibit(
        "victims",
        "The victims",
        rows,
        "Better by three standard errors than always the same label.",
    )


def _facts(study: Study) -> Iterator[str]:
    scale = study.scale
    yield (
        f"Data: {study.data.name}, {study.inputs.n_pool:,} training and "
        f"{len(study.inputs.test):,} test rows; scale “{scale.name}”."
    )
    yield (
        f"Tables: {_seeds(scale.seeds)} (from 0), {scale.table_steps:,} optimiser steps of "
        f"{scale.batch_size} rows a surrogate."
    )
    yield (
        f"Curves: {_seeds(scale.curve_seeds)}, {scale.curve_steps:,} steps."
        if scale.curve_seeds
        else "Curves: none at this scale."
    )
    yield (
        f"The steps kept here took {study.store.seconds() / 60:.1f} minutes, and the measurements "
        "what their table says."
    )
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("blackbox-boundary", "numpy", "scipy", "torch")
    )
    yield f"Python {platform.python_version()}, {packages}; {platform.machine()}."


def _seeds(n: int) -> str:
    return f"{n} seed" + "s" * (n != 1)
