"""A predictor behind a decoder: answers, gradients by the chain rule, bounds, bad decoders."""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules.decoder import TorchDecoder
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import Access, Differentiable, InvalidInput, Status, measure
from blackbox_boundary.predictor import Repeatable, class_names_of
from blackbox_boundary.testing import Ball, Linear, Reference, check_predictor
from blackbox_boundary.wrappers import (
    Composed,
    CountingPredictor,
    LabelOnly,
    NamedPredictor,
)

from .models import Smooth

LINEAR = np.random.default_rng(5).normal(size=(3, 6))


class Matrix:
    """A linear decoder of three numbers, with its gradient."""

    def __init__(self, scale=1.0):
        self.matrix = scale * LINEAR

    def __call__(self, z):
        return (z @ self.matrix).reshape(len(z), 2, 3).astype(z.dtype)

    def vjp(self, z, gradient):
        return (gradient.reshape(len(z), 6) @ self.matrix.T).astype(z.dtype)


def test_it_is_a_predictor():
    """Rows independent, gradients those of the scores, inputs untouched."""
    composed = Composed(Smooth(), Matrix(0.3), (3,))
    outcome = check_predictor(composed, np.random.default_rng(0).normal(size=(8, 3)))
    assert "failed" not in outcome.values()
    assert isinstance(composed, Differentiable)


@given(st.integers(0, 2**32 - 1))
def test_a_plane_seen_through_a_matrix(seed):
    """Distances in the latent space are those of the plane with the normal ``A w``."""
    random = np.random.default_rng(seed)
    w, z = random.normal(size=6), random.normal(size=(4, 3))
    plane = Reference(Linear(np.stack([w, -w]), np.array([0.3, -0.3])))

    class Flat(Matrix):
        def __call__(self, z):
            return z @ self.matrix

    found = measure(Composed(plane, Flat(), (3,)), z)
    normal = LINEAR @ w
    expected = np.abs(z @ normal + 0.3) / np.linalg.norm(normal)
    np.testing.assert_allclose(found.l2, expected, rtol=1e-4)


def test_rows_at_the_model_are_rows_of_the_result():
    """One query a prediction and one a gradient, whatever decoding does."""
    counted = CountingPredictor(Smooth())
    z = np.random.default_rng(1).normal(size=(5, 3))
    found = measure(Composed(counted, Matrix(0.3), (3,)), z)
    assert counted.n_predictions == found.n_predictions.sum()
    assert counted.n_gradients == found.n_gradients.sum()


def test_a_row_alone_is_the_row_in_a_batch():
    """Values and counts."""
    composed = Composed(Smooth(), Matrix(0.3), (3,))
    z = np.random.default_rng(2).normal(size=(6, 3))
    together = measure(composed, z)
    for row in range(6):
        alone = measure(composed, z[row : row + 1])
        assert alone.l2[0] == pytest.approx(together.l2[row], rel=1e-6)
        assert alone.n_predictions[0] == together.n_predictions[row]


def test_what_it_can_do_is_what_both_can():
    """No gradient without the decoder's, or the predictor's; names, repetition and access pass."""
    plain = Composed(Smooth(), lambda z: Matrix()(0.3 * z), (3,))
    assert not isinstance(plain, Differentiable)
    assert not isinstance(Composed(LabelOnly(Smooth()), Matrix(0.3), (3,)), Differentiable)
    assert Composed(LabelOnly(Smooth()), Matrix(0.3), (3,)).access is Access.LABEL
    named = Composed(NamedPredictor(Smooth(), "abcd"), Matrix(0.3), (3,))
    assert class_names_of(named) == tuple("abcd")
    assert not isinstance(named, Repeatable)
    assert named.fingerprint is None


