"""Finite differences: right where the truth is known, at the stated cost, inside the bounds."""

import numpy as np
import pytest
import torch

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Status
from blackbox_boundary.gradients import CentralDifferences, ForwardDifferences, estimate_gradients
from blackbox_boundary.search.asks import AskGradient, ask_gradient
from blackbox_boundary.search.problem import Problem

from .driver import drive, products

WEIGHTS = np.random.default_rng(0).normal(size=(12, 3))


def smooth(x):
    """Three smooth scores of twelve inputs."""
    return np.tanh(products(x, WEIGHTS)) * 3


def smooth_gradient(x, v):
    """The true functional's gradient."""
    return (v * 3 * (1 - np.tanh(products(x, WEIGHTS)) ** 2)) @ WEIGHTS.T


def rows(n, seed=1, dtype=np.float32):
    """Points well inside the box."""
    return np.random.default_rng(seed).uniform(0.2, 0.8, size=(n, 3, 4)).astype(dtype)


def problem(access=Access.LOGITS, bounds=(0.0, 1.0)):
    """What the predictors of this module reveal."""
    return Problem(access, 3, (3, 4), bounds)


def one_hot_home(x):
    """The functional of each row's own top score."""
    return np.eye(3)[smooth(x).argmax(-1)]


def estimate(source, x, v, *, score=smooth, access=Access.LOGITS):
    """Drive one estimate to its end."""
    return drive(
        source.estimate(AskGradient(np.arange(len(x)), x, v), problem(access)), score, access=access
    )


def margins(n):
    """The functional of class 0 less class 1."""
    return np.tile([1.0, -1.0, 0.0], (n, 1))


@pytest.mark.parametrize(
    ("source", "tolerance"), [(CentralDifferences(), 1e-3), (ForwardDifferences(), 1e-2)]
)
def test_matches_the_true_gradient(source, tolerance):
    """The relative error is of the step's order, and each row costs what `queries` says."""
    x = rows(5)
    reply, counts, _ = estimate(source, x, margins(5))
    truth = smooth_gradient(x, margins(5))
    error = np.linalg.norm(reply.values.reshape(5, -1) - truth, axis=-1) / np.linalg.norm(
        truth, axis=-1
    )
    assert (error < tolerance).all()
    assert set(counts.values()) == {source.queries((3, 4))}
    assert reply.values.dtype == x.dtype
    assert reply.values.shape == x.shape


@pytest.mark.parametrize("source", [CentralDifferences(), ForwardDifferences()])
def test_stays_inside_bounds_and_is_right_at_a_face(source):
    """On a face or corner the difference is one-sided, inside, and exact for linear functionals."""
    x = np.zeros((2, 3, 4))
    x[1] = 1.0
    reply, _, seen = estimate(
        source, x, margins(2), score=lambda p: p.reshape(len(p), -1) @ WEIGHTS
    )
    assert all(((p >= 0) & (p <= 1)).all() for p in seen)
    np.testing.assert_allclose(reply.values.reshape(2, -1), margins(2) @ WEIGHTS.T, rtol=1e-9)


@pytest.mark.parametrize("source", [CentralDifferences(), ForwardDifferences()])
def test_row_alone_equals_row_in_batch(source, monkeypatch):
    """A row's values and counts depend neither on its neighbours nor on how many fit in an ask."""
    x = rows(6)
    together, counts, _ = estimate(source, x, margins(6))
    monkeypatch.setattr("blackbox_boundary.gradients.differences.CHUNK_BYTES", 5 * x[0].nbytes)
    split, _, seen = estimate(source, x, margins(6))
    assert max(len(points) for points in seen) <= 10
    np.testing.assert_array_equal(together.values, split.values)
    for i in range(6):
        alone, count, _ = estimate(source, x[i : i + 1], margins(1))
        np.testing.assert_array_equal(alone.values[0], together.values[i])
        assert count[0] == counts[i]


@pytest.mark.parametrize("source", [CentralDifferences(), ForwardDifferences()])
def test_torch_points_give_a_torch_gradient(source):
    """Points of another kind are asked, and answered, in that kind."""
    x = torch.from_numpy(rows(2))
    reply, _, seen = estimate(source, x, margins(2))
    numpy_reply, _, _ = estimate(source, rows(2), margins(2))
    assert all(isinstance(points, torch.Tensor) for points in seen)
    np.testing.assert_array_equal(reply.values.numpy(), numpy_reply.values)


