"""Read an OpenAPI document: which routes take numbers, in what body, and what they answer.

Schemas are read as FastAPI and others write them from type annotations. Nothing that a schema
leaves open is guessed, except the fields of labels and scores, which are recognised by their names.

References
----------
.. [1] OpenAPI Initiative, "OpenAPI Specification", version 3.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .dialects.answer_path import quoted

__all__ = ["Operation", "operations"]

_DEPTH = 12
"""References and fields are followed so deep."""
_SCORE = re.compile(r"prob|score|confiden|likelihood", re.IGNORECASE)
_LABEL = re.compile(r"label|class|categor|predict|species|kind|name", re.IGNORECASE)


@dataclass(frozen=True)
class Operation:
    """A route that takes numbers.

    Attributes
    ----------
    path : str
    request, answer : mapping
        The settings of a description that the document declares.
    shape : tuple of int, or None
        Of one row.
    labels : tuple of str
        Where the document lists them.
    """

    path: str
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    shape: tuple[int, ...] | None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Where numbers go in a body."""

    template: str
    shape: tuple[int, ...] | None = None
    columns: tuple[str, ...] = ()
    is_single: bool = True


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """All routes of a document that take numbers and nothing that only a person could fill in."""
    found = []
    for path, methods in _table(document, "paths").items():
        operation = _table(methods, "post")
        schema = _Schemas(document)
        for kind, content in _table(operation, "requestBody", "content").items():
            place = schema.place(_table(content, "schema"))
            if place is None or "{" in path:
                continue
            request = _request(kind, place)
            if request is not None:
                is_single = place.is_single and kind == "application/json"
                answer, labels = schema.answer(_response(operation), is_single=is_single)
                found.append(Operation(path, request, answer, place.shape, labels))
                break
    return found


