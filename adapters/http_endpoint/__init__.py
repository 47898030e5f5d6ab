"""Classifiers behind HTTP endpoints.

``load("http://host:8000/v2/models/mnist")`` asks a server of the Open Inference Protocol what it
serves; ``load("endpoint.toml")`` reads a description (docs/reference/http-endpoint.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_boundary.errors import CapabilityMissing

if TYPE_CHECKING:
    from .endpoint import HttpPredictor
    from .finding import Finding

__all__ = ["load", "probe"]


def load(spec: object, **given: Any) -> HttpPredictor | None:
    """Open an endpoint given by an ``http://`` or ``https://`` URL, or a ``.toml`` description.

    The server's metadata is read if there is any; no query is sent.

    Parameters
    ----------
    spec : str or path
        A URL, or a ``.toml`` file that describes an endpoint. Anything else is not for this
        adapter.
    **given
        The settings of the file, by name; they override the file: ``preset``, ``dialect``,
        ``access``, ``input_shape``, ``n_classes``, ``bounds``, ``labels``, ``max_rows``,
        ``merges_requests``, ``headers``, ``aws``, ``request``, ``answer``, ``transport``; None
        counts as not given. ``allow`` lists what the file may use: ``"command"``, ``"aws"``,
        ``"file:PATH"``, ``"env:NAME"``; what is given by name needs no leave. ``columns``, a
        :class:`~blackbox_boundary.Domain`, lists the words of columns of texts.

    Returns
    -------
    HttpPredictor or None
        None where ``spec`` is not for this adapter.

    Raises
    ------
    InvalidInput
        A setting is unknown, contradictory, or neither given nor discovered.
    PredictorError
        The server cannot be reached or answers no metadata.
    CapabilityMissing
        The packages of the ``http`` extra are not installed; or the columns hold texts, and the
        dialect sends numbers alone.
    """
    is_url = isinstance(spec, str) and spec.lower().startswith(("http://", "https://"))
    if not is_url and not (isinstance(spec, (str, Path)) and str(spec).endswith(".toml")):
        return None
    columns = given.pop("columns", None)
    with _needing_packages():
        from .opening import open_endpoint
    return open_endpoint(str(spec), given, is_url=is_url, columns=columns)


def probe(spec: str, **given: Any) -> Finding:
    """Recognise the server at a URL without a query; ``probe(spec).toml`` configures :func:`load`.

    Parameters
    ----------
    spec : str
        The URL of a server or of a model; or a ``.toml`` file with that URL and the headers that
        the server requires.
    **given
        As for :func:`load`: ``headers``, ``transport`` and ``allow`` above all.

    Raises
    ------
    InvalidInput
        The URL is not valid.
    PredictorUnavailable
        Nothing answers there.
    PredictorRefused
        The server requires credentials.
    CapabilityMissing
        The packages of the ``http`` extra are not installed.
    """
    with _needing_packages():
        from .probing import find
    return find(spec, given)


@contextmanager
def _needing_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise CapabilityMissing(
            'An HTTP endpoint needs requests and tenacity: pip install "blackbox-boundary[http]".'
        ) from error