@pytest.mark.parametrize("source", [CentralDifferences(step=0.05), ForwardDifferences(step=0.05)])
def test_top1_differences_on_the_side_that_keeps_the_label(source):
    """Where the label flips on one side, the top score is another's: the other side is used."""

    def linear(points):
        first = points.reshape(len(points), -1)[:, 0]
        return np.stack([2 * first, np.full(len(first), 0.99), np.zeros(len(first))], -1)

    x = np.full((1, 3, 4), 0.5)
    reply, counts, _ = estimate(
        source, x, np.array([[1.0, 0, 0]]), score=linear, access=Access.TOP1
    )
    expected = np.zeros(12)
    expected[0] = 2.0
    np.testing.assert_allclose(reply.values.reshape(-1), expected, atol=1e-9)
    assert counts[0] <= source.queries((3, 4)) + 1


def test_top1_equals_full_access_where_the_label_is_kept():
    """The home score alone is enough for the home score's gradient."""
    x = rows(4)
    v = one_hot_home(x)
    full, _, _ = estimate(CentralDifferences(step=1e-4), x, v)
    top, _, _ = estimate(CentralDifferences(step=1e-4), x, v, access=Access.TOP1)
    np.testing.assert_array_equal(full.values, top.values)


def test_too_little_access_says_what_is_needed():
    """Labels alone, and a difference of scores from one score, are refused."""
    with pytest.raises(CapabilityMissing, match="label-only"):
        CentralDifferences().check(problem(Access.LABEL))
    with pytest.raises(CapabilityMissing, match="probabilities or logits"):
        estimate(CentralDifferences(), rows(1), margins(1), access=Access.TOP1)


def test_rounded_scores_widen_the_step():
    """Rounded scores are asked again with a wider step, which recovers the gradient."""
    x = rows(5)
    reply, counts, _ = estimate(
        CentralDifferences(), x, margins(5), score=lambda p: np.round(smooth(p), 4)
    )
    truth = smooth_gradient(x, margins(5))
    cosine = (
        (reply.values.reshape(5, -1) * truth).sum(-1)
        / np.linalg.norm(reply.values.reshape(5, -1), axis=-1)
        / np.linalg.norm(truth, axis=-1)
    )
    assert (cosine > 0.99).all()
    assert set(counts.values()) == {48}


def test_scores_too_coarse_are_refused():
    """One decimal does not resolve a derivative: the row ends, without a direction of noise."""
    reply, _, _ = estimate(
        CentralDifferences(), rows(3), margins(3), score=lambda p: np.round(smooth(p), 1)
    )
    assert (reply.status == Status.UNRESOLVED).all()


@pytest.mark.parametrize(
    "rounded",
    [
        lambda s: np.round(s / 0.0307) * 0.0307,
        lambda s: np.round(s * 255) / 255,
        lambda s: s.astype(np.float16),
        lambda s: np.round(s / 0.0011) * 0.0011,
    ],
    ids=["0.0307", "bytes", "half", "0.0011"],
)
def test_scores_on_any_grid_widen_the_step(rounded):
    """Any rounding step, and half precision, is noticed: the gradient is good or refused."""
    x, v = rows(8), margins(8)
    reply, _, _ = estimate(CentralDifferences(), x, v, score=lambda p: rounded(smooth(p)))
    truth = smooth_gradient(x, v)
    answered = reply.status == 0
    values = reply.values.reshape(8, -1)[answered]
    cosine = (values * truth[answered]).sum(-1) / np.linalg.norm(values, axis=-1)
    assert (cosine / np.linalg.norm(truth[answered], axis=-1) > 0.9).all()
    assert (reply.status[~answered] == Status.UNRESOLVED).all()
    assert (reply.step[answered] > 0.02).all()
    plain, _, _ = estimate(CentralDifferences(), x, v)
    assert (plain.step < 0.01).all()


def test_an_unanswered_point_ends_its_row_alone():
    """The status of the refused point becomes the gradient's; other rows are not touched."""
    x = rows(3)
    search = CentralDifferences().estimate(
        AskGradient(np.array([0, 1, 1]), x, margins(3)), problem()
    )
    reply, _, _ = drive(search, smooth, limit=24)
    assert reply.status.tolist() == [0, 0, Status.OUT_OF_BUDGET]
    assert not reply.values[2].any()


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_a_step_must_be_positive(step):
    """Refused when the source is made."""
    with pytest.raises(InvalidInput, match="step"):
        ForwardDifferences(step=step)


def test_estimate_gradients_turns_a_search_into_one_with_predictions_only():
    """The search is sent what its source estimated; it sees no difference."""
    x, found = rows(3), {}

    def search():
        reply = yield from ask_gradient(np.arange(3), x, margins(3))
        found["values"], found["status"] = reply.values, reply.status

    _, counts, _ = drive(estimate_gradients(search(), CentralDifferences(), problem()), smooth)
    np.testing.assert_allclose(
        found["values"].reshape(3, -1), smooth_gradient(x, margins(3)), rtol=1e-2, atol=1e-2
    )
    assert set(counts.values()) == {26}
