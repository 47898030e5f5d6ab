"""Small models for the ledger's tests: each says what it was asked."""

import hashlib

import numpy as np

from blackbox_boundary import Access, Prediction

WEIGHTS = np.random.default_rng(5).normal(size=(4, 3)).astype(np.float32)


class Linear:
    """Three logits of four inputs, with gradients; keeps every row it is sent."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (4,), 3, (-9.0, 9.0)
    fingerprint = "linear"

    def __init__(self):
        self.sent = []
        self.sent_for_gradients = []

    def predict(self, x):
        """Logits in the dtype of ``x``, row by row, so that batches do not matter."""
        self.sent += list(x.copy())
        return Prediction.from_scores(
            np.stack([row @ WEIGHTS.astype(x.dtype) for row in x])
            if len(x)
            else np.empty((0, 3), x.dtype)
        )

    def vjp(self, x, v):
        """The same gradient everywhere, for each ``v``."""
        self.sent_for_gradients += list(x.copy())
        return (v @ WEIGHTS.T.astype(np.float64)).astype(x.dtype)


class Oblivious:
    """A label made of the row's bytes: fast, different for every row, without gradients."""

    access, input_shape, n_classes, bounds = Access.LABEL, (4,), 7, None
    fingerprint = "oblivious"

    def __init__(self):
        self.n_sent = 0

    def predict(self, x):
        """A pseudo-random label per row."""
        self.n_sent += len(x)
        return Prediction(
            np.array([hashlib.sha256(row.tobytes()).digest()[0] % 7 for row in x], np.intp)
        )


def rows(*numbers, dtype=np.float32):
    """One row of four for each number."""
    return np.array([[number, number + 0.5, -number, 1] for number in numbers], dtype)
