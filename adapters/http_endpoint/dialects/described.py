"""An endpoint of one's own, described by the user: how rows are written into a request, and where the answer is.

The body is JSON text in which ``$rows`` stands for the list of all rows, or ``$row`` for a single one. The answer is found
by paths such as ``predictions[*].probability``: names and numbers lead inwards, ``[*]`` goes through a list, ``$`` is the whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.predictor import Access, Prediction

from ..answers import read_labels, read_ranked, read_scores
from ..configuration import Configuration
from ..contract import Contract
from ..declared import declared_classes
from ..model_version import ModelVersion
from ..strict_json import numbers, read_json, shown
from ..wire import JSON, Reply, Request, bounds_within
from .encodings import Encoding

__all__ = ["AnswerPath", "Described", "describe", "quoted"]

_STEP = re.compile(r'\.?([^.\[\]"$]+)|\[(\*|\d+|"[^"]*")\]')


class AnswerPath:
    """Where something is in a JSON document.

    Examples
    --------
    >>> AnswerPath("results[*].scores").find({"results": [{"scores": [0.1, 0.9]}, {"scores": [0.8, 0.2]}]})
    [[0.1, 0.9], [0.8, 0.2]]
    >>> AnswerPath("[0].label").find([{"label": "cat"}])
    'cat'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        inner = text.removeprefix("$") if isinstance(text, str) else "["
        if not text or _STEP.sub("", inner):
            raise InvalidInput(
                f'A path into an answer must be like predictions[*].scores, with ["a.b"] for odd names; got {text!r}.'
            )
        self._steps = [name or _step(index) for name, index in _STEP.findall(inner)]

    def find(self, document: Any) -> Any:
        """What is there; under ``[*]``, a list of what is there in each element.

        Raises
        ------
        BadPrediction
            Nothing is there.
        """
        return self._find(document, 0)

    def _find(self, part: Any, depth: int) -> Any:
        for at in range(depth, len(self._steps)):
            step = self._steps[at]
            if step is ... and isinstance(part, list):
                return [self._find(element, at + 1) for element in part]
            is_there = (
                step in part
                if isinstance(part, dict) and isinstance(step, str)
                else isinstance(part, list) and _is_index(step, part)
            )
            if not is_there:
                raise BadPrediction(f'The answer must hold "{self.text}"; got {shown(part)}.')
            part = part[step]
        return part


