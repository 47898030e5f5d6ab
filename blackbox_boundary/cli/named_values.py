"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

import ast
from typing import Any

import click

__all__ = ["named_values"]


def named_values(texts: tuple[str, ...]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts; a value that is a Python literal is that, any other is text."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise click.UsageError(f'"{text}" must read NAME=VALUE.')
        try:
            values[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            values[name] = value
    return values
