"""Train the small digits classifier that blackbox_boundary ships, and write it as ONNX.

    python examples/train_digits_model.py digits.onnx

Everything is NumPy and seeded. The weights are rounded to multiples of 1/1024 at the end, so that
machines whose arithmetic differs in the last bits write the same bytes. Takes a few seconds.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from blackbox_boundary.datasets import digits

WIDTHS = (64, 64, 32, 10)
N_TRAIN = 1437
"""The last 360 rows are held out in one piece: a shuffled fifth would share its writers with the
rest, and flatter the model."""


def forward(x, layers):
    """All layers' activations, the logits last."""
    activations = [x]
    for weight, bias in layers:
        x = activations[-1] @ weight + bias
        activations.append(x if len(activations) == len(layers) else np.maximum(x, 0))
    return activations


def gradients(x, labels, layers):
    """Gradient of the mean cross-entropy by each layer's weight and bias."""
    activations = forward(x, layers)
    shares = np.exp(activations[-1] - activations[-1].max(axis=-1, keepdims=True))
    upstream = (shares / shares.sum(axis=-1, keepdims=True) - np.eye(WIDTHS[-1])[labels]) / len(x)
    found = []
    for (weight, _), below in zip(layers[::-1], activations[-2::-1], strict=True):
        found.append((below.T @ upstream, upstream.sum(axis=0)))
        upstream = (upstream @ weight.T) * (below > 0)
    return found[::-1]


def train(x, labels, *, n_epochs=120, batch_size=64, rate=2e-3, decay=1e-2, noise=0.15, seed=0):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019) on noisy images.

    The rate falls to zero linearly.
    """
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(scale=np.sqrt(2 / n), size=(n, m)), np.zeros(m)) for n, m in pairwise(WIDTHS)
    ]
    moments = [[(np.zeros_like(p), np.zeros_like(p)) for p in layer] for layer in layers]
    n_steps, step = n_epochs * (len(x) // batch_size), 0
    for _ in range(n_epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            noisy = np.clip(x[rows] + rng.normal(scale=noise, size=(batch_size, x.shape[1])), 0, 1)
            found = gradients(noisy, labels[rows], layers)
            step, now = step + 1, rate * (1 - step / n_steps)
            for at, layer in enumerate(layers):
                moments[at] = [
                    (0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g)
                    for (m, s), g in zip(moments[at], found[at], strict=True)
                ]
                layers[at] = tuple(
                    p
                    - now
                    * (m / (1 - 0.9**step) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8) + decay * p)
                    for p, (m, s) in zip(layer, moments[at], strict=True)
                )
    return [tuple(np.round(part * 1024) / 1024 for part in layer) for layer in layers]


def to_onnx(layers, description):
    """The network as ONNX bytes: x (batch, 8, 8) float32 in [0, 1] to logits (batch, 10).

    The same weights give the same bytes.
    """
    nodes, constants, flow = [helper.make_node("Flatten", ["x"], ["flat"], axis=1)], [], "flat"
    for at, layer in enumerate(layers, start=1):
        last = at == len(layers)
        names = [f"weight{at}", f"bias{at}"]
        constants += [
            numpy_helper.from_array(part.astype(np.float32), name)
            for part, name in zip(layer, names, strict=True)
        ]
        nodes.append(helper.make_node("Gemm", [flow, *names], ["logits" if last else f"sum{at}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"sum{at}"], [flow := f"hidden{at}"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", WIDTHS[-1]])
    graph = helper.make_graph(
        nodes, "digits", [x], [logits], initializer=constants, doc_string=description
    )
    return helper.make_model(
        graph,
        producer_name="blackbox_boundary",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 13)],
    )


def main(output):
    """Train the network, print its accuracy, and write the file."""
    x, labels = digits()
    x = x.reshape(len(x), -1).astype(np.float64)
    layers = train(x[:N_TRAIN], labels[:N_TRAIN])
    right = forward(x, layers)[-1].argmax(axis=-1) == labels
    description = (
        f"Right on {right[N_TRAIN:].mean():.1%} of the 360 held-out rows, "
        f"{right[:N_TRAIN].mean():.1%} of the 1437 rows trained on."
    )
    Path(output).write_bytes(to_onnx(layers, description).SerializeToString(deterministic=True))
    print(description)


if __name__ == "__main__":
    main(*sys.argv[1:])