@dataclass(frozen=True)
class _Schemas:
    """Reads schemas, following references into their document."""

    document: Mapping[str, Any] = field(repr=False)

    def place(self, schema: Any, depth: int = 0) -> _Place | None:
        """Where a row, or rows, go; None where numbers alone do not make a body."""
        schema = self.plain(schema)
        if depth > _DEPTH:
            return None
        if (lengths := self.lengths(schema)) is not None:
            return _of_lengths(lengths)
        if schema.get("type") == "array":
            inner = self.place(schema.get("items"), depth + 1)
            if inner is None or not inner.columns or not inner.is_single:
                return None
            return _Place("$records", inner.shape, inner.columns, is_single=False)
        return self._object(schema, depth)

    def _object(self, schema: Mapping[str, Any], depth: int) -> _Place | None:
        required = schema.get("required", ())
        parts = {n: self.plain(part) for n, part in _table(schema, "properties").items()}
        places = {n: place for n, part in parts.items() if (place := self.place(part, depth + 1))}
        takes_numbers = not places and any(map(_is_number, parts.values()))
        names, constants = list[str](), dict[str, Any]()
        for name, part in parts.items():
            is_category = takes_numbers and name in required and _is_open_text(part)
            if is_category or _is_number(part):
                names.append(name)
            elif (value := _constant(part)) is not None:
                constants[name] = value
            elif name not in places and name in required:
                return None
        if names and not places:
            fields = [f"{_key(name)}: $row[{at}]" for at, name in enumerate(names)]
            return _Place(_written(fields, constants), (len(names),), tuple(names))
        if len(places) == 1 and not any(name in required for name in names):
            (name, place), *_ = places.items()
            body = _written([f"{_key(name)}: {place.template}"], constants)
            return _Place(body, place.shape, place.columns, is_single=place.is_single)
        return None

    def lengths(self, schema: Mapping[str, Any], depth: int = 0) -> list[int | None] | None:
        """Lengths of nested lists of numbers, outermost first; None where it is something else."""
        if depth > _DEPTH or schema.get("type") != "array":
            return None
        items = self.plain(schema.get("items"))
        lowest, highest = schema.get("minItems"), schema.get("maxItems")
        own = lowest if type(lowest) is int and lowest == highest and lowest > 0 else None
        if items.get("type") in ("number", "integer"):
            return [own]
        inner = self.lengths(items, depth + 1)
        return None if inner is None else [own, *inner]

    def answer(self, schema: Any, *, is_single: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Paths to labels and scores, and the labels where they are listed.

        An object that maps labels to scores says more than a label beside it.
        """
        answer, labels = dict[str, Any](), tuple[str, ...]()
        for path, part in self._leaves(self.plain(schema), "", 0):
            if (names := self._ranked(path, part)) is not None:
                if path.count("[*]") == (0 if is_single else 1):
                    return {"ranked": path or "$"}, names
                continue
            name = path.rpartition(".")[2]
            lengths = self.lengths(part)
            wanted = 1 if is_single else 2
            if lengths is not None and len(lengths) == wanted - path.count("[*]"):
                answer.setdefault("scores", path or "$")
            elif path.count("[*]") == wanted - 1 and lengths is None:
                if part.get("type") == "number" and _SCORE.search(name):
                    answer.setdefault("scores", path)
                elif part.get("type") in ("string", "integer") and _LABEL.search(name):
                    answer.setdefault("labels", path)
                    labels = tuple(map(str, part.get("enum", ())))
        return answer, labels

    def _leaves(
        self, schema: Mapping[str, Any], path: str, depth: int
    ) -> Iterator[tuple[str, Any]]:
        if depth > _DEPTH:
            return
        if schema.get("type") == "array" and self.lengths(schema) is None:
            yield from self._leaves(self.plain(schema.get("items")), f"{path}[*]", depth + 1)
        elif schema.get("properties") and self._ranked(path, schema) is None:
            for name, part in _table(schema, "properties").items():
                step = name if re.fullmatch(r"\w+", name) else ""
                inner = f"{path}.{step}".removeprefix(".") if step else f"{path}{quoted(name)}"
                yield from self._leaves(self.plain(part), inner, depth + 1)
        else:
            yield path, schema

    def _ranked(self, path: str, schema: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The labels of an object that maps them to scores, as far as listed; None of another.

        A part is such an object by its name: numbers under other names may be anything.
        """
        name = path.rpartition(".")[2]
        if not (_SCORE.search(name) or _LABEL.search(name)):
            return None
        parts = [self.plain(part) for part in _table(schema, "properties").values()]
        if not parts and "additionalProperties" in schema:
            parts = [self.plain(schema["additionalProperties"])]
        if not parts or any(part.get("type") not in ("number", "integer") for part in parts):
            return None
        return tuple(map(str, _table(schema, "properties")))

    def plain(self, schema: Any, depth: int = 0) -> Mapping[str, Any]:
        """A schema without references and alternatives: of these the first that is not null."""
        if not isinstance(schema, Mapping) or depth > _DEPTH:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            return self.plain(
                _table(self.document, *reference.removeprefix("#/").split("/")), depth + 1
            )
        for word in ("anyOf", "oneOf", "allOf"):
            for part in schema.get(word) or () if isinstance(schema.get(word), list) else ():
                plain = self.plain(part, depth + 1)
                if plain and plain.get("type") != "null":
                    return {**plain, "default": schema["default"]} if "default" in schema else plain
        return schema


def _of_lengths(lengths: list[int | None]) -> _Place:
    """A list of numbers is a row, a list of lists several."""
    if len(lengths) == 1:
        return _Place("$row", None if lengths[0] is None else (lengths[0],))
    inner = [length for length in lengths[1:] if length is not None]
    shape = tuple(inner) if len(inner) == len(lengths) - 1 else None
    return _Place("$rows", shape, is_single=False)


def _request(kind: str, place: _Place) -> dict[str, Any] | None:
    columns = {"columns": list(place.columns)} if place.columns else {}
    if kind == "application/json":
        return {"body": place.template, **columns}
    if kind == "application/x-www-form-urlencoded" and place.columns:
        return {"format": "form", **columns}
    return None


def _response(operation: Mapping[str, Any]) -> Any:
    for status in ("200", "201"):
        content = _table(operation, "responses", status, "content")
        if "application/json" in content:
            return _table(content, "application/json", "schema")
    return {}


def _is_number(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("number", "integer")


def _is_open_text(schema: Mapping[str, Any]) -> bool:
    """Whether the document leaves a text to the caller: beside numbers, a category of the data."""
    proposed = ("const", "default", "examples", "example")
    return schema.get("type") == "string" and not any(word in schema for word in proposed)


def _constant(schema: Mapping[str, Any]) -> Any:
    """A value that the document itself proposes for a text or a truth value."""
    if schema.get("type") not in ("string", "boolean"):
        return None
    listed = (schema.get(word) for word in ("enum", "examples"))
    first = [values[0] for values in listed if isinstance(values, list) and values]
    proposed = [schema.get("const"), schema.get("default"), *first, schema.get("example")]
    return next((value for value in proposed if isinstance(value, str | bool)), None)


def _written(parts: list[str], constants: Mapping[str, Any]) -> str:
    own = [f"{_key(name)}: {_key(value)}" for name, value in constants.items()]
    return f"{{{', '.join([*own, *parts])}}}"


def _key(value: Any) -> str:
    return json.dumps(value).replace("$", "\\u0024")


def _table(part: Any, *names: str) -> Mapping[str, Any]:
    """A table inside others; an empty one where it is missing."""
    for name in names:
        part = part.get(name) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else {}
