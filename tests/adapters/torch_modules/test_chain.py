"""A torch chain is certified exactly, or refused: no alteration of a module slips through."""

import copy
import itertools

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.torch_modules.chain import chain_of
from torch import nn
from torch.nn.utils import parametrizations, prune

from blackbox_boundary import Access, CapabilityMissing, measure
from blackbox_boundary.estimators import LowerBound, Tangent


def flat(layers, shape, n_classes=3):
    """The layers, a flattening and a linear layer behind them, in double precision."""
    torch.manual_seed(0)
    body = nn.Sequential(*layers, nn.Flatten())
    width = body.eval()(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(body, nn.Linear(width, n_classes)).double().eval()


LAYERS = {
    "conv1d": ([nn.Conv1d(2, 4, 3, padding="same", dilation=2), nn.ReLU()], (2, 9)),
    "conv2d": ([nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.ReLU()], (2, 6, 6)),
    "batch-norm": ([nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU6()], (2, 5, 5)),
    "batch-norm-first": ([nn.BatchNorm1d(6), nn.Linear(6, 5), nn.Tanh()], (6,)),
    "max-pool": ([nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)], (2, 6, 6)),
    "adaptive": ([nn.AdaptiveAvgPool2d((2, 3)), nn.LeakyReLU(-2.0)], (2, 5, 7)),
    "last-axis": ([nn.Linear(4, 5), nn.ELU(1.5), nn.Dropout()], (3, 4)),
    "smooth": ([nn.Linear(4, 5), nn.Softplus(), nn.Linear(5, 5), nn.Sigmoid()], (4,)),
    "clipped": ([nn.Linear(4, 5), nn.Hardtanh(-0.5, 0.5), nn.Identity()], (4,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_no_flip_lies_within_a_certificate(name):
    """Certified <= the nearest flip of 12 rounds and of 2,000 random points, for every layer."""
    layers, shape = LAYERS[name]
    net = flat(copy.deepcopy(layers), shape)
    for part in net.modules():
        if hasattr(part, "running_var") and part.running_var is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.1, 3.0)
    x = np.random.default_rng(1).normal(size=(3, *shape))
    predictor = TorchPredictor(net, input_shape=shape)
    found = measure(predictor, x, estimator=LowerBound(upper=Tangent(rounds=12)))
    assert (found.certified > 0).all()
    assert (found.certified <= found.l2).all()
    random = np.random.default_rng(2)
    for row, certified, home in zip(x, found.certified, found.home, strict=True):
        steps = random.normal(size=(2000, *shape))
        lengths = np.linalg.norm(steps.reshape(2000, -1), axis=-1).reshape(-1, *(1,) * len(shape))
        points = row + steps / lengths * certified * random.uniform(0, 1, lengths.shape)
        assert (predictor.predict(points).label == home).all()


@pytest.mark.parametrize(
    ("ceil_mode", "include", "divisor"),
    list(itertools.product([False, True], [False, True], [None, 1])),
)
def test_average_pooling_is_read_exactly(ceil_mode, include, divisor):
    """The norm of any average pooling is that of its matrix, computed by torch."""
    settings = {"ceil_mode": ceil_mode, "count_include_pad": include, "divisor_override": divisor}
    pool = nn.AvgPool2d(3, 2, padding=1, **settings)
    chain = chain_of(flat([pool], (1, 6, 5)), (1, 6, 5))
    matrix = pool(torch.eye(30, dtype=torch.float64).reshape(30, 1, 6, 5)).reshape(30, -1)
    assert chain.norms[0] == pytest.approx(np.linalg.norm(matrix.numpy(), 2), rel=1e-12)


@pytest.mark.parametrize("access", ["logits", "probabilities"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_scores_of_a_linear_model_are_certified_at_their_distance(n_outputs, access):
    """One logit or several, bare or behind a softmax: the certificate is the closed form."""
    torch.manual_seed(3)
    linear = nn.Linear(4, n_outputs).double()
    heads = {"logits": [], "probabilities": [nn.Softmax(-1) if n_outputs > 1 else nn.Sigmoid()]}
    predictor = TorchPredictor(
        nn.Sequential(linear, *heads[access]), input_shape=(4,), access=access
    )
    x = np.random.default_rng(0).random((6, 4))
    w, z = linear.weight.detach().numpy(), linear(torch.from_numpy(x)).detach().numpy()
    w, z = (np.vstack([-w, w]) / 2, np.hstack([-z, z]) / 2) if n_outputs == 1 else (w, z)
    home = z.argmax(axis=-1)
    gaps = z[np.arange(6), home][:, None] - z
    norms = np.linalg.norm(w[home][:, None] - w[None], axis=-1)
    truth = np.where(norms > 0, gaps / np.maximum(norms, 1e-9), np.inf).min(axis=-1)
    found = measure(predictor, x, estimator=LowerBound())
    assert (found.certified <= truth).all()
    assert np.allclose(found.certified, truth, rtol=1e-5)


def test_a_final_relu_is_certified_tightly():
    """Scores cut at zero also flip where the home score vanishes; the nearer flip is certified."""
    linear = nn.Linear(2, 2, bias=False).double()
    linear.weight.data = torch.tensor([[1.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
    predictor = TorchPredictor(nn.Sequential(linear, nn.ReLU()), input_shape=(2,))
    found = measure(predictor, np.array([[1.0, 0.0]]), estimator=LowerBound())
    assert found.home.tolist() == [1]
    assert 0.999 < found.certified[0] <= 1


class Residual(nn.Sequential):
    """A block that adds its input."""

    def forward(self, x):
        return x + super().forward(x)


def hooked(kind):
    """Add a hook of some kind."""

    def alter(layer):
        getattr(layer, f"register_{kind}")(lambda *_: None)

    return alter


def overridden(layer):
    """Replace the forward of an instance."""
    layer.forward = lambda x: 2 * nn.functional.linear(x, layer.weight, layer.bias)


def weight_as_attribute(layer):
    """Hide the parameter behind a plain attribute."""
    layer.__dict__["weight"] = 5 * layer.weight.detach()


def buffer(layer):
    """Keep the weight as a buffer."""
    value = layer.weight.detach()
    del layer.weight
    layer.register_buffer("weight", value)


def child(layer):
    """Hang a module under a layer."""
    layer.adapter = nn.Linear(4, 4)


ALTERATIONS = {
    "forward-hook": hooked("forward_hook"),
    "forward-pre-hook": hooked("forward_pre_hook"),
    "backward-hook": hooked("full_backward_hook"),
    "backward-pre-hook": hooked("full_backward_pre_hook"),
    "instance-forward": overridden,
    "compiled": lambda layer: setattr(layer, "_compiled_call_impl", layer._call_impl),
    "weight-norm": parametrizations.weight_norm,
    "spectral-norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": lambda layer: prune.random_unstructured(layer, "weight", amount=0.5),
    "attribute": weight_as_attribute,
    "buffer": buffer,
    "child": child,
    "half": lambda layer: layer.half(),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_layer_is_refused(name):
    """Whatever is done to one layer of a chain, nothing is certified through it."""
    layer = nn.Linear(4, 4)
    net = nn.Sequential(layer, nn.ReLU(), nn.Linear(4, 3))
    chain_of(net, (4,))
    ALTERATIONS[name](layer)
    with pytest.raises(CapabilityMissing, match="Nothing is certified"):
        chain_of(net, (4,))


@pytest.mark.parametrize("name", ["forward", "__call__", "_call_impl"])
def test_a_replaced_method_of_a_class_is_refused(name, monkeypatch):
    """Also one of torch's own, put where it does not belong."""
    net = nn.Sequential(nn.Linear(4, 4))
    monkeypatch.setattr(nn.Linear, name, nn.Identity.forward)
    with pytest.raises(CapabilityMissing, match="was replaced"):
        chain_of(net, (4,))


@pytest.mark.parametrize(
    "net",
    [
        Residual(nn.Linear(4, 4)),
        nn.Sequential(Residual(nn.Linear(4, 4)), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 3), nn.Sigmoid()),
        nn.Sequential(nn.Linear(4, 1), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 3), nn.Tanh()),
        nn.Sequential(nn.Linear(4, 4), nn.Softplus(threshold=0.1), nn.Linear(4, 3)),
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
        nn.Sequential(),
    ],
)
def test_what_is_no_known_chain_is_refused(net):
    """Subclasses, heads that are no scores, steps, statistics of a batch, nothing at all."""
    with pytest.raises(CapabilityMissing):
        chain_of(net, (4,))


def test_layers_may_be_shared():
    """The same container twice in a chain is the chain with two of them."""
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    shared = nn.Sequential(block, block, nn.Linear(4, 3))
    twice = nn.Sequential(block, copy.deepcopy(block), shared[2])
    assert chain_of(shared, (4,)).norms == chain_of(twice, (4,)).norms


def test_a_container_that_holds_itself_is_refused():
    """It has no end."""
    net = nn.Sequential(nn.Linear(4, 4))
    net.append(net)
    with pytest.raises(CapabilityMissing):
        chain_of(net, (4,))


def test_probabilities_declared_as_logits_are_not_certified():
    """A softmax whose outputs are said to be logits has other leads than its chain."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    with pytest.raises(CapabilityMissing, match="does not reproduce"):
        chain_of(net, (4,), access=Access.LOGITS)