@dataclass(frozen=True)
class Described:
    """An endpoint as the user describes it.

    Attributes
    ----------
    body : tuple of str, or None
        What stands before and after the rows in the JSON text; None: the encoded row itself is the body.
    form_field : str or None
        The encoded row is sent as a file of a form, under this name.
    scores, labels, ranked : AnswerPath or None
        Where they are; ``ranked`` is an object that maps labels to scores.
    """

    contract: Contract
    path: str
    method: str
    body: tuple[str, str] | None
    form_field: str | None
    is_single: bool
    encoding: Encoding
    scores: AnswerPath | None
    labels: AnswerPath | None
    ranked: AnswerPath | None
    facts: Mapping[str, Any]
    name: str
    version: ModelVersion = field(default_factory=ModelVersion)

    @property
    def max_rows(self) -> int | None:
        """Rows a request may hold: one, where the body has room for one."""
        return 1 if self.is_single else None

    @property
    def plainer(self) -> None:
        """There is one way to ask."""

    def as_sent(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows in the type that is sent."""
        return self.encoding.as_sent(rows)

    def request(self, sent: NDArray[Any]) -> Request:
        """Write the rows into the body."""
        if self.body is None:
            raw, kind = self.encoding.raw(sent[0]), self.encoding.content_type
            if self.form_field:
                raw, kind = _form(self.form_field, raw, kind)
            return Request(self.method, self.path, raw, {"Content-Type": kind})
        before, after = (part.encode() for part in self.body)
        rows = self.encoding.row_json(sent[0]) if self.is_single else self.encoding.rows_json(sent)
        return Request(self.method, self.path, before + rows + after, {"Content-Type": JSON})

    def read(self, reply: Reply, n: int) -> Prediction:
        """Find scores and labels, and read them."""
        self.version.saw_headers(reply.headers)
        document = read_json(reply.body)
        if self.ranked is not None:
            maps = self._found(self.ranked, document)
            if not isinstance(maps, list) or not all(isinstance(each, dict) for each in maps):
                raise BadPrediction(
                    f'The answer must hold objects of labels and scores at "{self.ranked.text}"; got {shown(maps)}.'
                )
            return read_ranked(
                [list(each) for each in maps],
                [list(each.values()) for each in maps],
                n,
                self.contract,
            )
        scores, labels = (
            self._found(path, document) if path else None for path in (self.scores, self.labels)
        )
        if labels is None:
            return read_scores(numbers(scores), n, self.contract)
        if scores is None:
            return read_labels(labels, n, self.contract)
        return read_ranked(labels, scores, n, self.contract)

    def _found(self, path: AnswerPath, document: Any) -> Any:
        """One entry a row, also where the answer to a single row comes without a list around it."""
        found = path.find(document)
        return [found] if self.is_single else found


def describe(path: str, told: Configuration, name: str = "described") -> Described:
    """Set the dialect up from what was told; nothing is sent.

    Raises
    ------
    InvalidInput
        Something is missing or does not fit together.
    """
    told.tables_only(
        request=("method", "body", "form_field", "item", *Encoding.SETTINGS),
        answer=("scores", "labels", "ranked"),
    )
    if told.access is None or told.input_shape is None or not (told.n_classes or told.labels):
        known = {
            "access": told.access,
            "input_shape": told.input_shape,
            "n_classes": told.n_classes or told.labels or None,
        }
        missing = ", ".join(f'"{problem}"' for problem, value in known.items() if value is None)
        raise InvalidInput(
            f"The server does not tell {missing} of this endpoint: give what is missing."
        )
    contract = Contract(
        told.access, told.input_shape, declared_classes(told), told.bounds, told.labels
    )
    scores, labels, ranked = (
        AnswerPath(told.answer[key]) if key in told.answer else None
        for key in ("scores", "labels", "ranked")
    )
    if ranked is None and scores is None and (labels is None or told.access is not Access.LABEL):
        needed = "labels" if told.access is Access.LABEL else "scores"
        raise InvalidInput(
            f'Access "{told.access.name.lower()}" needs a path to the {needed} in [answer].'
        )
    encoding = Encoding.of(told.request, contract)
    contract = replace(contract, bounds=bounds_within(contract.bounds, encoding.dtype))
    template = told.request.get("body", "$rows")
    body, is_single = _parted(template)
    if body is None and not encoding.has_raw:
        raise InvalidInput('A body of "$raw" needs an encoding of bytes: png, base64 or npy.')
    form_field = told.request.get("form_field")
    if form_field is not None and (
        body is not None
        or not isinstance(form_field, str)
        or not re.fullmatch(r"[\w.\[\]-]+", form_field)
    ):
        raise InvalidInput(
            f'"form_field" must be a name, and goes with a body of "$raw"; got {form_field!r}.'
        )
    method = str(told.request.get("method", "POST")).upper()
    facts = {
        "path": path,
        "method": method,
        "body": template,
        "form_field": form_field,
        "answer": dict(told.answer),
        **encoding.facts,
    }
    return Described(
        contract,
        path,
        method,
        body,
        form_field,
        is_single,
        encoding,
        scores,
        labels,
        ranked,
        facts,
        name,
    )


def quoted(name: Any) -> str:
    """A name as a step of a path; nothing for no name.

    Examples
    --------
    >>> quoted("a.b"), quoted(None)
    ('["a.b"]', '')
    """
    return f'["{name}"]' if name else ""


def _form(field: str, raw: bytes, kind: str) -> tuple[bytes, str]:
    """A form with one file, and its content type; the mark between parts is made of the file, and not in it."""
    mark = f"row-{hashlib.sha256(raw).hexdigest()}"
    name = "row.png" if kind == "image/png" else "row.bin"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return b"".join(
        (head.encode(), raw, f"\r\n--{mark}--\r\n".encode())
    ), f"multipart/form-data; boundary={mark}"


def _parted(template: Any) -> tuple[tuple[str, str] | None, bool]:
    """What is before and after the place of the rows, and whether that is for one row only."""
    if template == "$raw":
        return None, True
    places = re.findall(r"\$rows?\b", template) if isinstance(template, str) else []
    if len(places) != 1:
        raise InvalidInput(
            f'The "body" of a request must hold $rows or $row once, or be "$raw"; got {template!r}.'
        )
    before, after = template.split(places[0])
    try:
        json.loads(before + "0" + after)
    except ValueError as error:
        raise InvalidInput(
            f'The "body" of a request must be JSON once {places[0]} is filled in ({error}); got {template!r}.'
        ) from error
    return (before, after), places[0] == "$row"


def _is_index(step: Any, part: list[Any]) -> bool:
    return isinstance(step, int) and step < len(part)


def _step(index: str) -> Any:
    return ... if index == "*" else index[1:-1] if index.startswith('"') else int(index)
