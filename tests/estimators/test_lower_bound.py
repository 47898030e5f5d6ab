"""Certified from below, found from above, exact in between."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.onnx_exports import chain as onnx_chain
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.torch_modules import chain as torch_chain
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import (
    Access,
    CapabilityMissing,
    CertificatesWithdrawn,
    InvalidInput,
    Prediction,
    Status,
)
from blackbox_boundary.chains import Chain, convolution_norm, spectral_norm
from blackbox_boundary.estimators import HalfSpace, Linearised, LowerBound, Tangent
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.testing import Linear, Reference, ReluNet
from blackbox_boundary.wrappers import InputNoise, ScoreNoise

onnx = pytest.importorskip("onnx")


def small_net(seed=0, widths=(3, 8, 5, 3)):
    """Dense layers with random weights, as a reference; offset so that no class wins everywhere."""
    rng = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(widths))
    weights, offsets = (
        tuple(rng.normal(size=(b, a)) for a, b in pairs),
        [rng.normal(size=b) for _, b in pairs],
    )
    offsets[-1] -= (
        ReluNet(weights, tuple(offsets)).logits(rng.normal(size=(200, widths[0]))).mean(axis=0)
    )
    return ReluNet(weights, tuple(offsets))


def as_torch(net):
    """The same net as a module."""
    layers = []
    for weight, offset in zip(net.weights, net.offsets, strict=True):
        linear = torch.nn.Linear(*weight.shape[::-1], dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.from_numpy(weight), torch.from_numpy(offset)
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_the_exact_distance_lies_between_the_two(norm):
    """Certified <= mixed-integer optimum <= every estimator's; the tightest comes near it."""
    net = small_net()
    x = np.random.default_rng(1).normal(size=(4, 3))
    exact = net.distance(x, np.inf if norm == "linf" else 1)
    chain = torch_chain.chain_of(as_torch(net), (3,))
    found = measure(
        Reference(net),
        x,
        estimator=LowerBound(chain, norm=norm, upper=Tangent(norm=norm, rounds=6)),
    )
    assert (found.certified > 0).all()
    assert (found.certified <= exact).all()
    assert (found.norm(norm) >= exact * (1 - 1e-5)).all()
    assert np.median(found.norm(norm) / exact) < 1.02


def test_the_mixed_integer_optimum_is_that_of_a_grid():
    """In two dimensions no flip is nearer than the optimum, and one is just beyond it."""
    net = small_net(seed=3, widths=(2, 5, 2))
    x = np.array([[0.1, -0.2]])
    exact = net.distance(x, np.inf)[0]
    home = net.logits(x).argmax()
    ring = np.linspace(-1, 1, 201)
    cube = np.stack(np.meshgrid(ring, ring), axis=-1).reshape(-1, 2)
    assert (net.logits(x + 0.999 * exact * cube).argmax(axis=-1) == home).all()
    assert (net.logits(x + 1.02 * exact * cube).argmax(axis=-1) != home).any()


def test_linear_scores_are_certified_exactly():
    """With one layer the bound is the distance."""
    rng = np.random.default_rng(0)
    shape = Linear(rng.normal(size=(4, 6)), rng.normal(size=4))
    x = rng.normal(size=(10, 6))
    found = measure(Reference(shape), x, estimator=LowerBound(Chain((), shape.weights)))
    assert np.allclose(found.certified, Reference(shape).distance(x), rtol=1e-5)
    assert (found.certified <= Reference(shape).distance(x)).all()
    assert (found.n_gradients == 0).all()


