"""Read what a server serves, by GET requests only."""

from __future__ import annotations

from typing import Any

from blackbox_boundary.errors import BadPrediction, PredictorRefused

from .failures import Denied, Doubtful
from .strict_json import read_json
from .transport import Transport
from .wire import Reply, Request

__all__ = ["as_object", "get", "get_if_there", "json_at", "look", "model_names"]

_NAMES = ("id", "name", "modelName", "model_name")
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
    """The document at a path, None where the server has none; one request.

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


def json_at(transport: Transport, path: str) -> dict[str, Any]:
    """The object at a path; an empty one where there is none. Raises as :func:`look`."""
    reply = look(transport, path)
    return {} if reply is None else as_object(reply)


def as_object(reply: Reply) -> dict[str, Any]:
    """A reply's JSON object; an empty one where it is something else."""
    try:
        document = read_json(reply.body)
    except BadPrediction:
        return {}
    return document if isinstance(document, dict) else {}


def model_names(transport: Transport, path: str) -> list[str]:
    """The models that a server lists at a path, by name; none where it lists none there.

    Servers list names, or objects with a name, under ``models`` or ``data``, or as the whole
    answer.
    """
    reply = look(transport, path)
    try:
        document = None if reply is None else read_json(reply.body)
    except BadPrediction:
        return []
    if isinstance(document, dict):
        document = document.get("models", document.get("data"))
    names = [
        next((each[key] for key in _NAMES if key in each), None) if isinstance(each, dict) else each
        for each in (document if isinstance(document, list) else [])
    ]
    return [name for name in names if isinstance(name, str)]
