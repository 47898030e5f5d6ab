"""The user's settings of an endpoint: a TOML file, or the same settings by name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access, Bounds

from .aws_signing import AwsSigning
from .permissions import Permissions
from .presets import with_preset
from .secrets import Secret
from .transport_settings import TransportSettings, truth

__all__ = ["Configuration"]

_KEYS = (
    "url", "dialect", "access", "input_shape", "n_classes", "bounds", "labels", "max_rows",
    "merges_requests", "headers", "aws", "request", "answer", "transport",
)  # fmt: skip

_SECRET = re.compile(
    r"authorization|cookie|token|secret|passw|credential|signature|(^|[-_])(api)?key|^(code|sig|auth|jwt|pwd|sas)$",
    re.IGNORECASE,
)
"""Names of headers, and of what follows the question mark of a URL, that are never written into
a file or a command line."""


@dataclass(frozen=True)
class Configuration:
    """The user's settings; None and empty mark those left to the server's metadata.

    Attributes
    ----------
    url : str
    dialect : str or None
        The protocol; None: derived from the URL, then from the server's metadata.
    access, input_shape, n_classes, bounds, labels
        As in :class:`~blackbox_boundary.adapters.http_endpoint.contract.Contract`.
    max_rows : int or None
        Rows a request may hold.
    merges_requests : bool or None
        Whether the server joins the requests of several clients into one batch.
    headers : mapping of str to str or Secret
    aws : AwsSigning or None
        Signs requests with the credentials of the user.
    request, answer : mapping
        Settings of the dialect.
    transport : TransportSettings
    columns : Domain or None
        What the columns of the data hold; no setting of a file.
    """

    url: str
    dialect: str | None = None
    access: Access | None = None
    input_shape: tuple[int, ...] | None = None
    n_classes: int | None = None
    bounds: Bounds = None
    labels: tuple[str, ...] = ()
    max_rows: int | None = None
    merges_requests: bool | None = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    aws: AwsSigning | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] = field(default_factory=dict)
    transport: TransportSettings = field(default_factory=TransportSettings)
    columns: Domain | None = None

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Configuration:
        """Read settings by name; a value is one of a TOML file, or the object it describes.

        Raises
        ------
        InvalidInput
            A name that is unknown, a value of the wrong kind.
        """
        settings = with_preset(settings)
        _only(settings, _KEYS, "An endpoint")
        values = {name: value for name, value in settings.items() if value is not None}
        if not isinstance(values.get("url"), str):
            raise InvalidInput('An endpoint must have a "url".')
        if secret := next(
            (name for name in _query_names(values["url"]) if _SECRET.search(name)), None
        ):
            raise InvalidInput(
                f'The URL of an endpoint must not hold a secret, as "{secret}" seems to be: '
                'give it as a header ("x-functions-key" for a "code" of Azure Functions).'
            )
        for name, read in _READERS.items():
            if name in values:
                values[name] = read(values[name])
        values["headers"] = {
            name: _header(name, value) for name, value in _table(values, "headers").items()
        }
        values["request"], values["answer"] = _table(values, "request"), _table(values, "answer")
        transport = values.get("transport", {})
        if not isinstance(transport, TransportSettings):
            _only(_table(values, "transport"), TransportSettings.names(), "transport")
            transport = TransportSettings(**transport)
        values["transport"] = transport
        return cls(**values)

    @classmethod
    def of_spec(cls, spec: str, given: Mapping[str, Any], *, is_url: bool) -> Configuration:
        """Read the settings by name, and the description if ``spec`` is the path of one.

        Raises
        ------
        InvalidInput
            As in :meth:`of` and :meth:`read`.
        """
        given = dict(given)
        permissions = Permissions.of(given.pop("allow", None) or ())
        if is_url:
            return cls.of({**given, "url": spec})
        return cls.read(spec, given, permissions)

    @classmethod
    def read(
        cls, path: str | Path, given: Mapping[str, Any], permissions: Permissions | None = None
    ) -> Configuration:
        """Read a TOML file; settings ``given`` by name override those of the file.

        Raises
        ------
        InvalidInput
            The file is missing or not TOML, or uses something that was not allowed; or as in
            :meth:`of`.
        """
        try:
            settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInput(
                f'The description of an endpoint "{path}" cannot be read: {error}.'
            ) from error
        given = {name: value for name, value in given.items() if value is not None}
        own = {name: value for name, value in settings.items() if name not in given}
        (permissions or Permissions()).check(own, Path(path))
        return cls.of({**own, **given})

    def tables_only(self, request: tuple[str, ...] = (), answer: tuple[str, ...] = ()) -> None:
        """Raise :class:`~blackbox_boundary.InvalidInput` at a setting unknown to the dialect."""
        _only(self.request, request, "request")
        _only(self.answer, answer, "answer")


def whole(value: Any, name: str) -> int:
    """A positive whole number, or :class:`~blackbox_boundary.InvalidInput`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(f'"{name}" must be a positive whole number; got {value!r}.')
    return value


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f'"input_shape" must be a list of lengths; got {value!r}.')
    return tuple(whole(length, "input_shape") for length in value)


def _bounds(value: Any) -> Bounds:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise InvalidInput(f'"bounds" must be a lowest and a highest input; got {value!r}.')
    return (value[0], value[1])


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f'"labels" must be a list of names; got {value!r}.')
    return tuple(str(label) for label in value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "access": Access.parse,
    "input_shape": _shape,
    "n_classes": partial(whole, name="n_classes"),
    "max_rows": partial(whole, name="max_rows"),
    "merges_requests": partial(truth, name="merges_requests"),
    "bounds": _bounds,
    "labels": _labels,
    "aws": AwsSigning.parse,
}
"""Functions that convert a value of the file into a setting."""


def _query_names(url: str) -> list[str]:
    return [
        name
        for name, _ in parse_qsl(url.partition("#")[0].partition("?")[2], keep_blank_values=True)
    ]


def _header(name: str, value: Any) -> str | Secret:
    if isinstance(value, str) and _SECRET.search(name):
        raise InvalidInput(
            f'The header "{name}" holds a secret: say where it is ({{env = "NAME"}}, file or '
            "command), never as text."
        )
    if isinstance(value, (str, Secret)):
        return value
    if isinstance(value, Mapping):
        return Secret.parse(value)
    raise InvalidInput(
        f'The header "{name}" must be a text, or a table that says where its secret is.'
    )


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name, {})
    if not isinstance(table, Mapping):
        raise InvalidInput(f'"{name}" must be a table; got {table!r}.')
    return table


def _only(settings: Mapping[str, Any], allowed: tuple[str, ...], what: str) -> None:
    if unknown := [name for name in settings if name not in allowed]:
        raise InvalidInput(
            f'{what} has no setting "{unknown[0]}"; there are: {", ".join(allowed) or "none"}.'
        )
