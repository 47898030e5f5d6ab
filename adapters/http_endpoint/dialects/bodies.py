"""Write rows into a request: JSON, JSON lines, CSV, a form, the query, or one row's bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput

from ..contract import Contract
from ..wire import JSON, Request
from .encodings import Encoding
from .row_text import EncodedRows, Inputs, RowText, RowWriter, expanded

__all__ = ["BODY_SETTINGS", "Body", "body_of"]

BODY_SETTINGS = (
    "method",
    "body",
    "form_field",
    "item",
    "format",
    "columns",
    "header",
    "content_type",
    *Encoding.SETTINGS,
)
"""Settings of [request] that decide on a body."""

_FORMATS = {
    "json": JSON,
    "jsonlines": "application/jsonlines",
    "csv": "text/csv",
    "form": "application/x-www-form-urlencoded",
    "query": "",
}
"""The formats of a body, and their content types."""


class Body(Protocol):
    """Writes requests."""

    @property
    def is_single(self) -> bool:
        """Whether there is room for one row."""
        ...

    def request(self, method: str, path: str, sent: NDArray[Any]) -> Request:
        """The request that asks about these rows."""
        ...


@dataclass(frozen=True)
class _TextBody:
    """Rows as text, with something before, between and after them."""

    rows: RowWriter
    before: bytes
    separator: str
    after: bytes
    content_type: str
    is_single: bool

    def request(self, method: str, path: str, sent: NDArray[Any]) -> Request:
        body = b"".join((self.before, self.rows.lines(sent, self.separator), self.after))
        if not self.content_type:  # the query of the URL
            mark = "&" if "?" in path else "?"
            return Request(method, f"{path}{mark}{body.decode()}")
        return Request(method, path, body, {"Content-Type": self.content_type})


@dataclass(frozen=True)
class _RawBody:
    """The bytes of one row, by themselves or as a file of a form."""

    encoding: Encoding
    form_field: str | None
    is_single: bool = True

    def request(self, method: str, path: str, sent: NDArray[Any]) -> Request:
        raw, kind = self.encoding.raw(sent[0]), self.encoding.content_type
        if self.form_field:
            raw, kind = _multipart(self.form_field, raw, kind)
        return Request(method, path, raw, {"Content-Type": kind})


def body_of(
    settings: Mapping[str, Any],
    encoding: Encoding,
    contract: Contract,
    texts: Mapping[int, Sequence[str]],
) -> Body:
    """Read the settings of [request]; nothing is sent.

    ``texts`` are, by position in a row, the words that the numbers 0, 1, ... stand for.

    Raises
    ------
    InvalidInput
        Something is missing or does not fit together.
    """
    settings = {
        name: value.replace("$n_classes", str(contract.n_classes))
        if name in ("body", "item") and isinstance(value, str)
        else value
        for name, value in settings.items()
    }
    form = settings.get("format", "json")
    if form not in _FORMATS:
        raise InvalidInput(
            f'"format" in [request] must be one of {", ".join(_FORMATS)}; got {form!r}.'
        )
    words = {at: tuple(map(_written(form), listed)) for at, listed in texts.items()}
    inputs = Inputs(_columns(settings.get("columns"), contract), words)
    if words and (encoding.name not in ("json", "flat") or encoding.levels is not None):
        raise InvalidInput(
            'Texts go into a request as words: "encoding" must be json or flat, and "dtype" not '
            "uint8."
        )
    if settings.get("body") == "$raw":
        return _raw(settings, encoding)
    if settings.get("form_field") is not None:
        raise InvalidInput('"form_field" must go with a body of "$raw".')
    kind = _text(settings, "content_type", _FORMATS[form])
    if form == "csv":
        return _csv(settings, encoding, contract, inputs, kind)
    if form in ("form", "query"):
        return _form(settings, encoding, contract, inputs, kind)
    item = expanded(_text(settings, "item", "$row"), inputs.names)
    if form == "jsonlines":
        template = expanded(_text(settings, "body", item), inputs.names)
        rows = _json_writer(template, encoding, contract, inputs)
        return _TextBody(rows, b"", "\n", b"\n", kind, is_single=False)
    return _json(settings, item, encoding, contract, inputs, kind)


def _json(
    settings: Mapping[str, Any],
    item: str,
    encoding: Encoding,
    contract: Contract,
    inputs: Inputs,
    kind: str,
) -> Body:
    """One JSON document; ``$rows`` in it is a list of all rows, each written as ``item`` says."""
    template = _text(settings, "body", "$rows")
    if "$records" in template:
        item, template = expanded("$record", inputs.names), template.replace("$records", "$rows")
    template = expanded(template, inputs.names)
    before, place, after = template.partition("$rows")
    if not place:
        rows = _json_writer(template, encoding, contract, inputs)
        return _TextBody(rows, b"", "", b"", kind, is_single=True)
    _check_json(template)
    if "$row" in before + after:
        raise InvalidInput(
            f'The "body" of a request must hold $rows once, or $row; got {template!r}.'
        )
    rows = _json_writer(item, encoding, contract, inputs)
    return _TextBody(rows, f"{before}[".encode(), ",", f"]{after}".encode(), kind, is_single=False)


def _csv(
    settings: Mapping[str, Any],
    encoding: Encoding,
    contract: Contract,
    inputs: Inputs,
    kind: str,
) -> Body:
    """A line for each row, perhaps under one with the names of the columns."""
    if encoding.name != "json" or "body" in settings or "item" in settings:
        raise InvalidInput(
            'CSV takes the numbers of a row as they are, without "body", "item" and "encoding".'
        )
    header = settings.get("header", False)
    if not isinstance(header, bool) or (header and not inputs.names):
        raise InvalidInput('"header" in [request] must be true or false, and needs "columns".')
    before = (",".join(map(_cell, inputs.names)) + "\n").encode() if header else b""
    line = ",".join(f"$row[{at}]" for at in range(contract.row_size))
    rows = _writer(line, encoding, contract, inputs)
    return _TextBody(rows, before, "\n", b"\n", kind, is_single=False)


def _form(
    settings: Mapping[str, Any],
    encoding: Encoding,
    contract: Contract,
    inputs: Inputs,
    kind: str,
) -> Body:
    """``a=1&b=2``: one row, its numbers under the names of the columns."""
    if encoding.name != "json" or not (inputs.names or "body" in settings):
        raise InvalidInput(
            'A form needs "columns" in [request], or a "body" such as a=$row[0]&b=$row[1].'
        )
    own = "&".join(
        f"{quote_plus(name).replace('$', '%24')}=$row[{at}]" for at, name in enumerate(inputs.names)
    )
    template = _text(settings, "body", own)
    rows = _writer(template, encoding, contract, inputs)
    return _TextBody(rows, b"", "", b"", kind, is_single=True)


def _writer(template: str, encoding: Encoding, contract: Contract, inputs: Inputs) -> RowWriter:
    if encoding.name in ("json", "flat"):
        shape = contract.input_shape if encoding.name == "json" else (contract.row_size,)
        return RowText.of(template, shape, encoding.dtype, inputs)
    return EncodedRows.of(template, encoding)


def _json_writer(
    template: str, encoding: Encoding, contract: Contract, inputs: Inputs
) -> RowWriter:
    """Of a template that is JSON once it is filled; words bring their own quotation marks."""
    _check_json(template)
    rows = _writer(template, encoding, contract, inputs)
    if inputs.words:
        example = rows.lines(np.zeros((1, contract.row_size), encoding.dtype), "").decode()
        try:
            json.loads(example)
        except ValueError as error:
            raise InvalidInput(
                "Words come with their quotation marks: write $row[NAME] without any. "
                f"Filled in, the request is {example!r}."
            ) from error
    return rows


def _raw(settings: Mapping[str, Any], encoding: Encoding) -> Body:
    if not encoding.has_raw:
        raise InvalidInput('A body of "$raw" needs an encoding of bytes: png, base64 or npy.')
    name = settings.get("form_field")
    if name is not None and not (isinstance(name, str) and re.fullmatch(r"[\w.\[\]-]+", name)):
        raise InvalidInput(
            f'"form_field" must be a name, and goes with a body of "$raw"; got {name!r}.'
        )
    return _RawBody(encoding, name)


def _columns(columns: Any, contract: Contract) -> tuple[str, ...]:
    if columns is None:
        return ()
    if (
        not isinstance(columns, list | tuple)
        or not all(isinstance(name, str) for name in columns)
        or len(set(columns)) != len(columns)
        or len(columns) != contract.row_size
    ):
        raise InvalidInput(
            f'"columns" in [request] must be {contract.row_size} different names, one for each '
            f"number of a row; got {columns!r}."
        )
    return tuple(columns)


def _text(settings: Mapping[str, Any], name: str, usual: str) -> str:
    value = settings.get(name, usual)
    if not isinstance(value, str):
        raise InvalidInput(f'"{name}" in [request] must be a text; got {value!r}.')
    return value


def _check_json(template: str) -> None:
    """Refuse a template that is no JSON once its places are filled."""
    filled = re.sub(r"\$rows?\b(\[[^\]]*\])?", "0", template)
    try:
        json.loads(filled)
    except ValueError as error:
        raise InvalidInput(
            'The "body" or "item" of a request must be JSON once its $rows, $row or $row[...] '
            f"are filled in ({error}); "
            f"got {template!r}."
        ) from error


def _written(form: str) -> Callable[[str], str]:
    """How a word is written in a body of this format."""
    if form == "csv":
        return _cell
    return quote_plus if form in ("form", "query") else json.dumps


def _cell(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if re.search(r'[",\r\n]', name) else name


def _multipart(field: str, raw: bytes, kind: str) -> tuple[bytes, str]:
    """A multipart form with one file, and its content type.

    The boundary between the parts is derived from a hash of the file, so the file does not contain
    it.
    """
    mark = f"row-{hashlib.sha256(raw).hexdigest()}"
    name = "row.png" if kind == "image/png" else "row.bin"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; '
        f'filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    )
    body = b"".join((head.encode(), raw, f"\r\n--{mark}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={mark}"
