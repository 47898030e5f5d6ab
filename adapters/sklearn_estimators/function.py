"""A function that returns an array as a predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import BadPrediction, BoundaryError, InvalidInput, PredictorError
from blackbox_boundary.predictor import (
    Access,
    Array,
    Bounds,
    Prediction,
    class_name,
)

from ..answers import (
    check_bounds,
    check_declared,
    check_n_classes,
    check_one_score,
    check_rows,
    check_shape,
    no_answers,
    read_outputs,
)
from ..independence import joined
from ..labels import check_labels

__all__ = ["FunctionPredictor", "answers_of"]

_N_CHECKED = 8
"""Rows whose scores do not all sum to one, or lie in [0, 1], by accident where they are logits."""


class FunctionPredictor:
    """Ask a function of rows that returns scores or labels as an array.

    Nothing is asked when the predictor is made: a function may stand for something that costs. A
    declaration of logits is checked on the first answer to eight rows or more. ``measure`` asks two
    rows alone and together (:class:`~blackbox_boundary.metering.Grouping`); where an answer depends
    on the rows beside it, it warns, and rows are asked one at a time.

    Parameters
    ----------
    function : callable
        Takes NumPy rows (n, *input_shape) and returns scores (n, n_classes); or one score per row,
        of the positive class of two; or labels. Lists, frames and tensors are read as arrays; a
        :class:`~blackbox_boundary.Prediction` is taken as it is.
    access : Access or str
        What the function returns: ``"probabilities"``, ``"logits"`` or ``"label"``. A function does
        not say.
    input_shape : tuple of int
        Shape of one row.
    n_classes : int, optional
        Needed unless ``labels`` list the classes.
    labels : sequence, optional
        What the classes are called, in the order of the scores; labels that are no indices are read
        by this list.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none.

    Raises
    ------
    InvalidInput
        A setting out of range, or not a function; or the number of classes is not known.

    Examples
    --------
    >>> def sides(x):
    ...     return np.stack([x.sum(axis=-1), -x.sum(axis=-1)], axis=-1)
    >>> predictor = FunctionPredictor(sides, access="logits", input_shape=(2,), n_classes=2)
    >>> predictor.predict(np.array([[3.0, 1.0], [-1.0, 0.0]])).label
    array([0, 1])
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        access: Access | str,
        input_shape: tuple[int, ...],
        n_classes: int | None = None,
        labels: Sequence[Any] | None = None,
        bounds: Bounds = None,
    ) -> None:
        owner = "FunctionPredictor"
        if not callable(function):
            raise InvalidInput(
                f'"function" of {owner} must be callable; got {type(function).__name__}.'
            )
        self.access = Access.parse(access)
        self.input_shape = check_shape(input_shape, owner)
        self.bounds = check_bounds(bounds, self.input_shape, owner)
        n_classes = check_n_classes(n_classes, owner)
        self._classes = check_labels(labels, n_classes, owner)
        if n_classes is None and self._classes is None:
            raise InvalidInput(f'"n_classes" of {owner} must be given, or "labels".')
        self.n_classes = n_classes or len(self._classes or ())
        if self._classes is not None:
            self.class_names = tuple(map(class_name, self._classes))
        self._function = function
        self._was_checked = self._neighbours_known = self._one_by_one = False

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape) by one call of the function, or one a row.

        Raises
        ------
        InvalidInput
            A wrong shape or dtype; the function has not been called.
        BadPrediction
            The function returned something else than what is declared.
        PredictorError
            The function failed; its exception is the cause.
        """
        check_rows(x, self.input_shape, "FunctionPredictor")
        n = int(x.shape[0])
        if n == 0:
            return no_answers(self.access, self.n_classes)
        output = self._ask(as_numpy(x))
        if isinstance(output, Prediction):
            return output
        answer = read_outputs([output], n, self.access, self.n_classes, classes=self._classes)
        if n >= _N_CHECKED and not self._was_checked:
            check_declared(answer, self.access)
            check_one_score(output, n, self.access)
            self._was_checked = True
        return answer

    def _ask(self, rows: NDArray[Any]) -> NDArray[Any] | Prediction:
        """The function's answers for rows, together or one by one."""
        if not self._one_by_one or len(rows) < 2:
            return answers_of(self._function, rows)
        alone = [answers_of(self._function, rows[i : i + 1]) for i in range(len(rows))]
        predictions = [answer for answer in alone if isinstance(answer, Prediction)]
        if predictions:
            return Prediction.concatenate(predictions)
        return joined([[np.asarray(answer)] for answer in alone], 1)[0]

    def neighbours_known(self) -> bool:
        """Whether it is known if a row's answer depends on the rows asked with it."""
        return self._neighbours_known

    def note_neighbours(self, *, depend: bool) -> None:
        """Keep what was found; where answers depend, rows are asked one at a time from now on."""
        self._neighbours_known, self._one_by_one = True, depend

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        return (
            f"FunctionPredictor({name}, input_shape={self.input_shape}, "
            f"n_classes={self.n_classes}, access={self.access.name.lower()})"
        )


def answers_of(function: Callable[[Any], Any], rows: Any) -> NDArray[Any] | Prediction:
    """A function's answer for rows, as an array; a prediction stays one.

    Raises
    ------
    BadPrediction
        It returned something that is no array.
    PredictorError
        It failed; its exception is the cause.
    """
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        answer = function(rows)
    except BoundaryError:
        raise
    except Exception as error:
        raise PredictorError(
            f"{name} failed on {len(rows)} rows: {type(error).__name__}: {error}"
        ) from error
    if isinstance(answer, Prediction):
        return answer
    try:
        output = np.asarray(as_numpy(answer))
    except Exception as error:
        raise BadPrediction(
            f"{name} must return an array of scores or labels; got {type(answer).__name__}."
        ) from error
    if output.dtype.kind not in "biufUSO" or output.ndim == 0:
        raise BadPrediction(
            f"{name} must return an array of scores or labels; "
            f"got {type(answer).__name__} of {output.dtype}, shape {output.shape}."
        )
    return output
