"""Put trees together: nodes of one tree after another become one set of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.tree_ensembles import TreeEnsemble, floor_to

from .category_sets import Node

__all__ = ["Assembly"]


@dataclass
class Assembly:
    """Collects trees whose nodes are numbered from zero each.

    Attributes
    ----------
    n_outputs : int
    dtype : type
        Precision in which rows are compared.
    strict : bool
        Whether a row goes left where ``x < threshold``; else where ``x <= threshold``.
    """

    n_outputs: int
    dtype: Any
    strict: bool = False
    _parts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    _roots: list[int] = field(default_factory=list)
    _n: int = 0

    def add(
        self,
        feature: Any,
        threshold: Any,
        left: Any,
        right: Any,
        value: Any,
        *,
        missing_left: Any = False,
    ) -> None:
        """Add one tree: arrays over its nodes, the root first; ``feature`` is -1 at leaves.

        ``value`` is (n_nodes, n_outputs).
        """
        feature = np.asarray(feature, np.intp)
        inner = feature >= 0
        floor = floor_to(np.where(inner, threshold, 0.0), self.dtype, below=self.strict)
        shifted = [np.where(inner, np.asarray(child) + self._n, -1) for child in (left, right)]
        self._parts.append(
            {
                "feature": feature,
                "threshold": floor,
                "left": shifted[0].astype(np.intp),
                "right": shifted[1].astype(np.intp),
                "missing_left": np.broadcast_to(np.asarray(missing_left, np.bool_), inner.shape),
                "value": np.asarray(value, np.float64).reshape(len(feature), self.n_outputs),
            }
        )
        self._roots.append(self._n)
        self._n += len(feature)

    def add_nodes(self, nodes: list[Node], value: Any) -> None:
        """Add one tree: its nodes, the root first, and their values (n_nodes, n_outputs)."""
        column, threshold, left, right, missing_left = zip(*nodes, strict=True)
        self.add(column, threshold, left, right, value, missing_left=missing_left)

    def ensemble(self, **rest: Any) -> TreeEnsemble:
        """All trees; ``rest`` are the further fields of :class:`TreeEnsemble`.

        Raises
        ------
        CapabilityMissing
            There is no tree.
        """
        if not self._parts:
            raise CapabilityMissing("The model has no tree.")
        joined: dict[str, Any] = {
            name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]
        }
        return TreeEnsemble(
            **joined, roots=np.array(self._roots, np.intp), dtype=np.dtype(self.dtype), **rest
        )
