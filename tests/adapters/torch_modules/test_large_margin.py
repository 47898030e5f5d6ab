"""The large-margin loss: closed forms on linear nets, layers, norms, gradients and training."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules.large_margin import LargeMargin
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from torch import nn

from blackbox_boundary import measure
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.estimators import Ray

RNG = np.random.default_rng(0)
X = torch.from_numpy(RNG.standard_normal((20, 5)).astype(np.float32))
Y = torch.from_numpy(RNG.integers(0, 3, 20))


def dense():
    """Two layers with names."""
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(hidden=nn.Linear(5, 8), relu=nn.ReLU(), output=nn.Linear(8, 3))
    )


@pytest.mark.parametrize(("norm", "dual"), [("l1", np.inf), ("l2", 2), ("linf", 1)])
@pytest.mark.parametrize("over_rivals", ["max", "sum"])
def test_a_linear_net_has_its_true_distances(norm, dual, over_rivals):
    """The loss is what the distance to each plane, in the norm, lacks of the margin."""
    torch.manual_seed(0)
    net = nn.Linear(5, 3)
    loss = LargeMargin(
        {"input": 0.7}, norm=norm, n_rivals=2, over_rivals=over_rivals, cross_entropy=0
    )
    w, scores = net.weight.detach().numpy().astype(float), net(X).detach().numpy().astype(float)
    short = []
    for row, own in enumerate(Y.tolist()):
        distances = [
            (scores[row, own] - scores[row, other]) / np.linalg.norm(w[own] - w[other], dual)
            for other in range(3)
            if other != own
        ]
        lacking = np.maximum(0, 0.7 - np.array(distances))
        short.append(lacking.max() if over_rivals == "max" else lacking.sum())
    assert loss(net, X, Y).item() == pytest.approx(np.mean(short), rel=1e-4)


def test_layers_add_up():
    """The loss of two layers is the sum of each one's; cross-entropy is added by its weight."""
    net = dense()

    def value(margins, cross_entropy=0.0):
        return LargeMargin(margins, cross_entropy=cross_entropy)(net, X, Y).item()

    both = value({"input": 0.5, "relu": 1.0})
    assert both == pytest.approx(value({"input": 0.5}) + value({"relu": 1.0}), rel=1e-5)
    plain = nn.functional.cross_entropy(net(X), Y).item()
    assert value({"input": 0.5}, 0.3) == pytest.approx(
        value({"input": 0.5}) + 0.3 * plain, rel=1e-5
    )
    assert value({"output": 1e-9}) >= 0


def test_its_gradient_holds_the_denominator_constant():
    """On a linear net: the gradient is that of the lead over a fixed steepness."""
    torch.manual_seed(0)
    net = nn.Linear(5, 2)
    label = net(X).argmin(dim=1)  # all rows are on the wrong side: none is clamped
    LargeMargin({"input": 1.0}, cross_entropy=0)(net, X, label).backward()
    found = net.weight.grad.clone()
    steepness = (net.weight[0] - net.weight[1]).norm().detach() + 1e-6
    scores = net(X)
    own = scores.gather(1, label[:, None])[:, 0]
    other = scores.gather(1, 1 - label[:, None])[:, 0]
    net.zero_grad()
    ((other - own) / steepness).mean().backward()
    torch.testing.assert_close(found, net.weight.grad)


def test_soft_targets_and_rows_alone():
    """Probabilities count as their largest; a batch's loss is the rows' mean; rows stay."""
    net, loss, before = dense(), LargeMargin({"input": 1.0, "relu": 1.0}, n_rivals=5), X.clone()
    together = loss(net, X, Y)
    alone = torch.stack([loss(net, X[i : i + 1], Y[i : i + 1]) for i in range(20)])
    torch.testing.assert_close(together, alone.mean())
    torch.testing.assert_close(loss(net, X, nn.functional.one_hot(Y, 3).float()), together)
    assert torch.equal(X, before)
    assert not X.requires_grad
    assert not net.hidden._forward_hooks
    assert not net.relu._forward_hooks


def test_training_keeps_the_boundary_off_the_rows():
    """With the loss, three groups of rows lie farther from the boundary, learned as before."""
    x = (X[:15].repeat(4, 1).numpy() * 0.2 + 2 * np.eye(3, 5)[np.arange(60) % 3]).astype(np.float32)
    y = np.arange(60) % 3

    def nearest(**settings):
        trainable = TorchTrainable("small", dense, (5,), 3, n_steps=300, batch_size=32, **settings)
        predictor = trainable.fit(x, y, seed=0).predictor
        assert (predictor.predict(x).label == y).all()
        return float(np.quantile(measure(predictor, x, estimator=Ray(direction="margin")).l2, 0.1))

    kept = nearest(large_margin=LargeMargin({"input": 1.5}))
    assert kept > 1.1 * nearest()
    assert kept == nearest(large_margin=LargeMargin({"input": 1.5}))


@pytest.mark.parametrize(
    "settings",
    [
        {"margins": {}},
        {"margins": {"input": 0.0}},
        {"margins": {"input": np.inf}},
        {"norm": "l0"},
        {"over_rivals": "mean"},
        {"n_rivals": 0},
        {"n_rivals": 1.5},
        {"cross_entropy": -1},
    ],
)
def test_bad_settings(settings):
    """They are refused when made."""
    with pytest.raises(InvalidInput, match="of LargeMargin must"):
        LargeMargin(**settings)


def test_layers_that_are_not_there():
    """A name that the network lacks is refused with the names it has; so is a layer not run."""
    with pytest.raises(InvalidInput, match=r"\['conv1'\].*hidden, relu, output"):
        LargeMargin({"conv1": 1.0})(dense(), X, Y)
    net = dense()
    net.forward = lambda x: net.output(net.relu(net.hidden(x)))
    net.spare = nn.Linear(3, 3)
    with pytest.raises(InvalidInput, match=r"does not run the layers \['spare'\]"):
        LargeMargin({"spare": 1.0})(net, X, Y)
    assert not net.spare._forward_hooks
