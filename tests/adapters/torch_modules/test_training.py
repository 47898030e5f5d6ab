"""Training torch surrogates: seeds, soft targets, early stopping, divergence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable, _towards_boundary
from torch import nn

from blackbox_boundary import measure
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.estimators import Ray
from blackbox_boundary.extraction import FitStatus

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 5)).astype(np.float32)
W = RNG.standard_normal((5, 3))
Y = (X @ W).argmax(axis=1)


def trainable(**settings):
    """A small dense net on five numbers."""
    given = {"n_steps": 300, "batch_size": 32} | settings
    return TorchTrainable(
        "small",
        lambda: nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3)),
        (5,),
        3,
        **given,
    )


def test_it_learns_and_repeats():
    """Labels are learned; a seed gives the same bits under any global seed; other seeds differ."""
    torch.manual_seed(1)
    first = trainable().fit(X, Y, seed=0)
    torch.manual_seed(2)
    again, other = trainable().fit(X, Y, seed=0), trainable().fit(X, Y, seed=1)
    assert first.status is FitStatus.COMPLETED
    assert (first.predictor.predict(X).label == Y).mean() > 0.9
    assert (first.predictor.predict(X).scores == again.predictor.predict(X).scores).all()
    assert (first.predictor.predict(X).scores != other.predictor.predict(X).scores).any()


def test_the_global_stream_is_left_alone():
    """Training draws nothing from torch's global generator."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trainable(n_steps=3).fit(X, Y, seed=0)
    assert (torch.get_rng_state() == before).all()


def test_soft_targets_carry_more():
    """From probabilities the surrogate comes nearer to the victim's than from labels alone."""
    probs = np.exp(X @ W) / np.exp(X @ W).sum(axis=1, keepdims=True)

    def error(targets):
        scores = trainable(n_steps=400).fit(X, targets, seed=0).predictor.predict(X).scores
        return np.abs(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) - probs).mean()

    assert error(probs) < error(Y) / 2


def test_early_stopping_keeps_the_best():
    """On random labels the held-out loss soon rises: training stops, no worse than chance."""
    noise = RNG.integers(0, 3, 300)
    fit = trainable(n_steps=4000, held_out=0.3, patience=2).fit(X, noise, seed=0)
    assert fit.status is FitStatus.STOPPED_EARLY
    assert fit.n_steps < 4000
    assert fit.loss < np.log(3) + 0.1


def test_divergence_is_a_status():
    """A step size of 1e30 ends in DIVERGED with the seed, and the weights kept are finite."""
    fit = trainable(optimiser=lambda p: torch.optim.SGD(p, lr=1e30)).fit(X, Y, seed=9)
    assert (fit.status, fit.seed) == (FitStatus.DIVERGED, 9)
    assert np.isfinite(fit.predictor.predict(X).scores).all()


@pytest.mark.parametrize("soft", [False, True])
def test_rows_move_straight_towards_the_boundary(soft):
    """On a linear net each row moves its length along a difference of weight rows; 0 stays."""
    net = nn.Linear(5, 3)
    x, label, length = torch.from_numpy(X[:20]), torch.from_numpy(Y[:20]), torch.linspace(0, 1, 20)
    before = x.clone()
    moved = _towards_boundary(
        net, x, nn.functional.one_hot(label).float() if soft else label, length
    )
    scores = net(x).detach()
    rival = scores.scatter(1, label[:, None], -torch.inf).argmax(dim=1)
    normal = (net.weight[label] - net.weight[rival]).detach()
    expected = x - length[:, None] * normal / normal.norm(dim=1, keepdim=True)
    assert torch.allclose(moved, expected, atol=1e-6)
    assert torch.equal(x, before)
    assert not moved.requires_grad
    assert all(p.grad is None for p in net.parameters())


def test_clearance_keeps_the_boundary_off_the_rows():
    """Three groups, learned with or without, lie farther from the boundary; runs repeat."""
    x = (X[:60] * 0.2 + 2 * np.eye(3, 5, dtype=np.float32)[np.arange(60) % 3]).astype(np.float32)

    def nearest(**settings):
        predictor = trainable(n_steps=150, **settings).fit(x, np.arange(60) % 3, seed=0).predictor
        assert (predictor.predict(x).label == np.arange(60) % 3).all()
        return float(np.quantile(measure(predictor, x, estimator=Ray(direction="margin")).l2, 0.1))

    kept = nearest(clearance=1.0)
    assert kept > 1.1 * nearest()
    assert kept == nearest(clearance=1.0)


def test_clearance_respects_the_bounds():
    """Rows in a corner of the domain stay in it, however far they would go."""
    seen = []
    kept = trainable(n_steps=5, clearance=3.0, bounds=(0.0, 1.0))
    net = kept.build()
    net.register_forward_pre_hook(lambda module, given: seen.append((module.training, given[0])))
    replace(kept, build=lambda: net).fit(np.clip(X, 0, 1), Y, seed=0)
    trained = [x for training, x in seen if training]
    assert len(trained) == 5
    assert all(x.min() >= 0 and x.max() <= 1 for x in trained)


def test_fewer_rows_than_a_batch():
    """Three rows make batches of three."""
    assert trainable(n_steps=20).fit(X[:3], Y[:3], seed=0).status is FitStatus.COMPLETED


@pytest.mark.parametrize(
    ("x", "targets"),
    [
        (X[:0], Y[:0]),
        (X, Y[:-1]),
        (X, np.full(300, 3)),
        (X, np.full(300, -1)),
        (X[:, :4], Y),
        (X, np.ones((300, 2))),
    ],
)
def test_bad_rows_are_refused(x, targets):
    """No rows, wrong shapes, labels out of range."""
    with pytest.raises(InvalidInput):
        trainable().fit(x, targets, seed=0)


@pytest.mark.parametrize(
    "settings",
    [{"n_steps": 0}, {"batch_size": 0}, {"held_out": 1.0}, {"patience": 0}, {"clearance": -1.0}],
)
def test_bad_settings_are_refused(settings):
    """Out of range."""
    with pytest.raises(InvalidInput):
        trainable(**settings)
