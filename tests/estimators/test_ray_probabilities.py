"""The ray behind probabilities and behind logits: the same by margin, another by the top score."""

import numpy as np
import pytest

from blackbox_boundary import measure
from blackbox_boundary.datasets import digits, digits_model
from blackbox_boundary.estimators import Ray
from blackbox_boundary.testing import Linear, Opaque, Reference, ReluNet

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 6))
SHAPES = {
    "linear": Linear(RANDOM.normal(size=(5, 6)), RANDOM.normal(size=5)),
    "net": ReluNet(
        (RANDOM.normal(size=(16, 6)), RANDOM.normal(size=(4, 16)) / 2),
        (RANDOM.normal(size=16), RANDOM.normal(size=4)),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("wrap", [lambda p: p, Opaque], ids=["own", "estimated"])
def test_by_margin_probabilities_and_logits_agree(shape, wrap):
    """Log-probabilities differ as logits do: one ray, one distance, within single precision."""
    logits, probabilities = (
        measure(wrap(Reference(SHAPES[shape], access=access)), X, estimator=Ray(direction="margin"))
        for access in ("logits", "probabilities")
    )
    both = logits.has_flip & probabilities.has_flip
    assert both.mean() > 0.9
    np.testing.assert_allclose(probabilities.l2[both], logits.l2[both], rtol=2e-3)


def test_by_the_top_score_they_differ_with_three_classes_or_more():
    """The gradients of log p and p are parallel, not the logit's; with one logit, all are."""
    two = Linear.hyperplane(RANDOM.normal(size=6), 0.3)
    apart = []
    for shape in (SHAPES["linear"], two):
        logits, probabilities = (
            measure(Reference(shape, access=access), X).l2 for access in ("logits", "probabilities")
        )
        apart.append(np.abs(probabilities / logits - 1))
    assert np.median(apart[0]) > 0.05
    assert apart[1].max() < 1e-4


def test_the_figure_that_is_said_is_that_of_the_embedded_digits():
    """0.83 times in the median, every ninth row; 1 by margin."""
    onnx = pytest.importorskip("onnxruntime")
    del onnx
    from blackbox_boundary import Access, Prediction, load

    export = load(digits_model(), access="logits", bounds=(0, 1))

    class Probabilities:
        access, n_classes = Access.PROBABILITIES, 10
        input_shape, bounds = export.input_shape, export.bounds

        def _shares(self, x):
            scores = export.predict(x).scores.astype(np.float64)
            shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return shares / shares.sum(axis=-1, keepdims=True)

        def predict(self, x):
            return Prediction.from_scores(self._shares(x))

        def vjp(self, x, v):
            p = self._shares(x)
            return export.vjp(x, p * (v - (p * v).sum(axis=-1, keepdims=True)))

    x = digits()[0][::9]
    for direction, figure in (("top1", 0.83), ("margin", 1.0)):
        one, other = (
            measure(p, x, estimator=Ray(direction=direction)) for p in (export, Probabilities())
        )
        assert np.median(other.l2 / one.l2) == pytest.approx(figure, abs=0.005)
