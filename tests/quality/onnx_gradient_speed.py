"""Time a gradient in ONNX Runtime against torch autograd and ONNX Runtime's own forward pass.

One thread each, 64 rows, medians of alternating runs in one process::

    python tests/quality/onnx_gradient_speed.py [NAME ...]

Wanted: dense and three convolutions at most 0.7 of torch's time, ResNet-20 and ViT at most 1.0,
each at most four times the forward.
"""

import importlib.util
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model
from torch import nn

N_ROWS, N_RUNS = 64, 31


def small_nets():
    """The module of small nets that the tests export."""
    path = Path(__file__).parents[1] / "adapters/onnx_exports/reverse_mode/nets.py"
    spec = importlib.util.spec_from_file_location("nets", path)
    nets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nets)
    return nets


def _dense():
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def _convolutions():
    layers = [
        nn.Conv2d(3, 16, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, 1, 1),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 32 * 32, 10))


def session(model):
    """A session on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def medians(*runs):
    """Median seconds of the processor of each, run in turn.

    Time on the clock varies with what other processes do; of dense nets by a factor of four.
    """
    times = [[] for _ in runs]
    for repetition in range(N_RUNS + 2):
        for run, kept in zip(runs, times, strict=True):
            start = time.thread_time()
            run()
            if repetition >= 2:
                kept.append(time.thread_time() - start)
    return [statistics.median(kept) for kept in times]


def compare(name, net, shape, exported):
    """Print one line: times and ratios."""
    net = net.eval()
    model = exported(net, shape)
    start = time.thread_time()
    differentiated = gradient_model(model)
    transform = time.thread_time() - start
    forward, gradient = session(model), session(differentiated)
    rng = np.random.default_rng(0)
    x = rng.random((N_ROWS, *shape)).astype(np.float32)
    v = rng.normal(size=(N_ROWS, 10)).astype(np.float32)
    rows, weights = torch.from_numpy(x).requires_grad_(), torch.from_numpy(v)
    feeds = {"x": x, differentiated.graph.input[1].name: v}

    def by_torch():
        return torch.autograd.grad(net(rows), rows, weights)[0]

    def by_torch_alone():
        with torch.inference_mode():
            net(rows.detach())

    error = (
        np.linalg.norm(gradient.run(None, feeds)[1] - by_torch().numpy()) / by_torch().norm().item()
    )
    ours, theirs, ahead, torch_ahead = medians(
        lambda: gradient.run(None, feeds),
        by_torch,
        lambda: forward.run(None, {"x": x}),
        by_torch_alone,
    )
    print(
        f"{name:8s} gradient {ours * 1e3:7.1f} ms, torch {theirs * 1e3:7.1f} ms, ratio "
        f"{ours / theirs:.2f}; forward {ahead * 1e3:6.1f} ms (torch {torch_ahead * 1e3:.1f}), "
        f"gradient / forward {ours / ahead:.2f}; "
        f"difference {error:.0e}; transform {transform * 1e3:.0f} ms",
        flush=True,
    )


def nets():
    """The nets by name, each with the shape of its rows; and the function that exports them."""
    small = small_nets()
    made = {
        "dense": (_dense(), (784,)),
        "conv3": (_convolutions(), (3, 32, 32)),
        "resnet20": (small.resnet(16, 3), (3, 32, 32)),
        "vit": (small.Vit(width=64, heads=4, depth=4, patch=4), (3, 32, 32)),
    }
    return made, small.exported


def main(wanted):
    """Compare the nets named, or all."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made, exported = nets()
    for name, (net, shape) in made.items():
        if not wanted or name in wanted:
            compare(name, net.requires_grad_(requires_grad=False), shape, exported)


if __name__ == "__main__":
    main(sys.argv[1:])
