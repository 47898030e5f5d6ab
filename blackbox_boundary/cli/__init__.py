"""The command line: results on standard output, messages on standard error.

Exit codes: 0 everything was measured; 2 the command line is wrong; 3 the input is (a file, a shape, a setting), nothing was sent;
4 the model failed; 5 the query limit ended some rows; 130 interrupted. After 4, 5 and 130 the output folder holds what was measured.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import click

from ..errors import BoundaryError, PredictorError
from .batch_scoring import batch
from .estimators import estimators
from .gradient import gradient
from .ledger import ledger
from .measure import measure
from .probe import probe
from .reproduce import reproduce

__all__ = ["main"]

_BAD_INPUT, _MODEL_FAILED = 3, 4


class _Commands(click.Group):
    """Our own errors become one message and an exit code; anything else is a bug and shows its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = _say
            try:
                return super().invoke(ctx)
            except BoundaryError as error:
                click.echo(f"Error: {error}", err=True)
                sys.exit(_MODEL_FAILED if isinstance(error, PredictorError) else _BAD_INPUT)


def _say(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a message; where in the code it was raised is no user's business."""
    click.echo(f"Warning: {message}", err=True)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="blackbox-boundary")
def main() -> None:
    """Measure how far inputs are from the decision boundary of a classifier that can only be queried.

    \b
    Exit codes: 0 all measured, 2 wrong command line, 3 bad input (nothing sent),
    4 the model failed, 5 query limit reached, 130 interrupted.
    """  # noqa: D301  click reads the escape


for _command in (measure, estimators, probe, gradient, reproduce, batch, ledger):
    main.add_command(_command)
