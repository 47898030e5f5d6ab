"""What a Gradio app says of its functions, and how they are asked in one request.

A page of Gradio asks in two requests, of which the second is a stream. The route ``run/NAME``
answers the same in one.

References
----------
.. [1] Gradio, "Querying Gradio Apps with Curl", and the document at ``/gradio_api/info``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .discovery import json_at
from .finding import SHAPES, Finding, described
from .strict_json import shown
from .transport import Transport

__all__ = ["gradio_finding"]

_PREFIXES = ("/gradio_api", "")
"""Since version 5, and before."""
_NUMBERS = ("Number", "Slider")
_ROWS = ("Json", "JSON", "List", "Dataframe")


def gradio_finding(transport: Transport, base: str, asked: str) -> Finding | None:
    """A description of the function that the URL names, or of the only one."""
    for prefix in _PREFIXES:
        known = json_at(transport, f"{base}{prefix}/info").get("named_endpoints")
        if isinstance(known, Mapping):
            return _described(f"{transport.origin}{base}{prefix}/run", known, asked)
    return None


def _described(url: str, known: Mapping[str, Any], asked: str) -> Finding:
    names = [name for name in known if asked.endswith(name)] or list(known)
    if len(names) != 1:
        says = f"Gradio, functions {shown(', '.join(known), 200)}. Look again with {url}/NAME."
        return Finding("described", says, described(url), SHAPES)
    function = known[names[0]] if isinstance(known[names[0]], Mapping) else {}
    settings: dict[str, Any] = {"url": f"{url}{names[0]}", "dialect": "described"}
    missing = dict(SHAPES)
    request = _request(_components(function.get("parameters")))
    if request is None:
        missing["request.body"] = ('{"data": [$row]}', "a list with a value for each input")
    else:
        settings["request"] = request
        if columns := request.get("columns"):
            settings["input_shape"] = [len(columns)]
            del missing["input_shape"]
    _, answered = next(iter(_components(function.get("returns"))), ("", ""))
    settings["answer"] = answer = _answer(answered)
    if "labels" in answer:
        del missing["n_classes"]
        missing["labels"] = (["cat", "dog"], "the names of the classes, in order")
    return Finding("described", f"Gradio: {names[0]}.", settings, missing)


def _components(listed: Any) -> list[tuple[str, str]]:
    """Names and components of parameters or returned values."""
    return [
        (str(each.get("parameter_name", "")), str(each.get("component", "")))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, Mapping)
    ]


def _request(told: list[tuple[str, str]]) -> dict[str, Any] | None:
    """Numbers each by its name, or one component that holds the row."""
    if told and all(component in _NUMBERS for _, component in told):
        places = ", ".join(f"$row[{at}]" for at in range(len(told)))
        return {"body": f'{{"data": [{places}]}}', "columns": [name for name, _ in told]}
    if len(told) == 1 and told[0][1] in _ROWS:
        return {"body": '{"data": [$row]}'}
    return None


def _answer(component: str) -> dict[str, str]:
    """Where labels and scores are in the answer of one component."""
    if component == "Label":
        return {
            "labels": "data[0].confidences[*].label",
            "scores": "data[0].confidences[*].confidence",
        }
    if component in ("Textbox", "Text", "Markdown"):
        return {"labels": "data[0]"}
    return {"scores": "data[0]"}
