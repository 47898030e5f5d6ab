"""Read the trees of a CatBoost model from its JSON, in a file or from a fitted classifier.

catboost is not imported.

A row goes right where ``x > t``, in single precision; leaves are added in double precision. NaN
counts as the smallest value, or as the largest, as each column has it. Trees may be symmetric or
not.

| loss | outputs | link |
|---|---|---|
| ``Logloss``, ``CrossEntropy`` | one | sigmoid |
| ``MultiClass`` | one a class | softmax |
| ``MultiClassOneVsAll`` | one a class | none that is compared |

References
----------
.. [1] https://catboost.ai/docs/en/concepts/json-tutorial, the JSON format.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble

from .assembly import Assembly

__all__ = ["catboost_document", "catboost_trees"]

_LINKS = {
    "Logloss": "logistic",
    "CrossEntropy": "logistic",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "unknown",
}


def catboost_trees(estimator: Any) -> TreeEnsemble | None:
    """The trees of a fitted model of CatBoost; None of anything else.

    Raises
    ------
    CapabilityMissing
        A CatBoost model that is not read; see :func:`catboost_document`.
    """
    if not type(estimator).__module__.startswith("catboost") or not hasattr(
        estimator, "save_model"
    ):
        return None
    if estimator.get_cat_feature_indices():
        raise CapabilityMissing(_CATEGORIES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        return catboost_document(json.loads(path.read_text("utf-8")))


_CATEGORIES = (
    "CatBoost splits columns of categories by hashes and by statistics of its training data, which "
    "are no splits of the column and are not read. Fit it on numbers in their place (one column a "
    "category, say) to have trees measure it; axis_splits and halfspace measure it as it is."
)


def catboost_document(document: dict[str, Any]) -> TreeEnsemble:
    """The trees of a CatBoost model as its JSON describes it.

    Raises
    ------
    CapabilityMissing
        Another loss, categories, texts or embeddings; or the document is no model of CatBoost.
    """
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CapabilityMissing(
            f"The JSON is no model of CatBoost that is read: {type(error).__name__}: {error}"
        ) from error


def _read(document: dict[str, Any]) -> TreeEnsemble:
    loss = document["model_info"]["params"]["loss_function"]["type"]
    if loss not in _LINKS:
        raise CapabilityMissing(
            f"The loss {loss} of CatBoost is not read; known are {', '.join(_LINKS)}."
        )
    columns = document["features_info"]
    if any(columns.get(f"{kind}_features") for kind in ("categorical", "text", "embedding")):
        raise CapabilityMissing(_CATEGORIES)
    floats = columns["float_features"]
    scale, bias = document["scale_and_bias"]
    base = np.atleast_1d(np.asarray(bias, np.float64))
    trees = document.get("oblivious_trees") or document["trees"]
    assembly = Assembly(len(base), np.float32)
    for tree in trees:
        if "splits" in tree:
            _add_symmetric(assembly, tree, floats, float(scale))
        else:
            _add(assembly, tree, floats, float(scale))
    return assembly.ensemble(
        base=base,
        n_features=1 + max(int(column["flat_feature_index"]) for column in floats),
        summed_in=np.dtype(np.float64),
        link=_LINKS[loss],
        source=f"CatBoost ({len(trees)} trees)",
    )


def _split(split: dict[str, Any], floats: list[Any]) -> tuple[int, float, bool]:
    """Column, border, and whether NaN counts as the smallest value."""
    if split["split_type"] != "FloatFeature":
        raise CapabilityMissing(f"Splits of CatBoost by {split['split_type']} are not read.")
    column = floats[split["float_feature_index"]]
    smallest = column["nan_value_treatment"] != "AsTrue"
    return int(column["flat_feature_index"]), float(np.float32(split["border"])), smallest


def _add_symmetric(
    assembly: Assembly, tree: dict[str, Any], floats: list[Any], scale: float
) -> None:
    """A tree whose levels share one split each: split ``k`` decides bit ``k`` of the leaf."""
    splits = [_split(split, floats) for split in tree["splits"]]
    n_inner = 2 ** len(splits) - 1
    at = np.arange(n_inner)
    level = np.array([len(f"{k + 1:b}") - 1 for k in range(n_inner)], np.intp)
    bits = at + 1 - 2**level
    left = 2 ** (level + 1) - 1 + bits
    leaves = np.zeros(n_inner + 1)
    facts: list[NDArray[Any]] = [np.array(part)[level] for part in zip(*splits, strict=True)]
    column, border, smallest = facts or (np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.bool_))
    value = np.zeros((2 * n_inner + 1, assembly.n_outputs))
    value[n_inner:] = scale * np.reshape(tree["leaf_values"], (n_inner + 1, assembly.n_outputs))
    assembly.add(
        np.append(column, leaves - 1),
        np.append(border, leaves),
        np.append(left, leaves - 1),
        np.append(left + 2**level, leaves - 1),
        value,
        missing_left=np.append(smallest, leaves != 0),
    )


def _add(assembly: Assembly, tree: dict[str, Any], floats: list[Any], scale: float) -> None:
    """A tree as nested splits."""
    nodes: list[list[Any]] = []
    waiting: list[tuple[dict[str, Any], int, int]] = [(tree, -1, 0)]
    while waiting:
        node, parent, side = waiting.pop()
        here = len(nodes)
        if parent >= 0:
            nodes[parent][side] = here
        if "value" in node:
            leaf = scale * np.broadcast_to(node["value"], assembly.n_outputs)
            nodes.append([-1, 0.0, -1, -1, False, leaf])
            continue
        column, border, smallest = _split(node["split"], floats)
        nodes.append([column, border, -1, -1, smallest, np.zeros(assembly.n_outputs)])
        waiting += [(node["left"], here, 2), (node["right"], here, 3)]
    feature, threshold, left, right, missing_left, value = zip(*nodes, strict=True)
    assembly.add(feature, threshold, left, right, np.array(value), missing_left=missing_left)
