"""Section 4 and figure 1: softness of the outputs against distance, and votes beside it."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rotate, shift

from blackbox_boundary.analysis.uncertainty import (
    Softness,
    entropy,
    probabilities,
    rank_correlation,
    vote_uncertainty,
)
from blackbox_boundary.report.figures import entropy_against_distance

from .exhibit import Exhibit, Row, slug_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from matplotlib.figure import Figure

    from blackbox_boundary.report.axes import Colours

    from .study import Study

__all__ = ["AUGMENTATIONS", "VOTED_INPUTS", "section4"]

VOTED_INPUTS = ("natural test", "uniform")
"""Where votes are compared with distances."""

Floats = NDArray[np.float32]


def _moved(x: Floats, down: int, right: int) -> Floats:
    return np.asarray(shift(x, (0, 0, down, right), order=0), np.float32)


def _turned(x: Floats, degrees: float) -> Floats:
    return np.asarray(rotate(x, degrees, axes=(2, 3), reshape=False, order=1), np.float32)


def _noisy(x: Floats, sigma: float) -> Floats:
    """Each row's noise follows its own content, so that it does not depend on the batch."""
    seeds = np.abs(x.reshape(len(x), -1).sum(axis=1) * 1e3).astype(np.int64)
    return np.stack(
        [
            row + np.random.default_rng(seed).normal(0, sigma, row.shape)
            for row, seed in zip(x, seeds, strict=True)
        ]
    ).astype(np.float32)


AUGMENTATIONS: list[Callable[[Floats], Floats]] = [
    *(
        partial(_moved, down=down, right=right)
        for down, right in ((-2, 0), (2, 0), (0, -2), (0, 2))
    ),
    *(partial(_turned, degrees=degrees) for degrees in (-15, -8, 8, 15)),
    *(partial(_noisy, sigma=sigma) for sigma in (0.1, 0.2)),
    lambda x: np.clip(x * np.float32(1.3), 0, 1),
    lambda x: x * np.float32(0.7),
]
"""Twelve, of the kinds Rainbow Memory uses for small images: shifts, rotations, noise,
brightness."""


def section4(study: Study) -> Iterator[Exhibit]:
    """Figure 1 for each victim, the fits' numbers, and augmentation votes beside distances."""
    fits = {name: _fit(study, name) for name in study.victims}
    for name, (fitted, distance, softness) in fits.items():
        yield _figure(study, name, fitted, distance, softness)
    yield _fit_table(study, fits)
    yield _vote_table(study)


def _fit(study: Study, name: str) -> tuple[Softness, NDArray[np.float64], NDArray[np.float64]]:
    found = study.distances(name, "natural")
    assert found.entropy is not None
    distance = found.norm(study.norm)
    return Softness.fit(distance, found.entropy, norm=study.norm), distance, found.entropy


def _figure(
    study: Study,
    name: str,
    fitted: Softness,
    distance: NDArray[np.float64],
    softness: NDArray[np.float64],
) -> Exhibit:
    known = np.flatnonzero(np.isfinite(distance))
    grid = np.quantile(distance[known], np.linspace(0, 1, 101))
    lower, upper = fitted.interval(grid)

    draw = partial(
        _drawn, distance=distance[known], softness=softness[known], fitted=fitted, norm=study.norm
    )
    curves = {
        "share of rows nearer": np.linspace(0, 1, 101),
        f"distance ({study.norm})": grid,
        "expected entropy (nats)": fitted(grid),
        "10 % quantile": lower,
        "90 % quantile": upper,
    }
    rows = [{head: float(curve[at]) for head, curve in curves.items()} for at in range(len(grid))]
    title = f"Figure 1: output softness against distance, {name}"
    note = (
        f"{len(known):,} natural rows (training and test). Line: expected entropy (isotonic). "
        "Band: the middle half of the rows of a bin."
    )
    return Exhibit(slug_of("figure1", name), title, rows, note, draw, folded=True)


