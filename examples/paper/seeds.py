"""Numbers over seeds: means, each followed by its standard deviation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blackbox_boundary.extraction import spread

from .exhibit import Cell

__all__ = ["scores_over_seeds", "with_spread"]


def with_spread(head: str, values: Sequence[float]) -> dict[str, Cell]:
    """Mean and standard deviation under ``head``, whose ``{}`` is left out or becomes " ± std".

    The deviation of a lone value is unknown (None), as both are where there is none.
    """
    found = spread(list(values)) if values else None
    return {
        head.format(""): None if found is None else found.mean,
        head.format(" ± std"): None if found is None or np.isnan(found.std) else found.std,
    }


def scores_over_seeds(
    cells: Sequence[Mapping[str, Any]], natural: Sequence[str] = ("accuracy", "agreement")
) -> dict[str, Cell]:
    """Scores in per cent: those on natural rows, then the agreement on the other test sets."""
    scored = [("natural", what) for what in natural]
    scored += [("near-boundary", "agreement"), ("uniform", "agreement")]
    found: dict[str, Cell] = {}
    for test, what in scored:
        name = what if test == "natural" else f"{test} {what}"
        found |= with_spread(
            f"{name}{{}} (%)", [100 * cell["scores"][test][what] for cell in cells]
        )
    return found
