"""Withdraw certificates that a flip contradicts.

A certified distance is a proof. One flip within it shows that the proof is wrong, so all
certificates of the run are deleted. Distances are kept, because each flip was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..predictor import IntArray
from .distances import Distances
from .stored_distances import StoredDistances

__all__ = ["WITHDRAWN", "withdraw_contradicted", "withdrawn"]

WITHDRAWN = "certificates_withdrawn"
"""Where ``Distances.run`` says why; absent from runs whose certificates stand."""

_ROUNDING = 1 + 1e-6


def withdraw_contradicted(
    distances: Distances, norm: str, *, row_ids: IntArray, layers: Sequence[str] = ()
) -> Distances:
    """The same distances, without certificates if a flip lies within any of them.

    Parameters
    ----------
    distances : Distances
    norm : {"l0", "l1", "l2", "linf"}
        Of the certificates.
    row_ids : (n,) int
        How messages number the rows.
    layers : sequence of str
        What the certificates follow from.
    """
    if distances.certified is None:
        return distances
    met = distances.norm(norm)
    wrong = np.flatnonzero(distances.certified > met * _ROUNDING)
    if not len(wrong):
        return distances
    first = wrong[0]
    return withdrawn(
        distances,
        f"All certificates of this run are withdrawn: row {row_ids[first]} was certified to "
        f"{distances.certified[first]:.6g} in {norm}, but flips at {met[first]:.6g}. The distances "
        "are valid. This is a bug; please report it, with the layers of the model: "
        f"{', '.join(layers) or 'not named'}.",
    )


def withdrawn(distances: Distances, reason: str) -> Distances:
    """The same distances with unknown certificates, and the reason."""
    run = {**distances.run, WITHDRAWN: reason}
    if isinstance(distances, StoredDistances):
        return distances.with_facts(run)
    if distances.certified is None:
        return replace(distances, run=run)
    return replace(distances, certified=np.full_like(distances.certified, np.nan), run=run)
