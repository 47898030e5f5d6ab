"""Select rows by distance to the boundary, for labelling, curricula, replay or extraction.

A selector is a function of the known facts on a pool (:class:`Pool`) and a number of rows. The same
pool, number and seed give the same rows; equal values go to the lower row number. Every
:class:`Selection` states how many victim queries the inputs of its rule took, for the whole pool,
since the rows not chosen had to be measured as well.

References
----------
.. [1] The paper, section 6: natural, uniform in distance, highest, lowest (10 % each), flip points,
   uniform random inputs.
.. [2] Bang, Kim, Yoo, Ha, Choi, "Rainbow Memory: Continual Learning with a Memory of Diverse
   Samples", CVPR 2021, algorithm 1.
.. [3] Sener, Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach",
   ICLR 2018, algorithm 1 (k-centre greedy). Gonzalez, "Clustering to Minimize the Maximum
   Intercluster Distance", 1985.
.. [4] Settles, "Active Learning Literature Survey", 2009, section 3.1 (entropy and margin).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from ..arrays import take
from ..errors import InvalidInput
from ..inputs import is_whole
from ..predictor import Array, FloatArray, IntArray, Real
from .distances import Distances

__all__ = [
    "Pool",
    "Selection",
    "Selector",
    "class_balanced",
    "diverse",
    "flip_points",
    "highest",
    "k_centre",
    "k_centre_of",
    "largest_entropy",
    "lowest",
    "random",
    "smallest_margin",
    "uniform_distance",
    "uniform_inputs",
]


@dataclass(frozen=True, eq=False)
class Pool:
    """Inputs of a selector; provide no more than a rule needs.

    Attributes
    ----------
    n : int
        Rows.
    distance : (n,) float, optional
        To the boundary, infinite where unknown. Rows without one are never chosen by a rule on
        distances.
    label : (n,) int, optional
        The victim's or the true label; -1: none.
    features : (n, d) float, optional
        For k-centre: the flattened inputs or any embedding.
    entropy, margin, votes : (n,) float, optional
        Scores of the rows: nats, 0-1, 0-1.
    distance_queries, label_queries, score_queries, vote_queries : int
        Victim queries that this knowledge took, for the whole pool; 0 where it came from a
        surrogate or was free.
    """

    n: int
    distance: FloatArray | None = None
    label: IntArray | None = None
    features: FloatArray | None = None
    entropy: FloatArray | None = None
    margin: FloatArray | None = None
    votes: FloatArray | None = None
    distance_queries: int = 0
    label_queries: int = 0
    score_queries: int = 0
    vote_queries: int = 0

    def __post_init__(self) -> None:
        for name in ("distance", "label", "features", "entropy", "margin", "votes"):
            part = getattr(self, name)
            if part is not None and len(part) != self.n:
                raise InvalidInput(
                    f'"{name}" of a pool must have one entry a row, {self.n}; got {len(part)}.'
                )

    def known(self, name: str) -> Real:
        """One of the columns, as float.

        Raises
        ------
        InvalidInput
            The pool does not hold it.
        """
        part = getattr(self, name)
        if part is None:
            raise InvalidInput(
                f'This selector needs "{name}" of every row of the pool; the pool holds none.'
            )
        return np.asarray(part, np.float64)


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows chosen (k,), and the victim queries that choosing them took."""

    rows: IntArray
    n_queries: int
    rule: str


Selector: TypeAlias = Callable[..., Selection]
"""``selector(pool, k, *, seed)``."""


class _TooFewRows(InvalidInput):
    """A rule was asked for more rows than it can rank; ``available`` is how many it can."""

    def __init__(self, message: str, available: int) -> None:
        super().__init__(message)
        self.available = available


def _check(k: int, available: int, what: str = "rows") -> None:
    if not is_whole(k):
        raise InvalidInput(f'"k" of a selector must be a whole number; got {k!r}.')
    if not 0 <= k <= available:
        raise _TooFewRows(
            f'"k" of a selector must lie in [0, {available}], '
            f"the {what} that the pool can give; got {k}.",
            available,
        )


def _ranked(values: Real) -> IntArray:
    """Rows with a finite value, from the smallest on; equal ones by row number."""
    order = np.argsort(values, kind="stable")
    return order[np.isfinite(values[order])]


def _first(values: Real, k: int, what: str) -> IntArray:
    """The ``k`` rows of the smallest values."""
    ranked = _ranked(values)
    _check(k, len(ranked), f"rows of known {what}")
    return ranked[:k]


