r"""A model as a graph of layers that NumPy evaluates, from which certificates are derived.

Adapters describe a model as a :class:`Graph` (``adapters/torch_modules/chain.py``,
``adapters/onnx_exports/chain.py``); this module depends on no runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from .errors import CapabilityMissing
from .layers import Dense, Layer, LinearLayer, Sum
from .predictor import Real

__all__ = ["Graph"]

_SINGLE_EPS = float(np.finfo(np.float32).eps)

_ROWS = 64
"""Rows evaluated at a time: a convolution copies every window of them."""


@dataclass(frozen=True, eq=False)
class Graph:
    r"""Layers in the order of computation; value 0 is the row, value k + 1 the output of layer k.

    Attributes
    ----------
    layers : tuple of Layer or Sum
        As the model computes them. The last one is linear; its outputs (n, n_classes) are the
        logits.
    inputs : tuple of tuple of int
        Which values each layer takes: one, or those that a :class:`~.layers.Sum` adds up.
    input_shape : tuple of int
    rectified : bool
        Whether the scores are the positive parts of the logits.
    eps : float
        Machine epsilon of the type that the model computes in.
    """

    layers: tuple[Layer | Sum, ...]
    inputs: tuple[tuple[int, ...], ...]
    input_shape: tuple[int, ...]
    rectified: bool = False
    eps: float = _SINGLE_EPS

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer | Sum],
        inputs: Sequence[tuple[int, ...]],
        input_shape: tuple[int, ...],
        *,
        rectified: bool = False,
        eps: float = _SINGLE_EPS,
    ) -> Self:
        """A graph; one output is read as the logit ``z`` of the second of two classes.

        The scores are then ``(-z/2, z/2)``.

        Raises
        ------
        CapabilityMissing
            The last layer is not linear, or one logit is rectified.
        """
        last = layers[-1] if layers else None
        if not isinstance(last, LinearLayer):
            found = "it has no layer" if last is None else f"it ends in {last.name}"
            raise CapabilityMissing(
                f"A chain must end in a linear layer whose outputs are the logits; {found}."
            )
        graph = cls(tuple(layers), tuple(inputs), tuple(input_shape), rectified, eps)
        if len(graph.shapes[-1]) != 1:
            raise CapabilityMissing(
                f"The last layer of a chain must take rows of one axis; got {graph.shapes[-1]}."
            )
        if graph.shapes[-1] != (1,):
            return graph
        if rectified:
            raise CapabilityMissing("Nothing is certified for one rectified logit.")
        halves = Dense(np.array([[-0.5], [0.5]]), np.zeros(2), last.name)
        layers, inputs = (*layers, halves), (*inputs, (len(layers),))
        return cls(tuple(layers), tuple(inputs), tuple(input_shape), False, eps)

    @classmethod
    def line(
        cls,
        layers: Sequence[Layer],
        input_shape: tuple[int, ...],
        *,
        rectified: bool = False,
        eps: float = _SINGLE_EPS,
    ) -> Self:
        """Each layer takes the output of the one before."""
        inputs = [(k,) for k in range(len(layers))]
        return cls.of(layers, inputs, input_shape, rectified=rectified, eps=eps)

    @property
    def is_line(self) -> bool:
        """Whether each layer takes the output of the one before, and nothing else."""
        return all(taken == (k,) for k, taken in enumerate(self.inputs))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the layers, for reports."""
        return (*(layer.name for layer in self.layers), *(["Relu"] if self.rectified else []))

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of a row of each value."""
        return tuple(value.shape[1:] for value in self.values(np.zeros((1, *self.input_shape))))

    @cached_property
    def offsets(self) -> tuple[Real, ...]:
        """What each layer makes of zeros, flat: its offset, if it is linear."""
        zeros = [np.zeros((1, *shape)) for shape in self.shapes]
        pairs = zip(self.layers, self.inputs, strict=True)
        return tuple(layer(*(zeros[k] for k in taken)).reshape(-1) for layer, taken in pairs)

    def values(self, x: Real) -> list[Real]:
        """Every value (n, *shape), for rows (n, *input_shape)."""
        values = [x]
        for layer, taken in zip(self.layers, self.inputs, strict=True):
            values.append(layer(*(values[k] for k in taken)))
        return values

    def scores(self, x: Real) -> Real:
        """Scores (n, n_classes) in double precision."""
        x = np.asarray(x, np.float64)
        firsts = range(0, max(len(x), 1), _ROWS)
        found = np.concatenate([self.values(x[k : k + _ROWS])[-1] for k in firsts])
        return np.maximum(found, 0) if self.rectified else found
