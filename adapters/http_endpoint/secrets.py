"""Keys that are used and never shown.

A secret is named by where it comes from (an environment variable, a file, a command), is read when
it is first needed, and appears nowhere: not in ``repr``, not in a pickle, not in an error, even
where a server echoes it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from blackbox_boundary.errors import InvalidInput

from .masking import Mask

__all__ = ["Secret"]

_COMMAND_TIMEOUT_S = 60.0
"""Seconds allowed for the command: long enough for a person to unlock a keyring."""


class Secret:
    """A header's value, made of a ``prefix`` (such as ``"Bearer "``) and what the source holds.

    Parameters
    ----------
    source : {"env", "file", "command"}
    name : str
        The variable, the path (``~`` is the home folder), or the command, which is run without a
        shell and prints the secret.
    """

    def __init__(self, source: str, name: str, *, prefix: str = "") -> None:
        if source not in ("env", "file", "command"):
            raise InvalidInput(
                'A secret must come from "env", "file" or "command", never from the text itself; '
                f'got "{source}".'
            )
        if prefix and (not prefix.isprintable() or prefix[0].isspace()):
            raise InvalidInput(
                'The "prefix" of a secret must be printable and not begin with a blank; got '
                f"{prefix!r}."
            )
        self._source, self._name, self._prefix = source, name, prefix
        self._value: str | None = None
        self._mask: Mask | None = None

    @classmethod
    def parse(cls, table: Mapping[str, Any]) -> Secret:
        """Read ``{env = "NAME", prefix = "Bearer "}``, or the same with ``file`` or ``command``.

        Raises
        ------
        InvalidInput
            No source, several, or an unknown key.
        """
        sources = [key for key in ("env", "file", "command") if key in table]
        if (
            len(sources) != 1
            or set(table) - {*sources, "prefix"}
            or not all(isinstance(value, str) for value in table.values())
        ):
            raise InvalidInput(
                'A secret must be a table of one of "env", "file", "command", and perhaps '
                '"prefix", all texts.'
            )
        return cls(sources[0], table[sources[0]], prefix=table.get("prefix", ""))

    def reveal(self) -> str:
        """The header's value.

        Raises
        ------
        InvalidInput
            The source is missing, empty, or holds more than one line.
        """
        if self._value is None:
            value = self._read().strip()
            if not value or not value.isprintable() or not value.isascii():
                raise InvalidInput(
                    f"The secret from {self} must be one line of printable ASCII; it is "
                    f"{'not' if value else 'empty'}."
                )
            self._value, self._mask = value, Mask(value, self._prefix)
        return self._prefix + self._value

    def masked(self, text: str) -> str:
        """The text without the secret, parts of it, and its encodings (:mod:`.masking`).

        Examples
        --------
        >>> secret = Secret("command", "echo correct-horse-battery")
        >>> _ = secret.reveal()
        >>> secret.masked("the key correct-horse-ba... is not known")
        'the key ***... is not known'
        """
        return text if self._mask is None else self._mask.masked(text)

    def _read(self) -> str:
        try:
            if self._source == "env":
                return os.environ[self._name]
            if self._source == "file":
                return Path(self._name).expanduser().read_text(encoding="utf-8")
            done = subprocess.run(  # noqa: S603 - the user's own command, run without a shell
                shlex.split(self._name),
                capture_output=True,
                check=True,
                timeout=_COMMAND_TIMEOUT_S,
                text=True,
            )
        except KeyError:
            raise InvalidInput(
                f"The environment variable {self._name} must hold the secret; it is not set."
            ) from None
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise InvalidInput(
                f"The secret from {self} cannot be read ({type(error).__name__})."
            ) from None
        return done.stdout

    def __str__(self) -> str:
        return (
            f"{self._source} {self._name}" if self._source != "command" else "what a command prints"
        )

    def __repr__(self) -> str:
        return f"Secret({self}, ***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not saved; save where it comes from.")
