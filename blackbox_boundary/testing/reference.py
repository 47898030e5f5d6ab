"""A predictor with known distances that counts its queries."""

from __future__ import annotations

import numpy as np

from ..arrays import as_kind, as_numpy
from ..errors import InvalidInput
from ..inputs import check_shape
from ..predictor import Access, Array, Bounds, FloatArray, Prediction, Predictor
from .shapes import Shape

__all__ = ["Opaque", "Reference"]

_ORDERS = {"l1": 1, "l2": 2, "linf": np.inf}


class Reference:
    """A classifier in closed form: predictor, gradients, and exact distances to its boundary.

    Parameters
    ----------
    shape : Shape
        Where the boundary lies.
    access : Access or str
        What :meth:`predict` reveals. ``"top1"`` reveals a probability.
    bounds : (lowest, highest), optional
        Declared, not enforced.
    scale : float
        Multiplies the logits: steepens the scores and leaves every label as it is. Positive.
    decimals : int, optional
        Scores are rounded so, as servers do, before the label is read off: ties and plateaus; the
        distances are then off.

    Attributes
    ----------
    n_predicted, n_differentiated : int
        Rows asked so far.
    largest_batch : int
        Most rows asked in one call.

    Notes
    -----
    Rows are computed one by one in NumPy, whatever the kind of the inputs: a row gives the same
    bits in any batch. Inputs of float64 are computed in float64, all others in float32. :meth:`vjp`
    differentiates the probabilities where ``access`` is ``"probabilities"``, else the logits (also
    those that ``"label"`` and ``"top1"`` do not reveal; :class:`Opaque` hides it).

    Examples
    --------
    >>> from blackbox_boundary.testing import Ball
    >>> unit_ball = Reference(Ball(np.zeros(2), 1.0), access="label")
    >>> x = np.array([[0.25, 0.0], [3.0, 4.0]])
    >>> unit_ball.predict(x).label, unit_ball.distance(x), unit_ball.distance(x, "linf").round(3)
    (array([1, 0]), array([0.75, 4.  ]), array([0.571, 3.   ]))
    """

    def __init__(
        self,
        shape: Shape,
        *,
        access: Access | str = Access.LOGITS,
        bounds: Bounds = None,
        scale: float = 1.0,
        decimals: int | None = None,
    ) -> None:
        if not scale > 0:
            raise InvalidInput(f'"scale" of Reference must be positive; got {scale}.')
        self.shape, self.access, self.bounds, self.scale, self.decimals = (
            shape,
            Access.parse(access),
            bounds,
            scale,
            decimals,
        )
        self.input_shape, self.n_classes = tuple(shape.input_shape), shape.n_classes
        self.n_predicted = self.n_differentiated = self.largest_batch = 0

    def __repr__(self) -> str:
        settings = (
            f"access={self.access.name.lower()!r}, bounds={self.bounds}, scale={self.scale}, "
            f"decimals={self.decimals}"
        )
        return f"Reference({self.shape}, {settings})"

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        rows = self._rows(x)
        self.n_predicted += len(rows)
        self.largest_batch = max(self.largest_batch, len(rows))
        scores = self.scale * self.shape.logits(rows)
        if self.access in (Access.PROBABILITIES, Access.TOP1):
            scores = _softmax(scores)
        if self.decimals is not None:
            scores = scores.round(self.decimals)
        prediction = Prediction.from_scores(scores)
        if self.access.has_scores:
            return prediction
        return Prediction(
            prediction.label,
            scores.max(axis=-1, initial=-np.inf) if self.access is Access.TOP1 else None,
        )

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)``, before any rounding; ``v`` (n, n_classes)."""
        rows = self._rows(x)
        v = np.asarray(v, rows.dtype)
        if v.shape != (len(rows), self.n_classes):
            raise InvalidInput(
                f'"v" of vjp must have shape ({len(rows)}, {self.n_classes}); got {v.shape}.'
            )
        self.n_differentiated += len(rows)
        self.largest_batch = max(self.largest_batch, len(rows))
        if self.access is Access.PROBABILITIES:
            probs = _softmax(self.scale * self.shape.logits(rows))
            v = probs * (v - (probs * v).sum(axis=-1, keepdims=True))
        return as_kind((self.scale * self.shape.pull(rows, v)).reshape(np.shape(x)), x)

    def distance(self, x: Array, norm: str = "l2") -> FloatArray:
        """Exact distance (n,) float64 from each row to the boundary, without bounds.

        ``norm`` is ``"l1"``, ``"l2"`` or ``"linf"``.

        Raises
        ------
        CapabilityMissing
            The shape has no closed form there.
        """
        if norm not in _ORDERS:
            raise InvalidInput(f'"norm" must be one of {", ".join(_ORDERS)}; got "{norm}".')
        return self.shape.distance(self._rows(x).astype(np.float64), _ORDERS[norm])

    def crossings(self, x: Array, direction: Array) -> FloatArray:
        """Ascending radii (n, m) at which the rays along ``direction`` change their label.

        ``direction`` (n, *input_shape) has any length but zero.

        Radii are L2 lengths; infinite where a ray has fewer than m crossings.
        """
        along = self._rows(direction).astype(np.float64)
        return self.shape.crossings(
            self._rows(x).astype(np.float64), along / np.linalg.norm(along, axis=-1, keepdims=True)
        )

    def distance_along(self, x: Array, direction: Array) -> FloatArray:
        """Radius (n,) of the first crossing along ``direction``, infinite where there is none."""
        return self.crossings(x, direction)[:, 0]

    def _rows(self, x: Array) -> FloatArray:
        check_shape(x, self.input_shape)
        rows = as_numpy(x)
        rows = (
            rows.reshape(len(rows), -1)
            if rows.size
            else rows.reshape(len(rows), int(np.prod(self.input_shape)))
        )
        return np.ascontiguousarray(rows, np.float64 if rows.dtype == np.float64 else np.float32)


class Opaque:
    """The same predictor without its gradients."""

    def __init__(self, predictor: Predictor) -> None:
        self.inner = predictor
        self.access, self.bounds = predictor.access, predictor.bounds
        self.input_shape, self.n_classes = predictor.input_shape, predictor.n_classes

    def predict(self, x: Array) -> Prediction:
        """Return the answer of the wrapped predictor."""
        return self.inner.predict(x)


def _softmax(logits: FloatArray) -> FloatArray:
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)
