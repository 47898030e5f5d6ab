"""Errors, sorted by the side that caused them.

What happens to *one row* is never an exception: it is a :class:`~blackbox_boundary.Status` in the
result.
"""

from __future__ import annotations

from typing import Any

from .printable import printable

__all__ = [
    "BadPrediction",
    "BoundaryError",
    "BudgetExhausted",
    "CallbackFailed",
    "CapabilityMissing",
    "CertificatesWithdrawn",
    "Interrupted",
    "InvalidInput",
    "LedgerError",
    "MixedUnits",
    "ModelChanged",
    "PredictorError",
    "PredictorRefused",
    "PredictorUnavailable",
    "StorageError",
    "TranscriptMismatch",
    "WorkerLost",
]


class BoundaryError(Exception):
    """Any error that this package raises on purpose.

    Its text holds no control characters, even where it quotes data or servers, because a terminal
    would execute them.

    Attributes
    ----------
    partial : Distances or None
        What had been measured when a running :func:`~blackbox_boundary.measure` failed; its
        brackets are valid.
    """

    partial: Any = None

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n")


class InvalidInput(BoundaryError, ValueError):
    """The caller's input is wrong: a shape, a range, a dtype, a file. No query has been sent."""


class CapabilityMissing(BoundaryError, TypeError):
    """A method needs more than the predictor reveals; the message says what is missing."""


class PredictorError(BoundaryError):
    """The model, its server or its runtime failed."""


class BadPrediction(PredictorError):
    """An answer has the wrong shape, dtype or label range, or does not fit the declared access."""


class ModelChanged(PredictorError):
    """An answer names another version of the model than earlier answers; it was rejected."""


class PredictorUnavailable(PredictorError):
    """There was no answer: connection, timeout, a crashed runtime. May be retried."""


class PredictorRefused(PredictorError):
    """The service rejected the request.

    Attributes
    ----------
    retry_after_s : float or None
        Seconds to wait, if the service gave a time.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BudgetExhausted(BoundaryError):
    """The next call would exceed a limit, and was therefore not sent."""


class CallbackFailed(BoundaryError):
    """The caller's ``progress`` function raised, which ended the measurement.

    Its own error is the cause.
    """


class LedgerError(BoundaryError):
    """The ledger cannot be used or written.

    It belongs to another model or a newer version, is read-only or damaged, or the disk is full.
    Its content is unchanged; nothing is sent that it could not record.
    """


class StorageError(BoundaryError):
    """A file of a run cannot be written, for example on a full disk; its content is kept."""

    @classmethod
    def of(cls, path: object, error: OSError) -> StorageError:
        """The error for a file or folder that the operating system refuses."""
        return cls(
            f'"{path}" cannot be written: {error.strerror or error}. What was stored before is not '
            "lost; make room, or give the permission, and run the same command again, with "
            "--resume where one process measures."
        )


class WorkerLost(BoundaryError):
    """Workers of a sharded run were killed again and again; other shards keep their results."""


class TranscriptMismatch(BoundaryError):
    """A replay was asked a question that the ledger does not hold."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a measurement; ``partial`` holds what had been measured."""

    def __init__(self, partial: Any) -> None:
        super().__init__("interrupted")
        self.partial = partial


class CertificatesWithdrawn(UserWarning):
    """A flip was found within a certified distance: all certificates of the run are deleted.

    A bug of this package; the distances of the run are valid. ``run["certificates_withdrawn"]`` of
    the result holds the same message.
    """


class MixedUnits(UserWarning):
    """The columns of a table have spreads so different that their distances mean little."""
