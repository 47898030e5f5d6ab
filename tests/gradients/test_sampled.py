"""Gradients from a chosen number of queries: accuracy, cost, and independence of rows."""

import numpy as np
import pytest
import torch

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Status
from blackbox_boundary.gradients import SPSA, AntitheticBlocks, Cosines, LocalLinear, Span
from blackbox_boundary.search.asks import AskGradient
from blackbox_boundary.search.problem import Problem

from .driver import drive, products

D, SHAPE = 64, (8, 8)
KINDS = [AntitheticBlocks, SPSA, LocalLinear]
names = {"ids": lambda kind: kind.__name__}


def smooth_weights():
    """Three classes whose weights resemble image gradients: rough, but less than noise."""
    basis = Cosines(SHAPE, D)
    return basis.synthesise(
        np.random.default_rng(0).standard_normal((3, D)) * np.sqrt(basis.variance)
    ).T


WEIGHTS = smooth_weights()


def score(x):
    """Smooth scores."""
    return np.tanh(products(x, WEIGHTS) / 8) * 3


def truth(x, v):
    """The functional's gradient."""
    return (v * 3 / 8 * (1 - np.tanh(products(x, WEIGHTS) / 8) ** 2)) @ WEIGHTS.T


def rows(n, dtype=np.float64):
    """Images inside the unit box."""
    return np.random.default_rng(1).uniform(0.2, 0.8, (n, *SHAPE)).astype(dtype)


def margins(n):
    """Class 0 less class 1."""
    return np.tile([1.0, -1.0, 0.0], (n, 1))


def problem(access=Access.LOGITS, bounds=(0.0, 1.0)):
    """What the predictor reveals."""
    return Problem(access, 3, SHAPE, bounds)


def estimate(source, x, v, *, s=None, score=score, ids=None, **kwargs):
    """Drive one estimate to its end."""
    s = s or problem()
    streams = [s.stream(i) for i in (range(len(x)) if ids is None else ids)]
    return drive(
        source.estimate(AskGradient(np.arange(len(x)), x, v), s, streams),
        score,
        access=s.access,
        **kwargs,
    )


def cosine(values, true):
    """Cosine (n,) of each row's estimate to the truth."""
    flat = np.asarray(values, np.float64).reshape(len(true), -1)
    return (flat * true).sum(-1) / np.linalg.norm(flat, axis=-1) / np.linalg.norm(true, axis=-1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (AntitheticBlocks(n_queries=32), np.sqrt(16 / 64)),
        (AntitheticBlocks(n_queries=128), 1.0),
        (AntitheticBlocks(n_queries=32, subspace=Cosines(SHAPE, 16)), 0.8),
        (SPSA(n_queries=32), np.sqrt(16 / 80)),
        (SPSA(n_queries=128), np.sqrt(64 / 128)),
        (LocalLinear(n_queries=33), np.sqrt(32 / 64)),
        (LocalLinear(n_queries=200), 0.99),
    ],
)
def test_cosine_to_the_true_gradient(source, expected):
    """Twenty rows' mean is the theory's (cosine subspace: at least the measured); fixed seeds."""
    x, v = rows(20), margins(20)
    reply, counts, _ = estimate(source, x, v)
    mean = cosine(reply.values, truth(x, v)).mean()
    print(f"{type(source).__name__} {source.n_queries} queries: cosine {mean:.3f}")
    assert mean > expected - 0.06
    assert set(counts.values()) == {source.queries(SHAPE)}


def test_all_directions_give_the_gradient_itself():
    """With as many pairs as coordinates only the step is left of the error."""
    x, v = rows(3), margins(3)
    reply, _, _ = estimate(AntitheticBlocks(n_queries=1000), x, v)
    np.testing.assert_allclose(reply.values.reshape(3, -1), truth(x, v), rtol=1e-3, atol=1e-4)


def test_spsa_is_unbiased():
    """The mean over many streams is the gradient within four standard errors."""
    x, v = np.repeat(rows(1), 400, axis=0), margins(400)
    reply, _, _ = estimate(SPSA(n_queries=8), x, v)
    values = reply.values.reshape(400, -1)
    error = (values.mean(0) - truth(x[:1], v[:1])[0]) / (values.std(0) / 20)
    assert np.abs(error).max() < 4.5


