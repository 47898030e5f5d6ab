"""Section 6, tables 1 and 2: surrogates trained on six sample sets, and on further ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from blackbox_boundary.extraction import extract, transfer

from .exhibit import Cell, Exhibit, Row
from .samples import PAPER_SETS, Samples
from .seeds import scores_over_seeds, with_spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .study import Study

__all__ = [
    "PAPER_TABLES",
    "STEPS",
    "STEPS_SETS",
    "TRANSFER_SETS",
    "WIDTH_CASES",
    "WIDTH_SETS",
    "section6_steps",
    "section6_tables",
    "section6_transfer",
    "section6_widths",
    "transfer_sets",
]

PAPER_TABLES: dict[tuple[str, str], tuple[float, ...]] = {
    ("Model 1", "Model 3"): (96.73, 93.94, 86.28, 10.10, 10.32, 76.31),
    ("Model 1", "Model 4"): (93.22, 91.49, 78.29, 10.10, 15.76, 70.55),
    ("Model 2", "Model 3"): (96.90, 93.76, 94.97, 22.81, 22.41, 79.08),
    ("Model 2", "Model 4"): (93.27, 91.56, 87.07, 20.71, 23.16, 75.73),
}
"""Accuracy, %, in the order of :data:`~blackbox_boundary.reproduction.samples.PAPER_SETS` (the
paper's tables 1 and 2)."""

T = TypeVar("T")

_SHORT = ("accuracy (%)", "accuracy ± std (%)", "agreement (%)", "agreement ± std (%)", "seeds")
"""Columns of the tables that vary one setting."""


def section6_tables(study: Study) -> Iterator[Exhibit]:
    """Tables 1 and 2 as printed, then the sets the paper lacks."""
    yield _table(
        study,
        "tables-1-2",
        "Tables 1 and 2: extraction from six sample sets",
        PAPER_SETS,
        list(study.surrogates),
    )
    title = "What the tables lack: equal sizes, balanced classes, flip points added"
    yield _table(study, "tables-extra", title, study.scale.extra_sets, _extra_surrogates(study))
    yield _absent(study)


def _extra_surrogates(study: Study) -> list[str]:
    return list(study.surrogates)[: study.scale.extra_surrogates]


def _table(
    study: Study, slug: str, title: str, sets: Sequence[str], surrogates: Sequence[str]
) -> Exhibit:
    rows: list[Row] = []
    for victim in study.victims:
        samples = Samples(study, victim)
        cells = {
            (surrogate, name, seed): _cell(study, samples, surrogate, name, seed)
            for name in sets
            for seed in range(study.scale.seeds)
            for surrogate in surrogates
        }
        rows += [
            {
                "victim": victim,
                "surrogate": surrogate,
                "trained on": name,
                "paper (%)": _printed(victim, surrogate, name),
                **_summarised(_over_seeds(cells, surrogate, name)),
            }
            for surrogate in surrogates
            for name in sets
        ]
    note = (
        "Mean and standard deviation over seeds (surrogate's weights, its batches, and the "
        "drawing of the sample), "
        f"{study.scale.table_steps} optimiser steps each, trained on the victim's labels. Queries "
        "include the search of the whole pool "
        "where a rule looks at distances."
    )
    return Exhibit(slug, title, rows, note)


def _printed(victim: str, surrogate: str, name: str) -> float | None:
    printed = PAPER_TABLES.get((victim, surrogate))
    return printed[PAPER_SETS.index(name)] if printed and name in PAPER_SETS else None


def _absent(study: Study) -> Exhibit:
    """Classes that a sample lacks, and how often the surrogate gives them."""
    rows: list[Row] = []
    for victim in study.victims:
        samples = Samples(study, victim)
        for surrogate in study.surrogates:
            for name in PAPER_SETS:
                cells = [
                    _cell(study, samples, surrogate, name, seed)
                    for seed in range(study.scale.seeds)
                ]
                for label in sorted({label for cell in cells for label in cell["absent_classes"]}):
                    without = [
                        cell["scores"]["natural"]["recall"].get(str(label))
                        for cell in cells
                        if label in cell["absent_classes"]
                    ]
                    recall = None if without[0] is None else 100 * float(np.mean(without))
                    rows.append(
                        {
                            "victim": victim,
                            "surrogate": surrogate,
                            "trained on": name,
                            "class": label,
                            "seeds without it": len(without),
                            "seeds": len(cells),
                            "agreement on it (%)": recall,
                        }
                    )
    note = (
        "By the victim's labels. Agreement: of natural test rows to which the victim gives that "
        "class; unknown where it gives it to none. "
        "A class in every sample has no row."
    )
    return Exhibit(
        "absent-classes",
        "Classes that a sample lacks",
        rows,
        note,
        folded=study.n_classes > 20,
    )


def _cell(
    study: Study,
    samples: Samples,
    surrogate: str,
    name: str,
    seed: int,
    *,
    steps: int | None = None,
    **settings: int,
) -> dict[str, Any]:
    steps = steps or study.scale.table_steps
    configuration = study.about(
        samples.victim,
        surrogate=surrogate,
        set=name,
        seed=seed,
        steps=steps,
        batch=study.scale.batch_size,
        **settings,
    )

    def compute() -> dict[str, Any]:
        sample = samples.draw(name, seed)
        trainable = study.surrogates[surrogate](steps, **settings)
        tests = study.test_sets(samples.victim)
        return extract(
            trainable,
            sample.x,
            sample.label,
            tests,
            n_classes=study.n_classes,
            seed=seed,
            n_queries=sample.n_queries,
        ).as_dict()

    return dict(study.store.numbers("extract", configuration, compute))


def _over_seeds(cells: dict[tuple[Any, ...], T], *key: Any) -> list[T]:
    """The results of one case, by seed: the last part of their key."""
    return [cell for (*case, _), cell in cells.items() if tuple(case) == key]


def _summarised(cells: list[dict[str, Any]]) -> dict[str, Cell]:
    """Everything after the paper's number; shares in per cent, a lone seed's spread unknown."""
    diverged = [str(cell["seed"]) for cell in cells if cell["diverged"]]
    return scores_over_seeds(cells) | {
        "rows": round(float(np.mean([cell["n_rows"] for cell in cells]))),
        "queries": round(float(np.mean([cell["n_queries"] for cell in cells]))),
        "absent classes": round(float(np.mean([len(cell["absent_classes"]) for cell in cells])), 1),
        "largest class (times even)": float(np.mean([cell["imbalance"] for cell in cells])),
        "seeds": len(cells),
        "diverged seeds": ", ".join(diverged) or "none",
    }


WIDTH_CASES = {
    16: ("Model 3", "16 (a quarter)"),
    None: ("both", "as chosen"),
    256: ("Model 3", "256 (four times)"),
}
"""Hidden units of Model 3 (None: as everywhere), with what the table calls them."""

WIDTH_SETS = ("natural", "random", "uniform distance", "high", "low", "flip points")


def section6_widths(study: Study, other_victims: dict[int, Study]) -> Iterator[Exhibit]:
    """How much the unprinted widths move the table: of Model 3, and of the victim Model 1.

    ``other_victims`` are studies whose Model 1 has another width, by that width.
    """
    cases = [
        (which, width, study, {} if units is None else {"units": units})
        for units, (which, width) in WIDTH_CASES.items()
    ]
    cases += [("Model 1", str(width), other, {}) for width, other in other_victims.items()]
    rows: list[Row] = []
    for which, width, one, settings in cases:
        samples = Samples(one, "Model 1")
        for name in WIDTH_SETS:
            cells = [
                _cell(one, samples, "Model 3", name, seed, **settings)
                for seed in range(study.scale.width_seeds)
            ]
            found = _summarised(cells)
            rows.append(
                {"width of": which, "width": width, "trained on": name}
                | {head: found[head] for head in _SHORT}
            )
    yield Exhibit(
        "widths",
        "How much the unprinted widths move the numbers",
        rows,
        "Model 1 extracted by Model 3; chosen: 128 and 64 hidden units.",
    )


STEPS_SETS = ("low", "random", "uniform distance", "high", "flip points")

STEPS = (50, 100, 200, 500, 2000)
"""Of 128 rows: one, two, four, ten and forty passes over a tenth of MNIST."""


def section6_steps(study: Study) -> Iterator[Exhibit]:
    """How much the unprinted length of training moves the order of near, random and far samples."""
    surrogate, *_ = study.surrogates
    rows: list[Row] = []
    for victim in study.victims:
        samples = Samples(study, victim)
        cells = {
            (name, steps, seed): _cell(study, samples, surrogate, name, seed, steps=steps)
            for name in STEPS_SETS
            for seed in range(study.scale.width_seeds)
            for steps in STEPS
        }
        for name in STEPS_SETS:
            for steps in STEPS:
                found = _summarised(_over_seeds(cells, name, steps))
                row: dict[str, Cell] = {
                    "victim": victim,
                    "surrogate": surrogate,
                    "trained on": name,
                    "optimiser steps": steps,
                }
                rows.append(row | {head: found[head] for head in _SHORT})
    note = f"{study.scale.batch_size} rows a step."
    yield Exhibit(
        "steps", "How much the unprinted length of training moves the numbers", rows, note
    )


TRANSFER_SETS = ("natural", "random", "low", "high", "flip points", "random + flip points")


def transfer_sets(study: Study) -> list[str]:
    """Sets whose surrogates' boundaries are compared with the victim's."""
    return [name for name in TRANSFER_SETS if name in (*PAPER_SETS, *study.scale.extra_sets)]


def section6_transfer(study: Study) -> Iterator[Exhibit]:
    """Where a surrogate's boundary lies, beside its victim's, by what it was trained on."""
    rows: list[Row] = []
    sets = transfer_sets(study)
    for victim in study.victims:
        samples, surrogates = Samples(study, victim), _extra_surrogates(study)
        cells = {
            (surrogate, name, seed): _boundary(study, samples, surrogate, name, seed)
            for name in sets
            for seed in range(study.scale.transfer_seeds)
            for surrogate in surrogates
        }
        for surrogate in surrogates:
            for name in sets:
                found = _over_seeds(cells, surrogate, name)
                rows.append(
                    {
                        "victim": victim,
                        "surrogate": surrogate,
                        "trained on": name,
                        "rows": found[0]["n"],
                        **_moments(found),
                        "seeds": len(found),
                    }
                )
    note = (
        "Natural test rows, measured on both. Ratio: surrogate distance over victim distance. "
        "Cosine: between the directions to the two "
        "flip points. Flips the victim: share of the surrogate's flip points that the victim "
        "labels otherwise than the row. "
        "Means over seeds, also of the quantiles; unknown where fewer than three rows flip on both."
    )
    yield Exhibit("transfer", "Does boundary knowledge transfer?", rows, note)


def _moments(cells: list[dict[str, Any]]) -> dict[str, Cell]:
    """Means over seeds, each number that is compared followed by its deviation."""
    found: dict[str, Cell] = {}
    for name, head in _COMPARED.items():
        known = [cell[name] for cell in cells if name in cell]
        both = with_spread(head + "{}", known)
        found |= {head: both[head]} if name.endswith(" %") else both
    return found


_COMPARED = {
    "spearman": "Spearman",
    "ratio 10 %": "ratio 10 %",
    "ratio median": "ratio median",
    "ratio 90 %": "ratio 90 %",
    "cosine 10 %": "cosine 10 %",
    "cosine median": "cosine median",
    "cosine 90 %": "cosine 90 %",
    "flips": "flips the victim",
}
"""What is compared, and the head of its column; quantiles other than medians have no deviation."""


def _boundary(
    study: Study, samples: Samples, surrogate: str, name: str, seed: int
) -> dict[str, Any]:
    steps, n = study.scale.table_steps, study.scale.n_transfer
    configuration = study.about(
        samples.victim,
        surrogate=surrogate,
        set=name,
        steps=steps,
        batch=study.scale.batch_size,
        n=n,
        seed=seed,
    )

    def compute() -> dict[str, Any]:
        sample, victim = samples.draw(name, seed), study.victims.predictor(samples.victim)
        fit = study.surrogates[surrogate](steps).fit(sample.x, sample.label, seed=seed)
        x = study.inputs.test[:n]
        theirs, ours = study.boundary(samples.victim), study.measured(fit.predictor, x)
        n_both = int((theirs.has_flip & ours.has_flip & (theirs.norm(study.norm) > 0)).sum())
        if n_both < 3:  # a surrogate that gives all rows one label, say
            return {"n": n_both}
        found = transfer(x, theirs, ours, victim, norm=study.norm)
        ratio, cosine = (
            dict(zip((f"{what} 10 %", f"{what} median", f"{what} 90 %"), quantiles, strict=True))
            for what, quantiles in (("ratio", found.ratio), ("cosine", found.cosine))
        )
        return {
            "n": found.n,
            "spearman": found.correlation.value,
            **ratio,
            **cosine,
            "flips": found.flips_victim,
        }

    return dict(study.store.numbers("transfer", configuration, compute))
