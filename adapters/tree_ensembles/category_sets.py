"""Splits by sets of categories, as splits by thresholds.

A set is runs of consecutive categories. A number of one run lies between two thresholds, so a split
by a set is a chain of splits: before the first run, up to its end, before the second one, and so
on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Node", "runs_of", "split_by_runs"]


class Node(NamedTuple):
    """A split; or a leaf, whose column is -1."""

    column: int
    threshold: float
    left: int
    right: int
    missing_left: bool


def runs_of(members: NDArray[np.integer]) -> list[tuple[int, int]]:
    """First and last category of each run of consecutive ones, of a set in rising order.

    Examples
    --------
    >>> runs_of(np.array([0, 1, 5]))
    [(0, 1), (5, 5)]
    """
    runs = np.split(members, np.flatnonzero(np.diff(members) > 1) + 1)
    return [(int(run[0]), int(run[-1])) for run in runs if len(run)]


def split_by_runs(
    nodes: list[Node],
    at: int,
    ends: list[tuple[float, float]],
    *,
    inside: int,
    outside: int,
    missing_inside: bool,
) -> None:
    """Replace node ``at`` by a chain that sends rows of a set to one node, others to another.

    Parameters
    ----------
    nodes : list of Node
        Of one tree; the chain begins at ``at`` and goes on at the end of the list.
    ends : list of (float, float)
        Of each run the threshold before it, and the one behind it: a row goes left at a threshold
        if it is before the run, or not behind it.
    inside, outside : int
        The node of rows in a run, and of all others.
    missing_inside : bool
        Where rows without the value go.
    """
    column, place = nodes[at].column, at
    for number, (before, behind) in enumerate(ends):
        second, is_last = len(nodes), number == len(ends) - 1
        nodes[place] = Node(column, before, outside, second, not missing_inside)
        following = outside if is_last else second + 1
        nodes.append(Node(column, behind, inside, following, missing_left=True))
        if not is_last:
            place = second + 1
            nodes.append(nodes[second])  # replaced in the next round
    if not ends:
        nodes[at] = Node(column, np.inf, outside, inside, not missing_inside)
