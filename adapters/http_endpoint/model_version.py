"""The version of the model that a server's answers name."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from blackbox_boundary.errors import ModelChanged

from .strict_json import shown

__all__ = ["ModelVersion"]

_HEADERS = (
    "azureml-model-deployment",
    "x-amzn-invoked-production-variant",
    "x-model-version",
)
"""Headers of an answer that say which model gave it."""


class ModelVersion:
    """Requires that all answers name the version of the first one. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_at = 0.0
        self.name: str | None = None

    def expect(self, name: str) -> None:
        """Require this version of all further answers."""
        with self._lock:
            self.name = name

    def saw_headers(self, headers: Mapping[str, str]) -> None:
        """Check the version in an answer's headers, if one of them names it."""
        for header in _HEADERS:
            if value := headers.get(header):
                self.saw(value)
                return

    def saw(self, name: str) -> None:
        """Check the version that an answer names.

        Raises
        ------
        ModelChanged
            The version has changed; this answer must not be used.
        """
        with self._lock:
            if self.name is None:
                self.name = name
            if self.name == name:
                self._last_at = time.time()
                return
            until = f" until {_clock(self._last_at)}" if self._last_at else ", in an earlier run"
            raise ModelChanged(
                f"The model behind this endpoint changed: version {shown(self.name, 60)} "
                f"answered{until}, "
                f"version {shown(name, 60)} at {_clock(time.time())}. The rows of this request "
                "are not taken; "
                "all before are of the first version. Name a version in the URL or a header where "
                "the server "
                "takes one, or measure the new version from the start, in another folder and with "
                "another ledger."
            )


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
