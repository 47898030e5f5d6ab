"""From a URL or a description to a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from blackbox_boundary.errors import InvalidInput

from . import described, oip_v2
from .configuration import Configuration
from .dialect import Dialect
from .endpoint import HttpPredictor
from .transport import Transport

__all__ = ["open_endpoint"]


def open_endpoint(spec: str, given: Mapping[str, Any], *, is_url: bool) -> HttpPredictor:
    """Read the configuration, ask the server for what it leaves open, and set up the predictor; no query is sent."""
    told = Configuration.of({**given, "url": spec}) if is_url else Configuration.read(spec, given)
    transport = Transport(told.url, told.transport, headers=told.headers)
    try:
        return HttpPredictor(transport, _dialect(transport, told))
    except BaseException:
        transport.close()
        raise


def _dialect(transport: Transport, told: Configuration) -> Dialect:
    parts = urlsplit(told.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = told.dialect or ("described" if told.answer else "oip_v2")
    if name == "oip_v2":
        return oip_v2.discover(transport, path, told)
    if name == "described":
        return described.discover(path, told)
    raise InvalidInput(f'"dialect" must be one of oip_v2, described; got "{name}".')
