"""Text from data files and servers, made safe to print on a terminal or to show on a page."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]


def printable(text: object, *, keep: str = "") -> str:
    r"""Escape what is not printable: control characters, bidirectional overrides, lone surrogates.

    A terminal obeys escape sequences, and reorders what follows a bidirectional override; both
    can come with a table's cell, a file's name or a server's metadata [1]_.

    Parameters
    ----------
    text : object
        Printed as ``str`` prints it.
    keep : str
        Characters that stay as they are, such as ``"\n"`` in a message of several lines.

    References
    ----------
    .. [1] CWE-150, "Improper Neutralization of Escape, Meta, or Control Sequences".

    Examples
    --------
    >>> print(printable("a\x1b[2Jb é"))
    a\x1b[2Jb é
    """
    return "".join(
        character if _is_harmless(character) or character in keep else _escaped(character)
        for character in str(text)
    )


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
