"""Section 5, figures 2 and 3: how the distances of natural, normal and uniform inputs are distributed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary import measure
from blackbox_boundary.analysis.distributions import Distribution, by_class, by_label_pair, compare
from blackbox_boundary.analysis.uncertainty import rank_correlation
from blackbox_boundary.estimators import Ray

from .exhibit import Exhibit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .study import Study

__all__ = ["section5"]


def section5(study: Study) -> Iterator[Exhibit]:
    """The histograms, their numbers, comparisons, what they cost, and the same by class and by label pair."""
    for victim in study.victims:
        yield _histograms(study, victim)
    yield _summary(study)
    yield _comparisons(study)
    yield _norms(study)
    yield _cost(study)
    yield _methods(study)
    yield _tenths(study)
    for victim in study.victims:
        yield _classes(study, victim)
        yield _pairs(study, victim)


def _histograms(study: Study, victim: str) -> Exhibit:
    found = {
        inputs: study.distances(victim, inputs).norm(study.norm) for inputs in study.input_sets
    }
    shapes = {inputs: _distribution(distance) for inputs, distance in found.items()}

    def draw(figure: Any) -> None:
        for axes, (inputs, shape) in zip(
            np.atleast_1d(figure.subplots(1, len(shapes))), shapes.items(), strict=True
        ):
            axes.stairs(shape.counts[:_N_BINS], shape.edges[: _N_BINS + 1], fill=True, color="0.6")
            axes.axvline(shape.mode, color="black", linestyle="--", linewidth=1)
            axes.set(title=f"{inputs} (mode {shape.mode:.3g})", xlabel=f"distance ({study.norm})")
            axes.title.set_size(9)

    rows = [
        (inputs, float(lo), float(hi), int(n))
        for inputs, shape in shapes.items()
        for lo, hi, n in zip(shape.edges[:-1], shape.edges[1:], shape.counts, strict=True)
    ]
    number = 2 if study.name == "mnist" else 3
    title = f"Figure {number}: distances of {', '.join(study.input_sets)} inputs, {victim}"
    counted = "; ".join(
        f"{inputs}: n = {shape.n:,}, {shape.counts[_N_BINS:].sum():,} beyond the picture, {shape.n_without} without a flip"
        for inputs, shape in shapes.items()
    )
    note = f"{counted[0].upper()}{counted[1:]}."
    columns = "inputs | from | to | rows"
    return Exhibit(
        f"figure{number}-{_slug(victim)}",
        title,
        columns,
        rows,
        note,
        draw,
        folded=True,
        size=(9.0, 2.8),
    )


_N_BINS = 50


def _distribution(distance: Any) -> Distribution:
    """Fifty bins up to the 99.5 % quantile, or three times the 75 % one where the tail is long; and one for all beyond."""
    known = distance[np.isfinite(distance)]
    top = float(min(np.quantile(known, 0.995), 3 * np.quantile(known, 0.75))) if len(known) else 0.0
    edges = np.linspace(0, top or 1.0, _N_BINS + 1)
    return Distribution.of(
        distance,
        edges=np.append(edges, known.max()) if len(known) and known.max() > edges[-1] else edges,
    )


def _summary(study: Study) -> Exhibit:
    rows = []
    for victim in study.victims:
        for inputs in study.input_sets:
            found = study.distances(victim, inputs)
            for norm in ("l1", "l2", "linf"):
                shape = _distribution(found.norm(norm))
                numbers = shape.summary()
                share = float(np.bincount(found.home[found.home >= 0]).max() / len(found))
                rows.append(
                    (
                        victim,
                        inputs,
                        norm,
                        shape.n,
                        shape.n_without,
                        shape.mode,
                        shape.mode_rank,
                        shape.mean,
                        shape.std,
                        *(numbers.get(f"q{q}") for q in ("05", "25", "50", "75", "95")),
                        share,
                    )
                )
    columns = (
        "victim | inputs | norm | n | without a flip | mode | share nearer than the mode | mean | std | 5 % | "
        "25 % | median | 75 % | 95 % | share of the commonest label"
    )
    return Exhibit(
        "distributions",
        "Distances of each input set",
        columns,
        rows,
        "Input units. Mode: middle of the densest of fifty bins.",
    )


def _comparisons(study: Study) -> Exhibit:
    rows = []
    for victim in study.victims:
        natural = study.distances(victim, "natural").norm(study.norm)
        for inputs in study.input_sets[1:]:
            other = study.distances(victim, inputs).norm(study.norm)
            if not np.isfinite(other).any():
                continue
            found = compare(natural, other)
            rows.append(
                (
                    victim,
                    f"natural against {inputs}",
                    *found.n,
                    found.wasserstein,
                    found.ks,
                    found.ks_p,
                    found.median_ratio,
                )
            )
    columns = "victim | sets | n | m | Wasserstein | Kolmogorov-Smirnov | p | ratio of medians"
    return Exhibit(
        "comparisons",
        "How far the sets are apart",
        columns,
        rows,
        f"{study.norm} distances; ratio: natural over the other.",
    )


def _norms(study: Study) -> Exhibit:
    """Whether "all L_n distance measures" give "the same distance": their order over rows, and their ratio."""
    rows = []
    for victim in study.victims:
        for inputs in study.input_sets:
            found = study.distances(victim, inputs)
            for norm in ("l2", "linf"):
                order = rank_correlation(found.l1, found.norm(norm))
                known = found.has_flip & (found.norm(norm) > 0)
                low, middle, high = np.quantile(
                    found.l1[known] / found.norm(norm)[known], (0.05, 0.5, 0.95)
                ).tolist()
                rows.append(
                    (
                        victim,
                        inputs,
                        f"l1, {norm}",
                        order.n,
                        order.value,
                        order.lo,
                        order.hi,
                        low,
                        middle,
                        high,
                    )
                )
    columns = "victim | inputs | norms | n | Spearman | 95 % low | 95 % high | ratio 5 % | ratio median | ratio 95 %"
    return Exhibit(
        "norms",
        "The same distance in every norm?",
        columns,
        rows,
        "One number a row if the ratio were the same for all rows.",
    )


def _cost(study: Study) -> Exhibit:
    """Queries a row, and time beside the bare model's for as many predictions as there are rows."""
    rows = []
    for victim in study.victims:
        for inputs in study.input_sets:
            found = study.distances(victim, inputs)
            queries, measured, bare = (
                found.n_predictions + found.n_gradients,
                found.run["measured_s"],
                found.run["bare_s"],
            )
            means = (float(found.n_predictions.mean()), float(found.n_gradients.mean()))
            rows.append(
                (victim, inputs, len(found), *means, int(queries.max()), measured, measured / bare)
            )
    columns = "victim | inputs | rows | predictions a row | gradients a row | most queries of a row | seconds | times the bare model's time"
    note = (
        "Seconds: of the processor, on a CPU. The bare model's time: one prediction a row sent as in the measurement, taken right after "
        "each part of it, on the same thread."
    )
    return Exhibit("cost", "What measuring cost", columns, rows, note)


