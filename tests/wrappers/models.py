"""A small smooth model for the tests of wrappers."""

import numpy as np

from blackbox_boundary import Access, Prediction

WEIGHTS = np.random.default_rng(3).normal(size=(6, 4))


class Smooth:
    """Four scores of inputs (2, 3), with gradients, in the inputs' dtype, row by row."""

    input_shape, n_classes, bounds, fingerprint = (2, 3), 4, (-5.0, 5.0), "smooth"

    def __init__(self, access=Access.LOGITS):
        self.access = access

    def __repr__(self):
        return f"Smooth({self.access.name})"

    def _logits(self, x):
        if x.shape[1:] != (2, 3):
            from blackbox_boundary import InvalidInput

            raise InvalidInput(f"rows of shape (2, 3); got {x.shape}")
        return np.einsum("nd,dk->nk", np.asarray(x, np.float64).reshape(len(x), 6), WEIGHTS)

    def predict(self, x):
        """Logits, or their softmax."""
        logits = self._logits(x)
        if self.access is Access.LOGITS:
            return Prediction.from_scores(logits)
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return Prediction.from_scores(shares / shares.sum(axis=-1, keepdims=True))

    def vjp(self, x, v):
        """Gradient of the weighted scores."""
        self._logits(x)
        if self.access is Access.PROBABILITIES:
            probs = self.predict(x).scores
            v = probs * (v - (probs * v).sum(axis=-1, keepdims=True))
        return np.einsum("nk,dk->nd", v, WEIGHTS).reshape(x.shape).astype(x.dtype)
