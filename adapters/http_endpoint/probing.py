"""Recognise the protocol of a server by GET requests alone.

No query is spent. What is found is written as a configuration.

The order is that of how much an answer proves: a v2 server names itself, an open port at ``/ping``
might be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from blackbox_boundary.errors import InvalidInput, PredictorError
from blackbox_boundary.predictor import Access

from .configuration import Configuration
from .dialects import oip_v2, tf_serving
from .dialects.dialect import Dialect
from .discovery import json_at, look, model_names
from .finding import ACCESS, SHAPES, Finding, described
from .own_code import own_code
from .strict_json import shown
from .transport import Transport

__all__ = ["find"]


def find(spec: str, given: Mapping[str, Any]) -> Finding:
    """Examine a URL, or the URL of a description, with GET requests only.

    ``given`` holds the same settings as for loading the endpoint.
    """
    config = Configuration.of_spec(spec, given, is_url=not spec.endswith(".toml"))
    transport = Transport(config.url, config.transport, headers=config.headers, aws=config.aws)
    try:
        with transport.guarded():
            return _found(transport, config).masked_by(transport)
    finally:
        transport.close()


def _found(transport: Transport, config: Configuration) -> Finding:
    base, model = _parted(urlsplit(config.url).path)
    findings = (
        recognise(transport, base, model, config)
        for recognise in (_oip_v2, _models_v1, _pinged, own_code, _container)
    )
    nothing = Finding(
        None,
        f"Nothing known answers at {transport.origin}; describe the endpoint.",
        described(config.url),
        SHAPES,
    )
    found = next((finding for finding in findings if finding is not None), nothing)
    keep = " Keep the [headers] of the file." if config.headers else ""
    return replace(found, says=found.says + keep, n_requests=transport.counters.discoveries)


def _parted(path: str) -> tuple[str, str | None]:
    """A path's prefix, and the model it names (perhaps with its version)."""
    found = re.fullmatch(
        r"(.*?)(?:/v[12])?(?:/(?:models|predictions)(?:/([^:]+?))?|/invocations)?(?:/infer|:predict)?/?",
        path,
    )
    assert found is not None
    return found[1], found[2]


def _oip_v2(
    transport: Transport, base: str, model: str | None, config: Configuration
) -> Finding | None:
    server = json_at(transport, f"{base}/v2")
    if not isinstance(server.get("name"), str):
        return None
    says = (
        f"Open Inference Protocol v2: {shown(server['name'], 60)} "
        f"{shown(server.get('version', ''), 30)}."
    )
    model, says = _named(transport, base, model, says)
    settings = {"url": f"{transport.origin}{base}/v2/models/{model or 'NAME'}", "dialect": "oip_v2"}
    if model is None:
        return Finding(
            "oip_v2", f"{says} Put the model's name into the URL.", settings, {"access": ACCESS}
        )
    try:
        found, missing = _discovered(
            lambda config: oip_v2.discover(transport, f"{base}/v2/models/{model}", config), config
        )
    except (InvalidInput, PredictorError) as error:
        missing = SHAPES | _tensors_to_choose(json_at(transport, f"{base}/v2/models/{model}"))
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


def _named(transport: Transport, base: str, model: str | None, says: str) -> tuple[str | None, str]:
    """The model and its metadata; if the URL names none, the server may list its models."""
    if model is not None:
        return model, says
    models = model_names(transport, f"{base}/v2/models") or model_names(transport, f"{base}/models")
    listed = f" Models: {shown(', '.join(models), 200)}." if models else ""
    return (models[0] if len(models) == 1 else None), says + listed


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
    missing = {"bounds": SHAPES["bounds"]}
    try:
        return discover(config), missing
    except InvalidInput:
        return discover(replace(config, access=Access.LOGITS)), {"access": ACCESS, **missing}


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
        models = model_names(transport, f"{base}/v1/models")
        if not models:
            return None
        says = f"KServe v1, models {shown(', '.join(models), 200)}."
        return Finding("kserve_v1", says, settings, SHAPES)
    status = json_at(transport, f"{base}/v1/models/{model}")
    if "model_version_status" in status:
        settings["dialect"] = "tf_serving"
        try:
            found, missing = _discovered(
                lambda config: tf_serving.discover(transport, f"{base}/v1/models/{model}", config),
                config,
            )
        except InvalidInput as error:
            return Finding("tf_serving", f"TensorFlow Serving. {error}", settings, SHAPES)
        return Finding(
            "tf_serving", "TensorFlow Serving.", {**settings, **_contract(found, missing)}, missing
        )
    return (
        Finding("kserve_v1", "KServe v1 (no metadata).", settings, SHAPES)
        if "ready" in status
        else None
    )


def _pinged(transport: Transport, base: str, model: str | None, _: Configuration) -> Finding | None:
    """Recognise TorchServe and MLflow by their answers to ``/ping``.

    TorchServe reports its health. MLflow answers nothing or an empty line, and has a ``/version``.
    """
    ping = look(transport, f"{base}/ping")
    if ping is None:
        return None
    place = f"{transport.origin}{base}"
    if b"status" in ping.body.lower() or b"health" in ping.body.lower():
        model, says = _named(
            transport, base, model, "TorchServe; its health proves nothing about the model."
        )
        settings: dict[str, Any] = {
            "url": f"{place}/predictions/{model or 'NAME'}",
            "dialect": "torchserve",
        }
        settings |= {"request": {"body": "$raw", "encoding": "png"}, "answer": {"ranked": "$"}}
        missing = {**SHAPES, "labels": (["cat", "dog"], "the names of the classes, in order")}
        return Finding("torchserve", says, settings, missing)
    version = look(transport, f"{base}/version")
    if (
        not ping.body.strip()
        and version is not None
        and re.fullmatch(rb"\d+\.\d+[\w.]*\s*", version.body)
    ):
        settings = {"url": f"{place}/invocations", "dialect": "mlflow"}
        missing = {
            **SHAPES,
            "request.format": ("inputs", "or dataframe_split"),
            "answer.output": ("probabilities", "where outputs have names"),
        }
        return Finding("mlflow", f"MLflow {version.body.decode().strip()}.", settings, missing)
    return None


def _container(
    transport: Transport, base: str, _model: str | None, _: Configuration
) -> Finding | None:
    """Something that answers a ping, which any server may that answers everything."""
    if look(transport, f"{base}/ping") is None:
        return None
    says = "A container with /ping (SageMaker?): describe its body."
    return Finding(None, says, described(f"{transport.origin}{base}/invocations"), SHAPES)
