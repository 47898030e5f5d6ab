"""Messages of the command line: standard error, with control characters escaped."""

from __future__ import annotations

import click

from ..errors import BoundaryError, PredictorError
from ..printable import printable

__all__ = ["exit_code", "say"]

_BAD_INPUT, _MODEL_FAILED = 3, 4


def exit_code(error: BoundaryError) -> int:
    """The exit code that an error ends the command with."""
    return _MODEL_FAILED if isinstance(error, PredictorError) else _BAD_INPUT


def say(message: object) -> None:
    """Print a message; control characters quoted from data or servers are escaped."""
    click.echo(printable(message, keep="\n"), err=True)
