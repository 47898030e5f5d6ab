"""The command that repeats a run, without folders of this machine and without secrets."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import click
from click.core import ParameterSource

__all__ = ["repeating_command", "without_query"]

_LEFT_OUT = ("output", "resume", "overwrite", "no_progress", "dry_run", "report")
"""Options on the place of a run, not on its content."""

_HIDDEN = ("given",)
"""Options whose values may be secret: the name is kept, the value is not."""


def repeating_command(context: click.Context, model: str, data: str) -> str:
    """The command line of this run: file names without folders, addresses without their query."""
    words = ["blackbox-boundary", "measure"]
    if context.params.get("model") is not None:
        words += [_named(without_query(model)), _named(data)]
    for parameter in context.command.params:
        name = parameter.name or ""
        is_set = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if isinstance(parameter, click.Option) and is_set and name not in _LEFT_OUT:
            words += _option(parameter, context.params[name])
    return shlex.join(words)


def _option(option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [option.opts[0] if value or not option.secondary_opts else option.secondary_opts[0]]
    values = value if isinstance(value, tuple) else (value,)
    if option.name in _HIDDEN:
        values = tuple(f"{text.partition('=')[0]}=..." for text in values)
    return [word for text in values for word in (option.opts[0], _named(str(text)))]


def _named(text: str) -> str:
    """A path by its last part; everything else as it is."""
    return PurePath(text).name if "/" in text and "://" not in text else text


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
