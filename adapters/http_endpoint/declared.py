"""What the server's own words and the user's declare about the scores; nothing is guessed from numbers."""

from __future__ import annotations

from typing import Any

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access

from .configuration import Configuration, whole
from .strict_json import shown

__all__ = ["declared_access", "declared_classes"]

_NAMES = {
    **dict.fromkeys(("probabilities", "probability", "probs", "softmax"), Access.PROBABILITIES),
    **dict.fromkeys(("logits", "logit"), Access.LOGITS),
    **dict.fromkeys(("label", "labels"), Access.LABEL),
}


def declared_access(told: Access | None, output: str, *, whole_numbers: bool = False) -> Access:
    """What was told; else what the server calls its output, where that name leaves no doubt.

    Raises
    ------
    InvalidInput
        Neither says it.
    """
    if told is not None:
        return told
    if whole_numbers:
        return Access.LABEL
    if (named := _NAMES.get(output.lower())) is not None:
        return named
    raise InvalidInput(
        f'Are the scores {shown(output, 80)} probabilities or logits? Declare access="probabilities" or access="logits".'
    )


def declared_classes(told: Configuration, length: Any = None) -> int:
    """The number of classes: as told, by number or by their names; else the last length of the output.

    Raises
    ------
    InvalidInput
        Nobody says it, or the two differ.
    """
    known = length if type(length) is int and length > 0 else None
    wanted = told.n_classes or len(told.labels) or None
    if wanted is None and known is None:
        raise InvalidInput(
            'The server does not declare the number of classes: give "n_classes" or "labels".'
        )
    if known == 1 and (wanted or 2) == 2:
        return 2
    if wanted and known and wanted != known and (told.access is None or told.access.has_scores):
        raise InvalidInput(f'"n_classes" must be what the server says, {known}; got {wanted}.')
    return wanted or whole(known, "n_classes")
