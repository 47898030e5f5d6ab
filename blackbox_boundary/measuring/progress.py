"""Tell the caller of a run how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..errors import CallbackFailed

__all__ = ["Progress", "report"]

Progress: TypeAlias = Callable[[int, int], None]
"""``progress(rows_done, queries)``: rows finished and queries sent so far."""


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
