"""`tangent` on probabilities that round to zero: every row flips, at distances like the logits'."""

import numpy as np
import pytest

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Tangent

D, H, K = 8, 16, 4


class Net:
    """A ReLU net of three layers in single precision; logits, or the softmax of steep ones."""

    n_classes, input_shape = K, (D,)

    def __init__(self, *, steepness=None, bounds=(0.0, 1.0), gradients=True):
        rng = np.random.default_rng(3)
        self.w = rng.normal(size=(H, D)).astype(np.float32)
        self.v = rng.normal(size=(K, H)).astype(np.float32)
        self.b = -self.w @ np.full(D, 0.5, np.float32)
        self.steepness, self.bounds = steepness, bounds
        self.access = Access.LOGITS if steepness is None else Access.PROBABILITIES
        self.n_asked = self.n_gradients = 0
        if gradients:
            self.vjp = self._vjp

    def _forward(self, x):
        hidden = np.maximum(x @ self.w.T + self.b, 0)
        scores = hidden @ self.v.T
        if self.steepness is not None:
            z = self.steepness * (scores - scores.max(-1, keepdims=True))
            with np.errstate(under="ignore"):
                scores = np.exp(z)
                scores /= scores.sum(-1, keepdims=True)
        return hidden, scores

    def predict(self, x):
        self.n_asked += len(x)
        return Prediction.from_scores(self._forward(x)[1])

    def _vjp(self, x, v):
        self.n_gradients += len(x)
        hidden, scores = self._forward(x)
        v = v.astype(np.float32)
        if self.steepness is not None:
            with np.errstate(under="ignore"):
                v = self.steepness * scores * (v - (scores * v).sum(-1, keepdims=True))
        return ((v @ self.v) * (hidden > 0)) @ self.w


def rows(n=40):
    """Rows inside the bounds."""
    return np.random.default_rng(5).random((n, D)).astype(np.float32)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_distances_are_those_of_the_logits(norm, bounds):
    """Most rows have a zero gradient, all have a flip, half of them at the logits' distance."""
    steep = Net(steepness=3000.0, bounds=bounds)
    x = rows()
    own = steep.vjp(x, np.eye(K, dtype=np.float32)[steep.predict(x).label])
    assert (own == 0).all(axis=-1).mean() > 0.8
    found = measure(steep, x, estimator=Tangent(norm=norm))
    truth = measure(Net(bounds=bounds), x, estimator=Tangent(norm=norm))
    assert (found.status == Status.CONVERGED).all()
    ratio = found.norm(norm) / truth.norm(norm)
    assert np.median(ratio) < 1.05
    assert ratio.mean() < 1.5


def test_differences_start_at_the_boundary_too():
    """Gradients estimated from predictions are zero where the row's are; every row has a flip."""
    found = measure(Net(steepness=3000.0, gradients=False), rows(6), estimator=Tangent())
    assert np.isfinite(found.l2).all()


def test_what_is_asked_is_counted():
    """The model's count is the result's."""
    net = Net(steepness=3000.0)
    found = measure(net, rows(), estimator=Tangent())
    assert net.n_asked == found.n_predictions.sum()
    assert net.n_gradients == found.n_gradients.sum()


def test_a_row_alone_is_a_row_in_a_batch():
    """Unbounded directions come from the row's own stream."""
    net, x = Net(steepness=3000.0, bounds=None), rows(5)
    together = measure(net, x, estimator=Tangent())
    first = measure(net, x[:1], estimator=Tangent())
    assert first.n_predictions[0] == together.n_predictions[0]
    assert first.l2[0] == pytest.approx(together.l2[0], rel=1e-5)
