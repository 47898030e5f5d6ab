"""The text of one row in a body.

It is a template with places for numbers, filled for many rows by one formatting operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput

from ..wire import nested_format, verb_of
from .encodings import Encoding

__all__ = ["EncodedRows", "Inputs", "RowText", "RowWriter", "expanded"]

_PLACE = re.compile(r'\$row\b(?:\[(?:(\d+)|"([^"]*)"|([^\]"]+))\])?')


@dataclass(frozen=True)
class Inputs:
    """The numbers of a row.

    Attributes
    ----------
    names : tuple of str
        One for each; or empty.
    words : mapping of int to tuple of str
        By position, what is written for the numbers 0, 1, ... of a column of texts.
    """

    names: tuple[str, ...] = ()
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


_NO_INPUTS = Inputs()


class RowWriter(Protocol):
    """Writes rows one after the other."""

    def lines(self, sent: NDArray[Any], separator: str) -> bytes:
        """The rows (n, ...), with a separator between them."""
        ...


@dataclass(frozen=True)
class RowText:
    """A row as a ``%`` format.

    Floats are written with a point, or an exponent, also where they are whole: for many servers
    ``2`` is an integer, and a row of integers is another array (findings/README.md).

    Attributes
    ----------
    format, of_texts : str
        With places for numbers, and for the same numbers as texts.
    verb : str
        How a number is written.
    order : tuple of int, or None
        Positions in the flattened row, in the order of the format's places; None: each once, in
        order.
    words : mapping of int to tuple of str
        By the number of the place, the words that the numbers of a column of texts stand for.
    """

    format: str
    of_texts: str
    verb: str
    order: tuple[int, ...] | None = None
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        template: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        inputs: Inputs = _NO_INPUTS,
    ) -> RowText:
        """Read a template.

        ``$row`` is the whole row as nested lists; ``$row[2]`` or ``$row[NAME]`` is one of its
        numbers.

        Raises
        ------
        InvalidInput
            The template has no place for the row, or holds a number or name that the row does not
            have.
        """
        verb = verb_of(dtype)
        size, order, parts, at = prod(shape), list[int](), list[tuple[str, str]](), 0
        for found in _PLACE.finditer(template):
            parts.append((_literal(template[at : found.start()]),) * 2)
            at = found.end()
            number, quoted, bare = found.groups()
            if number is None and (name := quoted if quoted is not None else bare) is None:
                parts.append((nested_format(shape, verb), nested_format(shape, "%s")))
                order += range(size)
                continue
            index = int(number) if number is not None else _index(name, inputs.names)
            if index >= size:
                raise InvalidInput(
                    f'"{found[0]}" of a body must be one of the {size} numbers of a row, from 0.'
                )
            parts.append((verb, "%s"))
            order.append(index)
        if not order:
            raise InvalidInput(
                f"A body must hold $rows, $row, or numbers of a row; got {template!r}."
            )
        parts.append((_literal(template[at:]),) * 2)
        of_numbers, of_texts = map("".join, zip(*parts, strict=True))
        words = {place: inputs.words[at] for place, at in enumerate(order) if at in inputs.words}
        if order == list(range(size)):
            return cls(of_numbers, of_texts, verb, None, words)
        return cls(of_numbers, of_texts, verb, tuple(order), words)

    def lines(self, sent: NDArray[Any], separator: str) -> bytes:
        """The rows (n, ...), with a separator between them."""
        flat = sent.reshape(len(sent), -1)
        flat = flat if self.order is None else flat[:, self.order]
        values = flat.reshape(-1)
        whole = np.flatnonzero(values == np.rint(values)) if values.dtype.kind == "f" else ()
        if not len(whole) and not self.words:
            return (separator.join([self.format] * len(sent)) % tuple(values.tolist())).encode()
        texts = list(map(self.verb.__mod__, values.tolist()))
        for at in whole:
            if "e" not in texts[at]:
                texts[at] += ".0"
        for place, words in self.words.items():
            texts[place :: flat.shape[1]] = [words[int(at)] for at in flat[:, place]]
        return (separator.join([self.of_texts] * len(sent)) % tuple(texts)).encode()


@dataclass(frozen=True)
class EncodedRows:
    """Rows as texts of encoded bytes, with something around each."""

    encoding: Encoding
    before: str
    after: str

    @classmethod
    def of(cls, template: str, encoding: Encoding) -> EncodedRows:
        """Read a template that contains ``$row`` once.

        Raises
        ------
        InvalidInput
            The template does not contain it once.
        """
        before, place, after = template.partition("$row")
        if not place or "$row" in after or after.startswith("["):
            raise InvalidInput(
                f'A body of rows encoded as "{encoding.name}" must hold $row once for a row; got '
                f"{template!r}."
            )
        return cls(encoding, before, after)

    def lines(self, sent: NDArray[Any], separator: str) -> bytes:
        """The rows (n, ...), with a separator between them."""
        before, after = self.before.encode(), self.after.encode()
        texts = (before + self.encoding.row_json(row) + after for row in sent)
        return separator.encode().join(texts)


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def expanded(template: str, columns: Sequence[str]) -> str:
    """Replace ``$columns`` and ``$record`` in a template.

    ``$columns`` becomes the list of names, ``$record`` an object of names and numbers.

    Raises
    ------
    InvalidInput
        The template holds one of them, and no names are given.

    Examples
    --------
    >>> expanded('{"names": $columns, "row": $record}', ["age", "sum"])
    '{"names": ["age", "sum"], "row": {"age": $row[0], "sum": $row[1]}}'
    """
    if not columns and re.search(r"\$(columns|record)\b", template):
        raise InvalidInput(
            'A body with $columns, $record or $records needs the names of the inputs: "columns" '
            "in [request]."
        )
    names = [json.dumps(name).replace("$", "\\u0024") for name in columns]
    record = ", ".join(f"{name}: $row[{at}]" for at, name in enumerate(names))
    template = re.sub(r"\$columns\b", lambda _: f"[{', '.join(names)}]", template)
    return re.sub(r"\$record\b", lambda _: f"{{{record}}}", template)


def _index(name: str, columns: Sequence[str]) -> int:
    if name not in columns:
        known = ", ".join(columns[:20]) or "none"
        raise InvalidInput(
            f'"$row[{name}]" of a body must name one of the "columns" of [request]: {known}.'
        )
    return list(columns).index(name)
