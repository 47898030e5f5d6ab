"""Make training points a chosen fraction of the way from rows to the boundary.

The paper (section 1) names data augmentation as a use of flip points. A point near the boundary is
one of which the model is unsure. Its soft label says so: it moves from the row's label at the row
to a tie with the flipped label at the flip point, as the labels of mixup [1]_ move with the mixture
of two rows.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
   arXiv:1710.09412.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import per_row, take
from ..errors import InvalidInput
from ..inputs import is_whole
from ..predictor import Array, IntArray, Real
from .distances import Distances

__all__ = ["BoundaryPoints", "boundary_points"]


@dataclass(frozen=True, eq=False)
class BoundaryPoints:
    r"""Points on the way to the boundary, with what a training needs of them.

    Attributes
    ----------
    x : (k, \*input_shape) array
        In the kind of the rows.
    targets : (k, n_classes) float
        Soft labels; each row sums to one.
    weight : (k,) float
        Of each point in a loss; the mean is one.
    rows : (k,) int
        The row that each point comes from. Rows without a flip point give none.
    distance_left : (k,) float
        From the point to the row's flip point, in the norm that was asked for.
    """

    x: Array
    targets: Real
    weight: Real
    rows: IntArray
    distance_left: Real

    def __len__(self) -> int:
        return len(self.rows)


def boundary_points(
    x: Array,
    distances: Distances,
    fraction: ArrayLike,
    *,
    n_classes: int,
    labels: ArrayLike | None = None,
    share_at_boundary: float = 0.5,
    weigh: Callable[[Real], Real] | None = None,
    norm: str = "l2",
) -> BoundaryPoints:
    r"""Move rows a fraction of the way to their flip points; no query is sent.

    Parameters
    ----------
    x : array (n, \*input_shape)
        The rows that were measured; latent rows where a
        :class:`~blackbox_boundary.wrappers.Composed` was, whose ``decode`` makes inputs of the
        points.
    distances : Distances
        Of these rows, with flip points.
    fraction : float or (n,) floats in [0, 1]
        How far each row goes: 0 is the row, 1 its flip point. Drawn at random, say uniformly, it
        gives varied points.
    n_classes : int
        Classes of the model.
    labels : (n,) int, optional
        True labels. Default: the model's own. A row that the model gets wrong keeps its true label
        where the flip leads back to it.
    share_at_boundary : float in [0, 1]
        Share of the flipped label in the soft label of a flip point; it falls in proportion to the
        fraction. 0.5 is a tie, what the model says there; 0 keeps the labels hard, which is right
        where flips are too small for a person to see.
    weigh : callable, optional
        From the distance left (k,) to weights (k,), for example a fitted
        :class:`~blackbox_boundary.analysis.uncertainty.Softness`, which weighs by expected entropy.
        Weights are scaled to a mean of one. Default: all one.
    norm : str
        Of the distance left.

    Raises
    ------
    InvalidInput
        Flip points were not kept, other numbers of rows or labels, fewer classes than the distances
        have, a fraction or a share outside [0, 1], or weights that are not finite, negative or all
        zero.

    Examples
    --------
    >>> from blackbox_boundary import measure
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> x = np.array([[0.0, 0.5]])
    >>> found = measure(Reference(Ball(np.zeros(2), 1.0)), x)
    >>> half = boundary_points(x, found, 0.5, n_classes=2)
    >>> half.x.round(3).tolist(), half.targets.tolist(), half.distance_left.round(3).tolist()
    ([[0.0, 0.75]], [[0.25, 0.75]], [0.25])
    """
    n = len(distances)
    if distances.flip_points is None:
        raise InvalidInput("boundary_points needs the flip points; measure again and keep them.")
    if len(x) != n:
        raise InvalidInput(f'"x" of boundary_points must hold the {n} measured rows; got {len(x)}.')
    highest = int(max(distances.home.max(initial=-1), distances.flipped.max(initial=-1)))
    if not is_whole(n_classes) or n_classes <= highest:
        raise InvalidInput(
            f'"n_classes" of boundary_points must be a whole number above {highest}, a label in '
            f"the distances; got {n_classes}."
        )
    share = _within(share_at_boundary, (), "share_at_boundary")
    along = np.broadcast_to(_within(fraction, (n,), "fraction"), (n,))
    own = distances.home if labels is None else _labels(labels, n, n_classes)
    rows = np.flatnonzero(distances.has_flip & (own >= 0))
    start, end = take(x, rows), take(distances.flip_points, rows)
    left = (1 - along[rows]) * distances.norm(norm)[rows]
    return BoundaryPoints(
        start + per_row(along[rows], start) * (end - start),
        _soft_labels(own[rows], distances.flipped[rows], share * along[rows], n_classes),
        np.ones(len(rows)) if weigh is None else _weights(weigh(left), len(rows)),
        rows,
        left,
    )


def _within(value: ArrayLike, shape: tuple[int, ...], name: str) -> Real:
    found = np.asarray(value, np.float64)
    if found.shape not in ((), shape) or not ((found >= 0) & (found <= 1)).all():
        raise InvalidInput(
            f'"{name}" of boundary_points must lie in [0, '
            f"1]{', one number or one a row' if shape else ''}; "
            f"got {value if found.ndim == 0 else f'an array of shape {found.shape}'}."
        )
    return found


def _labels(labels: ArrayLike, n: int, n_classes: int) -> IntArray:
    """Labels (n,) of known classes; -1: none."""
    found = np.asarray(labels)
    if found.shape != (n,) or found.dtype.kind not in "iu":
        raise InvalidInput(
            f'"labels" of boundary_points must be {n} whole numbers; got {found.dtype} of shape '
            f"{found.shape}."
        )
    if n and not (found.min() >= -1 and found.max() < n_classes):
        raise InvalidInput(
            f'"labels" of boundary_points must lie below {n_classes}, -1 where unknown; '
            f"got {found.min()} to {found.max()}."
        )
    return found.astype(np.intp)


def _soft_labels(own: IntArray, flipped: IntArray, share: Real, n_classes: int) -> Real:
    """``1 - share`` of the own label and ``share`` of the flipped one, (k, n_classes)."""
    targets = np.zeros((len(own), n_classes))
    rows = np.arange(len(own))
    targets[rows, own] = 1 - share
    targets[rows, flipped] += share
    return targets


def _weights(found: ArrayLike, k: int) -> Real:
    weight = np.asarray(found, np.float64)
    if weight.shape != (k,) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise InvalidInput(
            '"weigh" of boundary_points must return one finite number of at least 0 a point.'
        )
    if k and not weight.any():
        raise InvalidInput('"weigh" of boundary_points must not return zero for every point.')
    return weight / weight.mean() if k else weight
