"""An endpoint described by the user: how rows are written and where the answer is found.

docs/reference/http-endpoint.md lists the settings of [request] and [answer].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.datasets.columns import listed
from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.grid import Grid
from blackbox_boundary.predictor import Access, Prediction

from ..answers import read_labels, read_ranked, read_scores
from ..configuration import Configuration
from ..contract import Contract
from ..declared import declared_classes
from ..model_version import ModelVersion
from ..strict_json import shown
from ..wire import Reply, Request, bounds_within
from .answer_path import AnswerPath
from .bodies import BODY_SETTINGS, Body, body_of
from .documents import FORMATS, SCORES_AS, read_document, read_numbers
from .encodings import Encoding

__all__ = ["Described", "describe"]

_ANSWER_SETTINGS = ("scores", "labels", "ranked", "format", "header", "scores_as", "other")


@dataclass(frozen=True)
class Answer:
    """Where scores and labels are in an answer, as declared in [answer].

    Attributes
    ----------
    scores : AnswerPath, tuple of AnswerPath, or None
        Of all scores, or of those of each class.
    labels, ranked : AnswerPath or None
        ``ranked`` is an object that maps labels to scores.
    form, scores_as : str
    header : bool
    """

    scores: AnswerPath | tuple[AnswerPath, ...] | None
    labels: AnswerPath | None
    ranked: AnswerPath | None
    form: str
    header: bool
    scores_as: str

    @classmethod
    def of(cls, settings: Mapping[str, Any], contract: Contract) -> Answer:
        """Read the settings of [answer].

        Raises
        ------
        InvalidInput
            Something is missing or does not fit together.
        """
        form = _one_of(settings, "format", FORMATS)
        usual = "text" if form in ("csv", "text") else "number"
        scores_as = _one_of({"scores_as": usual, **settings}, "scores_as", SCORES_AS)
        listed = settings.get("scores")
        if isinstance(listed, list) and len(listed) != contract.n_classes:
            raise InvalidInput(
                f'"scores" in [answer] must be one path, or one for each of {contract.n_classes} '
                f"classes; got {len(listed)}."
            )
        scores = (
            tuple(map(AnswerPath, listed))
            if isinstance(listed, list)
            else _path(settings, "scores")
        )
        labels, ranked = _path(settings, "labels"), _path(settings, "ranked")
        if (
            ranked is None
            and scores is None
            and (labels is None or contract.access is not Access.LABEL)
        ):
            needed = "labels" if contract.access is Access.LABEL else "scores"
            raise InvalidInput(
                f'Access "{contract.access.name.lower()}" needs a path to the {needed} in [answer].'
            )
        header = settings.get("header", False)
        if not isinstance(header, bool):
            raise InvalidInput(f'"header" in [answer] must be true or false; got {header!r}.')
        return cls(scores, labels, ranked, form, header, scores_as)

    def read(self, reply: Reply, n: int, contract: Contract, *, is_single: bool) -> Prediction:
        """Find scores and labels of ``n`` rows, and read them."""
        document = read_document(reply, self.form, header=self.header)
        if is_single and self.form in ("csv", "jsonlines"):
            if len(document) != 1:
                raise BadPrediction(f"The answer to one row must be one line; got {len(document)}.")
            document = document[0]
        if self.ranked is not None:
            maps = _found(self.ranked, document, is_single=is_single)
            if not isinstance(maps, list) or not all(isinstance(each, dict) for each in maps):
                raise BadPrediction(
                    f'The answer must hold objects of labels and scores at "{self.ranked.text}"; '
                    f"got {shown(maps)}."
                )
            scores = [self._numbers(list(each.values())).tolist() for each in maps]
            return read_ranked([list(each) for each in maps], scores, n, contract)
        labels = None if self.labels is None else _found(self.labels, document, is_single=is_single)
        if self.scores is None:
            return read_labels(labels, n, contract)
        found = self._scores(document, is_single=is_single)
        if labels is None:
            return read_scores(self._numbers(found), n, contract)
        if self.scores_as != "number":
            found = (
                [self._numbers(row).tolist() for row in found] if isinstance(found, list) else found
            )
        return read_ranked(labels, found, n, contract)

    def _scores(self, document: Any, *, is_single: bool) -> Any:
        if isinstance(self.scores, AnswerPath):
            return _found(self.scores, document, is_single=is_single)
        assert self.scores is not None
        columns = [_found(path, document, is_single=is_single) for path in self.scores]
        if not all(
            isinstance(column, list) and len(column) == len(columns[0]) for column in columns
        ):
            raise BadPrediction("The answer must hold as many scores of each class as rows.")
        return [list(row) for row in zip(*columns, strict=True)]

    def _numbers(self, found: Any) -> NDArray[np.float64]:
        return read_numbers(found, self.scores_as)


@dataclass(frozen=True)
class Described:
    """An endpoint as the user describes it."""

    contract: Contract
    path: str
    method: str
    body: Body
    encoding: Encoding
    answer: Answer
    columns: tuple[str, ...]
    facts: Mapping[str, Any]
    name: str
    texts: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    merges_requests: bool = False
    version: ModelVersion = field(default_factory=ModelVersion)

    @property
    def max_rows(self) -> int | None:
        """Rows a request may hold: one, where the body has room for one."""
        return 1 if self.body.is_single else None

    @property
    def plainer(self) -> None:
        """None: there is no plainer dialect."""

    @property
    def grid(self) -> Grid | None:
        """The levels of its encoding."""
        return self.encoding.grid

    def as_sent(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows in the type that is sent; numbers of categories are whole and listed."""
        sent = self.encoding.as_sent(rows)
        if self.texts:
            sent = sent.copy()
            for at, words in self.texts.items():
                sent[:, at] = np.clip(np.rint(sent[:, at]), 0, len(words) - 1)
        return sent

    def request(self, sent: NDArray[Any]) -> Request:
        """Write the rows into the body."""
        return self.body.request(self.method, self.path, sent)

    def read(self, reply: Reply, n: int) -> Prediction:
        """Find scores and labels, and read them."""
        self.version.saw_headers(reply.headers)
        return self.answer.read(reply, n, self.contract, is_single=self.body.is_single)


