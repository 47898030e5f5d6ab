"""Models of trees in files of their libraries, as predictors: no library is needed to ask them.

| file | library | written by |
|---|---|---|
| ``.txt`` | LightGBM | ``booster.save_model("model.txt")`` |
| ``.json`` | XGBoost | ``booster.save_model("model.json")`` |
| ``.json`` | CatBoost | ``model.save_model("model.json", format="json")`` |
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.loading import build
from blackbox_boundary.predictor import Access, Array, Bounds, Prediction, class_name
from blackbox_boundary.tree_ensembles import TreeEnsemble

from ..answers import check_bounds, check_rows
from ..labels import check_labels
from .catboost_json import catboost_document
from .lightgbm_text import lightgbm_header, lightgbm_text
from .xgboost_json import xgboost_document

__all__ = ["TreesPredictor", "load"]

_OWNER = "TreesPredictor"
_SUFFIXES = (".txt", ".json")


@dataclass(frozen=True)
class _Content:
    """The content of a file: trees, and names of the classes and columns, if any."""

    trees: TreeEnsemble
    classes: list[Any] | None
    columns: tuple[str, ...]


class TreesPredictor:
    """Answer by the trees of a model in a file of LightGBM, XGBoost or CatBoost.

    The answers are computed from splits and leaves, as the library does: comparisons in its
    precision, sums in double precision. A sum within the library's rounding of a tie may have the
    other label there.

    Parameters
    ----------
    path : path
    access : Access or str, optional
        Default: probabilities; labels, where the model's last step is not read.
    labels : sequence, optional
        Names of the classes, in the order of the scores. Default: those in the file, if any.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none.

    Attributes
    ----------
    input_names : tuple of str
        The columns' names, if the file has them.
    class_names : tuple of str
        If they are known.

    Raises
    ------
    InvalidInput
        The file cannot be read, or a setting is out of range.
    CapabilityMissing
        The model holds something that is not read; the message names it.
    """

    piecewise_constant = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        access: Access | str | None = None,
        labels: Sequence[Any] | None = None,
        bounds: Bounds = None,
    ) -> None:
        content, self.fingerprint = _read(Path(path))
        self._trees = trees = content.trees
        self.input_shape, self.n_classes = (trees.n_features,), trees.n_classes
        has_scores = trees.link != "unknown"
        self.access = Access.PROBABILITIES if has_scores else Access.LABEL
        if access is not None:
            self.access = Access.parse(access)
        if self.access is Access.LOGITS or (self.access.has_scores and not has_scores):
            allowed = "probabilities, top1 or label" if has_scores else "label"
            raise InvalidInput(
                f'"access" of {_OWNER} must be {allowed}; got {self.access.name.lower()}.'
            )
        self.bounds = check_bounds(bounds, self.input_shape, _OWNER)
        classes = check_labels(labels, self.n_classes, _OWNER) or content.classes
        if classes is not None:
            self.class_names = tuple(map(class_name, classes))
        if len(set(content.columns)) == trees.n_features:
            self.input_names = content.columns

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, d).

        Raises
        ------
        InvalidInput
            A wrong shape or dtype.
        """
        check_rows(x, self.input_shape, _OWNER)
        rows = as_numpy(x)
        scores = self._trees.scores(rows)
        if scores is None:
            return Prediction(self._trees.labels(rows)[0])
        answer = Prediction.from_scores(scores)
        if self.access is Access.LABEL:
            return Prediction(answer.label)
        return (
            answer if self.access is not Access.TOP1 else Prediction(answer.label, scores.max(-1))
        )

    def tree_ensemble(self) -> TreeEnsemble:
        """The trees."""
        return self._trees

    def __repr__(self) -> str:
        return (
            f"{_OWNER}({self._trees.source}, input_shape={self.input_shape}, "
            f"n_classes={self.n_classes}, access={self.access.name.lower()})"
        )


def load(spec: Any, **given: Any) -> TreesPredictor | None:
    """A ``.txt`` file of LightGBM, or a ``.json`` file of XGBoost or CatBoost.

    Raises
    ------
    InvalidInput
        As :class:`TreesPredictor`; or a setting is unknown.
    """
    is_path = isinstance(spec, str | os.PathLike) and "://" not in str(spec)
    if not is_path or Path(spec).suffix.lower() not in _SUFFIXES:
        return None
    return build(TreesPredictor, spec, given=given)


def _read(path: Path) -> tuple[_Content, str]:
    try:
        stored = path.read_bytes()
        text = stored.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f'The model "{path}" cannot be read: {getattr(error, "strerror", None) or error}.'
        ) from error
    return _content(text, path), hashlib.sha256(stored).hexdigest()


def _content(text: str, path: Path) -> _Content:
    if path.suffix.lower() == ".txt":
        if not text.startswith("tree\n"):
            raise InvalidInput(f'"{path}" is no model of LightGBM: its first line must be "tree".')
        names = lightgbm_header(text).get("feature_names", "").split()
        # LightGBM numbers columns without names
        is_named = names != [f"Column_{at}" for at in range(len(names))]
        return _Content(lightgbm_text(text), None, tuple(names) if is_named else ())
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f'"{path}" is no JSON: {error}.') from error
    if isinstance(document, dict) and "learner" in document:
        named = document["learner"]
        names = named.get("feature_names", []) if isinstance(named, dict) else []
        return _Content(xgboost_document(document), None, tuple(map(str, names)))
    if isinstance(document, dict) and "features_info" in document:
        trees = catboost_document(document)
        classes = document["model_info"].get("class_params", {}).get("class_names")
        columns = document["features_info"]["float_features"]
        names = [column.get("feature_id") for column in columns]
        is_named = all(names) and len(names) == trees.n_features
        return _Content(trees, classes, tuple(names) if is_named else ())
    raise InvalidInput(f'"{path}" is no model of XGBoost or CatBoost.')