def test_no_estimate_is_below_the_bound_of_a_convolutional_net():
    """Convolution, batch norm, pooling: below every flip point found, equal from torch and ONNX."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3, padding=1, stride=2), torch.nn.BatchNorm2d(5),
        torch.nn.LeakyReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        torch.nn.Linear(20, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3),
    ).eval()  # fmt: skip
    x = torch.randn(16, 2, 8, 8)
    chain = torch_chain.chain_of(net, (2, 8, 8))
    predictor = TorchPredictor(net, input_shape=(2, 8, 8), n_classes=3)
    found = measure(predictor, x, estimator=LowerBound(chain, upper=Tangent(rounds=2)))
    assert found.has_flip.all()
    assert (found.certified <= found.l2).all()
    assert (found.certified > 0).all()


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1)])
def test_the_convolution_bound_is_above_the_true_norm(stride, padding):
    """Against the matrix of the convolution; tight to 20 % for the plain one."""
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(2, 3, 3, stride=stride, padding=padding, bias=False, dtype=torch.float64)
    basis = torch.eye(2 * 49, dtype=torch.float64).reshape(-1, 2, 7, 7)
    true = spectral_norm(conv(basis).reshape(len(basis), -1).detach().numpy())
    bound = convolution_norm(conv.weight.detach().numpy(), (7 + 2 * padding,) * 2)
    assert true <= bound * (1 + 1e-12)
    assert stride > 1 or bound < 1.2 * true


def test_torch_and_onnx_read_the_same_chain():
    """A graph of Gemm and Relu, built by hand."""
    net = small_net()
    nodes, constants = [], []
    name = "x"
    for k, (weight, offset) in enumerate(zip(net.weights, net.offsets, strict=True)):
        constants += [
            onnx.numpy_helper.from_array(weight, f"w{k}"),
            onnx.numpy_helper.from_array(offset, f"b{k}"),
        ]
        nodes.append(onnx.helper.make_node("Gemm", [name, f"w{k}", f"b{k}"], [f"h{k}"], transB=1))
        name = f"h{k}"
        if k < 2:
            nodes.append(onnx.helper.make_node("Relu", [name], [f"a{k}"]))
            name = f"a{k}"
    values = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, [None, d])
        for n, d in (("x", 3), (name, 3))
    ]
    graph = onnx.helper.make_graph(nodes, "chain", values[:1], values[1:], constants)
    from_onnx, from_torch = (
        onnx_chain.chain_of(
            onnx.helper.make_model(
                graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
            )
        ),
        torch_chain.chain_of(as_torch(net), (3,)),
    )
    assert np.allclose(from_onnx.steepness(), from_torch.steepness())


def test_what_cannot_be_certified_is_named():
    """A layer that may stretch without limit; a chain of other classes; labels alone."""
    with pytest.raises(CapabilityMissing, match="Softmax"):
        torch_chain.chain_of(
            torch.nn.Sequential(
                torch.nn.Linear(2, 2), torch.nn.Softmax(dim=-1), torch.nn.Linear(2, 2)
            ),
            (2,),
        )
    with pytest.raises(CapabilityMissing, match="end in"):
        torch_chain.chain_of(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh()), (2,))
    net = Reference(small_net())
    with pytest.raises(InvalidInput, match="classes"):
        measure(net, np.zeros((1, 3)), estimator=LowerBound(Chain((), np.eye(2))))
    with pytest.raises(CapabilityMissing, match="scores"):
        measure(
            Reference(small_net(), access="label"),
            np.zeros((1, 3)),
            estimator=LowerBound(Chain((), np.eye(3))),
        )
    with pytest.raises(CapabilityMissing, match="L2"):
        small_net().distance(np.zeros((1, 3)), 2)


def test_the_other_estimator_keeps_its_own_columns():
    """A linearised estimate beside the certified bound."""
    net = small_net()
    found = measure(
        Reference(net),
        np.ones((3, 3)),
        estimator=LowerBound(torch_chain.chain_of(as_torch(net), (3,)), upper=Linearised()),
    )
    assert (found.certified <= found.estimate + 1e-12).all() or found.estimate is not None
    assert np.isfinite(found.certified).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20), norm=st.sampled_from(["l1", "linf"]))
def test_certified_is_below_exact_is_below_every_estimate(seed, norm):
    """On any small dense ReLU net, whatever estimator looks for flips."""
    net = small_net(seed, widths=(2, 5, 3))
    x = np.random.default_rng(seed).normal(size=(2, 2))
    exact = net.distance(x, np.inf if norm == "linf" else 1)
    chain = torch_chain.chain_of(as_torch(net), (2,))
    certified = measure(Reference(net), x, estimator=LowerBound(chain, norm=norm)).certified
    assert (certified <= exact).all()
    by_norms = dataclasses.replace(chain, graph=None)
    less = measure(Reference(net), x, estimator=LowerBound(by_norms, norm=norm)).certified
    assert (certified >= less).all()
    for estimator in (Tangent(norm=norm, rounds=3), "ray", "halfspace", "broyden"):
        found = measure(Reference(net), x, estimator=estimator, max_queries=600)
        assert (found.norm(norm) >= exact * (1 - 1e-5)).all(), estimator


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_a_certificate_inside_bounds_is_below_the_exact_distance_there(norm):
    """Bounds make it larger, and closer to the optimum inside them: at least 60 % of it."""
    net = dataclasses.replace(small_net(7, widths=(4, 8, 6, 3)), box=(0.0, 1.0))
    x = np.random.default_rng(2).random((6, 4)).round()
    chain = torch_chain.chain_of(as_torch(net), (4,))
    exact = net.distance(x, np.inf if norm == "linf" else 1)
    bound = LowerBound(chain, norm=norm)
    inside = measure(Reference(net, bounds=(0.0, 1.0)), x, estimator=bound).certified
    anywhere = measure(Reference(net), x, estimator=bound).certified
    assert (anywhere <= inside * 1.02).all()
    assert (inside <= exact).all()
    finite = np.isfinite(exact)
    assert np.median(inside[finite] / exact[finite]) > 0.6


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("access", ["logits", "probabilities"])
@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_rounding_is_taken_off_although_nobody_states_it(decimals, access, evaluated):
    """Behind any rounding, no certificate is above the distance to the true boundary."""
    rng = np.random.default_rng(decimals)
    shape = Linear(rng.normal(size=(3, 4)) * [[1], [1], [5]], rng.normal(size=3))
    x = rng.normal(size=(300, 4))
    rounded = Reference(shape, access=access, decimals=decimals)
    scores = shape.logits if evaluated else None
    found = measure(rounded, x, estimator=LowerBound(Chain((), shape.weights, scores=scores)))
    truth = Reference(shape).distance(x)
    kept = found.home == Reference(shape).predict(x).label
    assert not (found.certified > truth * (1 + 1e-9))[kept].any()
    assert decimals < 2 or (found.certified > truth / 2).mean() > 0.3


@pytest.mark.parametrize("evaluated", [False, True])
@pytest.mark.parametrize("defence", [ScoreNoise, InputNoise])
def test_noisy_answers_are_not_certified(defence, evaluated):
    """Noise that nobody stated is seen at the row, or near it."""
    shape = Linear(np.array([[0.0, 0.0], [1.0, 0.5]]), np.zeros(2))
    x = np.random.default_rng(0).normal(size=(100, 2))
    scores = shape.logits if evaluated else None
    chain = Chain((), shape.weights, scores=scores)
    found = measure(defence(Reference(shape), 0.01), x, estimator=LowerBound(chain))
    truth = Reference(shape).distance(x)
    assert not (found.certified > truth).any()
    assert np.isnan(found.certified).mean() > 0.9
    assert (found.note != "")[np.isnan(found.certified)].all()


def test_answers_that_do_not_move_are_not_certified():
    """Steps of 0.307 are no decimals; that nothing moves near a row shows them."""

    class Stepped(Reference):
        def predict(self, x):
            return Prediction.from_scores(np.round(super().predict(x).scores / 0.307) * 0.307)

    shape = Linear(np.array([[0.0, 0.0], [1.0, 0.5]]), np.zeros(2))
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = measure(Stepped(shape), x, estimator=LowerBound(Chain((), shape.weights)))
    assert not (found.certified > Reference(shape).distance(x) * (1 + 1e-9)).any()


def test_another_models_chain_certifies_nothing():
    """A chain that gives other scores than the predictor is noticed row by row."""
    net, other = small_net(1), small_net(2)
    chain = torch_chain.chain_of(as_torch(other), (3,))
    x = np.random.default_rng(0).normal(size=(20, 3))
    found = measure(Reference(net), x, estimator=LowerBound(chain))
    assert np.isnan(found.certified).all()
    assert set(found.note) == {"not certified: the chain gives other scores"}


def test_a_row_alone_is_certified_as_in_a_batch():
    """Probes near a row are its own."""
    shape = Linear(np.random.default_rng(0).normal(size=(3, 4)), np.zeros(3))
    x = np.random.default_rng(1).normal(size=(5, 4))
    bound = LowerBound(Chain((), shape.weights))
    together = measure(Reference(shape), x, estimator=bound)
    reverse = measure(Reference(shape), x[3:4], estimator=bound)
    assert together.certified[3] == pytest.approx(reverse.certified[0], rel=1e-6)
    assert (together.n_predictions == 5).all()


def test_rounding_inside_the_model_is_taken_off():
    """``relu(x + 1000) - 1000`` in single precision flips off 0, on multiples of 2 ** -14."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 2))
    net.load_state_dict(
        {
            "0.weight": torch.ones(1, 1),
            "0.bias": torch.tensor([1000.0]),
            "2.weight": torch.tensor([[0.0], [1.0]]),
            "2.bias": torch.tensor([0.0, -1000.0]),
        }
    )
    predictor = TorchPredictor(net, input_shape=(1,), access="logits", bounds=(-1000.0, 1000.0))
    x = np.array([2, 3, 4, 8, 100, 10_000], np.float32)[:, None] * np.float32(2.0**-14)
    certified = measure(predictor, x, estimator=LowerBound()).certified
    for row, bound in zip(x[:, 0], certified, strict=True):
        grid = np.linspace(0, row, 20_001, dtype=np.float32)[:, None]
        assert bound <= row - grid[predictor.predict(grid).label == 0].max()
    assert 0.99 * x[-1, 0] < certified[-1] < x[-1, 0]


