"""The model that 0.1 measured in this folder."""

import numpy as np

from blackbox_boundary import Access, Prediction


class Plane:
    """Two logits of three inputs, without gradients."""

    access, input_shape, n_classes, bounds, fingerprint = Access.LOGITS, (3,), 2, None, "plane"

    def predict(self, x):
        """The signed distance to a plane, and its negative."""
        side = np.asarray(x, float) @ [1.0, 2.0, -1.0] - 0.3
        return Prediction.from_scores(np.stack([side, -side], -1))


def make():
    """The model."""
    return Plane()
