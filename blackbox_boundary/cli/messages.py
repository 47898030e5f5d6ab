"""Messages of the command line: standard error, with control characters escaped."""

from __future__ import annotations

import click

from ..printable import printable

__all__ = ["say"]


def say(message: object) -> None:
    """Print a message; what it quotes from data or servers cannot steer the terminal."""
    click.echo(printable(message, keep="\n"), err=True)
