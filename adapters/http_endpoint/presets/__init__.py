"""Descriptions of services by name.

Each is a small file with its source and the date it was checked.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from blackbox_boundary.errors import InvalidInput

__all__ = ["names", "with_preset"]

_TABLES = ("headers", "request", "answer", "transport")


def names() -> list[str]:
    """The names of all presets, sorted."""
    found = (file.name for file in files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def with_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an endpoint, completed from the preset that they name.

    Given settings take precedence.

    Raises
    ------
    InvalidInput
        There is no such preset.
    """
    values = dict(settings)
    name = values.pop("preset", None)
    if name is None:
        return values
    if name not in names():
        raise InvalidInput(f'"preset" must be one of {", ".join(names())}; got {name!r}.')
    known = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    del known["about"]
    for table in _TABLES:
        if isinstance(given := values.get(table), Mapping) and table in known:
            values[table] = {**known[table], **given}
    return {**known, **values}
