"""Shards: contiguous, equal ranges of the rows of a data set, measured apart and merged.

A row's answer depends on its id, its content and the settings alone, so a shard needs no result of
the others. The edge of a shard is always the edge of a block: calls never mix rows of two shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import InvalidInput
from ..inputs import is_whole

__all__ = ["Part", "Shard", "shard_edges"]


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``n_shards`` ranges, counted from 1.

    Raises
    ------
    InvalidInput
        The numbers are not whole, or not 1 <= number <= n_shards.

    Examples
    --------
    >>> [Shard(k, 3).rows(10) for k in (1, 2, 3)]
    [range(0, 4), range(4, 7), range(7, 10)]
    """

    number: int
    n_shards: int

    def __post_init__(self) -> None:
        whole = is_whole(self.number) and is_whole(self.n_shards)
        if not (whole and 1 <= self.number <= self.n_shards):
            raise InvalidInput(
                'A shard is the K-th of N, 1 <= K <= N, such as "2/5"; '
                f"got {self.number}/{self.n_shards}."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"K/N"``.

        Raises
        ------
        InvalidInput
            The text has another form.
        """
        number, slash, n_shards = text.partition("/")
        if not (slash and number.strip().isdecimal() and n_shards.strip().isdecimal()):
            raise InvalidInput(f'A shard is written K/N, such as "2/5"; got "{text}".')
        return cls(int(number), int(n_shards))

    def rows(self, n: int) -> range:
        """The rows of this shard among ``n``; shards differ by one row at most.

        Raises
        ------
        InvalidInput
            There are more shards than rows.
        """
        edges = shard_edges(n, self.n_shards)
        return range(edges[self.number - 1], edges[self.number])

    def facts(self, n: int) -> dict[str, Any]:
        """The shard for the facts of a run over ``n`` rows; JSON types."""
        return {
            "number": self.number,
            "of": self.n_shards,
            "first_row": self.rows(n).start,
            "n_rows": n,
        }


def shard_edges(n: int, n_shards: int) -> list[int]:
    """Where the ``n_shards`` ranges of ``n`` rows begin, and where the last ends.

    Raises
    ------
    InvalidInput
        There are more shards than rows, or no shard.
    """
    if not (is_whole(n_shards) and 1 <= n_shards <= max(n, 1)):
        raise InvalidInput(f"{n:,} rows make 1 to {n:,} shards; got {n_shards}.")
    size, longer = divmod(n, n_shards)
    return [k * size + min(k, longer) for k in range(n_shards + 1)]


@dataclass(frozen=True)
class Part:
    """The rows that one run measures, and the edges of the shards among them.

    Attributes
    ----------
    first_row, end : int
        Range of the rows in the whole data set.
    edges : list of int
        Where shards begin, counted from ``first_row``.
    """

    first_row: int
    end: int
    edges: list[int]
    shards: dict[str, Any]

    @classmethod
    def of(cls, n: int, shard: Shard | tuple[int, int] | None, n_shards: int) -> Self:
        """One shard of ``n`` rows, or all of them with the edges of ``n_shards``.

        Raises
        ------
        InvalidInput
            More shards than rows, a shard that there is not, or both settings.
        """
        if shard is None:
            edges = shard_edges(n, n_shards)
            return cls(0, n, edges[:-1], {} if n_shards == 1 else {"n_shards": n_shards})
        if n_shards != 1:
            raise InvalidInput('"shard" already says of how many; leave "n_shards" out.')
        shard = _as_shard(shard)
        rows = shard.rows(n)
        return cls(rows.start, rows.stop, [0], {"shard": shard.facts(n)})

    @property
    def rows(self) -> range:
        """The rows, by their number in the whole data set."""
        return range(self.first_row, self.end)

    def facts(self) -> dict[str, Any]:
        """For the facts of the run; nothing where the data are measured whole and at once."""
        return dict(self.shards)

    def check_resumed(self, earlier: Mapping[str, Any]) -> None:
        """Refuse to continue a run of other rows of the data.

        Raises
        ------
        InvalidInput
            The ``earlier`` run measured another shard, or no shard.
        """
        before, now = earlier.get("shard"), self.shards.get("shard")
        if before != now:
            raise InvalidInput(
                f'"resume" must hold a run of the same rows: it holds {_called(before)}, and '
                f"{_called(now)} would be measured now. Nothing was sent."
            )


def _called(shard: Mapping[str, Any] | None) -> str:
    """A shard by its facts, as messages name it."""
    return "all rows" if shard is None else f"shard {shard['number']}/{shard['of']}"


def _as_shard(shard: Any) -> Shard:
    if isinstance(shard, Shard):
        return shard
    if isinstance(shard, tuple) and len(shard) == 2:
        return Shard(*shard)
    raise InvalidInput(f'"shard" must be (K, N), two whole numbers; got {shard!r}.')
