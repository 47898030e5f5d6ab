"""Wrap a fitted estimator with the methods of scikit-learn as a predictor.

scikit-learn is not imported.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.datasets.columns import listed
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import BadPrediction, InvalidInput, PredictorError
from blackbox_boundary.predictor import (
    Access,
    Array,
    Bounds,
    Prediction,
    class_name,
)
from blackbox_boundary.tree_ensembles import TreeEnsemble

from ..answers import (
    ONE_SCORE,
    check_bounds,
    check_declared,
    check_n_classes,
    check_one_score,
    check_rows,
    check_shape,
    extreme_rows,
    no_answers,
    probe_rows,
    read_outputs,
    score_columns,
)
from ..independence import disagreement, joined, warn_of_dependence
from ..labels import check_labels, listed_classes, mismatches
from ..tree_ensembles import checked_trees, may_hold_trees, trees_of_estimator
from .function import answers_of
from .tables import Table, are_distinct_texts

__all__ = ["METHODS", "EstimatorPredictor"]

METHODS = {
    "predict_proba": Access.PROBABILITIES,
    "predict_log_proba": Access.LOGITS,
    "decision_function": Access.LOGITS,
    "predict": Access.LABEL,
}
"""The access of each method of an estimator; the first method that it has is called."""

_OWNER = "EstimatorPredictor"
_N_PROBES, _N_ALONE = 200, 4
"""Random rows on which scores are compared with labels, of which two may differ; and those of them
that are asked one by one."""


class EstimatorPredictor:
    """Query a fitted estimator of scikit-learn, or of a library with the same methods.

    XGBoost and LightGBM are such libraries.

    Parameters
    ----------
    estimator : object
        Fitted, with ``predict_proba``, ``decision_function`` or ``predict``; a pipeline is one.
        ``classes_``, ``n_features_in_`` and ``feature_names_in_`` are used where it has them.
    access : Access or str, optional
        Default: probabilities by ``predict_proba``, else logits by ``decision_function``, else
        labels. ``"logits"``: by ``decision_function``. ``"label"``: by ``predict``.
    method : str, optional
        The method to ask, in place of that.
    input_shape : tuple of int, optional
        Shape of one row; rows are flattened for the estimator. Default: ``(n_features_in_,)``.
    n_classes : int, optional
        Default: counted.
    labels : sequence, optional
        The classes, where the estimator has no ``classes_``.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none.
    columns : Domain, optional
        What the columns hold, where the estimator takes texts or categories: the numbers of these
        become what they stand for. Random rows are then drawn from it.

    Attributes
    ----------
    class_names : tuple of str
        The ``classes_`` as text.
    input_names : tuple of str
        The ``feature_names_in_``; only where the estimator has them, distinct and one an input.
    piecewise_constant : bool
        Whether it is made of trees. It then has ``tree_ensemble()``, as
        :class:`~blackbox_boundary.tree_ensembles.TreeBased`.
    batching, batching_evidence : str
        ``"dynamic"``, or ``"fixed"``: one row at a time, because rows depend on each other.

    Raises
    ------
    InvalidInput
        Not an estimator, not fitted, one class, several outputs; or a setting out of range.
    BadPrediction
        The answers to random rows show something else than what is declared.

    Notes
    -----
    Making a predictor asks the estimator about 200 random rows inside the bounds. Where the class
    of its largest score is not the label that ``predict`` gives, beyond ties and 1 % of them, the
    predictor warns and reads the labels alone: ``SVC`` is such an estimator. ``method`` reads the
    scores all the same. An estimator fitted on a frame is given frames with its column names, where
    pandas is installed.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        access: Access | str | None = None,
        method: str | None = None,
        input_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
        labels: Sequence[Any] | None = None,
        bounds: Bounds = None,
        columns: Domain | None = None,
    ) -> None:
        self._estimator = estimator
        self._method = _method(estimator, method, access)
        self.access = METHODS[self._method] if access is None else Access.parse(access)
        self.input_shape = _input_shape(estimator, input_shape)
        self.bounds = check_bounds(bounds, self.input_shape, _OWNER)
        n_classes = check_n_classes(n_classes, _OWNER)
        self._classes = _classes(estimator, check_labels(labels, n_classes, _OWNER))
        names = _feature_names(estimator, self.input_shape)
        if names is not None and are_distinct_texts(names):
            self.input_names = tuple(map(str, names))
        self._table = Table(names, columns, int(np.prod(self.input_shape)))
        self.batching, self.batching_evidence = "dynamic", ""
        self._probe(n_classes, is_named=method is not None)
        if self._classes is not None:
            self.class_names = tuple(map(class_name, self._classes))
        self.piecewise_constant = may_hold_trees(estimator)
        if self.piecewise_constant:
            self.tree_ensemble = self._tree_ensemble

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape) by one call of the estimator, or one a row.

        Raises
        ------
        InvalidInput
            A wrong shape or dtype; the estimator has not been called.
        BadPrediction
            The estimator answered something else than what is declared.
        PredictorError
            The estimator failed; its exception is the cause.
        """
        check_rows(x, self.input_shape, _OWNER)
        n = int(x.shape[0])
        if n == 0:
            return no_answers(self.access, self.n_classes)
        return self._read(self._ask(as_numpy(x)), n)

    def _tree_ensemble(self) -> TreeEnsemble:
        """The splits and leaves of the estimator, after they have reproduced its answers."""
        return checked_trees(trees_of_estimator(self._estimator), self, self._table.codes)

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the estimator's pickle and of the settings; None where it has no pickle."""
        try:
            content = pickle.dumps(self._estimator)
        except Exception:  # noqa: BLE001  an estimator may hold anything
            return None
        settings = (
            f"{self._method} {self.access.name} {self.input_shape} {self._classes} {ONE_SCORE}"
        )
        if self._table.columns is not None:
            settings += str(self._table.columns.texts)
        return hashlib.sha256(content + settings.encode()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"EstimatorPredictor({type(self._estimator).__name__}, method={self._method}, "
            f"input_shape={self.input_shape}, n_classes={self.n_classes}, "
            f"access={self.access.name.lower()})"
        )

    def _probe(self, n_classes: int | None, *, is_named: bool) -> None:
        """Count the classes and check what is declared on random rows."""
        rows = self._random_rows()
        try:
            output = self._ask(rows)
        except PredictorError as error:
            raise InvalidInput(
                f"{type(self._estimator).__name__} cannot be asked about random rows of shape "
                f"{self.input_shape}: {error} Is it fitted? If it takes texts or categories, say "
                "what the columns hold: columns=infer_domain(frame) in Python; on the command line "
                "blackbox-boundary columns DATA > columns.toml, then --columns columns.toml."
            ) from error
        if self._method == "predict" and self.access is Access.LABEL:
            self._classes = self._classes or _classes_of_labels(self._estimator, output, n_classes)
            self.n_classes = len(self._classes) if self._classes else n_classes or 0
        else:
            columns = score_columns(output, _N_PROBES, max(self.access, Access.PROBABILITIES))
            self.n_classes = int(columns.shape[1])
            if n_classes not in (None, self.n_classes):
                raise InvalidInput(
                    f'"n_classes" of {_OWNER} was given as {n_classes}, but {self._method} '
                    f"answers {self.n_classes}."
                )
            self._compare(columns, rows, is_named=is_named)
        self._check_independence(rows)
        check_declared(self._read(self._ask(rows), _N_PROBES), self.access)
        if self.access is Access.LOGITS and output.size == _N_PROBES:
            if self._table.columns is None:
                rows = np.concatenate([rows, extreme_rows(16, self.input_shape, self.bounds)])
            check_one_score(self._ask(rows), len(rows), self.access)

    def _random_rows(self) -> NDArray[np.float64]:
        if self._table.columns is None:
            return probe_rows(_N_PROBES, self.input_shape, self.bounds)
        return self._table.columns.random(_N_PROBES).reshape(_N_PROBES, *self.input_shape)

    def _compare(self, columns: NDArray[Any], rows: NDArray[Any], *, is_named: bool) -> None:
        """Read labels alone where ``predict`` contradicts the scores."""
        if not callable(getattr(self._estimator, "predict", None)) or self._classes is None:
            return
        labels = self._ask(rows, "predict")
        n_wrong = mismatches(columns, labels, self._classes) if labels.size == len(rows) else 0
        if not n_wrong:
            return
        name = type(self._estimator).__name__
        evidence = (
            f"predict of {name} contradicts {self._method} on {n_wrong} of {len(rows)} random rows"
        )
        if is_named:
            warnings.warn(f"{evidence}. The scores are read.", UserWarning, stacklevel=4)
            return
        warnings.warn(
            f"{evidence}. The labels are the model's answer, and are read alone: access is "
            f'"label". To read the scores all the same, give method="{self._method}".',
            UserWarning,
            stacklevel=4,
        )
        self._method, self.access = "predict", Access.LABEL
        self.n_classes = len(self._classes)

    def _check_independence(self, rows: NDArray[Any]) -> None:
        alone = joined([[self._ask(rows[i : i + 1])] for i in range(_N_ALONE)], 1)
        wrong = disagreement(lambda _: [self._ask(rows)], rows, alone)
        self.batching_evidence = wrong or f"{len(rows)} random rows gave what rows alone gave"
        if wrong is not None:
            warn_of_dependence(type(self._estimator).__name__, wrong)
            self.batching = "fixed"

    def _ask(self, rows: NDArray[Any], method: str = "") -> NDArray[Any]:
        """The answer of a method for rows (n, *input_shape)."""
        if self.batching == "fixed" and len(rows) > 1:
            return np.concatenate([self._ask(rows[i : i + 1], method) for i in range(len(rows))])
        asked: Callable[[Any], Any] = getattr(self._estimator, method or self._method)
        output = answers_of(asked, self._table.of(rows.reshape(len(rows), -1)))
        if isinstance(output, Prediction) or len(output) != len(rows):
            raise BadPrediction(
                f"{method or self._method} must answer {len(rows)} rows; "
                f"got {getattr(output, 'shape', type(output).__name__)}. "
                "Of several outputs, ask the estimator of one."
            )
        return output

    def _read(self, output: NDArray[Any], n: int) -> Prediction:
        holds_labels = self._method == "predict" and self.access is Access.LABEL
        classes = self._classes if holds_labels else None
        return read_outputs(
            [output], n, self.access, self.n_classes, classes=classes, holds_labels=holds_labels
        )


