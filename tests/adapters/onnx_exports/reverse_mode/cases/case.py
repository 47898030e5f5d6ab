"""One small graph an op and setting.

Its text, its shapes, the opsets to try, and torch's function where torch has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser

_TYPES = {np.float32: "float", np.float64: "double"}


@dataclass(frozen=True)
class Case:
    """``body`` computes y from x (batch axis first), and from ``weights``.

    Shapes of random arrays, or arrays.
    """

    name: str
    body: str
    shape: tuple[int, ...]
    weights: dict[str, Any] = field(default_factory=dict)
    torch: Callable[..., torch.Tensor] | None = None
    opsets: tuple[int, ...] = (18,)
    domain: Callable[[np.ndarray], np.ndarray] = np.asarray
    """Where the input is drawn: a map of standard normal numbers."""
    in_doubles: bool = True
    """Whether the reference evaluator runs the op, its gradient and its opset well in float64."""
    any_batch: bool = True
    """Whether the body holds for any number of rows."""

    def __str__(self) -> str:
        return self.name

    def model(
        self, dtype: Any = np.float32, opset: int = 18, *, open_batch: bool = False
    ) -> ModelProto:
        """The graph with its weights, of a fixed or an open batch."""
        axes = [*("n" if open_batch else str(self.shape[0]),), *map(str, self.shape[1:])]
        text = f"g ({_TYPES[dtype]}[{', '.join(axes)}] x) => ({_TYPES[dtype]} y) {{ {self.body} }}"
        graph = parser.parse_graph(
            text.replace(
                "FLOAT", str(TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE)
            )
        )
        for name, array in self.arrays(dtype).items():
            graph.initializer.append(numpy_helper.from_array(array, name))
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def arrays(self, dtype: Any) -> dict[str, np.ndarray]:
        """The weights; a shape means random ones, positive if their name begins with "positive"."""
        rng, arrays = np.random.default_rng(5), {}
        for name, given in self.weights.items():
            if isinstance(given, tuple):
                drawn = rng.normal(size=given)
                arrays[name] = (
                    np.abs(drawn) + 0.5 if name.startswith("positive") else drawn
                ).astype(dtype)
            else:
                array = np.asarray(given)
                arrays[name] = array.astype(dtype) if array.dtype == np.float64 else array
        return arrays

    def x(self, dtype: Any) -> np.ndarray:
        """Inputs away from kinks at zero."""
        drawn = np.random.default_rng(3).normal(size=self.shape)
        return np.asarray(self.domain(drawn + 0.05 * np.sign(drawn)), dtype)


def positive(x: np.ndarray) -> np.ndarray:
    """Map numbers to at least 0.3."""
    return np.abs(x) + 0.3


def small(x: np.ndarray) -> np.ndarray:
    """Map numbers into (-0.9, 0.9)."""
    return 0.9 * np.tanh(x)


def ints(*numbers: int) -> np.ndarray:
    """An int64 vector."""
    return np.array(numbers, np.int64)


ALL = (7, 9, 10, 11, 12, 13, 15, 18, 21, 23, 26)
SINCE_9 = tuple(v for v in ALL if v >= 9)
SINCE_10 = tuple(v for v in ALL if v >= 10)
SINCE_11 = tuple(v for v in ALL if v >= 11)
SINCE_13 = tuple(v for v in ALL if v >= 13)
SINCE_18 = tuple(v for v in ALL if v >= 18)

MATRIX = (3, 4)
IMAGE = (2, 3, 7, 6)
