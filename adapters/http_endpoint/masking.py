"""Find a secret in a text, whole or in part, as it is or as software writes it.

A server may echo a key, cut off, escaped, encoded, reversed or broken over lines; a library may
quote the header that holds it. A text is therefore searched in several *views*: as it is, with
escapes undone, without white space, and with letters and digits alone. Each view is searched for
pieces of the secret and of its encodings.
"""

from __future__ import annotations

import base64
import html
import itertools
import re
from collections.abc import Callable
from operator import itemgetter
from typing import NamedTuple

__all__ = ["Mask"]

_PIECE, _LOOSE_PIECE, _ENCODED_PIECE = 4, 6, 8
"""Characters in a row that are not shown: of the secret in plain view, in a view where
punctuation is left out, of an encoding of it. Shorter pieces would be found by chance in any
text."""
_MOST_ESCAPES = 3
"""Times that an escape is itself escaped: JSON in JSON in a Python repr."""

_ESCAPE = re.compile(
    r"%[0-9A-Fa-f]{2}|=[0-9A-F]{2}|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-7]{3}"
    r"|\\[\"'\\/abfnrtv]|&#[0-9]{1,7};|&#[xX][0-9A-Fa-f]{1,6};|&[a-zA-Z]{2,8};"
)


class _View(NamedTuple):
    """A reading of a text: characters, and where in the text each comes from."""

    characters: str
    spans: list[tuple[int, int]]


class Mask:
    """Replaces a secret by ``***`` wherever a text holds it.

    Parameters
    ----------
    value : str
        The secret; not empty.
    prefix : str
        What stands before it in a header: encodings of both together are found, too.

    Examples
    --------
    >>> mask = Mask("correct-horse-battery")
    >>> mask.masked("the key correct-horse-ba... is not known")
    'the key ***... is not known'
    >>> mask.masked("Basic Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5 failed")
    'Basic *** failed'
    """

    def __init__(self, value: str, prefix: str = "") -> None:
        whole = value.casefold()
        turned = whole[::-1]
        loose = [text for text in (_loose(whole), _loose(turned)) if len(text) >= _PIECE]
        encoded = [form for form in _encodings(value, prefix) if len(form) >= _PIECE]
        self._plain = _pieces([whole, turned], _PIECE)
        self._loose = _pieces(loose, _LOOSE_PIECE) + _pieces(encoded, _ENCODED_PIECE)

    def masked(self, text: str) -> str:
        """The text without the secret, its parts and its encodings."""
        hidden = [False] * len(text)
        view = _View(text, [(at, at + 1) for at in range(len(text))])
        for _ in range(_MOST_ESCAPES + 1):
            for other, pieces in (
                (view, self._plain),
                (_kept(view, lambda mark: not mark.isspace()), self._plain),
                (_kept(view, str.isalnum), self._loose),
            ):
                _hide(other, pieces, hidden)
            plainer = _unescaped(view)
            if plainer.characters == view.characters:
                break
            view = plainer
        runs = itertools.groupby(zip(text, hidden, strict=True), key=itemgetter(1))
        return "".join(
            "***" if is_hidden else "".join(mark for mark, _ in run) for is_hidden, run in runs
        )


def _encodings(value: str, prefix: str) -> list[str]:
    """The secret in the usual encodings, letters and digits alone, in small letters."""
    forms = set[str]()
    for text in (value, value[::-1], prefix + value):
        raw = text.encode()
        forms |= {
            raw.hex(),
            raw[::-1].hex(),
            "".join(map(str, raw)),
            base64.b32encode(raw).decode(),
        }
        for shift in range(
            3
        ):  # inside a longer text, such as USER:KEY, the groups of three lie elsewhere
            aligned = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
            forms.add(aligned[(0, 2, 3)[shift] : len(aligned) - 1])
    return [_loose(form.casefold()) for form in forms]


def _pieces(texts: list[str], length: int) -> list[frozenset[str]]:
    """All runs of so many characters of each text, or the text where it is shorter."""
    return [
        frozenset(text[first : first + length] for first in range(max(1, len(text) - length + 1)))
        for text in texts
    ]


def _hide(view: _View, pieces: list[frozenset[str]], hidden: list[bool]) -> None:
    """Mark where the view holds any of the pieces."""
    characters = view.characters.casefold()
    if len(characters) != len(view.characters):  # a letter that folds to two stays as it is
        folded = (mark.casefold() for mark in view.characters)
        characters = "".join(
            small if len(small) == 1 else mark
            for mark, small in zip(view.characters, folded, strict=True)
        )
    for group in pieces:
        length = len(next(iter(group)))
        for first in range(len(characters) - length + 1):
            if characters[first : first + length] in group:
                start, end = view.spans[first][0], view.spans[first + length - 1][1]
                hidden[start:end] = [True] * (end - start)


def _kept(view: _View, keep: Callable[[str], bool]) -> _View:
    """The characters for which ``keep`` is true."""
    chosen = [at for at, mark in enumerate(view.characters) if keep(mark)]
    return _View("".join(view.characters[at] for at in chosen), [view.spans[at] for at in chosen])


def _unescaped(view: _View) -> _View:
    """Each escape sequence as the character it stands for."""
    characters, spans, at = list[str](), list[tuple[int, int]](), 0
    for found in _ESCAPE.finditer(view.characters):
        characters += view.characters[at : found.start()]
        spans += view.spans[at : found.start()]
        at = found.end()
        meant = _meaning(found[0])
        characters += meant
        spans += [(view.spans[found.start()][0], view.spans[at - 1][1])] * len(meant)
    return _View("".join([*characters, *view.characters[at:]]), [*spans, *view.spans[at:]])


def _meaning(escape: str) -> str:
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] in "%=":
        return chr(int(escape[1:], 16))
    if escape[1] in "uUx":
        digits = escape[2:]
        return chr(int(digits, 16)) if int(digits, 16) < 0x110000 else escape
    if escape[1].isdigit():
        return chr(int(escape[1:], 8))
    return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[1], escape[1])


def _loose(text: str) -> str:
    return "".join(filter(str.isalnum, text))