def _kind(estimator: Any) -> str | None:
    """The kind of an estimator: "classifier", "regressor" or another; None if it states none."""
    stated = getattr(estimator, "_estimator_type", None)  # before scikit-learn 1.6
    if isinstance(stated, str):
        return stated
    tags = getattr(estimator, "__sklearn_tags__", None)
    try:
        return getattr(tags(), "estimator_type", None) if callable(tags) else None
    except (AttributeError, TypeError, NotImplementedError):  # other packages inherit half of it
        return None


def _method(estimator: Any, method: str | None, access: Access | str | None) -> str:
    """The method to ask: the one named, else the first that answers what is declared."""
    if isinstance(estimator, type):
        raise InvalidInput(
            f'"estimator" of {_OWNER} must be a fitted object; got the class {estimator.__name__}.'
        )
    present = [name for name in METHODS if callable(getattr(estimator, name, None))]
    if method is not None:
        if method not in present:
            raise InvalidInput(
                f'"method" of {_OWNER} must be one of {", ".join(present) or "none"}; '
                f'got "{method}".'
            )
        return method
    declared = None if access is None else Access.parse(access)
    usual = [name for name in present if name != "predict_log_proba"]
    fitting = [name for name in usual if declared in (None, METHODS[name])]
    if not fitting and declared is Access.TOP1:
        fitting = [name for name in usual if METHODS[name].has_scores]
    if not fitting and hasattr(estimator, "predict") and not hasattr(estimator, "classes_"):
        fitting = ["predict"]  # models that answer scores by predict, as Keras does
    if not fitting:
        raise InvalidInput(
            f"{type(estimator).__name__} has no method that answers "
            f"{'labels or scores' if declared is None else declared.name.lower()}; "
            f"it has {', '.join(present) or 'none of ' + ', '.join(METHODS)}."
        )
    return fitting[0]


