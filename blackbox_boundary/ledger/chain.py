"""The entries of a ledger, and the hash chain that binds each to all before it.

``chain_i = SHA-256(chain_{i-1} | entry_i)``, and ``chain_0 = SHA-256(model card)``: changing,
removing, inserting or reordering entries breaks the chain at that place. Rewriting all later
entries repairs the chain, and cutting off the end leaves a valid one. A *head* (the last link)
noted elsewhere reveals both, so every result carries it.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from typing import NamedTuple

__all__ = ["Entry", "Event", "first_link", "follows", "link"]


class Event(enum.IntEnum):
    """Kind of event that an entry records."""

    OPENED = 1
    """A run opened the ledger; the entry's number is the run's."""
    ASKED = 2
    """Rows are about to be sent; the entry's number is the call's.

    ``form``: predictions, gradients or checks, ``data``: their keys. A check asks a row again to
    test whether the model is still the same; its answer is kept, and never handed out.
    """
    ANSWERED = 3
    """Rows of ``call``, from ``first`` on, were answered: ``data`` in the layout ``form``."""
    FAILED = 4
    """The unanswered rows of ``call`` came back with an error, whose type is ``data``. They have
    been paid for, but where a limit (``BudgetExhausted``) kept them from being sent."""
    LOST = 5
    """The run that sent ``call`` died before it could record the unanswered rows. They may have
    been paid for."""
    CLOSED = 6
    """The run closed the ledger."""
    SAME = 7
    """Questions sent in the same form as others; ``data`` is pairs of keys, as asked and as
    sent."""
    NOTED = 8
    """A fact worth keeping with the record: ``form`` says which, ``data`` is JSON."""


class Entry(NamedTuple):
    """One line of the ledger, in the order of the table's columns."""

    id: int
    event: int
    run: int
    at: float
    """Seconds since 1970, by the clock of the machine."""
    call: int
    first: int
    form: str
    chain: bytes
    data: bytes


_NUMBERS = struct.Struct("<qqqdqqqq")


def first_link(model_card: str) -> bytes:
    """The link before the first entry."""
    return hashlib.sha256(model_card.encode()).digest()


def link(previous: bytes, entry: Entry) -> bytes:
    """Compute the link of an entry; its own ``chain`` is not used."""
    form = entry.form.encode()
    numbers = _NUMBERS.pack(
        entry.id,
        entry.event,
        entry.run,
        entry.at,
        entry.call,
        entry.first,
        len(form),
        len(entry.data),
    )
    digest = hashlib.sha256(previous + numbers + form)
    digest.update(entry.data)
    return digest.digest()


def follows(previous: bytes, entry: Entry) -> bool:
    """Whether the link of an entry follows from its content and the link before it."""
    try:
        return entry.chain == link(previous, entry)
    except (AttributeError, TypeError, struct.error):  # a column of a type that was never written
        return False
