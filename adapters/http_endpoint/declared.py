"""Access and classes as the server or the user declares them.

Nothing is guessed from numbers.
"""

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


def declared_access(given: Access | None, output: str, *, whole_numbers: bool = False) -> Access:
    """The given access; else that of the server's name of the output, if the name is unambiguous.

    Raises
    ------
    InvalidInput
        Neither declares it.
    """
    if given is not None:
        return given
    if whole_numbers:
        return Access.LABEL
    if (named := _NAMES.get(output.lower())) is not None:
        return named
    raise InvalidInput(
        f"Are the scores {shown(output, 80)} probabilities or logits? Declare "
        'access="probabilities" or access="logits".'
    )


def declared_classes(config: Configuration, length: Any = None) -> int:
    """The number of classes: as given, by number or by names; else the last length of the output.

    Raises
    ------
    InvalidInput
        Neither declares it, or the two differ.
    """
    known = length if type(length) is int and length > 0 else None
    wanted = config.n_classes or len(config.labels) or None
    if wanted is None and known is None:
        raise InvalidInput(
            'The server does not declare the number of classes: give "n_classes" or "labels".'
        )
    if known == 1 and (wanted or 2) == 2:
        return 2
    if wanted and known and wanted != known and (config.access is None or config.access.has_scores):
        raise InvalidInput(f'"n_classes" must be what the server says, {known}; got {wanted}.')
    return wanted or whole(known, "n_classes")
