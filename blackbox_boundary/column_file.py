"""Descriptions of columns as TOML files.

They are written for people to edit; reading names every mistake.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from .column import Column
from .domain import Domain
from .errors import InvalidInput

__all__ = ["domain_text", "read_domain"]

_HEAD = """\
# What the columns of a table may hold, and which of them may change.
#
# kind     continuous, integer, ordinal or binary (values), one_hot (group), categorical (values)
# lowest   and highest: no value beyond them is tried
# scale    the unit of distance: a change by so much counts as 1
# frozen   true: the column never changes
# only     "rise" or "fall": it changes in this direction alone
# missing  true: the value may be missing, where the model takes that
"""

_SETTINGS = tuple(field.name for field in fields(Column))


def domain_text(domain: Domain, note: str = "") -> str:
    """A domain as TOML; ``note`` is a comment above it.

    Examples
    --------
    >>> print(domain_text(Domain((Column("age", "integer", 0, 120, scale=13.4),)))[-83:])
    [[column]]
    name = "age"
    kind = "integer"
    lowest = 0.0
    highest = 120.0
    scale = 13.4
    <BLANKLINE>
    """
    comment = "".join(f"# {line}\n" for line in note.splitlines())
    tables = (
        "".join(f"{name} = {_value(value)}\n" for name, value in column.facts().items())
        for column in domain.columns
    )
    return _HEAD + comment + "".join(f"\n[[column]]\n{table}" for table in tables)


def read_domain(path: str | Path) -> Domain:
    """The domain that a TOML file describes.

    Raises
    ------
    InvalidInput
        The file cannot be read, or a column has a setting that does not exist or is out of range.
    """
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(
            f'"{path}" cannot be read as a description of columns: {reason}'
        ) from None
    tables = content.pop("column", None)
    if content or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise InvalidInput(
            f'"{path}" must hold [[column]] tables and nothing else; '
            f"got {', '.join([*content, *(['column'] if tables else [])]) or 'nothing'}."
        )
    return Domain(tuple(_column(table, at, path) for at, table in enumerate(tables)))


def _column(table: dict[str, Any], at: int, path: str | Path) -> Column:
    unknown = [name for name in table if name not in _SETTINGS]
    whose = f'Column {table.get("name", at)!r} of "{path}"'
    if unknown or not isinstance(table.get("name"), str):
        raise InvalidInput(
            f"{whose} must have a name, and of the settings {', '.join(_SETTINGS)}; "
            f"got {', '.join(table)}."
        )
    numbers = [table.get(name, 0) for name in ("lowest", "highest", "scale")]
    is_typed = (
        all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
        and isinstance(table.get("values", []), list)
        and isinstance(table.get("frozen", False), bool)
        and isinstance(table.get("missing", False), bool)
        and isinstance(table.get("group", ""), str)
    )
    if not is_typed:
        raise InvalidInput(
            f'{whose} must have numbers for "lowest", "highest" and "scale", a list for "values", '
            f'true or false for "frozen" and "missing", a text for "group"; got {table}.'
        )
    return Column(**{**table, "values": tuple(table.get("values", ()))})


def _value(value: Any) -> str:
    """A TOML value; a JSON string is one, a JSON number too."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        return json.dumps(value)
    return repr(value)
