"""What trainings that keep the boundary off the rows do to accuracy and distance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from blackbox_boundary.adapters.torch_modules.large_margin import INPUT, LargeMargin

from blackbox_boundary import measure
from blackbox_boundary.estimators import Tangent

from .exhibit import Cell, Exhibit, Row
from .seeds import with_spread

if TYPE_CHECKING:
    from .study import Study

__all__ = ["section6_robustness", "trainings"]

_RADIUS = 0.5
"""L2; the clearance, and three quarters of the median distance to Model 1."""


def section6_robustness(study: Study) -> Iterator[Exhibit]:
    """The first surrogate's network, trained on the true labels of the whole pool in four ways."""
    rows: list[Row] = []
    for name, settings in trainings(study).items():
        cells = [_cell(study, name, settings, seed) for seed in range(study.scale.transfer_seeds)]
        row: dict[str, Cell] = {"training": name}
        for what in cells[0]:
            row |= with_spread(f"{what}{{}}", [cell[what] for cell in cells])
        rows.append(row | {"seeds": len(cells)})
    surrogate, *_ = study.surrogates
    note = (
        f"{surrogate}, {study.scale.curve_steps} optimiser steps on the true labels of all "
        f"training rows; {min(study.scale.n_transfer, len(study.inputs.test)):,} test rows "
        "measured by tangent (L2, inside [0, 1])."
    )
    yield Exhibit("robustness", "Clearance, large margins and robustness", rows, note)


def trainings(study: Study) -> dict[str, dict[str, Any]]:
    """Settings of a trainable, by name."""
    assert study.large_margin is not None
    hidden = {**study.large_margin.margins, "relu": study.large_margin.margins[INPUT]}
    return {
        "cross-entropy": {},
        "clearance": {"clearance": study.clearance},
        "large margin, input": {"large_margin": study.large_margin},
        "large margin, input and hidden": {"large_margin": LargeMargin(hidden)},
    }


def _cell(study: Study, name: str, settings: dict[str, Any], seed: int) -> dict[str, float]:
    surrogate, *_ = study.surrogates
    steps, n = study.scale.curve_steps, study.scale.n_transfer
    written = {
        key: value.as_dict() if isinstance(value, LargeMargin) else value
        for key, value in settings.items()
    }
    configuration = {
        "data": study.data.name,
        "n_rows": study.inputs.n_pool,
        "network": surrogate,
        "training": name,
        "steps": steps,
        "batch": study.scale.batch_size,
        "n": n,
        "seed": seed,
        **written,
    }
    return dict(
        study.store.numbers(
            "robustness", configuration, partial(_computed, study, steps, n, settings, seed)
        )
    )


def _computed(
    study: Study, steps: int, n: int, settings: dict[str, Any], seed: int
) -> dict[str, float]:
    surrogate, *_ = study.surrogates
    trainable = replace(study.surrogates[surrogate](steps), bounds=(0.0, 1.0), **settings)
    n_pool = study.inputs.n_pool
    model = trainable.fit(study.data.x[:n_pool], study.data.y[:n_pool], seed=seed).predictor
    test, truth = study.inputs.test, study.inputs.test_truth
    right = model.predict(test).label == truth
    found = measure(model, test[:n], estimator=Tangent(), flip_points=False)
    return {
        "accuracy (%)": 100 * float(right.mean()),
        "median distance (L2)": float(np.median(found.l2)),
        f"right beyond {_RADIUS} (%)": 100 * float((right[:n] & (found.l2 > _RADIUS)).mean()),
    }
