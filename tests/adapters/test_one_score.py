"""One score a row is the same model in torch, ONNX, an estimator, a function and an endpoint."""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.http_endpoint.answers import read_scores
from blackbox_boundary.adapters.http_endpoint.contract import Contract
from blackbox_boundary.adapters.onnx_exports.predictor import OnnxPredictor
from blackbox_boundary.adapters.sklearn_estimators import EstimatorPredictor, FunctionPredictor
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from blackbox_boundary import Access, measure
from blackbox_boundary.search.margins import leads, softmax_entropy

from .graphs import model

ACCESSES = [Access.LOGITS, Access.PROBABILITIES]
weights = st.lists(st.floats(0.125, 3.0, width=32), min_size=2, max_size=5)


def sigmoid(z):
    """The probability of a logit."""
    return 1 / (1 + np.exp(-z))


class Scorer:
    """An estimator of two classes with one score a row."""

    classes_ = np.array([0, 1])

    def __init__(self, score):
        self.decision_function = score


class Served:
    """A predictor that reads an endpoint's answer of one number a row."""

    bounds = None

    def __init__(self, score, d, access):
        self.access, self.input_shape, self.n_classes = access, (d,), 2
        self._score, self._contract = score, Contract(access, (d,), 2)

    def predict(self, x):
        """Read what the server would say."""
        return read_scores(self._score(x), len(x), self._contract)


def everywhere(w, b, access):
    """The same linear score in every runtime."""
    d, is_logit = len(w), access is Access.LOGITS
    linear = torch.nn.Linear(d, 1)
    with torch.no_grad():
        linear.weight[:], linear.bias[:] = torch.tensor(w), b
    last = [] if is_logit else [torch.nn.Sigmoid()]
    module = torch.nn.Sequential(linear, *last)
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y" if is_logit else "z"])]
    nodes += [] if is_logit else [helper.make_node("Sigmoid", ["z"], ["y"])]
    content = model(
        nodes,
        constants={"w": np.array(w, np.float32)[:, None], "b": np.array([b], np.float32)},
        inputs=[("x", TensorProto.FLOAT, ["n", d])],
        outputs=[("y", TensorProto.FLOAT, ["n", 1])],
    )

    def score(x):
        z = np.asarray(x, np.float64) @ np.array(w) + b
        return z if is_logit else sigmoid(z)

    yield TorchPredictor(module, input_shape=(d,), access=access)
    yield OnnxPredictor(content, access=access)
    yield FunctionPredictor(score, access=access, input_shape=(d,), n_classes=2)
    yield Served(score, d, access)
    if is_logit:
        yield EstimatorPredictor(Scorer(score), input_shape=(d,))


@pytest.mark.parametrize("access", ACCESSES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(w=weights, b=st.floats(-1, 1, width=32))
def test_both_classes_have_scores_gradients_and_distances(access, w, b):
    """Leads are ±z, the entropy is the sigmoid's, gradients and distances have closed forms."""
    x = np.random.default_rng(3).normal(size=(12, len(w))).astype(np.float32)
    z = x.astype(float) @ np.array(w) + b
    p, true = sigmoid(z), np.abs(z) / np.linalg.norm(w)
    v = np.random.default_rng(4).normal(size=(12, 2))
    for predictor in everywhere(w, b, access):
        prediction = predictor.predict(x)
        assert (prediction.label == (z > 0)).all()
        near = {"rtol": 1e-3, "atol": 1e-5}
        lead = leads(prediction, np.zeros(12, int), access)[:, 1]
        np.testing.assert_allclose(lead, -z, **near)
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
        np.testing.assert_allclose(softmax_entropy(prediction.scores, access), entropy, **near)
        if hasattr(predictor, "vjp"):
            slope = 0.5 if access is Access.LOGITS else p * (1 - p)
            closed = ((v[:, 1] - v[:, 0]) * slope)[:, None] * np.array(w)
            np.testing.assert_allclose(predictor.vjp(x.astype(float), v), closed, **near)
        np.testing.assert_allclose(measure(predictor, x).l2, true, rtol=0.01, atol=1e-5)
