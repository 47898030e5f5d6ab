r"""Tree ensembles as searches use them: splits, leaves, and labels from sums of leaves.

Adapters read a :class:`TreeEnsemble` from a model (``adapters/tree_ensembles``) and return it only
after :func:`verified` has compared it with the model's answers. This module depends on no runtime.

Every split is stored as ``x <= threshold``, in the precision in which the runtime compares:

=================  ======================================
runtime            stored
=================  ======================================
``x <= t``         the largest number of ``dtype`` at or below ``t``
``x < t``          the largest number of ``dtype`` below ``t``
``x > t, x >= t``  the same two, with the children swapped
=================  ======================================

Rows are rounded to ``dtype`` first, as the runtime does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy
from numpy.typing import NDArray

from .errors import CapabilityMissing, InvalidInput
from .predictor import Access, Bounds, IntArray, Prediction, Real

__all__ = ["LINKS", "TreeBased", "TreeEnsemble", "floor_to", "probe_rows", "verified"]


LINKS = ("identity", "logistic", "mean", "softmax", "unknown")
"""The map from sums to scores: ``mean`` divides by the sum over classes; ``unknown`` compares
labels alone."""

_SCORES_AGREE = 1e-4
"""By how much a probability may differ; by this share of the largest one, a logit."""

_LINK_ROUNDING = 16
"""Machine epsilons of a lead that softmax or sigmoid may round to a tie of probabilities."""

_N_PROBES = 512


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Splits and leaves of an additive ensemble of binary trees.

    Attributes
    ----------
    feature : (n_nodes,) int
        Index into a flattened row; -1 at a leaf.
    threshold : (n_nodes,) float64
        A row goes left where ``x <= threshold``; a number of ``dtype``.
    left, right : (n_nodes,) int
        Children; two nodes may share one.
    missing_left : (n_nodes,) bool
        Whether NaN goes left.
    value : (n_nodes, n_outputs) float64
        What a leaf adds to each sum.
    roots : (n_trees,) int
    base : (n_outputs,) float64
        Where the sums begin.
    n_features : int
        Numbers in a row.
    dtype : numpy.dtype
        Precision in which rows are compared: float32 or float64.
    summed_in : numpy.dtype
        Precision in which the runtime sums leaves.
    cut : float
        With one output: class 1 where its sum is above, class 0 elsewhere. With several outputs the
        largest sum wins, and the first of equal ones.
    link : str
        How sums become scores, one of :data:`LINKS`.
    source : str
        What it was read from, for reports.
    """

    feature: IntArray
    threshold: Real
    left: IntArray
    right: IntArray
    missing_left: NDArray[np.bool_]
    value: Real
    roots: IntArray
    base: Real
    n_features: int
    dtype: np.dtype[Any]
    summed_in: np.dtype[Any]
    cut: float = 0.0
    link: str = "unknown"
    source: str = "trees"

    def __post_init__(self) -> None:
        n, inner = len(self.feature), self.feature >= 0
        shapes = [len(part) for part in (self.threshold, self.left, self.right, self.missing_left)]
        if set(shapes) | {len(self.value)} != {n} or self.value.shape[1:] != self.base.shape:
            raise InvalidInput(
                f'Arrays of TreeEnsemble must describe the same {n} nodes; got {shapes}, "value" '
                f'{self.value.shape} and "base" {self.base.shape}.'
            )
        children = np.concatenate([self.left[inner], self.right[inner], self.roots])
        if not len(self.roots) or children.min() < 0 or children.max() >= n:
            raise InvalidInput('"left", "right" and "roots" of TreeEnsemble must name its nodes.')
        if self.feature.max(initial=-1) >= self.n_features or self.link not in LINKS:
            raise InvalidInput(
                f'"feature" of TreeEnsemble must lie below {self.n_features}, "link" be one of '
                f"{', '.join(LINKS)}; got {self.feature.max(initial=-1)}, {self.link}."
            )
        leaves = self.value[~inner]
        if not (np.isfinite(leaves).all() and np.isfinite(self.base).all()):
            raise InvalidInput('"value" and "base" of TreeEnsemble must be finite at leaves.')
        if np.isnan(self.threshold[inner]).any():
            raise InvalidInput('"threshold" of TreeEnsemble must be a number at splits.')

    @property
    def n_outputs(self) -> int:
        """Sums of a row: one for a binary margin, else one a class."""
        return int(self.value.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes that a label can name."""
        return max(2, self.n_outputs)

    @cached_property
    def tolerance(self) -> float:
        """Bound of the runtime's error in a difference of two sums, by Higham's gamma_n.

        It covers both sums. It is zero where every sum is exact: leaves that are multiples of a
        power of two, as whole votes are, with sums that the significand holds.
        """
        largest = np.zeros((len(self.roots) + 1, self.n_outputs))
        largest[-1] = np.abs(self.base)
        is_leaf = self.feature < 0
        np.maximum.at(largest, self.tree_of[is_leaf], np.abs(self.value[is_leaf]))
        kind, quantum = np.finfo(self.summed_in), 2.0**-20
        terms = np.append(self.value[is_leaf], self.base)
        is_whole = bool((np.rint(terms / quantum) * quantum == terms).all())
        if is_whole and float(largest.sum(axis=0).max()) / quantum < 2.0**kind.nmant:
            return 0.0
        n = (largest > 0).sum(axis=0) + 1
        off = n * float(kind.eps) * (largest.sum(axis=0) + abs(self.cut))
        return 2 * float(off.max()) + _LINK_ROUNDING * float(kind.eps)

    @cached_property
    def tree_of(self) -> IntArray:
        """The tree of each node, (n_nodes,)."""
        tree = np.zeros(len(self.feature), np.intp)
        nodes, of = self.roots, np.arange(len(self.roots))
        while len(nodes):
            tree[nodes] = of
            inner = self.feature[nodes] >= 0
            nodes, of = nodes[inner], of[inner]
            nodes = np.concatenate([self.left[nodes], self.right[nodes]])
            of = np.concatenate([of, of])
        return tree

    def leaf_of(self, x: NDArray[Any]) -> IntArray:
        """The node at which each row (n, n_features) ends in each tree, (n, n_trees)."""
        with np.errstate(over="ignore"):
            rows = (
                np.asarray(x).reshape(len(x), self.n_features).astype(self.dtype).astype(np.float64)
            )
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()
        each = np.arange(len(rows))[:, None]
        while (inner := self.feature[node] >= 0).any():
            seen = rows[each, np.maximum(self.feature[node], 0)]
            goes_left = np.where(
                np.isnan(seen), self.missing_left[node], seen <= self.threshold[node]
            )
            child = np.where(goes_left, self.left[node], self.right[node])
            node = np.where(inner, child, node)
        return node

    def sums(self, x: NDArray[Any]) -> Real:
        """Sum base and leaves of each row (n, n_features) in double precision: (n, n_outputs)."""
        return np.asarray(self.base + self.value[self.leaf_of(x)].sum(axis=1))

    def labels(self, x: NDArray[Any]) -> tuple[IntArray, NDArray[np.bool_]]:
        """The label of each row, and whether the runtime's rounding leaves it no other."""
        sums = self.sums(x)
        if self.n_outputs == 1:
            margin = sums[:, 0] - self.cut
            return (margin > 0).astype(np.intp), np.abs(margin) >= self._least
        two = np.sort(sums, axis=-1)[:, -2:]
        return sums.argmax(axis=-1), two[:, 1] - two[:, 0] >= self._least

    @property
    def _least(self) -> float:
        """The least difference of sums that decides a label."""
        return self.tolerance if self.tolerance == 0 else np.nextafter(self.tolerance, np.inf)

    def scores(self, x: NDArray[Any]) -> Real | None:
        """Answers of the runtime (n, n_classes), within its rounding.

        None where the link is unknown.
        """
        sums = self.sums(x)
        if self.link == "unknown":
            return None
        if self.link == "logistic":
            return _logistic(sums)
        if self.link == "softmax":
            return np.asarray(scipy.special.softmax(sums, axis=1))
        if self.link == "mean":
            return np.asarray(sums / np.maximum(sums.sum(axis=1)[:, None], np.finfo(float).tiny))
        if self.n_outputs == 1:
            is_share = self.cut == 0.5
            low, high = (1 - sums, sums) if is_share else (-sums / 2, sums / 2)
            return np.concatenate([low, high], axis=1)
        return sums


@runtime_checkable
class TreeBased(Protocol):
    """A predictor that reveals the splits and leaves of its model."""

    def tree_ensemble(self) -> TreeEnsemble:
        """Read it from the model, and compare it with the model's answers to probe rows.

        The probes ask the local model, not this predictor: no wrapper counts them.

        Raises
        ------
        CapabilityMissing
            The model is no tree ensemble that can be read.
        """
        ...


def floor_to(threshold: NDArray[Any], dtype: Any, *, below: bool = False) -> Real:
    """The largest numbers of ``dtype`` at or below thresholds; ``below``: strictly below.

    Examples
    --------
    >>> floor_to(np.array([0.1]), np.float32) <= 0.1
    array([ True])
    >>> float(floor_to(np.array([1.0]), np.float32, below=True)[0])
    0.9999999403953552
    """
    exact = np.asarray(threshold, np.float64)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    above = rounded.astype(np.float64) > exact
    if below:
        above |= rounded.astype(np.float64) >= exact
    lower = np.nextafter(rounded, np.asarray(-np.inf, dtype))
    return np.where(above, lower, rounded).astype(np.float64)


@np.errstate(over="ignore", invalid="ignore")  # infinite thresholds separate what is missing
def probe_rows(
    ensemble: TreeEnsemble, *, bounds: Bounds = None, n: int = _N_PROBES, seed: int = 0
) -> Real:
    """Rows (n, n_features) on thresholds, and just below and above them in either precision.

    Rows are clipped to the bounds. Each row takes one path of a random tree to its end, so that
    every split on the way is met on a side of it; its other columns lie on or beside random
    thresholds.
    """
    rng = np.random.default_rng(seed)
    inner = np.flatnonzero(ensemble.feature >= 0)
    rows = rng.standard_normal((n, ensemble.n_features))
    if not inner.size:
        return rows
    for j in np.unique(ensemble.feature[inner]):
        drawn = rng.choice(ensemble.threshold[inner[ensemble.feature[inner] == j]], n)
        rows[:, j] = _beside(drawn, rng)
    for row in rows:
        node = int(rng.choice(ensemble.roots))
        while ensemble.feature[node] >= 0:
            j = ensemble.feature[node]
            left = bool(row[j].astype(ensemble.dtype) <= ensemble.threshold[node])
            if rng.random() < 0.5:
                row[j] = _beside(ensemble.threshold[node : node + 1], rng)[0]
                left = bool(row[j].astype(ensemble.dtype) <= ensemble.threshold[node])
            node = int(ensemble.left[node] if left else ensemble.right[node])
    rows = np.where(np.isfinite(rows), rows, 0.0)
    if bounds is None:
        return rows
    lowest, highest = (np.asarray(bound, np.float64).reshape(-1) for bound in bounds)
    return np.clip(rows, lowest, highest)


def _beside(threshold: Real, rng: np.random.Generator) -> Real:
    """On thresholds, one step of single or double precision off, or clearly off."""
    single = threshold.astype(np.float32)
    near = np.stack(
        [
            threshold,
            np.nextafter(threshold, np.inf),
            np.nextafter(threshold, -np.inf),
            np.nextafter(single, np.float32(np.inf)).astype(np.float64),
            np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
            threshold + 0.01 * (1 + np.abs(threshold)),
            threshold - 0.01 * (1 + np.abs(threshold)),
        ]
    )
    return np.asarray(near[rng.integers(len(near), size=len(threshold)), np.arange(len(threshold))])


def _logistic(sums: Real) -> Real:
    """Probabilities (n, n_classes): of two classes from one sum, else each sum's share."""
    p = np.asarray(scipy.special.expit(sums))
    if p.shape[1] == 1:
        return np.concatenate([1 - p, p], axis=1)
    return np.asarray(p / p.sum(axis=1)[:, None])


def verified(
    ensemble: TreeEnsemble, answer: Callable[[Real], Prediction], rows: Real, access: Access
) -> TreeEnsemble:
    """The ensemble, after it has reproduced the model's answers on rows.

    Parameters
    ----------
    ensemble : TreeEnsemble
    answer : callable
        The model's predictions of rows.
    rows : (n, n_features) float64
        On, below and above thresholds (:func:`probe_rows`).
    access : Access
        What the answers reveal.

    Raises
    ------
    CapabilityMissing
        A label differs where rounding does not explain it, or a score by more than 1e-4.
    """
    given = answer(rows)
    label, is_sure = ensemble.labels(rows)
    wrong = np.flatnonzero(is_sure & (given.label != label))
    if len(wrong):
        first = wrong[0]
        raise CapabilityMissing(
            f"The trees are not used: read from {ensemble.source}, they give other labels than the "
            f"model on {len(wrong)} of {len(rows)} rows at their thresholds (label {label[first]}, "
            f"the model {given.label[first]})."
        )
    scores = ensemble.scores(rows)
    if not access.has_scores or given.scores is None or scores is None:
        return ensemble
    off = np.abs(scores - given.scores).max(axis=-1)
    scale = 1.0 if access is Access.PROBABILITIES else np.maximum(np.abs(scores).max(axis=-1), 1.0)
    if not (share := float((off / scale).max())) <= _SCORES_AGREE:  # NaN, too
        raise CapabilityMissing(
            f"The trees are not used: read from {ensemble.source}, their scores differ from the "
            f"model's by up to {share:.2g} on {len(rows)} rows at their thresholds."
        )
    return ensemble