def _drawn(colours: Colours, *, fitted: Softness, norm: str, **rows: Any) -> Figure:
    return entropy_against_distance(
        rows["distance"], rows["softness"], norm=norm.upper(), softness=fitted, colours=colours
    )


def _fit_table(study: Study, fits: dict[str, Any]) -> Exhibit:
    rows: list[Row] = []
    for name, (fitted, _, softness) in fits.items():
        found = study.distances(name, "natural")
        for norm in ("l1", "l2", "linf"):
            one = (
                fitted
                if norm == study.norm
                else Softness.fit(found.norm(norm), softness, norm=norm)
            )
            core = one.is_core(found.norm(norm)) & found.has_flip
            near = found.has_flip & ~core
            rows.append(
                {
                    "victim": name,
                    "norm": norm,
                    "n": one.correlation.n,
                    "Spearman": one.correlation.value,
                    "95 % low": one.correlation.lo,
                    "95 % high": one.correlation.hi,
                    "knee": one.knee,
                    "share beyond the knee": float(core.mean()),
                    "mean entropy before": float(softness[near].mean()),
                    "mean entropy beyond": float(softness[core].mean()),
                    "held-out error (nats)": one.held_out_error,
                    "error of the mean": one.baseline_error,
                }
            )
    return Exhibit(
        "figure1-fits",
        "How well distance predicts softness",
        rows,
        "Natural rows; entropy in nats; bootstrap interval of 200 resamples.",
    )


def _vote_table(study: Study) -> Exhibit:
    """Rank correlation of votes, and of distance, with the model's entropy.

    On natural test rows and on uniform inputs.
    """
    rows: list[Row] = []
    for name in study.victims:
        for inputs in VOTED_INPUTS:

            def compute(name: str = name, inputs: str = inputs) -> dict[str, Any]:
                n, model = study.scale.n_votes, study.victims.predictor(name)
                x = (
                    study.inputs.test[:n]
                    if inputs == "natural test"
                    else study.inputs.of("uniform")[:n]
                )
                whole = study.distances(name, "natural" if inputs == "natural test" else "uniform")
                part = (
                    whole[study.inputs.n_pool : study.inputs.n_pool + len(x)]
                    if inputs == "natural test"
                    else whole[: len(x)]
                )
                softness = np.concatenate(
                    [
                        entropy(probabilities(model.predict(x[i : i + 2000]), model.access))
                        for i in range(0, len(x), 2000)
                    ]
                )
                votes = np.concatenate(
                    [
                        vote_uncertainty(model, x[i : i + 2000], AUGMENTATIONS)
                        for i in range(0, len(x), 2000)
                    ]
                )
                return {
                    "n": len(x),
                    "votes": asdict(rank_correlation(votes, softness)),
                    "distance": asdict(rank_correlation(-part.norm(study.norm), softness)),
                    "unanimous": float((votes == 0).mean()),
                    "queries": float((part.n_predictions + part.n_gradients).mean()),
                }

            found = study.store.numbers(
                "votes", study.about(name, inputs=inputs, n=study.scale.n_votes), compute
            )
            for rule, queries in (
                ("votes", float(len(AUGMENTATIONS))),
                ("distance", found["queries"]),
            ):
                one = found[rule]
                rows.append(
                    {
                        "victim": name,
                        "inputs": inputs,
                        "uncertainty by": rule,
                        "n": found["n"],
                        "Spearman with entropy": one["value"],
                        "95 % low": one["lo"],
                        "95 % high": one["hi"],
                        "queries a row": queries,
                        "share of unanimous votes": found["unanimous"] if rule == "votes" else None,
                    }
                )
    note = (
        "Twelve augmentations (shifts, rotations, noise, brightness) against one distance search. "
        "Distance enters negated, so that more is "
        "more uncertain. Unanimous votes are ties: they cannot be ranked."
    )
    return Exhibit("votes", "Rainbow Memory's augmentation votes beside distance", rows, note)