def random(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """Select rows uniformly at random, without queries: the baseline of every other rule."""
    _check(k, pool.n)
    return Selection(np.random.default_rng(seed).permutation(pool.n)[:k], 0, "random")


def lowest(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """The rows nearest to the boundary [1]_."""
    del seed
    rows = _first(pool.known("distance"), k, "distance")
    return Selection(rows, pool.distance_queries, "lowest distance")


def highest(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """The rows farthest from the boundary [1]_."""
    del seed
    rows = _first(-pool.known("distance"), k, "distance")
    return Selection(rows, pool.distance_queries, "highest distance")


_N_BINS = 50
"""Bins of equal width for the uniform rule: fine enough to separate the boundary from the core,
coarse enough to hold rows of small pools."""


def uniform_distance(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """Rows spread evenly over the range of distances [1]_.

    Fifty bins of equal width between the 0.5 % and the 99.5 % quantile (a lone outlier would
    otherwise claim most bins; rows beyond go to the outer bins) each give as nearly the same number
    of rows as they hold, drawn at random within the bin.
    """
    distance = pool.known("distance")
    ranked = _ranked(distance)
    _check(k, len(ranked), "rows of known distance")
    if k == 0:
        return Selection(ranked[:0], pool.distance_queries, "uniform in distance")
    lo, hi = np.quantile(distance[ranked], [0.005, 0.995])
    bins = np.clip(
        (distance[ranked] - lo) / max(hi - lo, np.finfo(float).tiny) * _N_BINS, 0, _N_BINS - 1
    ).astype(int)
    shuffled = np.random.default_rng(seed).permutation(len(ranked))
    chosen = [ranked[rows] for rows in _even_groups(bins, shuffled, k)]
    return Selection(np.concatenate(chosen), pool.distance_queries, "uniform in distance")


def _even_groups(group: IntArray, order: IntArray, k: int) -> list[IntArray]:
    """Take ``k`` rows from the groups, the first of each in ``order``, as evenly as sizes allow."""
    members = [order[group[order] == number] for number in np.unique(group[order])]
    quotas = _even_quotas(np.array([len(rows) for rows in members]), k)
    return [rows[:quota] for rows, quota in zip(members, quotas, strict=True)]


def _even_quotas(available: IntArray, k: int) -> IntArray:
    """Divide ``k`` over groups as evenly as their sizes allow.

    A remainder that cannot be divided goes to the first groups.
    """
    quotas = np.zeros_like(available)
    while (left := k - int(quotas.sum())) > 0:
        open_groups = np.flatnonzero(quotas < available)
        share, rest = divmod(left, len(open_groups))
        if share == 0:
            quotas[open_groups[:rest]] += 1
        else:
            quotas[open_groups] += np.minimum(share, (available - quotas)[open_groups])
    return quotas


def largest_entropy(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """The rows of the largest entropy [4]_."""
    del seed
    rows = _first(-pool.known("entropy"), k, "entropy")
    return Selection(rows, pool.score_queries, "largest entropy")


def smallest_margin(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """The rows of the smallest margin between the two largest probabilities [4]_."""
    del seed
    rows = _first(pool.known("margin"), k, "margin")
    return Selection(rows, pool.score_queries, "smallest margin")


def k_centre(pool: Pool, k: int, *, seed: int = 0) -> Selection:
    """Choose rows by greedy k-centre [3]_.

    Each row is the one farthest (L2 of the features) from all before it; the first is drawn by the
    seed. The choice of fewer rows is a prefix of the choice of more. Time grows as ``n * k * d``.
    Distances are sums of squared differences in float64, so that an offset common to all rows
    (time stamps, map coordinates) does not hide the differences between them.
    """
    _check(k, pool.n)
    features = np.ascontiguousarray(pool.known("features"))
    rows = np.empty(k, np.intp)
    nearest = np.full(pool.n, np.inf)
    place = int(np.random.default_rng(seed).integers(max(pool.n, 1)))
    for j in range(k):
        rows[j] = place
        apart = cdist(features[place : place + 1], features, "sqeuclidean")[0]
        np.minimum(nearest, apart, out=nearest)
        nearest[place] = -np.inf
        place = int(nearest.argmax())
    return Selection(rows, 0, "k-centre")


def k_centre_of(selector: Selector, *, factor: int = 4) -> Selector:
    """Greedy k-centre among the rows that another rule would choose: its rows, but spread out.

    The rule chooses ``factor * k`` rows, or all that it can rank. With four candidates for each
    place, the choice still follows the rule, and near duplicates can be skipped.

    Raises
    ------
    InvalidInput
        ``factor`` is not a whole number from 1 on.
    """
    if not is_whole(factor) or factor < 1:
        raise InvalidInput(f'"factor" must be a whole number from 1 on; got {factor!r}.')

    def choose(pool: Pool, k: int, *, seed: int = 0) -> Selection:
        try:
            first = selector(pool, min(factor * k, pool.n), seed=seed)
        except _TooFewRows as few:
            first = selector(pool, max(k, few.available), seed=seed)
        among = Pool(len(first.rows), features=pool.known("features")[first.rows])
        return Selection(
            first.rows[k_centre(among, k, seed=seed).rows],
            first.n_queries,
            f"{first.rule} + k-centre",
        )

    return choose


def class_balanced(selector: Selector) -> Selector:
    """Apply another rule within each label, with equal row counts as far as the pool allows.

    Rows without a label, or with an infinite distance or score where the pool holds such, are left
    out for every rule alike.
    """

    def choose(pool: Pool, k: int, *, seed: int = 0) -> Selection:
        label = pool.known("label").astype(np.intp)
        for column in (pool.distance, pool.entropy, pool.margin, pool.votes):
            label = label if column is None else np.where(np.isfinite(column), label, -1)
        _check(k, int((label >= 0).sum()), "rows with a label and no unknown score")
        labels, sizes = np.unique(label[label >= 0], return_counts=True)
        quotas = _even_quotas(sizes, k)
        parts = [
            _within(selector, pool, np.flatnonzero(label == number), int(quota), seed)
            for number, quota in zip(labels, quotas, strict=True)
        ]
        rows = np.concatenate([part.rows for part in parts]) if parts else np.empty(0, np.intp)
        spent = max((part.n_queries for part in parts), default=0) + pool.label_queries
        return Selection(rows, spent, f"{parts[0].rule if parts else 'nothing'}, class-balanced")

    return choose


def _within(selector: Selector, pool: Pool, members: IntArray, k: int, seed: int) -> Selection:
    """Apply a rule to some rows of a pool."""
    columns = ("distance", "label", "features", "entropy", "margin", "votes")
    parts: dict[str, Any] = {
        name: column[members] for name in columns if (column := getattr(pool, name)) is not None
    }
    chosen = selector(replace(pool, n=len(members), **parts), k, seed=seed)
    return Selection(members[chosen.rows], chosen.n_queries, chosen.rule)


def diverse(by: Literal["votes", "distance"]) -> Selector:
    """Select rows of each label at even steps from the surest to the least sure [2]_.

    This is the rule of Rainbow Memory, which measures uncertainty by the ``votes`` of augmented
    copies; ``distance`` uses the paper's measure instead.

    Raises
    ------
    InvalidInput
        Another ``by``.
    """
    if by not in ("votes", "distance"):
        raise InvalidInput(f'"by" of diverse must be "votes" or "distance"; got {by!r}.')

    def choose(pool: Pool, k: int, *, seed: int = 0) -> Selection:
        del seed
        ranked = _ranked(pool.known(by))
        _check(k, len(ranked), f"rows of known {by}")
        steps = np.arange(k) * len(ranked) // max(k, 1)
        return Selection(
            ranked[steps],
            pool.vote_queries if by == "votes" else pool.distance_queries,
            f"diverse by {by}",
        )

    return class_balanced(choose)


def uniform_inputs(
    n: int,
    input_shape: tuple[int, ...],
    *,
    lowest: float = 0.0,
    highest: float = 1.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    r"""Draw inputs of independent uniform values [1]_, (n, *input_shape), without any query.

    An attacker without data has such inputs.
    """
    if not lowest < highest:
        raise InvalidInput(
            f'"lowest" of uniform_inputs must be below "highest"; got {lowest} and {highest}.'
        )
    return (
        np.random.default_rng(seed).uniform(lowest, highest, (n, *input_shape)).astype(np.float32)
    )


def flip_points(
    distances: Distances, k: int, *, seed: int = 0
) -> tuple[Array, IntArray, Selection]:
    """Draw known flip points at random [1]_: points (k, ...), labels (k,), and their rows.

    The labels were seen by the search, so they cost nothing more; what the search cost is counted
    for all measured rows.

    Raises
    ------
    InvalidInput
        The flip points were not kept, or there are fewer than ``k``.
    """
    if distances.flip_points is None:
        raise InvalidInput("These distances were measured without keeping the flip points.")
    known = np.flatnonzero(distances.has_flip)
    _check(k, len(known), "rows with a flip point")
    rows = known[np.random.default_rng(seed).permutation(len(known))[:k]]
    spent = int(distances.n_predictions.sum() + distances.n_gradients.sum())
    return (
        take(distances.flip_points, rows),
        distances.flipped[rows],
        Selection(rows, spent, "flip points"),
    )
