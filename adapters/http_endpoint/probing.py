"""Which protocol is this? Found with GET alone, so that no query is spent, and written down as a configuration.

The order is that of how much an answer proves: a v2 server names itself, an open port at ``/ping`` might be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from blackbox_boundary.errors import BadPrediction, InvalidInput, PredictorError
from blackbox_boundary.predictor import Access

from .configuration import Configuration
from .dialects import oip_v2, tf_serving
from .dialects.dialect import Dialect
from .discovery import look
from .finding import Finding
from .openapi import Operation, operations
from .strict_json import read_json, shown
from .transport import Transport
from .wire import Reply

__all__ = ["find"]


def find(spec: str, given: Mapping[str, Any]) -> Finding:
    """Look at a URL, or at that of a description, with GET requests only; what is given is as for loading it."""
    config = Configuration.of_spec(spec, given, is_url=not spec.endswith(".toml"))
    transport = Transport(config.url, config.transport, headers=config.headers)
    try:
        with transport.guarded():
            return _found(transport, config).masked_by(transport)
    finally:
        transport.close()


def _found(transport: Transport, config: Configuration) -> Finding:
    base, model = _parted(urlsplit(config.url).path)
    findings = (
        recognise(transport, base, model, config)
        for recognise in (_oip_v2, _models_v1, _pinged, _openapi, _own_code)
    )
    nothing = Finding(
        None,
        f"Nothing known answers at {transport.origin}; describe the endpoint.",
        _described(config.url),
        _SHAPES,
    )
    found = next((finding for finding in findings if finding is not None), nothing)
    keep = " Keep the [headers] of the file." if config.headers else ""
    return replace(found, says=found.says + keep, n_requests=transport.counters.discoveries)


_ACCESS = ("probabilities", 'or "logits", "top1", "label": what the answers are')
_SHAPES = {
    "access": _ACCESS,
    "input_shape": ([1, 28, 28], "of one row, without the batch"),
    "n_classes": (10, "number of classes"),
    "bounds": ([0.0, 1.0], "lowest and highest input, where there are any"),
}


def _parted(path: str) -> tuple[str, str | None]:
    """A path's prefix, and the model it names (perhaps with its version)."""
    found = re.fullmatch(
        r"(.*?)(?:/v[12])?(?:/(?:models|predictions)(?:/([^:]+?))?|/invocations)?(?:/infer|:predict)?/?",
        path,
    )
    assert found is not None
    return found[1], found[2]


def _json_at(transport: Transport, path: str) -> dict[str, Any]:
    """The object that is there; an empty one where there is none."""
    reply = look(transport, path)
    return {} if reply is None else _object(reply)


def _object(reply: Reply) -> dict[str, Any]:
    try:
        document = read_json(reply.body)
    except BadPrediction:
        return {}
    return document if isinstance(document, dict) else {}


def _oip_v2(
    transport: Transport, base: str, model: str | None, config: Configuration
) -> Finding | None:
    server = _json_at(transport, f"{base}/v2")
    if not isinstance(server.get("name"), str):
        return None
    says = f"Open Inference Protocol v2: {shown(server['name'], 60)} {shown(server.get('version', ''), 30)}."
    settings = {"url": f"{transport.origin}{base}/v2/models/{model or 'NAME'}", "dialect": "oip_v2"}
    if model is None:
        return Finding(
            "oip_v2", f"{says} Put the model's name into the URL.", settings, {"access": _ACCESS}
        )
    try:
        found, missing = _discovered(
            lambda config: oip_v2.discover(transport, f"{base}/v2/models/{model}", config), config
        )
    except (InvalidInput, PredictorError) as error:
        missing = _SHAPES | _tensors_to_choose(_json_at(transport, f"{base}/v2/models/{model}"))
        return Finding("oip_v2", f"{says} But the model: {error}", settings, missing)
    assert isinstance(found, oip_v2.OpenInference)
    settings |= _contract(found, missing)
    request = {"input": found.input, "datatype": found.datatype, "binary": found.is_binary}
    return Finding(
        "oip_v2",
        says,
        {**settings, "request": request, "answer": {"output": found.output}},
        missing,
    )


