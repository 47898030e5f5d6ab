"""Section 5, figures 2 and 3: distributions of the distances of three input sets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary import measure
from blackbox_boundary.analysis.distributions import Distribution, by_class, by_label_pair, compare
from blackbox_boundary.analysis.uncertainty import rank_correlation
from blackbox_boundary.estimators import Ray

from .drawings import histograms
from .exhibit import Exhibit, Row, slug_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .study import Study

__all__ = ["METHODS", "section5"]


def section5(study: Study) -> Iterator[Exhibit]:
    """Histograms, their numbers, comparisons and costs; the same by class and by label pair."""
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

    rows: list[Row] = [
        {"inputs": inputs, "from": float(lo), "to": float(hi), "rows": int(n)}
        for inputs, shape in shapes.items()
        for lo, hi, n in zip(shape.edges[:-1], shape.edges[1:], shape.counts, strict=True)
    ]
    number = 2 if study.name == "mnist" else 3
    title = f"Figure {number}: distances of {', '.join(study.input_sets)} inputs, {victim}"
    counted = "; ".join(
        f"{inputs}: n = {shape.n:,}, {shape.counts[_N_BINS:].sum():,} beyond the picture, "
        f"{shape.n_without} without a flip"
        for inputs, shape in shapes.items()
    )
    note = f"{counted[0].upper()}{counted[1:]}."
    return Exhibit(
        slug_of(f"figure{number}", victim),
        title,
        rows,
        note,
        partial(histograms, shapes, _N_BINS, study.norm),
        folded=True,
    )


_N_BINS = 50


def _distribution(distance: Any) -> Distribution:
    """Fifty bins up to the 99.5 % quantile or three times the 75 % one, and one beyond."""
    known = distance[np.isfinite(distance)]
    top = float(min(np.quantile(known, 0.995), 3 * np.quantile(known, 0.75))) if len(known) else 0.0
    edges = np.linspace(0, top or 1.0, _N_BINS + 1)
    return Distribution.of(
        distance,
        edges=np.append(edges, known.max()) if len(known) and known.max() > edges[-1] else edges,
    )


def _summary(study: Study) -> Exhibit:
    rows: list[Row] = []
    for victim in study.victims:
        for inputs in study.input_sets:
            found = study.distances(victim, inputs)
            for norm in ("l1", "l2", "linf"):
                shape = _distribution(found.norm(norm))
                numbers = shape.summary()
                share = float(np.bincount(found.home[found.home >= 0]).max() / len(found))
                rows.append(
                    {
                        "victim": victim,
                        "inputs": inputs,
                        "norm": norm,
                        "n": shape.n,
                        "without a flip": shape.n_without,
                        "mode": shape.mode,
                        "share nearer than the mode": shape.mode_rank,
                        "mean": shape.mean,
                        "std": shape.std,
                        "5 %": numbers.get("q05"),
                        "25 %": numbers.get("q25"),
                        "median": numbers.get("q50"),
                        "75 %": numbers.get("q75"),
                        "95 %": numbers.get("q95"),
                        "share of the commonest label": share,
                    }
                )
    return Exhibit(
        "distributions",
        "Distances of each input set",
        rows,
        "Input units. Mode: middle of the densest of fifty bins.",
    )


def _comparisons(study: Study) -> Exhibit:
    rows: list[Row] = []
    for victim in study.victims:
        natural = study.distances(victim, "natural").norm(study.norm)
        for inputs in study.input_sets[1:]:
            other = study.distances(victim, inputs).norm(study.norm)
            if not np.isfinite(other).any():
                continue
            found = compare(natural, other)
            rows.append(
                {
                    "victim": victim,
                    "sets": f"natural against {inputs}",
                    "n": found.n[0],
                    "m": found.n[1],
                    "Wasserstein": found.wasserstein,
                    "Kolmogorov-Smirnov": found.ks,
                    "p": found.ks_p,
                    "ratio of medians": found.median_ratio,
                }
            )
    return Exhibit(
        "comparisons",
        "How far the sets are apart",
        rows,
        f"{study.norm} distances; ratio: natural over the other.",
    )


def _norms(study: Study) -> Exhibit:
    """Whether all norms order the rows alike, and by which ratio they differ."""
    rows: list[Row] = []
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
                    {
                        "victim": victim,
                        "inputs": inputs,
                        "norms": f"l1, {norm}",
                        "n": order.n,
                        "Spearman": order.value,
                        "95 % low": order.lo,
                        "95 % high": order.hi,
                        "ratio 5 %": low,
                        "ratio median": middle,
                        "ratio 95 %": high,
                    }
                )
    return Exhibit(
        "norms",
        "The same distance in every norm?",
        rows,
        "One number a row if the ratio were the same for all rows.",
    )


def _cost(study: Study) -> Exhibit:
    """Queries a row, and time beside the bare model's for as many predictions as there are rows."""
    rows: list[Row] = []
    for victim in study.victims:
        for inputs in study.input_sets:
            found = study.distances(victim, inputs)
            queries, measured, bare = (
                found.n_predictions + found.n_gradients,
                found.run["measured_s"],
                found.run["bare_s"],
            )
            rows.append(
                {
                    "victim": victim,
                    "inputs": inputs,
                    "rows": len(found),
                    "predictions a row": float(found.n_predictions.mean()),
                    "gradients a row": float(found.n_gradients.mean()),
                    "most queries of a row": int(queries.max()),
                    "seconds": measured,
                    "times the bare model's time": measured / bare,
                }
            )
    note = (
        "Seconds: of the processor, on a CPU. The bare model's time: one prediction a row sent as "
        "in the measurement, taken right after "
        "each part of it, on the same thread."
    )
    return Exhibit("cost", "What measuring cost", rows, note)