def _methods(study: Study) -> Exhibit:
    """The paper's own search, ours, and the margin's direction, on the same rows."""
    searches = {
        "the paper's: grid of ten, bisection": Ray(search_by="paper"),
        "the same ray, by scores": Ray(),
        "along the margin's gradient": Ray(direction="margin"),
    }
    rows = []
    for victim in study.victims:
        x = study.natural[study.n_pool :][: study.scale.n_transfer]

        def compute(search: Ray, victim: str = victim, x: Any = x) -> dict[str, Any]:
            found = measure(study.victim(victim), x, estimator=search, flip_points=False)
            return {
                "l1": [d if np.isfinite(d) else None for d in found.l1.tolist()],
                "queries": float((found.n_predictions + found.n_gradients).mean()),
            }

        found = {
            name: study.store.numbers(
                "method", study.about(victim, set=name, n=len(x)), partial(compute, search)
            )
            for name, search in searches.items()
        }
        paper = np.array(next(iter(found.values()))["l1"], float)
        for name, numbers in found.items():
            l1 = np.array(numbers["l1"], float)
            same = float(np.mean(np.abs(l1 - paper) <= 1e-3 * paper))
            rows.append(
                (
                    victim,
                    name,
                    len(l1),
                    numbers["queries"],
                    float(np.nanmedian(l1)),
                    float(np.nanmedian(l1 / paper)),
                    same,
                )
            )
    columns = "victim | search | n | queries a row | median distance (l1) | median ratio to the paper's | same within 0.1 %"
    return Exhibit(
        "methods",
        "The same distance for fewer queries, and a shorter one",
        columns,
        rows,
        "Natural test rows.",
    )


def _tenths(study: Study) -> Exhibit:
    """What the near and the far rows of the attacker's pool are: whether the victim is right about them, and how even its labels are."""
    rows = []
    for victim in study.victims:
        found = study.distances(victim, "natural")[: study.n_pool]
        distance, right = found.norm(study.norm), found.home == study.data.y[: study.n_pool]
        known = np.flatnonzero(np.isfinite(distance))
        for place, tenth in enumerate(
            np.array_split(known[np.argsort(distance[known], kind="stable")], 10), start=1
        ):
            counts = np.bincount(found.home[tenth], minlength=study.n_classes)
            span = (float(distance[tenth].min()), float(distance[tenth].max()))
            rows.append(
                (
                    victim,
                    place,
                    len(tenth),
                    *span,
                    100 * float(right[tenth].mean()),
                    float(counts.max() / counts.mean()),
                )
            )
    columns = f"victim | tenth | n | from ({study.norm}) | to | right labels (%) | largest class (times even)"
    return Exhibit(
        "tenths",
        "The pool by distance, in tenths",
        columns,
        rows,
        "Training rows with a flip; the first tenth is the nearest.",
    )


def _classes(study: Study, victim: str) -> Exhibit:
    found = study.distances(victim, "natural")
    classes = by_class(found.norm(study.norm), found.home, n_classes=study.n_classes)
    rows = [
        (
            k,
            shape.n,
            shape.n_without,
            shape.mode,
            shape.mean,
            *(shape.quantiles.get(share) for share in (0.1, 0.5, 0.9)),
        )
        for k, shape in classes.items()
    ]
    columns = "home label | n | without a flip | mode | mean | 10 % | median | 90 %"
    title = f"Natural rows by class, {victim}"
    return Exhibit(
        f"classes-{_slug(victim)}",
        title,
        columns,
        rows,
        f"{study.norm} distances.",
        folded=study.n_classes > 20,
    )


def _pairs(study: Study, victim: str) -> Exhibit:
    found = study.distances(victim, "natural")
    counts, medians = by_label_pair(
        found.norm(study.norm), found.home, found.flipped, n_classes=study.n_classes
    )
    rows = [
        (int(a), int(b), int(counts[a, b]), float(medians[a, b]))
        for a, b in np.argwhere(counts > 0)
    ]
    rows.sort(key=lambda row: -row[2])
    columns = "home | flipped | n | median distance"
    return Exhibit(
        f"pairs-{_slug(victim)}",
        f"Natural rows by pair of labels, {victim}",
        columns,
        rows,
        f"{study.norm} distances.",
        folded=True,
    )


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
