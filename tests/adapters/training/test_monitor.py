"""The monitor of training loops: closed forms, both levels, what it leaves as it was, bad loops."""

import copy

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.training import TrainingMonitor
from torch import nn
from torch.nn.functional import one_hot

from blackbox_boundary.analysis.history import History
from blackbox_boundary.errors import BadPrediction, InvalidInput

LEVELS = ("first order", "bracketed")


def watched(net, x, labels, loss, *, epoch=0, **settings):
    """Distances (n,) of one watched step."""
    history = History(len(x))
    monitor = TrainingMonitor(net, history, **settings)
    with monitor.step(x, labels, np.arange(len(x)), epoch=epoch) as watched_x:
        loss(net(watched_x), labels).backward()
    return history.latest()


def linear(n_in=5, n_out=2, seed=0):
    """A linear module with known weights."""
    torch.manual_seed(seed)
    return nn.Linear(n_in, n_out)


def rows(n=40, n_in=5, seed=1):
    """Random rows and labels of two classes."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(n, n_in, generator=generator),
        torch.randint(2, (n,), generator=generator),
    )


def hyperplane(net, x, labels):
    """Signed distance to where the two logits of a linear module tie."""
    w, b = (part.detach().double() for part in (net.weight, net.bias))
    lead = x.double() @ (w[1] - w[0]) + b[1] - b[0]
    return (torch.where(labels == 1, lead, -lead) / (w[1] - w[0]).norm()).numpy()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "loss",
    [
        nn.functional.cross_entropy,
        lambda z, y: nn.functional.cross_entropy(z, y, reduction="sum"),
        lambda z, y: 65536 * nn.functional.cross_entropy(z, y),
        lambda z, y: nn.functional.cross_entropy(z, y, weight=torch.tensor([0.1, 7.0])),
        lambda z, y: nn.functional.multi_margin_loss(z, y, margin=1e3),
    ],
    ids=["mean", "sum", "scaled", "class weights", "hinge"],
)
def test_two_classes_of_a_linear_module(level, loss):
    """The distance to the hyperplane, signed by the label, whatever the loss weights rows by."""
    net, (x, labels) = linear(), rows()
    found = watched(net, x, labels, loss, level=level)
    tolerance = 1e-4 if level == "first order" else 0.02
    np.testing.assert_allclose(found, hyperplane(net, x, labels), rtol=tolerance)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=str)
def test_one_logit(level, shape):
    """A module with one logit of class 1 is at the distance of the logit's zero."""
    net, (x, labels) = linear(n_out=1), rows()

    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x).reshape(*shape)

    def loss(z, y):
        return nn.functional.binary_cross_entropy_with_logits(z.reshape(-1), y.float())

    z = (net(x).squeeze(1) / net.weight.norm()).detach()
    found = watched(Squeezed(), x, labels, loss, level=level)
    np.testing.assert_allclose(found, torch.where(labels == 1, z, -z), rtol=0.02)


def test_more_classes_follow_the_soft_maximum():
    """The slope is that of log-odds of the label, by automatic differentiation in double."""
    net, (x, _) = linear(n_out=4), rows()
    labels = torch.arange(len(x)) % 4
    found = watched(net, x, labels, nn.functional.cross_entropy)
    exact, points = copy.deepcopy(net).double(), x.double().requires_grad_()
    z = exact(points)
    own = nn.functional.one_hot(labels, 4).bool()
    soft = z[own] - z.masked_fill(own, -torch.inf).logsumexp(1)
    (slope,) = torch.autograd.grad(soft.sum(), points)
    margin = z[own] - z.masked_fill(own, -torch.inf).amax(1)
    wanted = (margin / slope.norm(dim=1)).detach()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_a_bracketed_distance_was_seen_to_flip():
    """Each point that far along the step's gradient has the other side's label; 1 % nearer not."""
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(5, 30), nn.Tanh(), nn.Linear(30, 3))
    x, _ = rows(200)
    labels = torch.arange(200) % 3
    history = History(200)
    monitor = TrainingMonitor(net, history, level="bracketed")
    with monitor.step(x, labels, np.arange(200), epoch=0) as leaf:
        nn.functional.cross_entropy(net(leaf), labels).backward()
    distance = torch.from_numpy(history.latest())
    unit = leaf.grad / leaf.grad.norm(dim=1, keepdim=True)
    known = distance.isfinite()
    assert known.float().mean() > 0.7
    with torch.no_grad():
        far, near = (
            net(x + (share * distance)[:, None] * unit).argmax(1) == labels
            for share in (1.0005, 0.5)
        )
        home = net(x).argmax(1) == labels
    assert ((home == (distance > 0)) | ~known).all()
    assert (far != home)[known].float().mean() > 0.97
    assert (near == home)[known].float().mean() > 0.9


