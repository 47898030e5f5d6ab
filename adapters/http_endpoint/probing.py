"""Which protocol is this? Found with GET alone, so that no query is spent, and written down as a configuration.

The order is that of how much an answer proves: a v2 server names itself, an open port at ``/ping`` might be anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from blackbox_boundary.errors import BadPrediction, InvalidInput, PredictorError, PredictorRefused

from . import oip_v2
from .configuration import Configuration
from .strict_json import shown
from .transport import Transport
from .wire import Reply, Request

__all__ = ["Finding", "find"]

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Finding:
    """What was found at a URL.

    Attributes
    ----------
    dialect : str or None
        None where nothing known was recognised.
    says : str
        What gave it away, for people.
    settings : mapping
        The configuration as far as the server tells it.
    missing : mapping of str to str
        Settings that must be given, with an example and what they are.
    n_requests : int
        GET requests that were sent.
    """

    dialect: str | None
    says: str
    settings: Mapping[str, Any]
    missing: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    n_requests: int = 0

    @property
    def toml(self) -> str:
        """A configuration to save and to load; what is missing stands in comments, to be filled in."""
        lines = [f"# {self.says}"]
        lines += [f"{name} = {_toml(value)}" for name, value in self.settings.items() if not isinstance(value, Mapping)]
        lines += [f"# {name} = {_toml(example)}  # {what}" for name, (example, what) in self.missing.items() if "." not in name]
        tables = {name: dict(value) for name, value in self.settings.items() if isinstance(value, Mapping)}
        nested = {name: value for name, value in self.missing.items() if "." in name}
        for table in dict.fromkeys([*tables, *(name.split(".")[0] for name in nested)]):
            lines += ["", f"[{table}]"]
            lines += [f"{name} = {_toml(value)}" for name, value in tables.get(table, {}).items()]
            own = {name.split(".")[1]: value for name, value in nested.items() if name.startswith(f"{table}.")}
            lines += [f"# {name} = {_toml(example)}  # {what}" for name, (example, what) in own.items()]
        return "\n".join(lines) + "\n"


def find(url: str, given: Mapping[str, Any]) -> Finding:
    """Look at a URL, with GET requests only; what is given is as for loading it."""
    told = Configuration.of({**given, "url": url})
    transport = Transport(told.url, told.transport, headers=told.headers)
    try:
        look = _Look(transport)
        base, model = _parted(urlsplit(url).path)
        for recognise in (_oip_v2, _models_v1, _pinged, _others):
            if (finding := recognise(look, base, model, told)) is not None:
                break
        else:
            finding = Finding(None, f"Nothing known answers at {transport.origin}; describe the endpoint.", _described(url), _SHAPES)
        return Finding(finding.dialect, finding.says, finding.settings, finding.missing, transport.counters.discoveries)
    finally:
        transport.close()


_ACCESS = ("probabilities", 'or "logits", "top1", "label": what the answers are')
_SHAPES = {
    "access": _ACCESS,
    "input_shape": ([1, 28, 28], "of one row, without the batch"),
    "n_classes": (10, "number of classes"),
    "bounds": ([0.0, 1.0], "lowest and highest input, where there are any"),
}


class _Look:
    """GET requests whose failing is an answer too."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def at(self, path: str) -> Reply | None:
        """What is there; None where there is nothing."""
        try:
            return self.transport.send(Request("GET", path), lambda reply: reply, most_bytes=_MOST_BYTES, attempts=1)
        except PredictorRefused as error:
            if "status 401" in str(error) or "status 403" in str(error):
                raise
            return None
        except BadPrediction:
            return None

    def json_at(self, path: str) -> dict[str, Any]:
        """The object that is there; an empty one where there is none."""
        reply = self.at(path)
        try:
            document = json.loads(reply.body) if reply else None
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


def _parted(path: str) -> tuple[str, str | None]:
    """A path's prefix, and the model it names."""
    found = re.fullmatch(r"(.*?)(?:/v2|/v1|)(?:/(?:models|predictions)(?:/([^/:]+).*)?|/invocations/?|/v2/?|/v1/?|/?)", path)
    return (found[1], found[2]) if found else (path.rstrip("/"), None)


def _oip_v2(look: _Look, base: str, model: str | None, told: Configuration) -> Finding | None:
    server = look.json_at(f"{base}/v2")
    if not isinstance(server.get("name"), str):
        return None
    says = f"Open Inference Protocol v2: {shown(server['name'], 60)} {shown(server.get('version', ''), 30)}."
    url = f"{look.transport.origin}{base}/v2/models/{model or 'NAME'}"
    if model is None:
        return Finding("oip_v2", f"{says} Put the model's name into the URL.", {"url": url, "dialect": "oip_v2"}, {"access": _ACCESS})
    return _v2_model(look.transport, f"{base}/v2/models/{model}", told, url, says)


