"""Where something is in a document: names and positions lead inwards."""

from __future__ import annotations

import re
from typing import Any

from blackbox_boundary.errors import BadPrediction, InvalidInput

from ..strict_json import shown

__all__ = ["AnswerPath", "quoted"]

_STEP = re.compile(r'\.?([^.\[\]"$]+)|\[(\*|\d+|"[^"]*")\]')


class AnswerPath:
    """Where something is in a JSON document.

    Examples
    --------
    >>> answer = {"results": [{"scores": [0.1, 0.9]}, {"scores": [0.8, 0.2]}]}
    >>> AnswerPath("results[*].scores").find(answer)
    [[0.1, 0.9], [0.8, 0.2]]
    >>> AnswerPath("[0].label").find([{"label": "cat"}])
    'cat'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        inner = text.removeprefix("$") if isinstance(text, str) else "["
        if not text or _STEP.sub("", inner):
            raise InvalidInput(
                'A path into an answer must be like predictions[*].scores, with ["a.b"] for odd '
                f"names; got {text!r}."
            )
        self._steps = [name or _step(index) for name, index in _STEP.findall(inner)]

    def find(self, document: Any) -> Any:
        """The value at the path; under ``[*]``, a list of the values in each element.

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
                else isinstance(part, list) and isinstance(step, int) and step < len(part)
            )
            if not is_there:
                raise BadPrediction(f'The answer must hold "{self.text}"; got {shown(part)}.')
            part = part[step]
        return part


def quoted(name: Any) -> str:
    """A name as a step of a path; nothing for no name.

    Examples
    --------
    >>> quoted("a.b"), quoted(None)
    ('["a.b"]', '')
    """
    return f'["{name}"]' if name else ""


def _step(index: str) -> Any:
    return ... if index == "*" else index[1:-1] if index.startswith('"') else int(index)
