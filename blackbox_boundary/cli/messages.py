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
    """Print a message; what it quotes from data or servers cannot steer the terminal."""
    click.echo(printable(message, keep="\n"), err=True)
