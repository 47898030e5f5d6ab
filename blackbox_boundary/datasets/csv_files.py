"""Tables as text, one row a line: ``.csv`` and ``.tsv``."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from .columns import Choice, Roles, numbers_of_texts, what_to_do
from .data import Raw

__all__ = ["read_csv"]

Line: TypeAlias = tuple[int, list[str]]
"""The number of a line in its file, and its fields."""

_TRUTH = {"true": 1.0, "false": 0.0}


def read_csv(path: Path, choice: Choice | None = None) -> Raw:
    """Read a table of numbers.

    Fields are separated by commas; by semicolons or tabs where the first line has them, and tabs
    in a ``.tsv``. Where they are not separated by commas, numbers may have decimal commas. A first
    line with anything but numbers names the columns. Columns of texts are numbers of categories,
    where ``choice`` names or finds them. ``True`` and ``False`` are 1 and 0; an empty
    field is NaN. A first column without a name is an index, as pandas writes it: it names the rows
    and is no input.

    Raises
    ------
    InvalidInput
        A line has too few or too many fields, a field is not a number, or a column is named that
        is not there: the message says where.
    """
    choice = choice or Choice()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = "\t" if path.suffix.lower() == ".tsv" else _separator(file)
            numbers = _Numbers(path, separator)
            if choice.finds_texts:
                found = _text_columns(_lines(file, separator), numbers)
                choice = replace(choice, texts=dict.fromkeys(found))
                file.seek(0)
            return _parse(_lines(file, separator), path, choice, numbers)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f'"{path}" cannot be read as CSV: {error}') from error


def _lines(file: TextIO, separator: str) -> Iterator[Line]:
    """The lines that hold fields."""
    lines = csv.reader(file, delimiter=separator, strict=True)
    return ((lines.line_num, fields) for fields in lines if fields)


def _separator(file: TextIO) -> str:
    """The separator of the first line, quoted text aside."""
    first = next((line for line in file if line.strip()), "")
    file.seek(0)
    bare = "".join(first.split('"')[::2])
    if ";" in bare:
        return ";"
    return "\t" if "\t" in bare and "," not in bare else ","


class _Numbers:
    """Fields as numbers, with one decimal mark in the whole table."""

    def __init__(self, path: Path, separator: str) -> None:
        self._path, self._commas_allowed = path, separator != ","
        self._with_comma, self._with_point = "", ""

    def is_number(self, text: str) -> bool:
        """Whether a field holds a number, a truth value, or nothing."""
        return not text or text.isspace() or self._value(text) is not None

    def row(self, fields: list[str], names: tuple[str, ...], line: int) -> NDArray[np.float64]:
        """The numbers of a line; ``names`` are those of the fields, for the message."""
        try:
            values = [_plain(text) for text in fields]
        except ValueError:
            values = [self._field(*cell, line) for cell in zip(fields, names, strict=True)]
        if self._commas_allowed:
            self._check_marks(fields)
        return np.array(values)

    def _field(self, text: str, name: str, line: int) -> float:
        value = np.nan if not text or text.isspace() else self._value(text)
        if value is None:
            raise self._no_number(name, line, text)
        return value

    def _value(self, text: str) -> float | None:
        """The value of a field; None where it is no number."""
        plain = text.strip()
        if plain.lower() in _TRUTH:
            return _TRUTH[plain.lower()]
        if self._commas_allowed and plain.count(",") == 1 and "." not in plain:
            plain = plain.replace(",", ".")
        try:
            return _plain(plain)
        except ValueError:
            return None

    def _check_marks(self, fields: list[str]) -> None:
        """Raise for 1,5 beside 1.234, which have different decimal marks."""
        for text in fields:
            if "," in text:
                self._with_comma = self._with_comma or text
            elif "." in text:
                self._with_point = self._with_point or text
        if self._with_comma and self._with_point:
            raise InvalidInput(
                f'"{self._path}" must have one decimal mark; it has '
                f'"{self._with_comma[:40]}" and "{self._with_point[:40]}".'
            )

    def _no_number(self, name: str, line: int, text: str) -> InvalidInput:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        return InvalidInput(
            f'Column "{name}" of "{self._path}" must hold numbers; line {line} has "{shown}". '
            f"{what_to_do(name)}"
        )


def _text_columns(lines: Iterator[Line], numbers: _Numbers) -> list[str]:
    """Names of the columns with a field, below the header, that is no number."""
    _, header = next(lines, (0, []))
    left = dict(enumerate(_names(header)))
    found: dict[int, str] = {}
    for _, fields in lines:
        texts = [at for at in left if at < len(fields) and not numbers.is_number(fields[at])]
        found |= {at: left.pop(at) for at in texts}
    return [found[at] for at in sorted(found)]


def _plain(text: str) -> float:
    """A number as tables write it; Python's own underscores make an identifier, not a number."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _parse(lines: Iterator[Line], path: Path, choice: Choice, numbers: _Numbers) -> Raw:
    first = next(lines, None)
    if first is None:
        raise InvalidInput(f'"{path}" must hold at least one row; it is empty.')
    has_header = not all(numbers.is_number(text) for text in first[1])
    names = _names(first[1]) if has_header else [str(at) for at in range(len(first[1]))]
    unnamed = has_header and not first[1][0].strip()
    roles = Roles.of(names, choice, path, index=[0] if unnamed else [])
    rows, labels, row_names, index = [], [], [], []
    texts: dict[int, list[str | None]] = {
        place: [] for place, name in enumerate(roles.input_names) if name in choice.texts
    }
    for line, fields in lines if has_header else itertools.chain([first], lines):
        if len(fields) != len(names):
            raise InvalidInput(
                f'Line {line} of "{path}" must have {len(names)} fields; got {len(fields)}.'
            )
        if roles.labels is not None:
            labels.append(fields[roles.labels].strip())
        if roles.row_names is not None:
            row_names.append(fields[roles.row_names].strip())
        if roles.index:
            index.append(fields[0].strip())
        inputs = [fields[at] for at in roles.inputs]
        for place, held in texts.items():
            held.append(sys.intern(inputs[place].strip()) or None)
            inputs[place] = ""
        rows.append(numbers.row(inputs, roles.input_names, line))
    if roles.index:
        _check_index(index, names[0], path)
    values = np.array(rows) if rows else np.empty((0, len(roles.inputs)))
    categories: dict[str, tuple[str, ...]] = {}
    for place, held in texts.items():
        name = roles.input_names[place]
        values[:, place], categories[name] = numbers_of_texts(name, held, choice.texts[name], path)
    return Raw(
        values,
        None if roles.labels is None else np.array(labels, np.str_),
        source=roles.facts(),
        columns=roles.input_names if has_header else None,
        ids=None if roles.row_names is None else np.array(row_names, np.str_),
        texts=categories,
    )


def _names(header: list[str]) -> list[str]:
    """Names of the columns; one without a name gets the name that pandas gives it."""
    return [name.strip() or f"Unnamed: {at}" for at, name in enumerate(header)]


def _check_index(values: list[str], name: str, path: Path) -> None:
    """Raise if a first column without a name may hold inputs and would be left out."""
    is_index = len(set(values)) == len(values) and not any(_is_fraction(text) for text in values)
    if not is_index:
        raise InvalidInput(
            f'The first column of "{path}" has no name, and its values do not number the rows. '
            f'Give it a name, leave it out (--drop "{name}"), or name all inputs (--use).'
        )


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except ValueError:
        return False