@given(seed=st.integers(0, 1000), offset=st.sampled_from([1e3, 1e4, 1e5]))
@settings(max_examples=15, deadline=None)
def test_no_flip_of_single_precision_lies_within_a_certificate(seed, offset):
    """Where hidden values are large, the boundary of the model is off that of its weights."""
    rng = np.random.default_rng(seed)
    net = small_net(seed, widths=(3, 6, 2))
    hidden, out = net.weights
    net = ReluNet(net.weights, (offset + net.offsets[0], -out.sum(axis=1) * offset))
    deployed = as_torch(net).float()
    predictor = TorchPredictor(deployed, input_shape=(3,), access="logits", bounds=(-1e3, 1e3))
    slope = hidden.T @ (out[1] - out[0])  # every unit is on: logits are linear nearby
    centre = -(out[1] - out[0]) @ (hidden @ np.zeros(3) + net.offsets[0] - offset)
    foot = slope * centre / (slope @ slope)
    steps = offset * np.geomspace(1e-8, 1e-3, 30)
    unit = slope / np.linalg.norm(slope)
    x = (foot + steps[:, None] * unit).astype(np.float32)
    try:
        found = measure(predictor, x, estimator=LowerBound())
    except CapabilityMissing:  # so large an offset that probe rows are not reproduced
        return
    for row, home, bound in zip(x, found.home, found.certified, strict=True):
        if not bound > 0:
            continue
        directions = rng.normal(size=(2000, 3))
        directions[:1000] = -unit * np.sign((row - foot) @ unit)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        near = (row + directions * bound * rng.random((2000, 1)) ** 0.2).astype(np.float32)
        flips = predictor.predict(near).label != home
        distance = np.linalg.norm(near.astype(np.float64) - row, axis=1)
        assert not (flips & (distance < bound * (1 - 1e-6))).any()
    assert (found.certified > 0).any()


