"""Permissions of an endpoint's description on the machine where it is read.

A description is a file, and files are passed on. A description that names a command runs it; one
that names a file or an environment variable sends its content to a host that the description
chooses. The user allows each of them by name. Variables are also allowed in descriptions that only
the user can have written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackbox_boundary.errors import InvalidInput

__all__ = ["Permissions"]

_TRANSPORT_FILES = ("ca_file", "client_cert", "client_key")


@dataclass(frozen=True)
class Permissions:
    """Permissions given by name.

    Attributes
    ----------
    command, aws : bool
    files : frozenset of Path
    variables : frozenset of str
    """

    command: bool = False
    aws: bool = False
    files: frozenset[Path] = frozenset()
    variables: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allowed: Iterable[str]) -> Permissions:
        """Read ``command``, ``aws``, ``file:PATH`` and ``env:NAME``.

        Raises
        ------
        InvalidInput
            Anything else.
        """
        texts = [allowed] if isinstance(allowed, str) else list(allowed)
        files, variables = set[Path](), set[str]()
        for text in texts:
            kind, _, name = text.partition(":")
            if kind == "file" and name:
                files.add(_real(name))
            elif kind == "env" and name:
                variables.add(name)
            elif text not in ("command", "aws"):
                raise InvalidInput(
                    f'"allow" must be command, aws, file:PATH or env:NAME; got {text!r}.'
                )
        return cls("command" in texts, "aws" in texts, frozenset(files), frozenset(variables))

    def check(self, settings: Mapping[str, Any], description: Path) -> None:
        """Refuse a description that uses what was not allowed; nothing is read, run or sent.

        Parameters
        ----------
        settings : mapping
            Those that come from the file.
        description : path

        Raises
        ------
        InvalidInput
            A command, AWS credentials, a file, or a variable named by a file that others can write.
        """
        if "aws" in settings and not self.aws:
            raise InvalidInput(_refusal(description, "sign requests with AWS credentials", "aws"))
        for value in _table(settings, "headers").values():
            if not isinstance(value, Mapping):
                continue
            if "command" in value and not self.command:
                raise InvalidInput(_refusal(description, "run a command", "command"))
            if isinstance(name := value.get("file"), str):
                self._check_file(name, description)
            if isinstance(name := value.get("env"), str):
                self._check_variable(name, description)
        for key in _TRANSPORT_FILES:
            if isinstance(name := _table(settings, "transport").get(key), str):
                self._check_file(name, description)

    def _check_file(self, name: str, description: Path) -> None:
        if _real(name) not in self.files:
            raise InvalidInput(_refusal(description, f'use the file "{name}"', f"file:{name}"))

    def _check_variable(self, name: str, description: Path) -> None:
        if name not in self.variables and not _is_private(description):
            raise InvalidInput(
                _refusal(description, f"send the environment variable {name}", f"env:{name}")
                + " Or keep the description, as a file of your own, in a folder that only you "
                "can write."
            )


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of a file; another value is refused later, by the table's reader."""
    table = settings.get(name)
    return table if isinstance(table, Mapping) else {}


def _refusal(description: Path, what: str, allowed: str) -> str:
    return (
        f'The description "{description}" would {what}. Allow it where you trust the file: '
        f'--allow {allowed}, in Python load(..., allow=["{allowed}"]).'
    )


def _real(name: str) -> Path:
    return Path(name).expanduser().resolve()


def _is_private(description: Path) -> bool:
    """Whether only the current user or root can have written a file or put it where it is.

    Folders above may be open to others where these cannot rename what is not theirs (the sticky bit
    of /tmp).
    """
    if not hasattr(os, "geteuid"):  # there the owner and the mode say nothing
        return False
    path = description.resolve()
    try:
        is_own = _only_ours(path.stat()) and _only_ours(path.parent.stat())
        above = [folder.stat() for folder in path.parent.parents]
    except OSError:
        return False
    return is_own and all(
        _only_ours(folder) or (_is_ours(folder) and folder.st_mode & stat.S_ISVTX)
        for folder in above
    )


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid())


def _only_ours(found: os.stat_result) -> bool:
    writable_by_group = found.st_mode & stat.S_IWGRP and not _is_private_group(found.st_gid)
    return _is_ours(found) and not found.st_mode & stat.S_IWOTH and not writable_by_group


def _is_private_group(group: int) -> bool:
    """Whether a group has no member but this user.

    Many systems make such a group for each user.
    """
    import grp
    import pwd

    try:
        me = pwd.getpwuid(os.geteuid())
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        return False
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == group}
    return members <= {me.pw_name}
