"""A memory of fixed size for continual learning: rows of all classes seen, diverse in distance.

:class:`ReplayMemory` keeps equal shares of the classes and, within each, rows at even steps from
the nearest to the farthest. This is the rule of Rainbow Memory [1]_ with the distance to the
boundary in place of its uncertainty, votes of augmented copies. :class:`Reservoir` is the baseline
without a score: it keeps every row of the stream with the same probability [2]_.

References
----------
.. [1] Bang, Kim, Yoo, Ha, Choi, "Rainbow Memory: Continual Learning with a Memory of Diverse
   Samples", CVPR 2021, algorithm 1. arXiv:2103.17230.
.. [2] Vitter, "Random Sampling with a Reservoir", ACM Transactions on Mathematical Software, 1985,
   algorithm R.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ..arrays import take
from ..errors import InvalidInput
from ..inputs import is_whole
from ..predictor import Array, IntArray
from .selection import Pool, diverse

__all__ = ["ReplayMemory", "Reservoir"]


class _Memory:
    """Rows with their ids and labels, at most ``size``; ``x`` is None before the first rows."""

    def __init__(self, size: int) -> None:
        if not is_whole(size) or size < 1:
            raise InvalidInput(f'"size" of a memory must be a whole number from 1 on; got {size}.')
        self.size = int(size)
        self.x: Array | None = None
        self.ids: NDArray[np.int64] = np.empty(0, np.int64)
        self.labels: IntArray = np.empty(0, np.intp)

    def __len__(self) -> int:
        return len(self.ids)

    def _checked(
        self, ids: ArrayLike, x: Array, labels: ArrayLike
    ) -> tuple[NDArray[np.int64], IntArray]:
        own, classes = np.asarray(ids), np.asarray(labels)
        n = int(x.shape[0])
        for name, part in (("ids", own), ("labels", classes)):
            if part.shape != (n,) or part.dtype.kind not in "iu":
                raise InvalidInput(
                    f'"{name}" of update must be {n} whole numbers, one for each row; '
                    f"got {part.dtype} of shape {part.shape}."
                )
        if self.x is not None and tuple(x.shape[1:]) != tuple(self.x.shape[1:]):
            raise InvalidInput(
                f'"x" of update must have rows of shape {tuple(self.x.shape[1:])}, '
                f"as before; got {tuple(x.shape[1:])}."
            )
        return own.astype(np.int64), classes.astype(np.intp)

    def _keep(self, rows: IntArray, ids: NDArray[np.int64], x: Array, labels: IntArray) -> None:
        """Keep some of the candidates, which are the rows held and then the new ones."""
        both = x if self.x is None else array_namespace(x).concat([self.x, x], axis=0)
        self.x = take(both, rows)
        self.ids = np.concatenate([self.ids, ids])[rows]
        self.labels = np.concatenate([self.labels, labels])[rows]


class ReplayMemory(_Memory):
    """Keep rows of a stream, equal shares of its classes, diverse in a score.

    Parameters
    ----------
    size : int
        Rows kept at most.
    n_classes : int, optional
        Classes that the stream will have; a memory that is too small for them is refused at once.

    Attributes
    ----------
    x : array (k, ...), ids, labels, scores : (k,)
        The rows kept, in the kind of array that they came in.

    Raises
    ------
    InvalidInput
        ``size`` below ``n_classes``: some class would have no row.

    Examples
    --------
    >>> memory = ReplayMemory(4)
    >>> x, labels = np.arange(8.0)[:, None], np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> memory.update(np.arange(8), x, labels, scores=[3, 1, 2, 4, 9, 8, 7, 6])
    >>> memory.ids.tolist(), memory.scores.tolist()
    ([1, 0, 7, 5], [1.0, 3.0, 6.0, 8.0])
    """

    def __init__(self, size: int, *, n_classes: int | None = None) -> None:
        super().__init__(size)
        self.scores: NDArray[np.float64] = np.empty(0)
        self._check_classes(n_classes or 0)

    def update(
        self,
        ids: ArrayLike,
        x: Array,
        labels: ArrayLike,
        scores: ArrayLike,
        *,
        held_scores: ArrayLike | None = None,
    ) -> None:
        """Choose anew among the rows held and rows of the stream.

        Parameters
        ----------
        ids : (n,) int
            Names of the rows. A row that repeats replaces its earlier copy.
        x : array (n, ...)
        labels : (n,) int
        scores : (n,) float
            Distance to the boundary; or any other score whose order matters. Infinite ones are the
            farthest; rows with NaN are not kept.
        held_scores : (k,) float, optional
            Scores of the rows held, measured anew: the model has changed. Default: those of then.

        Raises
        ------
        InvalidInput
            Parts of different lengths, other row shapes than before, or more classes than the
            memory has rows. Nothing was changed.
        """
        own, classes = self._checked(ids, x, labels)
        held = self.scores if held_scores is None else np.asarray(held_scores, np.float64)
        new = np.asarray(scores, np.float64)
        for name, part, n in (("scores", new, len(own)), ("held_scores", held, len(self))):
            if part.shape != (n,):
                raise InvalidInput(f'"{name}" of update must have shape ({n},); got {part.shape}.')
        score = np.concatenate([held, new])
        score = np.where(_superseded(np.concatenate([self.ids, own])), np.nan, score)
        label = np.concatenate([self.labels, classes])
        known = ~np.isnan(score)
        self._check_classes(len(np.unique(label[known])))
        rank = np.full(len(score), np.nan)
        rank[known] = rankdata(score[known], method="ordinal")
        pool = Pool(len(score), distance=rank, label=label)
        rows = diverse("distance")(pool, min(self.size, int(known.sum()))).rows
        self._keep(rows, own, x, classes)
        self.scores = score[rows]

    def _check_classes(self, n_classes: int) -> None:
        if n_classes > self.size:
            raise InvalidInput(
                f"A memory of {self.size} rows cannot hold a row of each of {n_classes} classes."
            )


class Reservoir(_Memory):
    """Keep a uniform random sample of all rows of a stream [2]_.

    Parameters
    ----------
    size : int
    seed : int
    """

    def __init__(self, size: int, *, seed: int = 0) -> None:
        super().__init__(size)
        self._random = np.random.default_rng(seed)
        self._n_seen = 0

    def update(self, ids: ArrayLike, x: Array, labels: ArrayLike) -> None:
        """Let rows ``x`` (n, ...) of the stream pass; each is one draw, also where ids repeat."""
        own, classes = self._checked(ids, x, labels)
        rows = list(range(len(self)))
        for new in range(len(own)):
            self._n_seen += 1
            if len(rows) < self.size:
                rows.append(len(self) + new)
            elif (place := int(self._random.integers(self._n_seen))) < self.size:
                rows[place] = len(self) + new
        self._keep(np.array(rows, np.intp), own, x, classes)


def _superseded(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each id (k,) occurs again later."""
    _, last = np.unique(ids[::-1], return_index=True)
    again = np.ones(len(ids), np.bool_)
    again[len(ids) - 1 - last] = False
    return again