class Cliff:
    """A linear model whose label also flips beyond a wall that no weight shows."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (2,), 2, None

    def predict(self, x):
        """Scores of the linear model, and a second class beyond the wall."""
        z = np.where(x[:, 0] > 1.7, 1 + (x[:, 0] - 1.7) / 2, x[:, 0] - 10)
        return Prediction.from_scores(np.stack([-z / 2, z / 2], axis=-1))

    def chain(self):
        """What the weights say."""
        return Chain((), np.array([[-0.5, 0.0], [0.5, 0.0]]), ("Gemm",))


def test_certificates_that_a_flip_contradicts_are_withdrawn():
    """All of the run, also of rows with a far flip; distances stay, and a resume knows."""
    x = np.array([[5.0, 0.0], [1.0, 0.0], [9.0, 0.0]])
    bound = LowerBound(upper=HalfSpace())
    with pytest.warns(CertificatesWithdrawn, match=r"row 1 was certified to .* Gemm"):
        found = measure(Cliff(), x, estimator=bound)
    assert np.isnan(found.certified).all()
    assert found.l2[1] == pytest.approx(0.7, rel=0.01)
    assert "row 1" in found.run["certificates_withdrawn"]
    cut = dataclasses.replace(found, status=np.array([Status.OUT_OF_BUDGET, *found.status[1:]]))
    with pytest.warns(CertificatesWithdrawn, match="row 1"):
        assert np.isnan(measure(Cliff(), x, estimator=bound, resume=cut).certified).all()
    alone = measure(Cliff(), x[:1], estimator=bound)
    assert 2 < alone.certified[0] <= 2.65
    assert "certificates_withdrawn" not in alone.run