def _input_shape(estimator: Any, given: Any) -> tuple[int, ...]:
    n_features = getattr(estimator, "n_features_in_", None)
    if given is None:
        if n_features is None:
            raise InvalidInput(
                f'"input_shape" of {_OWNER} must be given: {type(estimator).__name__} has no '
                "n_features_in_. Is it fitted?"
            )
        return (int(n_features),)
    shape = check_shape(given, _OWNER)
    if n_features is not None and int(np.prod(shape)) != int(n_features):
        raise InvalidInput(
            f'"input_shape" of {_OWNER} was given as {shape}, but the estimator takes '
            f"{n_features} columns{_named(estimator, int(n_features))}."
        )
    return shape


def _classes(estimator: Any, given: list[Any] | None) -> list[Any] | None:
    """The classes, in the order of the scores; None where the estimator does not list them."""
    try:
        listed = getattr(estimator, "classes_", None)
    except Exception:  # noqa: BLE001  a property of an estimator that is not fitted may fail
        listed = None
    if listed is None or given is not None:
        return given
    values = np.asarray(listed)
    if isinstance(listed, list) or values.ndim != 1 or values.dtype.kind not in "biufUSO":
        raise InvalidInput(
            f"{type(estimator).__name__} has classes of several outputs; ask the estimator of one."
        )
    if len(values) < 2:
        raise InvalidInput(
            f"{type(estimator).__name__} knows {len(values)} class: without a second there is no "
            "decision boundary."
        )
    return list(values.tolist())


def _classes_of_labels(
    estimator: Any, output: NDArray[Any], n_classes: int | None
) -> list[Any] | None:
    if n_classes is None and _kind(estimator) == "regressor":
        raise InvalidInput(
            f"{type(estimator).__name__} is a regressor: it predicts numbers and has no decision "
            "boundary. Where a limit on its number decides, measure a function: "
            'load(lambda x: (model.predict(x) > limit).astype(int), access="label", '
            "input_shape=(4,), n_classes=2)."
        )
    if n_classes is None:
        raise InvalidInput(
            f'"labels" of {_OWNER} must list the classes: predict answers labels, and the '
            "estimator has no classes_."
        )
    return listed_classes(output, n_classes, _OWNER)


def _feature_names(estimator: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """Column names that the estimator was fitted with; None without one for each input."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None or len(names) != int(np.prod(shape)) else list(names)


def _named(estimator: Any, n: int) -> str:
    """The columns' names, for a message."""
    names = _feature_names(estimator, (n,))
    return "" if names is None else f": {listed([str(name) for name in names])}"
