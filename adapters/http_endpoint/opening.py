"""From a URL or a description to a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from blackbox_boundary.datasets.columns import listed
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import CapabilityMissing, InvalidInput

from .configuration import Configuration
from .dialects import mlflow, oip_v2, tf_serving, torchserve
from .dialects.described import describe
from .dialects.dialect import Dialect
from .endpoint import HttpPredictor
from .transport import Transport

__all__ = ["DIALECTS", "open_endpoint"]

DIALECTS = ("oip_v2", "tf_serving", "kserve_v1", "mlflow", "torchserve", "described")
"""All names that "dialect" may have."""


def open_endpoint(
    spec: str, given: Mapping[str, Any], *, is_url: bool, columns: Domain | None = None
) -> HttpPredictor:
    """Read the configuration, complete it from the server, and create the predictor.

    No query is sent.

    Raises
    ------
    CapabilityMissing
        ``columns`` hold texts, and the dialect sends numbers alone.
    """
    config = replace(Configuration.of_spec(spec, given, is_url=is_url), columns=columns)
    transport = Transport(config.url, config.transport, headers=config.headers, aws=config.aws)
    try:
        with transport.guarded():
            return HttpPredictor(
                transport,
                _dialect(transport, config),
                max_rows=config.max_rows,
                merges_requests=config.merges_requests,
            )
    except BaseException:
        transport.close()
        raise


def _dialect(transport: Transport, config: Configuration) -> Dialect:
    parts = urlsplit(config.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    match (
        config.dialect or _dialect_of_path(parts.path) or ("described" if config.answer else None)
    ):
        case "oip_v2":
            _check_numbers(config)
            return oip_v2.discover(transport, path, config)
        case "tf_serving" | "kserve_v1":
            return tf_serving.discover(transport, path, config)
        case "mlflow":
            return mlflow.discover(path, config)
        case "torchserve":
            return torchserve.discover(path, config)
        case "described":
            return describe(path, config)
        case None:
            raise InvalidInput(
                f"The URL {transport.origin}{parts.path} does not identify a dialect, the protocol "
                f'of the server. Run "blackbox-boundary probe {transport.origin}{parts.path} > '
                'endpoint.toml", fill in what it leaves open, and name that file in place of the '
                'URL; in Python "dialect" may be given.'
            )
        case other:
            raise InvalidInput(f'"dialect" must be one of {", ".join(DIALECTS)}; got "{other}".')


def _check_numbers(config: Configuration) -> None:
    """Refuse columns of texts, for a protocol of tensors of numbers."""
    if config.columns is not None and config.columns.texts:
        raise CapabilityMissing(
            f"This protocol sends numbers; the columns {listed(list(config.columns.texts))} hold "
            'texts. They go into a described request: dialect = "described", with "body" and '
            '"columns" in [request].'
        )


def _dialect_of_path(path: str) -> str | None:
    """The dialect of the paths of this form."""
    marks = {
        "/v2/models/": "oip_v2",
        "/v1/models/": "tf_serving",
        "/predictions/": "torchserve",
        "/invocations": "mlflow",
    }
    return next((name for mark, name in marks.items() if mark in path), None)