class Convolutional(nn.Sequential):
    """A small net with dropout and batch statistics."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(4 * 36, 10),
        )


def trained(settings, *, n_epochs=2, loss=nn.functional.cross_entropy):
    """The state of a net after a seeded training, its random state, and its history."""
    torch.manual_seed(3)
    net = Convolutional()
    x, labels = torch.randn(96, 1, 8, 8), torch.randint(10, (96,))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    history = History(96)
    monitor = None if settings is None else TrainingMonitor(net, history, **settings)
    for epoch in range(n_epochs):
        for batch in torch.randperm(96).split(32):
            part = x[batch]
            if monitor is None:
                optimiser.zero_grad()
                loss(net(part), labels[batch]).backward()
            else:
                with monitor.step(part, labels[batch], batch, epoch=epoch) as part:
                    optimiser.zero_grad()
                    loss(net(part), labels[batch]).backward()
            optimiser.step()
    grads = {name: p.grad for name, p in net.named_parameters()}
    return net.state_dict() | grads | {"random": torch.get_rng_state()}, history, net


@pytest.mark.parametrize(
    "settings",
    [{}, {"every": 2}, {"level": "bracketed"}, {"level": "bracketed", "every": 4}],
    ids=str,
)
def test_a_training_is_the_same_to_the_bit(settings):
    """Weights, gradients, running statistics, random state and modes, with dropout."""
    plain, _, _ = trained(None)
    with_monitor, history, net = trained(settings)
    assert plain.keys() == with_monitor.keys()
    assert all(torch.equal(value, with_monitor[name]) for name, value in plain.items())
    assert all(part.training for part in net.modules())
    assert not net._forward_hooks
    assert np.isfinite(history.latest()).any()


def test_one_batch_in_so_many_moves_on():
    """With three batches an epoch in fixed order, three epochs watch all of them once."""
    net, (x, labels) = linear(), rows(30)
    history = History(30)
    monitor = TrainingMonitor(net, history, every=3)
    for epoch in range(3):
        for batch in torch.arange(30).split(10):
            with monitor.step(x[batch], labels[batch], batch, epoch=epoch) as part:
                assert part.requires_grad == (int(batch[0]) == 10 * ((3 - epoch) % 3))
                nn.functional.cross_entropy(net(part), labels[batch]).backward()
    assert (~np.isnan(history.distances)).sum(axis=0).tolist() == [1] * 30


@pytest.mark.parametrize("level", LEVELS)
def test_rows_that_a_loss_cannot_resolve(level):
    """Saturated rows are infinite, rows without weight and soft labels NaN; double resolves."""
    net, (x, labels) = linear(), rows(6)
    with torch.no_grad():
        net.weight.mul_(1e3)
    right = torch.from_numpy(hyperplane(net, x, labels)) > 0
    found = watched(net, x, labels, nn.functional.cross_entropy, level=level)
    assert np.isinf(found[right.numpy()]).all()
    net = linear()
    with torch.no_grad():
        net.weight.mul_(4)

    def in_double(z, y):
        return nn.functional.cross_entropy(z.double(), y)

    far = 8 * x
    np.testing.assert_allclose(
        watched(net, far, labels, in_double, level=level), hyperplane(net, far, labels), rtol=0.02
    )

    def weighted(z, y):
        loss = nn.functional.cross_entropy(z, y, reduction="none")
        return (loss * torch.tensor([1.0, 0, 1, 1, 1, 1])).sum()

    found = watched(linear(n_out=3), x, labels, weighted, level=level)
    assert np.isnan(found).tolist() == [False, True, False, False, False, False]

    def mixed(z, y):
        return nn.functional.cross_entropy(z, 0.5 * one_hot(y, 3) + 0.5 * one_hot(2 - y, 3))

    found = watched(linear(n_out=3), 0.01 * x, labels, mixed, level=level)
    assert np.isnan(found).tolist() == (labels != 1).tolist()


class Steps(nn.Module):
    """Labels that move in steps: no gradient by the input, or a detached one."""

    def __init__(self, *, detach):
        super().__init__()
        self.layer, self.detach = nn.Linear(2, 2), detach

    def forward(self, x):
        x = x.detach() if self.detach else torch.round(8 * x) / 8
        return self.layer(x)


@pytest.mark.parametrize("detach", [True, False])
def test_a_model_without_gradients_is_measured_by_labels(detach):
    """One warning with the price; distances near those of the hyperplane, signed."""
    torch.manual_seed(0)
    net, (x, labels) = Steps(detach=detach), rows(20, 2)
    before = copy.deepcopy(net.state_dict())
    history = History(20)
    monitor = TrainingMonitor(net, history, label_predictions=80)

    def step(epoch):
        with monitor.step(x, labels, np.arange(20), epoch=epoch) as leaf:
            nn.functional.cross_entropy(net(leaf), labels).backward()

    with pytest.warns(UserWarning, match="80 predictions a row in place of none"):
        step(0)
    step(1)  # does not warn again: warnings are errors
    wanted = hyperplane(net.layer, x, labels)
    found = history.distances[1]
    known = np.isfinite(found)
    assert known.mean() > 0.6
    assert (np.sign(found) == np.sign(wanted))[known & (abs(wanted) > 0.2)].all()
    assert np.median(np.abs(found - wanted)[known]) < 0.2
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_outputs_and_arguments_of_transformers():
    """An object with logits, called by keyword, is watched at both levels."""

    class Output:
        def __init__(self, logits):
            self.logits = logits

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()

        def forward(self, pixel_values=None, labels=None):
            del labels
            return Output(self.layer(pixel_values))

    net, (x, labels) = Model(), rows()
    for level in LEVELS:
        history = History(len(x))
        monitor = TrainingMonitor(net, history, level=level)
        with monitor.step(x, labels, np.arange(len(x)), epoch=0) as leaf:
            output = net(pixel_values=leaf, labels=labels)
            nn.functional.cross_entropy(output.logits, labels).backward()
        np.testing.assert_allclose(history.latest(), hyperplane(net.layer, x, labels), rtol=0.02)


def cross(net, x, labels):
    """The usual step."""
    nn.functional.cross_entropy(net(x), labels).backward()


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (lambda net, x, leaf, y: cross(net, x, y), "once with the input that step"),
        (lambda net, x, leaf, y: (cross(net, leaf, y), cross(net, leaf, y)), "It did 2 times"),
        (lambda net, x, leaf, y: net(leaf), "must call backward"),
    ],
    ids=["another input", "twice", "no backward"],
)
def test_loops_that_are_wrong(block, words):
    """Each is named; the hook is gone and nothing was recorded."""
    net, (x, labels) = linear(), rows()
    history = History(len(x))
    monitor = TrainingMonitor(net, history)
    step = monitor.step(x, labels, np.arange(len(x)), epoch=0)
    with pytest.raises(InvalidInput, match=words), step as leaf:
        block(net, x, leaf, labels)
    assert not net._forward_hooks
    assert not len(history.epochs)


def test_an_error_of_the_loop_passes_through():
    """The hook is gone, nothing was recorded, and the next step works."""
    net, (x, labels) = linear(), rows()
    history = History(len(x))
    monitor = TrainingMonitor(net, history)
    with pytest.raises(KeyError), monitor.step(x, labels, np.arange(len(x)), epoch=0):
        raise KeyError
    assert not net._forward_hooks
    assert not len(history.epochs)
    with monitor.step(x, labels, np.arange(len(x)), epoch=0) as leaf:
        cross(net, leaf, labels)
    assert history.epochs.tolist() == [0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": torch.zeros(4, 5, dtype=torch.int64)}, "behind an embedding"),
        ({"x": np.zeros((4, 5))}, '"x" of a watched step'),
        ({"labels": torch.zeros(4)}, '"labels" of a watched step'),
        ({"labels": torch.zeros(4, 2, dtype=torch.int64)}, '"labels" of a watched step'),
        ({"labels": torch.tensor([0, 1, -100, 0])}, "from 0 on"),
        ({"labels": torch.tensor([0, 1, 2, 0])}, "must be below 2"),
        ({"ids": [0, 1, 2]}, "4 numbers"),
        ({"ids": [0, 1, 2, 99]}, "the first is 99"),
        ({"ids": [0.5, 1, 2, 3]}, "whole numbers"),
    ],
    ids=str,
)
def test_wrong_batches(change, words):
    """Refused by name."""
    given = {"x": rows(4)[0], "labels": torch.tensor([0, 1, 1, 0]), "ids": [0, 1, 2, 3]} | change
    net = linear()
    step = TrainingMonitor(net, History(4)).step(**given, epoch=0)
    with pytest.raises(InvalidInput, match=words), step as leaf:
        net(leaf).sum().backward()


def test_wrong_settings_and_outputs():
    """Refused by name."""
    with pytest.raises(InvalidInput, match='"level"'):
        TrainingMonitor(linear(), History(2), level="second")
    with pytest.raises(InvalidInput, match='"every"'):
        TrainingMonitor(linear(), History(2), every=0)
    net = nn.Sequential(linear(), nn.Unflatten(1, (2, 1)))
    with pytest.raises(BadPrediction, match="n_classes"):
        watched(net, *rows(), lambda z, y: z.sum())
