"""Asking a server what it serves, with GET alone."""

from __future__ import annotations

from typing import Any

from blackbox_boundary.errors import BadPrediction, PredictorRefused

from .failures import Denied, Doubtful
from .strict_json import read_json
from .transport import Transport
from .wire import Reply, Request

__all__ = ["get", "get_if_there", "look"]

_MOST_BYTES = 1 << 20
"""Metadata is short; a megabyte is something else."""


def get(transport: Transport, path: str) -> Any:
    """A JSON document.

    Raises
    ------
    PredictorError
        The server cannot be reached, has no such document, or answers something else.
    """
    return transport.send(
        Request("GET", path), lambda reply: read_json(reply.body), most_bytes=_MOST_BYTES
    )


def look(transport: Transport, path: str) -> Reply | None:
    """What is at a path, None where the server has nothing to say there; one request.

    Raises
    ------
    PredictorUnavailable
        The server cannot be reached.
    PredictorRefused
        The server requires credentials.
    """
    try:
        return transport.send(
            Request("GET", path), lambda reply: reply, most_bytes=_MOST_BYTES, attempts=1
        )
    except Denied:
        raise
    except (PredictorRefused, BadPrediction, Doubtful):
        return None


def get_if_there(transport: Transport, path: str) -> dict[str, Any]:
    """A JSON object that not every server has; an empty one where it has not."""
    try:
        reply = look(transport, path)
        document = read_json(reply.body) if reply else None
    except (BadPrediction, Denied):
        return {}
    return document if isinstance(document, dict) else {}
