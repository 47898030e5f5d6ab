"""The optional module that reads and writes Parquet."""

from __future__ import annotations

from typing import Any

from .errors import CapabilityMissing

__all__ = ["need_parquet"]


def need_parquet(purpose: str) -> Any:
    """The module ``pyarrow.parquet``; ``purpose`` begins the message where it is missing.

    Raises
    ------
    CapabilityMissing
        pyarrow is not installed.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise CapabilityMissing(
            f'{purpose} pyarrow: pip install "blackbox-boundary[parquet]".'
        ) from error
    return parquet
