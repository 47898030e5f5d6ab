"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

import ast
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import click

__all__ = ["named_values", "without_query"]


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


def without_query(model: str) -> str:
    """The name of a model in results.

    In a URL, the values of the query are hidden, because they may be secret.

    Examples
    --------
    >>> without_query("https://host/score?deployment=blue"), without_query("model.onnx")
    ('https://host/score?deployment=***', 'model.onnx')
    """
    if not model.lower().startswith(("http://", "https://")):
        return model
    parts = urlsplit(model)
    names = (name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{name}=***" for name in names)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
