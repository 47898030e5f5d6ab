"""The predictor around a shape."""

import numpy as np
import pytest

from blackbox_boundary import Access, Differentiable, InvalidInput, Predictor
from blackbox_boundary.testing import Ball, Linear, Opaque, Reference

BALL = Ball(np.full((2, 2), 0.5), 0.6)


def test_is_a_differentiable_predictor_and_opaque_is_not():
    """Both meet the protocol; hiding the gradients hides them."""
    assert isinstance(Reference(BALL), Differentiable)
    assert isinstance(Opaque(Reference(BALL)), Predictor)
    assert not isinstance(Opaque(Reference(BALL)), Differentiable)


@pytest.mark.parametrize("access", list(Access))
def test_reveals_what_it_declares_and_no_more(access):
    """Labels alone, the top score alone, or all scores; the labels are the same."""
    x = np.random.default_rng(0).uniform(size=(50, 2, 2))
    prediction = Reference(BALL, access=access).predict(x)
    assert (prediction.label == Reference(BALL).predict(x).label).all()
    assert (prediction.top1 is not None) == (access is Access.TOP1)
    assert (prediction.scores is not None) == access.has_scores
    if access is Access.PROBABILITIES:
        np.testing.assert_allclose(prediction.scores.sum(axis=-1), 1)
    if access is Access.TOP1:
        assert ((prediction.top1 >= 0.5) & (prediction.top1 <= 1)).all()


def test_counts_rows_and_the_largest_batch():
    """Every row asked is counted, predictions and gradients apart."""
    reference = Reference(BALL)
    x = np.zeros((7, 2, 2))
    reference.predict(x), reference.predict(x[:2]), reference.vjp(x[:3], np.ones((3, 2)))
    assert (reference.n_predicted, reference.n_differentiated, reference.largest_batch) == (9, 3, 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(3))
def test_a_row_gives_the_same_bits_in_any_batch(dtype, seed):
    """Alone, among others, reversed, transposed in memory: the answer is the same to the bit."""
    rng = np.random.default_rng(seed)
    reference = Reference(Linear(rng.normal(size=(5, 37)), rng.normal(size=5)))
    x = rng.normal(size=(23, 37)).astype(dtype)
    scores, v = reference.predict(x).scores, rng.normal(size=(23, 5))
    assert scores.dtype == dtype
    assert (
        np.concatenate([reference.predict(x[i : i + 1]).scores for i in range(23)]) == scores
    ).all()
    assert (reference.predict(x[::-1]).scores == scores[::-1]).all()
    assert (reference.predict(np.asfortranarray(x)).scores == scores).all()
    assert (
        np.concatenate([reference.vjp(x[i : i + 1], v[i : i + 1]) for i in range(23)])
        == reference.vjp(x, v)
    ).all()


def test_torch_tensors_come_back_as_torch_tensors():
    """Answers to tensors are those to the same arrays; gradients keep kind and dtype."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).uniform(size=(5, 2, 2)).astype(np.float32)
    reference, v = Reference(BALL), np.ones((5, 2)) * [1, 0]
    gradient = reference.vjp(torch.from_numpy(x), v)
    assert gradient.dtype == torch.float32
    assert (gradient.numpy() == reference.vjp(x, v)).all()
    assert (reference.predict(torch.from_numpy(x)).scores == reference.predict(x).scores).all()


def test_scale_keeps_labels_and_rounding_makes_ties():
    """Steeper scores have the same labels; rounded ones tie, and ties go to class 0."""
    x = np.random.default_rng(0).uniform(size=(50, 2, 2))
    assert (Reference(BALL, scale=100).predict(x).label == Reference(BALL).predict(x).label).all()
    assert (Reference(BALL, scale=1e-9, decimals=3).predict(x).label == 0).all()


@pytest.mark.parametrize("shape", [(2, 2), (3, 4), (3, 2, 2, 1), ()])
def test_wrong_shapes_are_refused_and_not_counted(shape):
    """The message names the shape that is wanted and the one that came."""
    reference = Reference(BALL)
    with pytest.raises(InvalidInput, match=r"\(n, 2, 2\); got "):
        reference.predict(np.zeros(shape))
    assert reference.n_predicted == 0
