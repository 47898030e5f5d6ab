"""Messages of the command line: standard error, with control characters escaped."""

from __future__ import annotations

import click

from ..errors import BoundaryError, PredictorError
from ..printable import printable

__all__ = ["BAD_INPUT", "exit_code", "out_of_memory", "say"]

BAD_INPUT, _MODEL_FAILED = 3, 4


def exit_code(error: BoundaryError) -> int:
    """The exit code that an error ends the command with."""
    return _MODEL_FAILED if isinstance(error, PredictorError) else BAD_INPUT


def out_of_memory(error: MemoryError) -> str:
    """The message for a process that may have no more memory."""
    said = f" ({error})" if str(error) else ""
    return (
        f"Error: this process may have no more memory{said}. A ledger (--ledger) keeps all answers "
        "so far. With --results parquet, --no-flip-points or a smaller --batch-size a run needs "
        "less; so do data in a .npy file, which is mapped."
    )


def say(message: object) -> None:
    """Print a message; control characters quoted from data or servers are escaped."""
    click.echo(printable(message, keep="\n"), err=True)
