"""Text from data files and servers, made safe to print on a terminal or to show on a page."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]


def printable(text: object, *, keep: str = "") -> str:
    r"""Escape unprintable characters: control characters, bidirectional overrides, lone surrogates.

    A terminal executes escape sequences, and reorders text after a bidirectional override. Both can
    occur in a cell of a table, the name of a file or the metadata of a server [1]_.

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
