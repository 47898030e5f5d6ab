"""Counts of a ledger, and verification that it was not changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..errors import LedgerError
from .chain import Event, first_link
from .file import LedgerFile
from .model_card import ModelCard
from .records import KEY_BYTES
from .run_lock import is_alive

__all__ = ["Report", "Run", "summarise", "verify"]


@dataclass(frozen=True)
class Run:
    """One opening of the ledger; ``closed_at`` is None where the run died or is still active.

    Times in seconds since 1970.
    """

    number: int
    opened_at: float
    closed_at: float | None
    is_alive: bool


@dataclass(frozen=True)
class Report:
    """The content of a ledger.

    ``n_asked`` to ``n_in_flight`` count rows, predictions, gradients and checks alike;
    ``n_gradients`` and ``n_checks`` are among them.

    ``n_asked = n_answered + n_failed + n_limited + n_lost + n_in_flight``: failed rows came back
    with an error; limited rows were not sent, or not sent again, since a limit was reached; lost
    rows were in flight when their run died. Rows in flight belong to a run that is still active, or
    that died and was not followed by another run yet.
    """

    model: ModelCard
    runs: tuple[Run, ...]
    n_entries: int
    n_calls: int
    n_asked: int
    n_gradients: int
    n_checks: int
    n_answered: int
    n_failed: int
    n_limited: int
    n_lost: int
    n_in_flight: int
    n_bytes: int
    head: str


def summarise(path: str | Path) -> Report:
    """Count what the ledger holds.

    Raises
    ------
    LedgerError
        There is no ledger, or it cannot be read.
    """
    with LedgerFile(path) as ledger, ledger.snapshot():
        return _count(ledger, ledger.last_link() or first_link(ledger.card))


def verify(path: str | Path, *, head: str | None = None) -> Report:
    """Check that no entry was changed, removed, inserted or moved. Reads the whole file.

    Parameters
    ----------
    path : path
    head : str, optional
        A link noted earlier (hexadecimal). The ledger must still contain it, so that nothing up to
        it was rewritten or cut off. Without it, ``verify`` cannot detect a ledger whose end was cut
        off or that was rewritten as a whole.

    Returns
    -------
    Report

    Raises
    ------
    LedgerError
        The first thing found wrong.
    """
    with LedgerFile(path) as ledger, ledger.snapshot():
        ledger.check_pages()
        last = first_link(ledger.card)
        found = head in (None, last.hex())
        for chain in ledger.check_links(last):
            last, found = chain, found or chain.hex() == head
        if not found:
            raise LedgerError(
                f'The ledger "{path}" was changed: it does not contain the head {head}. Its end '
                "was cut off, or it was rewritten."
            )
        return _count(ledger, last)


def _count(ledger: LedgerFile, head: bytes) -> Report:
    try:
        n, left, runs = _tally(ledger)
    except KeyError as error:
        raise LedgerError(
            f'The ledger "{ledger.path}" is damaged: an entry contradicts those before it.'
        ) from error
    if ledger.calls_in_flight() != {call for call, rows in left.items() if rows}:
        raise LedgerError(
            f'The ledger "{ledger.path}" was changed: its list of calls in flight contradicts its '
            "entries."
        )
    return Report(
        model=ledger.model, runs=runs, n_entries=n["entries"], n_calls=n["calls"],
        n_asked=n["asked"], n_gradients=n["gradients"], n_checks=n["checks"],
        n_answered=n["answered"], n_failed=n["failed"], n_limited=n["limited"], n_lost=n["lost"],
        n_in_flight=sum(left.values()), n_bytes=ledger.path.stat().st_size, head=head.hex(),
    )  # fmt: skip


def _tally(ledger: LedgerFile) -> tuple[Counter[str], dict[int, int], tuple[Run, ...]]:
    """Counts of rows by outcome, rows left without one by call, and the runs."""
    n, left, layouts = Counter[str](), dict[int, int](), dict[str, int]()
    opened, closed = dict[int, float](), dict[int, float]()
    for entry in ledger.outline():
        n["entries"] += 1
        match entry.event:
            case Event.OPENED:
                opened[entry.run] = entry.at
            case Event.CLOSED:
                closed[entry.run] = entry.at
            case Event.ASKED:
                left[entry.id] = rows = entry.n_bytes // KEY_BYTES
                n["calls"] += 1
                n["asked"] += rows
                n["gradients"] += rows * (entry.form == "gradients")
                n["checks"] += rows * (entry.form == "checks")
            case Event.ANSWERED:
                if entry.form not in layouts:
                    layouts[entry.form] = ledger.layout(entry.form).itemsize
                rows = entry.n_bytes // layouts[entry.form]
                n["answered"] += rows
                left[entry.call] -= rows
            case Event.FAILED | Event.LOST:
                n[ledger.ending(entry)] += left.pop(entry.call)
    runs = (
        Run(run, at, closed.get(run), run not in closed and is_alive(ledger.path, run))
        for run, at in opened.items()
    )
    return n, left, tuple(runs)
