"""Roles of the columns of a table: inputs, labels, ids, left out; texts as categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput
from ..frames import is_missing, numbered
from ..predictor import Real
from ..printable import printable

__all__ = ["Choice", "Roles", "categories_of", "listed", "numbers_of_texts", "what_to_do"]

_LABEL_COLUMN = "label"

_FEW = 50
"""So many different texts are always taken for categories."""


@dataclass(frozen=True)
class Choice:
    """Columns as the caller names them.

    Attributes
    ----------
    labels : str, optional
        Holds the labels. Default: the column ``label``, if there is one; ``"none"``: that column
        is left out.
    ids : str, optional
        Names the rows. Default: the index column, if there is one.
    drop : tuple of str
        Left out.
    use : tuple of str, optional
        The inputs, in this order. Default: all other columns, in the order of the table.
    texts : mapping of str to sequence of str
        The categories of inputs that hold texts: these become their numbers, from 0. None: those
        that occur.
    finds_texts : bool
        Whether inputs that hold anything but numbers become numbers of the categories found in
        them, in alphabetical order.
    """

    labels: str | None = None
    ids: str | None = None
    drop: tuple[str, ...] = ()
    use: tuple[str, ...] | None = None
    texts: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    finds_texts: bool = False

    @property
    def needs_table(self) -> bool:
        """Whether it names roles that only tables have."""
        return bool(self.ids is not None or self.drop or self.use is not None)


@dataclass(frozen=True)
class Roles:
    """Positions of the columns of one table by what they hold."""

    names: tuple[str, ...]
    inputs: tuple[int, ...]
    labels: int | None
    ids: int | None
    dropped: tuple[int, ...]
    index: tuple[int, ...]

    @classmethod
    def of(
        cls, names: Sequence[str], choice: Choice, path: Path, index: Sequence[int] = ()
    ) -> Roles:
        """Assign the columns ``names`` of ``path``; those at ``index`` are no inputs by default.

        Raises
        ------
        InvalidInput
            A column is named that does not exist, exists twice, or is given two roles; or no
            column is left for the inputs.
        """
        at = {name: _place(names, name, path) for name in _named(choice)}
        labels = None if choice.labels in (None, "none") else at[str(choice.labels)]
        ids = None if choice.ids is None else at[choice.ids]
        dropped = [at[name] for name in choice.drop]
        used = None if choice.use is None else [at[name] for name in choice.use]
        taken = [*dropped, *(used or ()), *(place for place in (labels, ids) if place is not None)]
        for place in taken:
            if taken.count(place) > 1:
                raise InvalidInput(
                    f'Column "{names[place]}" of "{path}" must have one role: input (use), labels, '
                    "id, or left out (drop); it was given two."
                )
        if labels is None and names.count(_LABEL_COLUMN) == 1:
            default = names.index(_LABEL_COLUMN)
            if default not in taken:
                taken.append(default)
                labels = None if choice.labels == "none" else default
        index = tuple(place for place in index if place not in taken)
        if used is None:
            used = [place for place in range(len(names)) if place not in {*taken, *index}]
        if not used:
            raise InvalidInput(f'"{path}" must have a column of inputs; it has {listed(names)}.')
        out = (place for place in range(len(names)) if place not in {*used, *index, labels, ids})
        return cls(tuple(names), tuple(used), labels, ids, tuple(out), index)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in their order."""
        return tuple(self.names[place] for place in self.inputs)

    @property
    def row_names(self) -> int | None:
        """The column whose values name the rows."""
        return self.ids if self.ids is not None or len(self.index) != 1 else self.index[0]

    def facts(self) -> dict[str, object]:
        """For the source of the data: JSON types, empty roles left out."""
        roles: dict[str, object] = {
            "labels": None if self.labels is None else self.names[self.labels],
            "id": None if self.ids is None else self.names[self.ids],
            "index": [self.names[place] for place in self.index],
            "left_out": [self.names[place] for place in self.dropped],
        }
        return {role: value for role, value in roles.items() if value}


def _named(choice: Choice) -> set[str]:
    named = {*choice.drop, *(choice.use or ())}
    return named | {
        name for name in (choice.labels, choice.ids) if name is not None and name != "none"
    }


def _place(names: Sequence[str], name: str, path: Path) -> int:
    if name not in names:
        raise InvalidInput(f'"{path}" has no column "{name}"; it has {listed(names)}.')
    if list(names).count(name) > 1:
        raise InvalidInput(f'"{path}" has two columns "{name}"; names that are used must differ.')
    return list(names).index(name)


def listed(names: Sequence[str]) -> str:
    """All of up to twelve names; of more, the first eight, the last two, and how many there are.

    Examples
    --------
    >>> listed(["age", "height"]), listed([str(k) for k in range(100)])
    ('age, height', '0, 1, 2, 3, 4, 5, 6, 7, ..., 98, 99 (100 columns)')
    """
    if len(names) <= 12:
        return ", ".join(names)
    return f"{', '.join(names[:8])}, ..., {', '.join(names[-2:])} ({len(names):,} columns)"


def what_to_do(column: str) -> str:
    """Advice for a column that holds no numbers."""
    return (
        f'Leave the column out (--drop "{column}", in Python drop=["{column}"]), read it as labels '
        "or id, encode it as numbers first, or, where the model takes texts, list its categories: "
        '"blackbox-boundary columns" describes them for --columns.'
    )


def numbers_of_texts(
    name: str, values: Sequence[Any], known: Sequence[str] | None, path: Path
) -> tuple[Real, tuple[str, ...]]:
    """Numbers (n,) of the categories in a column, and the categories; NaN where a value is missing.

    ``known`` are the categories; None: those that occur, in alphabetical order.

    Raises
    ------
    InvalidInput
        A value is none of the known categories; or most rows have a text of their own.
    """
    held = np.empty(len(values), object)
    held[:] = values
    if known is None:
        known = categories_of(name, [values], len(values), path)
    return numbered(name, held, known), tuple(known)


def categories_of(
    name: str, blocks: Iterable[Iterable[Any]], n_rows: int, path: Path
) -> tuple[str, ...]:
    """The texts that occur in the blocks of a column, in alphabetical order.

    Raises
    ------
    InvalidInput
        More than half of the rows, and more than fifty, have a text of their own.
    """
    found: set[str] = set()
    for values in blocks:
        found |= {str(value) for value in values if not is_missing(value)}
        if len(found) > max(_FEW, n_rows // 2):
            raise InvalidInput(
                f'Column "{printable(name)}" of "{path}" holds {len(found):,} different texts in '
                f'{n_rows:,} rows, such as "{printable(min(found))[:40]}": these are no '
                f'categories. Leave it out (--drop "{printable(name)}") or read it as the names of '
                f'the rows (--id "{printable(name)}").'
            )
    return tuple(sorted(found))
