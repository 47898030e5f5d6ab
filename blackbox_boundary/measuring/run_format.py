"""The format of recorded runs, and which of them can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InvalidInput

__all__ = ["RUN_FORMAT", "check_resumable"]

RUN_FORMAT = 2
"""Version of the facts of a run, stored as ``format``; runs of version 0.1 have no such entry.

Runs of version 0.1 can be read but not resumed: its fingerprints cover fewer settings, and it read
some answers in another way (one logit as (0, z)), so one result would hold two measurements."""


def check_resumable(run: Mapping[str, Any]) -> None:
    """Refuse a run that an earlier version recorded.

    Raises
    ------
    InvalidInput
        The run is one of 0.1; nothing has been sent.
    """
    if run.get("format", 1) < RUN_FORMAT:
        raise InvalidInput(
            f"The run to resume was recorded by {run.get('tool', 'version 0.1')}, whose "
            "fingerprints cover fewer "
            "settings and which read some answers in another way. Nothing was sent. Either begin "
            "a new run, in another "
            "folder (this one stays readable by Distances.load and by the report), or resume it "
            "in the version "
            'that recorded it: pip install "blackbox-boundary==0.1.*".'
        )