def _v2_model(transport: Transport, path: str, told: Configuration, url: str, says: str) -> Finding:
    """Fill in what the metadata tell; what they leave open becomes a comment."""
    settings: dict[str, Any] = {"url": url, "dialect": "oip_v2"}
    try:
        found = oip_v2.discover(transport, path, told)
    except InvalidInput as error:
        return Finding("oip_v2", f"{says} {error}", settings, _SHAPES)
    except PredictorError as error:
        return Finding("oip_v2", f"{says} But the model: {error}", settings, {"access": _ACCESS})
    contract = found.contract
    settings |= {"access": contract.access.name.lower(), "input_shape": list(contract.input_shape), "n_classes": contract.n_classes}
    settings |= {"max_rows": found.max_rows} if found.max_rows else {}
    settings |= {
        "request": {"input": found.input, "datatype": found.datatype, "binary": found.is_binary},
        "answer": {"output": found.output},
    }
    return Finding("oip_v2", says, settings, {"bounds": _SHAPES["bounds"]})


def _models_v1(look: _Look, base: str, model: str | None, _: Configuration) -> Finding | None:
    """TensorFlow Serving tells a model's versions, KServe v1 whether it is ready, and which models there are."""
    url = f"{look.transport.origin}{base}/v1/models/{model or 'NAME'}:predict"
    settings = {"url": url, "dialect": "tf_serving"}
    if model:
        status = look.json_at(f"{base}/v1/models/{model}")
        if "model_version_status" in status:
            has_shapes = bool(look.json_at(f"{base}/v1/models/{model}/metadata"))
            missing = {"access": _ACCESS, "bounds": _SHAPES["bounds"]} if has_shapes else _SHAPES
            return Finding("tf_serving", "TensorFlow Serving.", settings, missing)
        if "ready" in status:
            return Finding("kserve_v1", "KServe v1 (no metadata).", {**settings, "dialect": "kserve_v1"}, _SHAPES)
        return None
    models = look.json_at(f"{base}/v1/models").get("models")
    if not isinstance(models, list):
        return None
    return Finding(
        "kserve_v1", f"KServe v1, models {shown(', '.join(map(str, models)), 200)}.", {**settings, "dialect": "kserve_v1"}, _SHAPES
    )


def _pinged(look: _Look, base: str, model: str | None, _: Configuration) -> Finding | None:
    """TorchServe says that it is healthy, MLflow says nothing and has a version."""
    ping = look.at(f"{base}/ping")
    if ping is None:
        return None
    origin = look.transport.origin
    if b"status" in ping.body.lower() or b"health" in ping.body.lower():
        url = f"{origin}{base}/predictions/{model or 'NAME'}"
        settings = {"url": url, "dialect": "torchserve", "request": {"body": "$raw", "encoding": "png"}, "answer": {"ranked": "$"}}
        missing = {**_SHAPES, "labels": (["cat", "dog"], "the names of the classes, in order")}
        return Finding("torchserve", "TorchServe; its health proves nothing about the model.", settings, missing)
    version = look.at(f"{base}/version")
    if not ping.body and version is not None and re.fullmatch(rb"\d+\.\d+[\w.]*\s*", version.body):
        missing = {
            **_SHAPES,
            "request.format": ("inputs", "or dataframe_split"),
            "answer.output": ("probabilities", "where outputs have names"),
        }
        return Finding(
            "mlflow", f"MLflow {version.body.decode().strip()}.", {"url": f"{origin}{base}/invocations", "dialect": "mlflow"}, missing
        )
    return Finding(None, "A container with /ping (SageMaker?): describe its body.", _described(f"{origin}{base}/invocations"), _SHAPES)


def _others(look: _Look, base: str, _: str | None, told: Configuration) -> Finding | None:
    """Servers of one's own code: they say who they are, not what they take."""
    litserve: Callable[[dict[str, Any]], bool] = lambda found: "server" in found and "model" in found  # noqa: E731
    marks: list[tuple[str, str, Callable[[dict[str, Any]], bool]]] = [
        ("/schema.json", "BentoML", lambda found: "routes" in found),
        ("/info", "LitServe", litserve),
        ("/-/routes", "Ray Serve", bool),
        ("/openapi.json", "FastAPI or the like", lambda found: "openapi" in found),
    ]
    for path, name, is_it in marks:
        found = look.json_at(f"{base}{path}")
        if is_it(found):
            routes = ", ".join(map(str, found["paths"])) if isinstance(found.get("paths"), dict) else ""
            says = f"{name}: describe the endpoint." + (f" Routes: {shown(routes, 200)}." if routes else "")
            return Finding("described", says, _described(told.url), _SHAPES)
    root = look.at(f"{base}/")
    if root is not None and root.body.strip() == b"Healthy":
        url = f"{look.transport.origin}{base}/score"
        return Finding("described", "Azure ML inference server.", {**_described(url), "request": {"body": '{"data": $rows}'}}, _SHAPES)
    return None


def _described(url: str) -> dict[str, Any]:
    return {"url": url, "dialect": "described", "request": {"body": '{"instances": $rows}'}, "answer": {"scores": "predictions"}}


def _toml(value: Any) -> str:
    """A value in TOML; JSON writes texts, numbers and lists the same way."""
    if isinstance(value, str) and '"' in value and "'" not in value:
        return f"'{value}'"
    return json.dumps(value)
