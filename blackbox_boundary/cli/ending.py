"""The end of ``measure``: closing messages and exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..analysis.account import Account
from ..analysis.certificates import WITHDRAWN
from ..analysis.distances import Distances
from ..analysis.hints import hints
from ..analysis.stored_distances import StoredDistances
from ..analysis.verdict import typical_norm, verdict
from ..errors import BoundaryError, PredictorRefused, PredictorUnavailable
from ..model_checks import Rechecked
from ..predictor import Predictor
from ..search.asks import Status
from .data_rows import DataRows
from .messages import exit_code, say
from .run_folder import RunFolder

__all__ = ["answer_line", "end_judged", "end_without_answer", "finish", "uninterrupted"]

_LIMIT_REACHED, _WITHDRAWN, _INTERRUPTED = 5, 6, 130


def answer_line(
    distances: Distances, measured: DataRows, folder: RunFolder, norm: str, *, has_report: bool
) -> str:
    """The answer in one paragraph: the verdict, time and price, and where the results are."""
    if isinstance(distances, StoredDistances):
        where = folder.report if has_report else f"{folder.path}/"
        n = len(distances.files)
        return f"{len(distances):,} rows in {n:,} Parquet file{'s' * (n != 1)}: {where}"
    data = measured.data
    said = verdict(distances, norm, labels=data.labels, typical=typical_norm(data.x, norm))
    account = Account.of(distances.run)
    spent = "" if account is None else f" Time: {duration(account.seconds)}"
    if account is not None and account.cost:
        spent += f", price {account.cost:,.2f}"
    where = f"Report: {folder.report}" if has_report else f"Results: {folder.path}/"
    warning = f"{said.warning} " if said.warning else ""
    return f"{warning}{said.text}{spent}. {where}" if spent else f"{warning}{said.text} {where}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use.

    Examples
    --------
    >>> duration(0.04), duration(42.3), duration(754), duration(9000)
    ('under 0.1 s', '42.3 s', '12 min 34 s', '2 h 30 min')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def end_without_answer(
    distances: Distances, failure: BoundaryError, folder: RunFolder, predictor: Predictor
) -> None:
    """End a new run that got no answer; nothing is left of it.

    An answer of a wrong shape was paid for, so the folder keeps its account.
    """
    is_unanswered = isinstance(failure, PredictorUnavailable | PredictorRefused)
    probed = isinstance(predictor, Rechecked) and predictor.sent_row() is not None
    has_home = any(bool((part.home >= 0).any()) for part in distances.parts())
    was_answered = probed or "behaviour" in distances.run or has_home
    if folder.facts is None and is_unanswered and not was_answered:
        folder.discard()
        account = Account.of(distances.run) or Account()
        say(f"Nothing was answered; {account.line()}. No results were written.")
        sys.exit(exit_code(failure))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and termination while results are written: a second one would lose them."""
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)


def finish(
    distances: Distances,
    failure: BaseException | None,
    folder: RunFolder,
    judged: int | None,
    answer: str,
) -> None:
    """Print the closing messages of a run and exit with its code.

    The messages report which queries may have been paid for twice, how to continue an incomplete
    run, and last the answer.
    """
    if lost := distances.run.get("ledger", {}).get("rows_lost"):
        say(
            f"{lost:,} rows were in flight when an earlier run with this ledger died; they may be "
            "on the bill without an answer."
        )
    for line in hints(distances):
        say(line)
    if reason := distances.run.get(WITHDRAWN):
        say(reason)
    counts = distances.count_by_status()
    left = sum(n for name, n in counts.items() if not Status[name].is_final)
    if left:
        # workers go on in their folder by themselves
        how = "" if "workers" in distances.run else f" and --resume --output {folder.path}"
        if distances.run.get("max_queries") is not None:
            how += ", with a larger --max-queries where that was reached"
        say(
            f"{left:,} of {len(distances):,} rows are not finished; "
            f"go on with the same command{how}"
        )
    say(answer)
    if isinstance(failure, BoundaryError):
        sys.exit(exit_code(failure))
    if failure is not None:
        sys.exit(_INTERRUPTED)
    if left and judged is None:  # a threshold answers, whether or not rows are left
        sys.exit(_LIMIT_REACHED)
    end_judged(distances, judged)


def end_judged(distances: Distances, judged: int | None) -> None:
    """Exit where certificates are withdrawn or a threshold is not kept."""
    if WITHDRAWN in distances.run:
        sys.exit(_WITHDRAWN)
    if judged:
        sys.exit(judged)
