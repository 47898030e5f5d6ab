"""Convert rows to the shape and the numbers that the input of a graph declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.grid import Grid
from blackbox_boundary.predictor import Bounds

from ..answers import check_shape, probe_rows
from .graph import GraphInput

__all__ = ["Feed"]


@dataclass(frozen=True)
class Feed:
    """The conversion of a caller's rows to a graph's input.

    Attributes
    ----------
    name, dtype : str, numpy.dtype
        Of the graph's input.
    batch : int or None
        Rows that the graph demands; None: any number.
    input_shape, graph_shape : tuple of int
        A row as the caller has it and as the graph takes it; they differ by axes of length 1.
    """

    name: str
    dtype: np.dtype[Any]
    batch: int | None
    input_shape: tuple[int, ...]
    graph_shape: tuple[int, ...]

    @classmethod
    def fitting(cls, graph_input: GraphInput, input_shape: Any) -> Self:
        """Fit the caller's rows (None: as the graph has them) to an input.

        Raises
        ------
        InvalidInput
            The shape is open and not given, or the given shape differs.
        """
        given = None if input_shape is None else check_shape(input_shape, "OnnxPredictor")
        graph_shape = _graph_shape(graph_input.shape, given)
        return cls(
            graph_input.name,
            graph_input.dtype,
            graph_input.batch,
            given or graph_shape,
            graph_shape,
        )

    @property
    def natural_bounds(self) -> Bounds:
        """The range of 8-bit or 16-bit integer inputs, such as images; None for all others."""
        return None if self.dtype.kind == "f" or self.dtype.itemsize > 2 else self._range

    @property
    def grid(self) -> Grid | None:
        """The whole numbers that the graph takes; None where it takes floats."""
        return Grid.of_dtype(self.dtype)

    def rows(self, x: NDArray[Any]) -> NDArray[Any]:
        """Rows (n, *input_shape) as the graph takes them; whole numbers are the nearest ones.

        Raises
        ------
        InvalidInput
            A number, or NaN, that an integer input cannot take.
        """
        rows = x.reshape(len(x), *self.graph_shape)
        if self.dtype.kind == "f":
            with np.errstate(over="ignore"):  # beyond float16 is infinite, and answered as such
                return np.ascontiguousarray(rows, dtype=self.dtype)
        lowest, highest = self._range
        rows = np.rint(rows.astype(np.float64))
        if not ((rows >= lowest) & (rows <= highest)).all():
            raise InvalidInput(
                f'"x" of OnnxPredictor must fit the {self.dtype} that the graph takes; got '
                f"numbers outside [{lowest}, {highest}]."
            )
        return np.ascontiguousarray(rows, dtype=self.dtype)

    def nearest(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest rows that the graph can take.

        For floating-point inputs these are the rows themselves.
        """
        return x if self.grid is None else np.asarray(self.grid.rows(x))

    def random_rows(self, n: int, bounds: Bounds) -> NDArray[Any]:
        """Random rows inside the bounds, as the graph takes them.

        Without bounds, integer inputs are 0 or 1.
        """
        return self.rows(
            probe_rows(
                n, self.input_shape, (0, 1) if bounds is None and self.dtype.kind != "f" else bounds
            )
        )

    @property
    def _range(self) -> tuple[int, int]:
        return (
            (0, 1)
            if self.dtype.kind == "b"
            else (int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max))
        )


def _graph_shape(axes: tuple[int | None, ...], given: tuple[int, ...] | None) -> tuple[int, ...]:
    fixed = tuple(axis for axis in axes if axis is not None)
    is_open = len(fixed) < len(axes)
    shown = "(" + ", ".join("?" if axis is None else str(axis) for axis in axes) + ")"
    if given is None:
        if is_open:
            raise InvalidInput(
                '"input_shape" of OnnxPredictor must be given: the graph leaves it open, as '
                f"{shown}."
            )
        return fixed
    if len(given) == len(axes) and all(
        axis in (None, size) for axis, size in zip(axes, given, strict=True)
    ):
        return given
    if not is_open and [size for size in given if size != 1] == [
        axis for axis in fixed if axis != 1
    ]:
        return fixed
    raise InvalidInput(
        f'"input_shape" of OnnxPredictor was given as {given}, but the graph takes rows of {shown}.'
    )
