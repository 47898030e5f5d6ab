"""A predictor composed with a decoder is a predictor of the decoder's inputs.

Distances are then measured in the space of the decoder, for example the latent space of an
autoencoder, where a step keeps to the inputs that the decoder can make.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from ..arrays import as_kind, as_numpy, clip
from ..capabilities import fingerprint_of, is_piecewise_constant
from ..errors import InvalidInput
from ..inputs import check_shape
from ..predictor import (
    Array,
    Bounds,
    Differentiable,
    FloatArray,
    IntArray,
    Named,
    Prediction,
    Predictor,
    Repeatable,
)

__all__ = ["Composed", "Decoder", "DifferentiableDecoder"]


@runtime_checkable
class Decoder(Protocol):
    """A map from latent rows to inputs, row by row; a function is one."""

    def __call__(self, z: Array) -> Array:
        r"""Inputs (n, \*input_shape) of latent rows ``z`` (n, \*latent_shape)."""
        ...


@runtime_checkable
class DifferentiableDecoder(Decoder, Protocol):
    """A decoder that also answers gradients."""

    def vjp(self, z: Array, gradient: Array) -> Array:
        """Gradient by ``z`` of the decoded row's inner product with ``gradient``, row by row.

        ``gradient`` has the shape of the decoded rows; the result that of ``z``.
        """
        ...


class Composed:
    r"""A predictor behind a decoder: it answers latent rows by the predictor's answers to inputs.

    It has ``vjp`` where the predictor and the decoder have one; the two are joined by the chain
    rule. A row costs one query of the predictor, and a gradient one gradient. Decoding costs none.

    Parameters
    ----------
    predictor : Predictor
    decoder : Decoder
        Its rows are independent of each other, as a predictor's are.
    latent_shape : tuple of int
        Shape of one latent row.
    latent_bounds : (lowest, highest), optional
        Of the latent rows, each a number or an array that broadcasts to ``latent_shape``.
    outside : {"refuse", "clip"}
        Decoded rows that leave the predictor's bounds by more than rounding are refused, or moved
        to the nearest row inside, whose gradient is zero in the entries that were moved.

    Raises
    ------
    InvalidInput
        The decoder does not make inputs of the predictor (tried with one row, nothing is sent), or
        another ``outside``.

    Examples
    --------
    >>> import numpy as np
    >>> from blackbox_boundary import measure
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> ball = Reference(Ball(np.zeros(2), 1.0))
    >>> on_a_line = Composed(ball, lambda z: np.repeat(z, 2, axis=-1), (1,))
    >>> measure(on_a_line, np.array([[0.1], [0.5]])).l2.round(4)
    array([0.6071, 0.2071])
    """

    def __init__(
        self,
        predictor: Predictor,
        decoder: Decoder,
        latent_shape: tuple[int, ...],
        *,
        latent_bounds: Bounds = None,
        outside: Literal["refuse", "clip"] = "refuse",
    ) -> None:
        if outside not in ("refuse", "clip"):
            raise InvalidInput(
                f'"outside" of Composed must be "refuse" or "clip"; got {outside!r}.'
            )
        self._inner, self._decoder, self._clips = predictor, decoder, outside == "clip"
        self.input_shape, self.bounds = tuple(latent_shape), latent_bounds
        self.access, self.n_classes = predictor.access, predictor.n_classes
        self.piecewise_constant = is_piecewise_constant(predictor)
        if isinstance(predictor, Differentiable) and isinstance(decoder, DifferentiableDecoder):
            self.vjp = self._vjp
        if isinstance(predictor, Repeatable):
            self.predict_again = self._predict_again
        if isinstance(predictor, Named):
            self.class_names = predictor.class_names
        lowest = 0.0 if latent_bounds is None else as_numpy(latent_bounds[0])
        self._decoded(np.broadcast_to(lowest, (1, *self.input_shape)).astype(np.float32))

    def __repr__(self) -> str:
        return f"Composed({self._inner!r}, {self._decoder!r})"

    @property
    def fingerprint(self) -> str | None:
        """Names of the predictor's content and of the decoder's, where both have one."""
        inner, decoder = fingerprint_of(self._inner), getattr(self._decoder, "fingerprint", None)
        return f"{inner} after {decoder}" if inner and decoder else None

    def decode(self, z: Array) -> Array:
        r"""The inputs (n, \*predictor.input_shape) of latent rows ``z``, as they are asked.

        Raises
        ------
        InvalidInput
            Rows of another shape, or decoded rows that are not finite or leave the predictor's
            bounds; the message names the first one.
        """
        check_shape(z, self.input_shape)
        x = self._decoded(z)
        return x if self._inner.bounds is None else clip(x, self._inner.bounds)

    def predict(self, z: Array) -> Prediction:
        r"""Answer latent rows ``z`` (n, \*latent_shape)."""
        return self._inner.predict(self.decode(z))

    def _predict_again(self, z: Array, votes: IntArray) -> Prediction:
        return cast("Repeatable", self._inner).predict_again(self.decode(z), votes)

    def _vjp(self, z: Array, v: FloatArray) -> Array:
        """The chain rule: the predictor's gradient at the decoded rows, through the decoder."""
        check_shape(z, self.input_shape)
        bounds, decoded = self._inner.bounds, self._decoded(z)
        x = decoded if bounds is None else clip(decoded, bounds)
        gradient = cast("Differentiable", self._inner).vjp(x, v)
        if self._clips and bounds is not None:
            gradient = gradient * as_kind(as_numpy(x) == as_numpy(decoded), gradient)
        decoder = cast("DifferentiableDecoder", self._decoder)
        return as_kind(as_numpy(decoder.vjp(z, gradient)), z)

    def _decoded(self, z: Array) -> Array:
        """Decoded rows, checked, as the decoder gives them."""
        x, shape = self._decoder(z), tuple(self._inner.input_shape)
        if tuple(x.shape) != (len(z), *shape):
            raise InvalidInput(
                f"The decoder of Composed must make rows of the predictor's shape {shape}; "
                f"it made {tuple(x.shape)} of {tuple(z.shape)}."
            )
        self._check_values(as_numpy(x))
        return x

    def _check_values(self, x: Any) -> None:
        """Refuse decoded rows (n, ...) that the predictor must not be asked."""
        broken = ~np.isfinite(x)
        what = "is not finite"
        if not broken.any() and self._inner.bounds is not None and not self._clips:
            lowest, highest = (as_numpy(bound) for bound in self._inner.bounds)
            slack = _ROUNDING * np.maximum(1, np.maximum(np.abs(lowest), np.abs(highest)))
            broken = (x < lowest - slack) | (x > highest + slack)
            what = (
                f"lies outside the predictor's bounds [{np.min(lowest):g}, {np.max(highest):g}]; "
                'end the decoder inside them (a sigmoid does), or pass outside="clip"'
            )
        if broken.any():
            row = int(broken.reshape(len(x), -1).any(axis=1).argmax())
            raise InvalidInput(
                f"The decoder of Composed made {x[row][broken[row]][0]:g} of row {row}, which "
                f"{what}."
            )


_ROUNDING = 1e-5
"""Share of the bounds' size by which a decoder may leave them: rounding of single precision in its
last layers, which is clipped away in any case."""
