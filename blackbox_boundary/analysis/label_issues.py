"""Rank rows by how likely their label is wrong, from where the boundary lies.

A row whose label the model does not give lies on the wrong side of the boundary; the farther it
lies inside, the less the model believes the label. A row on the right side is the more suspicious
the nearer the boundary is. The signed distance orders both kinds on one scale; it is the distance
counterpart of the margin between the given label and the best other one [1]_, and needs labels
alone from the model.

A model that has learned a wrong label agrees with it. The distances must come from a model that did
not train on the rows, such as those of cross-validation.

References
----------
.. [1] Northcutt, Jiang, Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
   Journal of Artificial Intelligence Research 70, 2021, section 3.2 (ranking by normalised margin).
   arXiv:1911.00068.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InvalidInput
from ..predictor import IntArray, Real
from .distances import Distances

__all__ = ["LabelIssues", "label_issues"]


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Rows by suspicion of their label.

    Attributes
    ----------
    rows : (k,) int
        The most suspicious first; equal ones by row number. Rows without a label or without an
        answer of the model are left out.
    signed_distance : (n,) float
        Distance to the boundary: negative where the model gives another label than the given one;
        NaN of rows left out. A row without a known flip point counts as far from the boundary, on
        whichever side it is: infinite.
    suggested : (n,) int
        The label that the row would have otherwise: the model's own where that differs from the
        given one, else the label beyond the boundary; -1 where unknown.
    n_wrong_side : int
        Rows whose label the model does not give: the first so many of ``rows``.
    """

    rows: IntArray
    signed_distance: Real
    suggested: IntArray
    n_wrong_side: int

    def __len__(self) -> int:
        return len(self.rows)

    def nearer_than(self, distance: float) -> IntArray:
        """Rows on the wrong side, and those on the right side nearer than this, in order."""
        return self.rows[self.signed_distance[self.rows] < distance]


def label_issues(labels: ArrayLike, distances: Distances, *, norm: str = "l2") -> LabelIssues:
    """Rank rows by the side of the boundary on which they lie, and how far; no query is sent.

    Parameters
    ----------
    labels : (n,) int
        The labels in doubt; -1 where there is none.
    distances : Distances
        Of the same rows, from a model that did not train on them. Measured with
        ``from_label=labels``, a row on the wrong side has the distance back to its label; else that
        to any other label, which is smaller or equal.
    norm : str

    Raises
    ------
    InvalidInput
        Labels that are not one whole number a row.

    Examples
    --------
    >>> from blackbox_boundary import measure
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> x = np.array([[0.0, 0.2], [0.0, 0.9], [0.0, 1.5]])
    >>> found = measure(Reference(Ball(np.zeros(2), 1.0)), x)
    >>> inside = int(found.home[0])
    >>> issues = label_issues(np.full(3, inside), found)
    >>> issues.rows.tolist(), issues.signed_distance.round(2).tolist(), issues.n_wrong_side
    ([2, 1, 0], [0.8, 0.1, -0.5], 1)
    """
    given = np.asarray(labels)
    if given.shape != (len(distances),) or given.dtype.kind not in "iu":
        raise InvalidInput(
            f'"labels" of label_issues must be {len(distances)} whole numbers, -1 where there is '
            f"none; got {given.dtype} of shape {given.shape}."
        )
    known = (given >= 0) & (distances.home >= 0)
    wrong = known & (distances.home != given)
    length = distances.norm(norm)
    signed = np.where(known, np.where(wrong, -length, length), np.nan)
    order = np.argsort(signed, kind="stable")  # NaN comes last
    suggested = np.where(wrong, distances.home, distances.flipped)
    return LabelIssues(
        order[: int(known.sum())], signed, np.where(known, suggested, -1), int(wrong.sum())
    )
