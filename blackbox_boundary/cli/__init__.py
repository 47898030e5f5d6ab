"""The command line: results on standard output, messages on standard error.

Exit codes: 0 everything was measured; 2 the command line is wrong; 3 the input is (a file, a shape,
a setting), nothing was sent; 4 the model failed; 5 the query limit ended some rows; 6 certificates
were withdrawn; 7 and 8 a threshold of ``--fail-if`` fails or is open; 130 interrupted. After 4, 5
and 130 the output folder holds what was measured.
"""

from __future__ import annotations

import errno
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..errors import BoundaryError
from ..processes import keep_freed_memory
from .batch_scoring import batch
from .columns import columns
from .compare import compare
from .estimators import estimators
from .evidence import evidence
from .gradient import gradient
from .label_issues import label_issues
from .ledger import ledger
from .measure import measure
from .merge import merge_runs
from .messages import BAD_INPUT, exit_code, out_of_memory, say
from .probe import probe
from .report import report
from .reproduce import reproduce
from .worst import worst

__all__ = ["main"]


class _Commands(click.Group):
    """Turn the package's own errors, and those of files, into a message and an exit code.

    Any other exception is a bug and shows its traceback. A closed pipe is left to click.
    """

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings(), _messages_of_the_package():
            warnings.showwarning = _warn
            try:
                return super().invoke(ctx)
            except BoundaryError as error:
                say(f"Error: {error}")
                sys.exit(exit_code(error))
            except MemoryError as error:
                say(out_of_memory(error))
                sys.exit(BAD_INPUT)
            except OSError as error:
                if error.errno is None or error.errno == errno.EPIPE:
                    raise
                what = "The output" if error.filename is None else f'"{error.filename}"'
                say(f"Error: {what} cannot be written or read: {error.strerror}.")
                sys.exit(BAD_INPUT)


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def _messages_of_the_package() -> Iterator[None]:
    """Print the messages that the package logs inside the block.

    They report which data of this machine are sent, and which other runs are waited for.
    """
    logger, handler = logging.getLogger("blackbox_boundary"), _Said(logging.INFO)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning without the line of code that raised it, which is of no use to a user."""
    say(f"Warning: {message}")


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="blackbox-boundary")
def main() -> None:
    """Measure distances to the decision boundary of a classifier that can only be queried.

    \b
    Exit codes: 0 all measured, 2 wrong command line, 3 bad input (nothing sent),
    4 the model failed, 5 query limit reached, 6 certificates withdrawn,
    7 --fail-if: fails, 8 --fail-if: inconclusive, 130 interrupted.
    """  # noqa: D301  click reads the escape
    keep_freed_memory()


for _command in (
    measure, merge_runs, report, compare, worst, label_issues, evidence, columns, estimators,
    probe, gradient, reproduce, batch, ledger,
):  # fmt: skip
    main.add_command(_command)