def describe(path: str, config: Configuration, name: str = "described") -> Described:
    """Set the dialect up from the configuration; nothing is sent.

    Raises
    ------
    InvalidInput
        Something is missing or does not fit together.
    """
    config.tables_only(request=BODY_SETTINGS, answer=_ANSWER_SETTINGS)
    contract = _contract(config)
    encoding = Encoding.of(config.request, contract)
    contract = replace(contract, bounds=bounds_within(contract.bounds, encoding.dtype))
    request, answer = dict(config.request), dict(config.answer)
    texts = _texts(config, request)
    body = body_of(request, encoding, contract, texts)
    usual = "GET" if request.get("format") == "query" else "POST"
    method = str(request.get("method", usual)).upper()
    settings = {key: request[key] for key in BODY_SETTINGS if key in request}
    facts = {
        "path": path,
        "method": method,
        "request": settings,
        "answer": answer,
        **encoding.facts,
    }
    if texts:
        facts["texts"] = {str(at): list(words) for at, words in texts.items()}
    columns = tuple(request.get("columns") or ())
    reading = Answer.of(answer, contract)
    return Described(contract, path, method, body, encoding, reading, columns, facts, name, texts)


def _contract(config: Configuration) -> Contract:
    shape = config.input_shape or _shape_of_columns(config.request)
    if config.access is None or shape is None or not (config.n_classes or config.labels):
        known = {
            "access": config.access,
            "input_shape": shape,
            "n_classes": config.n_classes or config.labels or None,
        }
        missing = ", ".join(f'"{name}"' for name, value in known.items() if value is None)
        raise InvalidInput(
            f"The server does not declare {missing} of this endpoint: give what is missing."
        )
    other = config.answer.get("other")
    if other is not None and other not in config.labels:
        raise InvalidInput(
            '"other" in [answer] must be one of "labels": the class of all labels that are not '
            f"listed; got {other!r}."
        )
    return Contract(
        config.access,
        shape,
        declared_classes(config),
        config.bounds,
        config.labels,
        other=None if other is None else config.labels.index(other),
    )


def _texts(config: Configuration, request: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
    """The categories of columns of texts, by position in a row."""
    if config.columns is None or not config.columns.texts:
        return {}
    names = request.get("columns")
    if not isinstance(names, list | tuple):
        raise InvalidInput(
            f"The columns {listed(list(config.columns.texts))} hold texts, which are sent by name: "
            'list the names of all columns as "columns" in [request].'
        )
    texts = config.columns.selected([str(name) for name in names]).texts
    return {at: texts[name] for at, name in enumerate(names) if name in texts}


def _shape_of_columns(request: Mapping[str, Any]) -> tuple[int, ...] | None:
    columns = request.get("columns")
    return (len(columns),) if isinstance(columns, list | tuple) and columns else None


def _path(settings: Mapping[str, Any], name: str) -> AnswerPath | None:
    return AnswerPath(settings[name]) if name in settings else None


def _one_of(settings: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = settings.get(name, allowed[0])
    if value not in allowed:
        raise InvalidInput(
            f'"{name}" in [answer] must be one of {", ".join(allowed)}; got {value!r}.'
        )
    return str(value)


def _found(path: AnswerPath, document: Any, *, is_single: bool) -> Any:
    """One entry a row, also where the answer to a single row comes without a list around it."""
    found = path.find(document)
    return [found] if is_single else found