METHODS = {
    "the paper's: grid of ten, bisection": Ray(search_by="paper"),
    "the same ray, by scores": Ray(),
    "along the margin's gradient": Ray(direction="margin"),
}


def _methods(study: Study) -> Exhibit:
    """The paper's own search, ours, and the margin's direction, on the same rows."""
    rows: list[Row] = []
    for victim in study.victims:
        x = study.inputs.test[: study.scale.n_transfer]

        def compute(search: Ray, victim: str = victim, x: Any = x) -> dict[str, Any]:
            found = measure(study.victims.predictor(victim), x, estimator=search, flip_points=False)
            return {
                "l1": [d if np.isfinite(d) else None for d in found.l1.tolist()],
                "queries": float((found.n_predictions + found.n_gradients).mean()),
            }

        found = {
            name: study.store.numbers(
                "method", study.about(victim, set=name, n=len(x)), partial(compute, search)
            )
            for name, search in METHODS.items()
        }
        paper = np.array(next(iter(found.values()))["l1"], float)
        for name, numbers in found.items():
            l1 = np.array(numbers["l1"], float)
            same = float(np.mean(np.abs(l1 - paper) <= 1e-3 * paper))
            rows.append(
                {
                    "victim": victim,
                    "search": name,
                    "n": len(l1),
                    "queries a row": numbers["queries"],
                    "median distance (l1)": float(np.nanmedian(l1)),
                    "median ratio to the paper's": float(np.nanmedian(l1 / paper)),
                    "same within 0.1 %": same,
                }
            )
    return Exhibit(
        "methods",
        "The same distance for fewer queries, and a shorter one",
        rows,
        "Natural test rows.",
    )


def _tenths(study: Study) -> Exhibit:
    """The pool by distance: whether the victim is right, and how even its labels are."""
    rows: list[Row] = []
    for victim in study.victims:
        found = study.distances(victim, "natural")[: study.inputs.n_pool]
        distance, right = found.norm(study.norm), found.home == study.data.y[: study.inputs.n_pool]
        known = np.flatnonzero(np.isfinite(distance))
        for place, tenth in enumerate(
            np.array_split(known[np.argsort(distance[known], kind="stable")], 10), start=1
        ):
            counts = np.bincount(found.home[tenth], minlength=study.n_classes)
            rows.append(
                {
                    "victim": victim,
                    "tenth": place,
                    "n": len(tenth),
                    f"from ({study.norm})": float(distance[tenth].min()),
                    "to": float(distance[tenth].max()),
                    "right labels (%)": 100 * float(right[tenth].mean()),
                    "largest class (times even)": float(counts.max() / counts.mean()),
                }
            )
    return Exhibit(
        "tenths",
        "The pool by distance, in tenths",
        rows,
        "Training rows with a flip; the first tenth is the nearest.",
    )


def _classes(study: Study, victim: str) -> Exhibit:
    found = study.distances(victim, "natural")
    classes = by_class(found.norm(study.norm), found.home, n_classes=study.n_classes)
    rows: list[Row] = [
        {
            "home label": k,
            "n": shape.n,
            "without a flip": shape.n_without,
            "mode": shape.mode,
            "mean": shape.mean,
            "10 %": shape.quantiles.get(0.1),
            "median": shape.quantiles.get(0.5),
            "90 %": shape.quantiles.get(0.9),
        }
        for k, shape in classes.items()
    ]
    title = f"Natural rows by class, {victim}"
    return Exhibit(
        slug_of("classes", victim),
        title,
        rows,
        f"{study.norm} distances.",
        folded=study.n_classes > 20,
    )


def _pairs(study: Study, victim: str) -> Exhibit:
    found = study.distances(victim, "natural")
    counts, medians = by_label_pair(
        found.norm(study.norm), found.home, found.flipped, n_classes=study.n_classes
    )
    pairs = np.argwhere(counts > 0)
    rows: list[Row] = [
        {
            "home": int(a),
            "flipped": int(b),
            "n": int(counts[a, b]),
            "median distance": float(medians[a, b]),
        }
        for a, b in pairs[np.argsort(-counts[tuple(pairs.T)], kind="stable")]
    ]
    return Exhibit(
        slug_of("pairs", victim),
        f"Natural rows by pair of labels, {victim}",
        rows,
        f"{study.norm} distances.",
        folded=True,
    )
