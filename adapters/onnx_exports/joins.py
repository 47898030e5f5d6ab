"""ONNX nodes that join values computed from the row, each read as a sum of layers.

| op | accepted where |
|---|---|
| Add, Sub, Sum | all values have the same shape |
| Concat | along any axis but that of the rows; a sum of values padded with zeros |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.layers import Affine, Layer, Selection

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["parts_of"]


def parts_of(node: NodeProto, shapes: Sequence[tuple[int, ...]]) -> list[Layer | None]:
    """The map of each value before all are added up; None: identity.

    Raises
    ------
    CapabilityMissing
        Another op, one that also takes constants, or values of several shapes.
    """
    op, named = node.op_type, f' "{node.name}"' if node.name else ""
    if len(shapes) != len(node.input):
        raise CapabilityMissing(f"{op}{named} joins values and constants; that is not read.")
    if op == "Concat":
        return list(_padded(node, shapes))
    if op not in ("Add", "Sub", "Sum"):
        raise CapabilityMissing(f"Nothing is certified through {op}{named} of several values.")
    if len(set(shapes)) != 1:
        raise CapabilityMissing(f"{op}{named} enlarges its values; that is not read.")
    parts: list[Layer | None] = [None] * len(shapes)
    if op == "Sub":
        parts[1] = Affine(np.array(-1.0), np.array(0.0), op)
    return parts


def _padded(node: NodeProto, shapes: Sequence[tuple[int, ...]]) -> Any:
    """Each value in its place, with zeros in those of the others."""
    axis = next(each.i for each in node.attribute if each.name == "axis") % (len(shapes[0]) + 1)
    if axis == 0:
        raise CapabilityMissing(f'Concat "{node.name}" joins rows.')
    sizes = [shape[axis - 1] for shape in shapes]
    before = np.cumsum([0, *sizes])
    for shape, start, end in zip(shapes, before[:-1], before[1:], strict=True):
        wide = [(0, 0)] * len(shape)
        wide[axis - 1] = (int(start), int(before[-1] - end))
        places = np.arange(int(np.prod(shape))).reshape(shape)
        yield Selection(np.pad(places, wide, constant_values=-1), node.op_type)