def test_a_decoder_that_leaves_the_bounds():
    """The row is refused before the predictor is asked; clipping is an option."""
    counted = CountingPredictor(Smooth())
    z = np.array([[0.1, 0.0, 0.0], [99.0, 0.0, 0.0]])
    refusing = Composed(counted, Matrix(), (3,))
    for call in (refusing.predict, refusing.decode, lambda z: refusing.vjp(z, np.ones((2, 4)))):
        with pytest.raises(InvalidInput, match=r"of row 1, which lies outside .*\[-5, 5\]"):
            call(z)
    assert counted.n_predictions == counted.n_gradients == 0
    clipping = Composed(counted, Matrix(), (3,), outside="clip")
    assert np.abs(clipping.decode(z)).max() == 5
    assert clipping.predict(z).label.shape == (2,)
    assert (clipping.vjp(z, np.ones((2, 4)))[1] == 0).all()


def test_gradients_stop_where_a_row_is_clipped():
    """Entries at the bounds add nothing; the others add what they add without bounds."""
    clipping = Composed(Smooth(), Matrix(), (3,), outside="clip")
    z, v = np.array([[4.0, 0.5, -1.0]]), np.array([[1.0, 0.0, 0.0, -1.0]])
    step = 1e-5 * np.eye(3)

    def value(z):
        return (clipping.predict(z).scores * v).sum(axis=-1)

    numeric = (value(z + step) - value(z - step)) / 2e-5
    assert (np.abs(Matrix()(z)) > 5).any()
    assert (np.abs(Matrix()(z)) < 5).any()
    np.testing.assert_allclose(clipping.vjp(z, v)[0], numeric, rtol=1e-4)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (lambda z: z, r"must make rows of the predictor's shape \(2, 3\); it made \(1, 3\)"),
        (lambda z: Matrix()(z)[:0], "it made"),
        (lambda z: Matrix()(z) * np.nan, "nan of row 0, which is not finite"),
    ],
)
def test_decoders_that_make_no_inputs(decoder, message):
    """They are refused when composed, before any query."""
    with pytest.raises(InvalidInput, match=message):
        Composed(Smooth(), decoder, (3,))


def test_other_settings():
    """A word that is none of the two, and latent rows of another shape."""
    with pytest.raises(InvalidInput, match='"outside" of Composed'):
        Composed(Smooth(), Matrix(), (3,), outside="reflect")
    with pytest.raises(InvalidInput, match=r"must have shape \(n, 3\)"):
        Composed(Smooth(), Matrix(), (3,)).predict(np.ones((2, 4)))


def test_latent_bounds_are_kept():
    """The search stays inside them; a boundary beyond them is not found."""
    ball = Reference(Ball(np.zeros(2), 1.0))

    def line(z):
        return np.repeat(z, 2, axis=-1)

    z = np.array([[0.2]])
    inside = measure(Composed(ball, line, (1,), latent_bounds=(0.0, 1.0)), z)
    assert inside.l2[0] == pytest.approx(np.sqrt(0.5) - 0.2, rel=1e-3)
    short = measure(Composed(ball, line, (1,), latent_bounds=(0.0, 0.5)), z)
    assert short.status[0] == Status.NO_FLIP


def test_a_torch_decoder():
    """Its gradient is finite differences'; kind and dtype are the caller's; weights name it."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 6), torch.nn.Unflatten(1, (2, 3))
    )
    decoder = TorchDecoder(module)
    composed = Composed(Smooth(), decoder, (3,))
    z, v = np.random.default_rng(0).normal(size=(1, 3)), np.array([[1.0, -1.0, 0.0, 0.5]])
    step = 1e-3 * np.eye(3)

    def value(z):
        return (composed.predict(z).scores * v).sum(axis=-1)

    numeric = (value(z + step) - value(z - step)) / 2e-3
    np.testing.assert_allclose(composed.vjp(z, v)[0], numeric, rtol=1e-2, atol=1e-3)
    assert composed.vjp(z, v).dtype == z.dtype
    assert isinstance(composed.decode(torch.from_numpy(z)), torch.Tensor)
    assert composed.fingerprint == f"smooth after {decoder.fingerprint}"
    with torch.no_grad():
        module[0].bias += 1
    assert composed.fingerprint != f"smooth after {TorchDecoder(torch.nn.Linear(3, 6)).fingerprint}"