def _tensors_to_choose(metadata: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """The names among which a person must choose: [request] input, [answer] output."""
    missing = {}
    for side, setting in (("inputs", "request.input"), ("outputs", "answer.output")):
        tensors = metadata.get(side)
        listed = tensors if isinstance(tensors, list) else []
        names = [str(each["name"]) for each in listed if isinstance(each, dict) and "name" in each]
        if len(names) != 1:
            known = shown(", ".join(names), 120) if names else "the server names none"
            missing[setting] = (names[0] if names else side[:-1], f"of {known}")
    return missing


def _discovered(
    discover: Callable[[Configuration], Dialect], config: Configuration
) -> tuple[Dialect, dict[str, tuple[Any, str]]]:
    """The dialect from the server's metadata, and the settings that it leaves to the user.

    Servers often do not declare whether scores are probabilities.
    """
    missing = {"bounds": _SHAPES["bounds"]}
    try:
        return discover(config), missing
    except InvalidInput:
        return discover(replace(config, access=Access.LOGITS)), {"access": _ACCESS, **missing}


def _contract(found: Dialect, missing: Mapping[str, Any]) -> dict[str, Any]:
    """The model's part of a configuration."""
    known = {
        "access": found.contract.access.name.lower(),
        "input_shape": list(found.contract.input_shape),
        "n_classes": found.contract.n_classes,
    }
    known |= {"max_rows": found.max_rows} if found.max_rows else {}
    return {name: value for name, value in known.items() if name not in missing}


def _models_v1(
    transport: Transport, base: str, model: str | None, config: Configuration
) -> Finding | None:
    """Recognise TensorFlow Serving by a model's versions, KServe v1 by readiness and model list."""
    settings = {
        "url": f"{transport.origin}{base}/v1/models/{model or 'NAME'}:predict",
        "dialect": "kserve_v1",
    }
    if model is None:
        models = _json_at(transport, f"{base}/v1/models").get("models")
        if not isinstance(models, list):
            return None
        return Finding(
            "kserve_v1",
            f"KServe v1, models {shown(', '.join(map(str, models)), 200)}.",
            settings,
            _SHAPES,
        )
    status = _json_at(transport, f"{base}/v1/models/{model}")
    if "model_version_status" in status:
        settings["dialect"] = "tf_serving"
        try:
            found, missing = _discovered(
                lambda config: tf_serving.discover(transport, f"{base}/v1/models/{model}", config),
                config,
            )
        except InvalidInput as error:
            return Finding("tf_serving", f"TensorFlow Serving. {error}", settings, _SHAPES)
        return Finding(
            "tf_serving", "TensorFlow Serving.", {**settings, **_contract(found, missing)}, missing
        )
    return (
        Finding("kserve_v1", "KServe v1 (no metadata).", settings, _SHAPES)
        if "ready" in status
        else None
    )


def _pinged(transport: Transport, base: str, model: str | None, _: Configuration) -> Finding | None:
    """TorchServe says that it is healthy, MLflow says nothing (or an empty line) and has a version."""
    ping = look(transport, f"{base}/ping")
    if ping is None:
        return None
    place = f"{transport.origin}{base}"
    if b"status" in ping.body.lower() or b"health" in ping.body.lower():
        settings: dict[str, Any] = {
            "url": f"{place}/predictions/{model or 'NAME'}",
            "dialect": "torchserve",
        }
        settings |= {"request": {"body": "$raw", "encoding": "png"}, "answer": {"ranked": "$"}}
        missing = {**_SHAPES, "labels": (["cat", "dog"], "the names of the classes, in order")}
        return Finding(
            "torchserve",
            "TorchServe; its health proves nothing about the model.",
            settings,
            missing,
        )
    version = look(transport, f"{base}/version")
    if (
        not ping.body.strip()
        and version is not None
        and re.fullmatch(rb"\d+\.\d+[\w.]*\s*", version.body)
    ):
        settings = {"url": f"{place}/invocations", "dialect": "mlflow"}
        missing = {
            **_SHAPES,
            "request.format": ("inputs", "or dataframe_split"),
            "answer.output": ("probabilities", "where outputs have names"),
        }
        return Finding("mlflow", f"MLflow {version.body.decode().strip()}.", settings, missing)
    return Finding(
        None,
        "A container with /ping (SageMaker?): describe its body.",
        _described(f"{place}/invocations"),
        _SHAPES,
    )


_DOCUMENTS = ("openapi.json", "docs.json", "swagger.json", "docs", "redoc", "apidocs")
"""Where services keep their OpenAPI document, or a page that names it."""
_NAMED = re.compile(rb"""(?:url:\s*|spec-url=)["']([^"']{1,200})["']""")


def _openapi(
    transport: Transport, _base: str, _model: str | None, config: Configuration
) -> Finding | None:
    """A service that describes its routes itself, as every FastAPI service does."""
    asked = urlsplit(config.url).path.rstrip("/")
    for place, document in _openapi_documents(transport, asked):
        found = operations(document)
        chosen = [each for each in found if asked.endswith(each.path.rstrip("/"))] or found
        if len(chosen) == 1:
            return _described_by(chosen[0], f"{transport.origin}{place}{chosen[0].path}", document)
        if chosen:
            routes = shown(", ".join(each.path for each in found), 200)
            says = (
                f"OpenAPI; several routes take numbers: {routes}. Look again with the URL of one."
            )
            return Finding("described", says, _described(config.url), _SHAPES)
    return None


def _openapi_documents(transport: Transport, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents, and where their routes begin; looked for beside each part of the path, the root first."""
    parts = [part for part in path.split("/") if part][:3]
    for depth in range(len(parts) + 1):
        base = "".join(f"/{part}" for part in parts[:depth])
        for name in _DOCUMENTS if depth == 0 else _DOCUMENTS[:1]:
            reply = look(transport, f"{base}/{name}")
            if reply is not None and (named := _NAMED.search(reply.body)):
                target = named[1].decode("utf-8", "replace")
                reply = look(transport, target) if target.startswith("/") else None
            document = {} if reply is None else _object(reply)
            if "paths" in document:
                yield base, document
                break


def _described_by(operation: Operation, url: str, document: Mapping[str, Any]) -> Finding:
    info = document.get("info")
    title = shown(info.get("title", ""), 60) if isinstance(info, Mapping) else ""
    settings: dict[str, Any] = {"url": url, "dialect": "described"}
    if operation.shape:
        settings["input_shape"] = list(operation.shape)
    if operation.labels:
        settings["labels"] = list(operation.labels)
    missing = {name: example for name, example in _SHAPES.items() if name not in settings}
    if operation.labels:
        missing.pop("n_classes")
    if not operation.answer:
        missing["answer.scores"] = ("probabilities", 'path to the scores; or "labels"')
    elif set(operation.answer) == {"labels"}:
        settings["access"] = "label"
    elif set(operation.answer) == {"labels", "scores"}:
        settings["access"] = "top1"
    for name in settings:
        missing.pop(name, None)
    settings |= {"request": dict(operation.request), "answer": dict(operation.answer)}
    return Finding("described", f"OpenAPI {title}: {operation.path}.", settings, missing)


_OWN_CODE: tuple[tuple[str, str, str], ...] = (
    ("/schema.json", "routes", "BentoML"),
    ("/info", "server", "LitServe"),
    ("/openapi.json", "openapi", "FastAPI or the like"),
)
"""Servers of one's own code say who they are, not what they take: where, by which key, and who."""


def _own_code(
    transport: Transport, base: str, _: str | None, config: Configuration
) -> Finding | None:
    for path, key, name in _OWN_CODE:
        found = _json_at(transport, f"{base}{path}")
        if key in found:
            paths = found.get("paths")
            routes = f" Routes: {shown(', '.join(paths), 200)}." if isinstance(paths, dict) else ""
            return Finding(
                "described",
                f"{name}: describe the endpoint.{routes}",
                _described(config.url),
                _SHAPES,
            )
    if _json_at(transport, f"{base}/-/routes"):
        return Finding(
            "described", "Ray Serve: describe the endpoint.", _described(config.url), _SHAPES
        )
    root = look(transport, f"{base}/")
    if root is not None and root.body.strip() == b"Healthy":
        settings = {
            **_described(f"{transport.origin}{base}/score"),
            "request": {"body": '{"data": $rows}'},
        }
        return Finding("described", "Azure ML inference server.", settings, _SHAPES)
    return None


def _described(url: str) -> dict[str, Any]:
    return {
        "url": url,
        "dialect": "described",
        "request": {"body": '{"instances": $rows}'},
        "answer": {"scores": "predictions"},
    }
