"""Tell the caller of a sharded run how far it is."""

from __future__ import annotations

from ...errors import CallbackFailed
from ..driver import Progress

__all__ = ["report"]


def report(progress: Progress, rows: int, queries: int) -> None:
    """Call the caller's function.

    Raises
    ------
    CallbackFailed
        It raised.
    """
    try:
        progress(rows, queries)
    except Exception as error:
        raise CallbackFailed(
            f"The function given as progress raised {type(error).__name__}: {error}; "
            "error.partial holds what had been measured."
        ) from error
