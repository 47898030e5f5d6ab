"""Recognise servers of user code, which report their name but rarely their inputs.

BentoML and Gradio describe their routes in documents of their own. LitServe, Ray Serve and Azure ML
say their name. Any of them, and every FastAPI service, may have an OpenAPI document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from .configuration import Configuration
from .discovery import as_object, json_at, look
from .finding import SHAPES, Finding, described
from .gradio_routes import gradio_finding
from .openapi import Operation, operations
from .strict_json import shown
from .transport import Transport

__all__ = ["own_code"]

_DOCUMENTS = ("openapi.json", "docs.json", "swagger.json", "docs", "redoc", "apidocs")
"""Where services keep their OpenAPI document, or a page that names it."""
_NAMED = re.compile(rb"""(?:url:\s*|spec-url=)["']([^"']{1,200})["']""")
_Document: TypeAlias = tuple[str, dict[str, Any]]
"""Where the routes of an OpenAPI document begin, and the document."""
_LABELS = (["cat", "dog"], "the names of the classes, in order")


def own_code(
    transport: Transport, _base: str, _model: str | None, config: Configuration
) -> Finding | None:
    """The finding from the first document that describes the server, else from its name."""
    asked = urlsplit(config.url).path.rstrip("/")
    for base in _folders(asked)[:2]:
        for recognise in (_bentoml, gradio_finding, _litserve):
            if (finding := recognise(transport, base, asked)) is not None:
                return finding
    documents = list(_openapi_documents(transport, asked))
    if (finding := _openapi(transport.origin, documents, asked)) is not None:
        return finding
    for base in _folders(asked)[:2]:
        for by_name in (_ray_serve, _azure_ml):
            if (finding := by_name(transport, base, config.url)) is not None:
                return finding
    return _undescribed(documents, config.url)


def _folders(path: str) -> list[str]:
    """Where documents may be: at the root, and below the first folders of a path."""
    parts = [part for part in path.split("/") if part][:3]
    return ["".join(f"/{part}" for part in parts[:depth]) for depth in range(len(parts) + 1)]


def _bentoml(transport: Transport, base: str, asked: str) -> Finding | None:
    """BentoML lists its routes; its OpenAPI document calls every array a flat list."""
    known = json_at(transport, f"{base}/schema.json")
    routes = known.get("routes")
    if not isinstance(routes, list):
        return None
    listed = [route for route in routes if isinstance(route, dict) and "route" in route]
    paths = {str(route["route"]): {"post": _post(route)} for route in listed}
    found = operations({"paths": paths})
    chosen = [each for each in found if asked.endswith(each.path)] or found
    name = f"BentoML {shown(known.get('name', ''), 60)}"
    if len(chosen) != 1:
        names = shown(", ".join(paths), 200)
        says = f"{name}; routes: {names}. Look again with the URL of one."
        return Finding("described", says, described(f"{transport.origin}{base}"), SHAPES)
    (operation,) = chosen
    finding = described_by(operation, f"{transport.origin}{base}{operation.path}", name)
    merging = any(
        route.get("batchable") is True for route in listed if route["route"] == operation.path
    )
    return finding.setting(merges_requests=True) if merging else finding


def _post(route: Mapping[str, Any]) -> dict[str, Any]:
    """A route of BentoML as OpenAPI would describe it."""
    told, answered = (_plain_tensors(route.get(side)) for side in ("input", "output"))
    return {
        "requestBody": {"content": {"application/json": {"schema": told}}},
        "responses": {"200": {"content": {"application/json": {"schema": answered}}}},
    }


def _plain_tensors(schema: Any) -> Any:
    """Tensors as nested lists: rows of whatever shape, where none is declared."""
    if isinstance(schema, list):
        return [_plain_tensors(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("type") != "tensor":
        return {name: _plain_tensors(part) for name, part in schema.items()}
    shape = schema.get("shape")
    lengths = list(shape)[1:] if isinstance(shape, list) and len(shape) > 1 else [None]
    plain: dict[str, Any] = {"type": "number"}
    for length in reversed(lengths):
        fixed = (
            {}
            if not isinstance(length, int) or length < 1
            else {"minItems": length, "maxItems": length}
        )
        plain = {"type": "array", "items": plain, **fixed}
    return {"type": "array", "items": plain}


def _litserve(transport: Transport, base: str, asked: str) -> Finding | None:
    """LitServe: as its OpenAPI document says where it says something, else as its own examples."""
    known = json_at(transport, f"{base}/info")
    if not {"model", "server"} <= known.keys():
        return None
    documents = list(_openapi_documents(transport, asked))
    if (finding := _openapi(transport.origin, documents, asked)) is not None:
        return finding.setting(merges_requests=True)
    place = asked if asked != base else f"{base}/predict"
    settings = {"preset": "litserve", "url": f"{transport.origin}{place}"}
    says = "LitServe; it does not describe its body: check it against the service's code."
    return Finding("described", says, settings, SHAPES)


def _ray_serve(transport: Transport, base: str, url: str) -> Finding | None:
    routes = json_at(transport, f"{base}/-/routes")
    if not routes:
        return None
    names = shown(", ".join(routes), 200)
    says = f"Ray Serve, routes {names}: describe the body that the deployment reads."
    return Finding("described", says, described(url), SHAPES)


def _azure_ml(transport: Transport, base: str, _: str) -> Finding | None:
    root = look(transport, f"{base}/")
    if root is None or root.body.strip() != b"Healthy":
        return None
    settings = {"preset": "azure-ml", "url": f"{transport.origin}{base}/score"}
    return Finding("described", "Azure ML inference server.", settings, SHAPES)


def _openapi(origin: str, documents: list[_Document], asked: str) -> Finding | None:
    """A service that describes its routes itself, as every FastAPI service does."""
    for place, document in documents:
        found = operations(document)
        chosen = [each for each in found if asked.endswith(each.path.rstrip("/"))] or found
        if len(chosen) == 1:
            info = document.get("info")
            title = shown(info.get("title", ""), 60) if isinstance(info, Mapping) else ""
            url = f"{origin}{place}{chosen[0].path}"
            return described_by(chosen[0], url, f"OpenAPI {title}")
        if chosen:
            routes = shown(", ".join(each.path for each in found), 200)
            says = (
                f"OpenAPI; several routes take numbers: {routes}. Look again with the URL of one."
            )
            return Finding("described", says, described(f"{origin}{asked}"), SHAPES)
    return None


def _undescribed(documents: list[_Document], url: str) -> Finding | None:
    """A service whose document names routes, and not what they take."""
    for _, document in documents:
        if posts := _posts(document):
            says = f"OpenAPI, which does not describe the body of {shown(', '.join(posts), 200)}."
            return Finding(None, says, described(url), SHAPES)
    return None


def _posts(document: Mapping[str, Any]) -> list[str]:
    """Routes that take something."""
    paths = document.get("paths")
    return [
        str(path)
        for path, methods in (paths.items() if isinstance(paths, Mapping) else ())
        if isinstance(methods, Mapping) and "post" in methods
    ]


def _openapi_documents(transport: Transport, path: str) -> Iterator[_Document]:
    """OpenAPI documents, each with the path where its routes begin.

    They are searched for at each part of ``path``, the root first.
    """
    for base in _folders(path):
        for name in _DOCUMENTS if not base else _DOCUMENTS[:1]:
            reply = look(transport, f"{base}/{name}")
            if reply is not None and (named := _NAMED.search(reply.body)):
                target = named[1].decode("utf-8", "replace")
                reply = look(transport, target) if target.startswith("/") else None
            document = {} if reply is None else as_object(reply)
            if "paths" in document:
                yield base, document
                break


def described_by(operation: Operation, url: str, who: str) -> Finding:
    """A route as a description; what its document leaves open is named as missing."""
    settings: dict[str, Any] = {"url": url, "dialect": "described"}
    if operation.shape:
        settings["input_shape"] = list(operation.shape)
    if operation.labels:
        settings["labels"] = list(operation.labels)
    missing = {name: example for name, example in SHAPES.items() if name not in settings}
    kinds = set(operation.answer)
    if kinds & {"labels", "ranked"}:
        del missing["n_classes"]
        missing["labels"] = _LABELS
    if not kinds:
        missing["answer.scores"] = ("probabilities", 'path to the scores; or "labels"')
    elif kinds == {"labels"}:
        settings["access"] = "label"
    elif kinds == {"labels", "scores"}:
        settings["access"] = "top1"
    for name in settings:
        missing.pop(name, None)
    settings |= {"request": dict(operation.request), "answer": dict(operation.answer)}
    return Finding("described", f"{who}: {operation.path}.", settings, missing)
