"""Read the trees of a LightGBM model from its text, in a file or from a booster.

lightgbm is not imported.

A row goes left where ``x <= t``, in double precision, and leaves are added in double precision. A
split by a set of categories sends a number left where its whole part is one of them. NaN takes the
default direction of the split; where training saw none, it counts as 0. So does any number of at
most 1e-35.

| objective | outputs | link |
|---|---|---|
| ``binary`` | one | sigmoid |
| ``multiclass`` | one a class | softmax |
| ``multiclassova`` | one a class | none that is compared |

References
----------
.. [1] https://github.com/lightgbm-org/LightGBM, ``src/io/gbdt_model_text.cpp`` and
   ``include/LightGBM/tree.h``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble

from .assembly import Assembly
from .category_sets import Node, runs_of, split_by_runs

__all__ = ["lightgbm_header", "lightgbm_text", "lightgbm_trees"]

_LINKS = {"binary": "logistic", "multiclass": "softmax", "multiclassova": "unknown"}
_IS_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1
"""Bits and fields of ``decision_type``."""

_ZERO = float(np.float32(1e-35))
"""Numbers of at most this size are zero."""


def lightgbm_trees(estimator: Any) -> TreeEnsemble | None:
    """The trees of a fitted classifier of LightGBM's scikit-learn face, or of a booster; else None.

    Raises
    ------
    CapabilityMissing
        A LightGBM model that is not read; see :func:`lightgbm_text`.
    """
    if not type(estimator).__module__.startswith("lightgbm"):
        return None
    booster = getattr(estimator, "booster_", estimator)
    if not hasattr(booster, "model_to_string"):
        return None
    return lightgbm_text(booster.model_to_string())


def lightgbm_text(text: str) -> TreeEnsemble:
    """The trees of a LightGBM model as its text describes it.

    Raises
    ------
    CapabilityMissing
        Another objective, linear trees, zeros as missing values; or the text is no model of
        LightGBM.
    """
    try:
        return _read(text)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise CapabilityMissing(
            f"The text is no model of LightGBM that is read: {type(error).__name__}: {error}"
        ) from error


def lightgbm_header(text: str) -> dict[str, str]:
    """The facts in front of the trees, by name."""
    return _block(text.partition("\nTree=")[0])


def _read(text: str) -> TreeEnsemble:
    header = lightgbm_header(text)
    objective, *settings = header["objective"].split()
    if objective not in _LINKS:
        raise CapabilityMissing(
            f"The objective {objective} of LightGBM is not read; known are {', '.join(_LINKS)}."
        )
    n_outputs = int(header["num_tree_per_iteration"])
    blocks = [
        _block(part.partition("\nend of trees")[0].partition("\n\n")[0])
        for part in text.split("\nTree=")[1:]
    ]
    given = dict(setting.partition(":")[::2] for setting in settings)
    factor = float(given.get("sigmoid", 1.0))
    if "average_output" in header:
        factor /= len(blocks) // n_outputs
    assembly = Assembly(n_outputs, np.float64)
    for at, block in enumerate(blocks):
        _add(assembly, block, at % n_outputs, factor)
    return assembly.ensemble(
        base=np.zeros(n_outputs),
        n_features=int(header["max_feature_idx"]) + 1,
        summed_in=np.dtype(np.float64),
        link=_LINKS[objective],
        source=f"LightGBM ({len(blocks)} trees)",
    )


def _block(text: str) -> dict[str, str]:
    """Lines ``name=value``; a line without a value is a name."""
    lines = (line.partition("=") for line in text.splitlines() if line)
    return {name: value for name, _, value in lines}


def _add(assembly: Assembly, block: dict[str, str], output: int, factor: float) -> None:
    if block.get("is_linear", "0") != "0":
        raise CapabilityMissing("Linear trees of LightGBM are not read.")
    leaves = factor * _numbers(block, "leaf_value")
    n = len(leaves) - 1
    kind = _numbers(block, "decision_type", int)
    missing = (kind >> 2) & 3
    if (missing == _MISSING_ZERO).any():
        raise CapabilityMissing("A LightGBM model that takes zeros for missing values is not read.")
    threshold = _numbers(block, "threshold") if n else np.zeros(0)
    above = np.where(threshold >= 0, _ZERO, np.nextafter(-_ZERO, -np.inf))
    threshold = np.where(
        (np.abs(threshold) <= _ZERO) & (kind & _IS_CATEGORY == 0), above, threshold
    )
    goes_left = np.where(missing == _MISSING_NONE, threshold >= 0, (kind & _DEFAULT_LEFT) != 0)
    children = [_numbers(block, name, int) for name in ("left_child", "right_child")]
    left, right = (np.where(child < 0, n + ~child, child) for child in children)
    columns = _numbers(block, "split_feature", int)
    nodes = [Node(*node) for node in zip(columns, threshold, left, right, goes_left, strict=True)]
    nodes += [Node(-1, 0.0, -1, -1, missing_left=False) for _ in leaves]
    for at in np.flatnonzero(kind & _IS_CATEGORY).tolist():
        ends = _ends(_categories(block, int(threshold[at])))
        inside, outside = nodes[at].left, nodes[at].right
        split_by_runs(nodes, at, ends, inside=inside, outside=outside, missing_inside=False)
    value = np.zeros((len(nodes), assembly.n_outputs))
    value[n : n + len(leaves), output] = leaves
    assembly.add_nodes(nodes, value)


def _numbers(block: dict[str, str], name: str, kind: Any = float) -> Any:
    """A list of numbers; empty where a tree of one leaf leaves it out."""
    return np.array(block.get(name, "").split(), kind)


def _categories(block: dict[str, str], at: int) -> NDArray[np.integer]:
    """The categories of the set with this number."""
    first, end = _numbers(block, "cat_boundaries", int)[at : at + 2]
    words = _numbers(block, "cat_threshold", np.uint32)[first:end]
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))


def _ends(members: NDArray[np.integer]) -> list[tuple[float, float]]:
    """The last numbers before and in each run of a set, by their whole parts.

    The whole part of -0.5 is 0: all above -1 count as category 0.
    """
    return [
        (
            -1.0 if first == 0 else float(np.nextafter(first, -np.inf)),
            float(np.nextafter(last + 1.0, -np.inf)),
        )
        for first, last in runs_of(members)
    ]