@pytest.mark.parametrize("kind", KINDS, **names)
def test_a_users_subspace_holds_the_estimate(kind):
    """Nothing outside the named directions is asked or answered."""
    subspace = Span(np.random.default_rng(5).standard_normal((4, D)))
    reply, _, _ = estimate(
        kind(n_queries=40, subspace=subspace), rows(2), margins(2), s=problem(bounds=None)
    )
    values = reply.values.reshape(2, -1)
    np.testing.assert_allclose(subspace.synthesise(subspace.analyse(values)), values, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS, **names)
def test_row_alone_equals_row_in_batch(kind, monkeypatch):
    """Values and counts depend on the row's identity, not on neighbours, place or ask size."""
    x, v, source = rows(6), margins(6), kind(n_queries=30)
    together, counts, _ = estimate(source, x, v)
    for i in (0, 5):
        alone, count, _ = estimate(source, x[i : i + 1], v[:1], ids=[i])
        np.testing.assert_array_equal(alone.values[0], together.values[i])
        assert count[0] == counts[i]
    monkeypatch.setattr("blackbox_boundary.gradients.sampled.CHUNK_BYTES", 7 * x[0].nbytes)
    split, _, seen = estimate(source, x, v)
    assert max(map(len, seen)) == 7
    np.testing.assert_array_equal(split.values, together.values)


@pytest.mark.parametrize("kind", KINDS, **names)
def test_a_corner_of_the_box(kind):
    """Each coordinate can move one way only: points stay inside, linear functionals are exact."""
    x, v = np.zeros((3, *SHAPE)), margins(3)
    linear = lambda p: p.reshape(len(p), -1) @ WEIGHTS  # noqa: E731
    reply, _, seen = estimate(kind(n_queries=1000), x, v, score=linear)
    assert all(((p >= 0) & (p <= 1)).all() for p in seen)
    assert (cosine(reply.values, v @ WEIGHTS.T) > (0.9 if kind is SPSA else 0.999)).all()


@pytest.mark.parametrize("kind", KINDS, **names)
def test_torch_points_are_asked_and_answered_in_kind(kind):
    """Tensors in, tensors out."""
    reply, _, seen = estimate(kind(n_queries=10), torch.from_numpy(rows(2, np.float32)), margins(2))
    assert all(isinstance(p, torch.Tensor) for p in [*seen, reply.values])


@pytest.mark.parametrize("kind", KINDS, **names)
def test_rounded_scores_widen_the_step(kind):
    """Four decimals cost a second round and at most 0.1 of the cosine; one decimal is refused."""
    x, v = rows(10), margins(10)
    exact, _, _ = estimate(kind(n_queries=120), x, v)
    rounded, counts, _ = estimate(kind(n_queries=120), x, v, score=lambda p: np.round(score(p), 4))
    assert set(counts.values()) == {240}
    assert (
        cosine(rounded.values, truth(x, v)).mean() > 0.9 * cosine(exact.values, truth(x, v)).mean()
    )
    refused, _, _ = estimate(kind(n_queries=120), x, v, score=lambda p: np.round(score(p) / 3, 1))
    assert (refused.status == Status.UNRESOLVED).all()


@pytest.mark.parametrize("kind", KINDS, **names)
def test_an_unanswered_point_ends_its_row_alone(kind):
    """Its status becomes the gradient's."""
    x = rows(3)
    s = problem()
    search = kind(n_queries=10).estimate(
        AskGradient(np.array([0, 1, 1]), x, margins(3)), s, [s.stream(i) for i in range(3)]
    )
    reply, _, _ = drive(search, score, limit=10)
    assert reply.status.tolist() == [0, 0, Status.OUT_OF_BUDGET]


@pytest.mark.parametrize("kind", KINDS, **names)
def test_refusals(kind):
    """Labels alone, and a dial that buys nothing."""
    with pytest.raises(CapabilityMissing, match="label-only"):
        kind().check(problem(Access.LABEL))
    with pytest.raises(InvalidInput, match="n_queries"):
        kind(n_queries=1)
    with pytest.raises(InvalidInput, match="step"):
        kind(step=-1.0)
