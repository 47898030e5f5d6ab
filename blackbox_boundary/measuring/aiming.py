"""Target classes of rows: the settings ``towards`` and ``from_label`` of a measurement."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..errors import InvalidInput
from ..frames import is_missing
from ..inputs import is_whole
from ..predictor import Predictor, class_names_of
from ..printable import printable
from ..search.problem import Aim

__all__ = ["aim_facts", "aim_of"]


def aim_of(
    predictor: Predictor, n_rows: int, towards: int | str | None, from_label: Any
) -> Aim | None:
    """The aim of a run; None where distances are those to any other label.

    Raises
    ------
    InvalidInput
        Both are given, a class that the model does not have, or labels that are not one a row.
    """
    if towards is not None and from_label is not None:
        raise InvalidInput('"towards" and "from_label" exclude each other.')
    if towards is not None:
        return Aim(np.broadcast_to(np.intp(_class(predictor, towards)), (n_rows,)))
    if from_label is None:
        return None
    labels = np.asarray(as_numpy(from_label))
    if labels.shape == (n_rows,) and labels.dtype.kind in "OU":
        labels = _numbered(predictor, labels)
    is_labels = labels.shape == (n_rows,) and labels.dtype.kind in "iu"
    if not is_labels or not ((labels >= -1) & (labels < predictor.n_classes)).all():
        raise InvalidInput(
            f'"from_label" must hold {n_rows} numbers of classes, below {predictor.n_classes}, -1 '
            f"where a label is not known; got {labels.dtype} of shape {labels.shape}"
            f"{f', from {labels.min()} to {labels.max()}' if is_labels and labels.size else ''}."
        )
    return Aim(labels.astype(np.intp), leaves=True)


def aim_facts(aim: Aim | None) -> dict[str, Any] | None:
    """The aim as JSON types: a class, or a digest of the labels."""
    if aim is None:
        return None
    if not aim.leaves:
        return {"towards": int(aim.classes[0])}
    digest = hashlib.blake2b(aim.classes.astype(np.int64).tobytes(), digest_size=16).hexdigest()
    return {"from_label": digest}


def _numbered(predictor: Predictor, labels: NDArray[Any]) -> NDArray[np.intp]:
    """The numbers of classes (n,) that are given by name, or by number; -1 where one is missing."""
    names = class_names_of(predictor) or ()
    numbers = {name: at for at, name in enumerate(names)}
    given = [None if is_missing(label) else label for label in labels.tolist()]
    held = [None if label is None else str(label) for label in given]
    unknown = sorted({label for label in held if label is not None and label not in numbers})
    if unknown and all(label is None or is_whole(label) for label in given):
        return np.array([-1 if label is None else label for label in given], np.intp)
    if unknown:
        known = f"one of {', '.join(map(printable, names[:20]))}" if names else "numbers"
        raise InvalidInput(
            f'"from_label" must hold classes of the model, {known}; got '
            f"{', '.join(map(printable, unknown[:5]))}."
        )
    return np.array([-1 if label is None else numbers[label] for label in held], np.intp)


def _class(predictor: Predictor, towards: int | str) -> int:
    """The number of a class that is given by number or name."""
    names = class_names_of(predictor) or ()
    if isinstance(towards, str) and towards in names:
        return names.index(towards)
    number = int(towards) if isinstance(towards, str) and towards.isdecimal() else towards
    if is_whole(number) and 0 <= int(number) < predictor.n_classes:
        return int(number)
    known = f" or one of {', '.join(map(printable, names[:20]))}" if names else ""
    raise InvalidInput(
        f'"towards" must be a class, a number below {predictor.n_classes}{known}; '
        f"got {printable(str(towards))}."
    )
