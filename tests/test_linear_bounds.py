"""Linear bounds hold at every point of a ball, for every layer and norm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import activations
from blackbox_boundary.balls import Ball
from blackbox_boundary.graphs import Graph
from blackbox_boundary.image_layers import AxisMatrices, Convolution, MaxPool, averaging
from blackbox_boundary.layers import Affine, Dense, Reshape, Selection, Sum, Transpose
from blackbox_boundary.linear_bounds import LinearBounds, has_bounds

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(4, 1, 3, 2))
LINEAR = {
    "dense": (Dense(RNG.normal(size=(3, 5)), np.zeros(3)), (2, 5)),
    "affine": (Affine(RNG.normal(size=(2, 1)), np.zeros((2, 1))), (2, 5)),
    "grouped": (Convolution(KERNEL, np.zeros(4), 2, (2, 1), ((1, 0), (2, 1))), (2, 5, 6)),
    "average": (AxisMatrices((averaging(5, 3, 2, (1, 1)), averaging(6, 2, 2, (0, 0)))), (2, 5, 6)),
    "reshape": (Reshape((10,)), (2, 5)),
    "transpose": (Transpose((2, 0, 1)), (2, 3, 4)),
    "selection": (Selection(np.array([[3, -1], [0, 5]])), (2, 3)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_the_transposed_map_gives_the_same_sums(name):
    """Weights of outputs, taken back to the inputs, weigh the same sum."""
    layer, shape = LINEAR[name]
    x = RNG.normal(size=(3, *shape))
    y = layer(x)
    weights = RNG.normal(size=y.shape)
    back = layer.transposed(weights, shape)
    assert back.shape == x.shape
    assert np.allclose((back * x).reshape(3, -1).sum(1), (weights * y).reshape(3, -1).sum(1))


ACTIVATIONS = [
    activations.relu("a"), activations.leaky_relu(0.2, "b"), activations.leaky_relu(-1.5, "c"),
    activations.leaky_relu(3.0, "d"), activations.elu(0.7, "e"), activations.elu(2.0, "f"),
    activations.clipped(-0.5, 1.0, "g"), activations.tanh("h"), activations.sigmoid("i"),
    activations.softplus(2.0, "j"),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: a.name)
@given(low=st.floats(-30, 30), width=st.one_of(st.just(0.0), st.floats(1e-12, 40)))
def test_lines_enclose_an_activation(activation, low, width):
    """On every interval, also one that is a single point."""
    low, high = np.array([[low]]), np.array([[low + width]])
    lines = activation.relaxed(low, high)
    x = np.linspace(low[0], high[0], 101)
    y, least = activation(x), 1e-12 * (1 + np.abs(low) + np.abs(high))
    assert (lines.below * x + lines.below_offset <= y + least).all()
    assert (lines.above * x + lines.above_offset >= y - least).all()
    bottom, top = activation.interval(low, high)
    assert (bottom <= y + least).all()
    assert (y <= top + least).all()


def residual_net():
    """Convolutions, batch norm, a block that adds its input, two kinds of pooling."""
    rng = np.random.default_rng(3)
    layers = [
        Affine(np.array([1.2, 0.7]).reshape(2, 1, 1), np.array([0.1, 0.0]).reshape(2, 1, 1)),
        Convolution(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), 1, (1, 1), ((1, 1), (1, 1))),
        activations.relu("Relu"),
        Convolution(rng.normal(size=(3, 3, 3, 3)) / 3, np.zeros(3), 1, (1, 1), ((1, 1), (1, 1))),
        Sum(),
        activations.tanh("Tanh"),
        MaxPool((2, 2), (2, 2), ((0, 0), (0, 0))),
        AxisMatrices((averaging(2, 2, 2, (0, 0)), averaging(2, 1, 1, (0, 0)))),
        Reshape((6,)),
        Dense(rng.normal(size=(3, 6)), rng.normal(size=3)),
    ]
    inputs = [(0,), (1,), (2,), (3,), (3, 4), (5,), (6,), (7,), (8,), (9,)]
    return Graph.of(layers, inputs, (2, 4, 4), rectified=False)


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_leads_in_a_ball_are_not_below_their_bounds(order):
    """At random points and at corners of ball and box; the bound falls with the radius."""
    graph, rng = residual_net(), np.random.default_rng(1)
    assert has_bounds(graph)
    x = rng.random((4, 2, 4, 4))
    home = graph.scores(x).argmax(axis=-1)
    weights = -np.eye(3)[None] + np.eye(3)[home][:, None]
    last = np.inf
    for radius in np.array([0.0, 0.01, 0.05, 0.3]) * (1 if order == np.inf else 3):
        bounds = LinearBounds(graph, Ball(x, np.full(4, radius), order, 0.0, 1.0), 1e-7)
        rows = np.repeat(np.arange(4), 3)
        least = bounds.least(len(graph.layers), weights.reshape(-1, 3), rows).reshape(4, 3)
        assert (least <= last + 1e-9).all()
        last = least
        step = rng.normal(size=(300, 32))
        step[:100] = np.sign(step[:100])
        step[100:200] *= np.abs(step[100:200]) == np.abs(step[100:200]).max(axis=1, keepdims=True)
        step *= radius / np.linalg.norm(step, ord=order, axis=1, keepdims=True)
        for row in range(4):
            scores = graph.scores((x[row] + step.reshape(-1, 2, 4, 4)).clip(0, 1))
            assert (scores @ weights[row].T >= least[row]).all()
        if radius == 0:
            exact = np.einsum("njk,nk->nj", weights, graph.scores(x))
            assert np.allclose(least, exact, atol=1e-4)
            assert (least <= exact).all()


@given(seed=st.integers(0, 10**6), order=st.sampled_from([1, 2, np.inf]))
@settings(deadline=None)
def test_the_least_value_over_a_ball_is_exact(seed, order):
    """Not above any point of ball and box; reached by one in L1 and L-infinity."""
    rng = np.random.default_rng(seed)
    x, weights, radius = rng.random((1, 4)), rng.normal(size=(1, 4)), rng.random(1)
    ball = Ball(x, radius, order, 0.0, 1.0)
    least = ball.least(weights, np.zeros(1, int))[0]
    step = rng.normal(size=(2000, 4)) * (rng.random((2000, 4)) < 0.6)
    length = np.linalg.norm(step, ord=order, axis=1, keepdims=True)
    points = (x + step / np.maximum(length, 1e-9) * radius).clip(0, 1)
    found = (points @ weights[0]).min()
    assert found >= least - 1e-12
    assert order == 2 or found - least < 0.35 * radius[0] * np.abs(weights).sum()
