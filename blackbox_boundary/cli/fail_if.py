"""``--fail-if``: thresholds of a run, and the exit code that each outcome has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..analysis.distances import Distances
from ..analysis.thresholds import STATS, Outcome, Threshold
from ..errors import InvalidInput
from .messages import say

__all__ = ["exit_code_of", "fail_if_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FAILS, _INCONCLUSIVE = 7, 8
_CODES = {
    Outcome.FAILS: _FAILS,
    Outcome.INCONCLUSIVE: _INCONCLUSIVE,
    Outcome.CERTIFIED: 0,
    Outcome.NOT_REFUTED: 0,
}
"""Exit code of each outcome; of several thresholds, the first in this order counts."""


def _parsed(
    ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]
) -> tuple[Threshold, ...]:
    """Parse the texts; any other form is a usage error."""
    try:
        return tuple(Threshold.parse(text) for text in texts)
    except InvalidInput as error:
        raise click.BadParameter(str(error), ctx, param) from error


def fail_if_option(command: _Command) -> _Command:
    """Give a command the option."""
    return click.option(
        "--fail-if",
        multiple=True,
        callback=_parsed,
        metavar='"STAT OP NUMBER"',
        help='Exit with 7 if this is true of the distances, such as "p5 < 0.1"; with 8 if that is '
        f"undecided. STAT: {', '.join(STATS)}. OP: < or <=. May be repeated.",
    )(command)


def exit_code_of(thresholds: tuple[Threshold, ...], distances: Distances, norm: str) -> int | None:
    """Judge all thresholds, print each outcome, and return the exit code; None if none is given."""
    if not thresholds:
        return None
    outcomes = set()
    for threshold in thresholds:
        judged = threshold.judge(distances, norm)
        say(f'--fail-if "{threshold}": {judged.outcome.value}. {judged.reason}')
        outcomes.add(judged.outcome)
    return next(code for outcome, code in _CODES.items() if outcome in outcomes)
