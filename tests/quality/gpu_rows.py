"""Rows a second of `measure` on a card beside the bare model, and the copies between host and card.

    python tests/quality/gpu_rows.py [--device cuda] [--rows 20000] [--batch 2048]

A convolutional net with 1x28x28 inputs, as a torch module and as an ONNX export (on a card with
``onnxruntime-gpu``). The inputs lie on the device and stay there. A copy is a call of
``Tensor.cpu`` or ``torch.asarray`` of a NumPy array: on a card each crosses the bus. The CPU makes
the same calls, so a test can check that no image-sized array is copied. The bare model repeats the
same calls.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections import Counter

import numpy as np
import torch

from blackbox_boundary import load, measure


def net():
    """Two convolutions and a layer, of fixed random weights."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, stride=2), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, stride=2), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(32 * 36, 10),
    ).eval()  # fmt: skip


@contextlib.contextmanager
def copies():
    """Count the copies to and from the host inside the block: how many, and their bytes."""
    counts: Counter[str] = Counter()
    cpu, asarray = torch.Tensor.cpu, torch.asarray

    def counted_cpu(tensor, *given, **named):
        counts["to the host"] += 1
        counts["bytes to the host"] += tensor.nbytes
        counts["largest"] = max(counts["largest"], tensor.nbytes)
        return cpu(tensor, *given, **named)

    def counted_asarray(values, *given, **named):
        if isinstance(values, np.ndarray):
            counts["to the card"] += 1
            counts["bytes to the card"] += values.nbytes
            counts["largest"] = max(counts["largest"], values.nbytes)
        return asarray(values, *given, **named)

    torch.Tensor.cpu, torch.asarray = counted_cpu, counted_asarray
    try:
        yield counts
    finally:
        torch.Tensor.cpu, torch.asarray = cpu, asarray


def synchronised(device):
    """The time now, with all work on the device done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def compare(predictor, x, batch, device):
    """Rows a second of `ray` over the same calls alone; the copies; no row is copied as a whole."""
    calls, predict, vjp = [], predictor.predict, predictor.vjp
    predictor.predict = lambda rows: (calls.append((predict, len(rows))), predict(rows))[1]
    predictor.vjp = lambda rows, v: (calls.append((vjp, len(rows))), vjp(rows, v))[1]
    measure(predictor, x[:batch], estimator="ray", batch_size=batch)  # warm
    calls.clear()
    with copies() as counted:
        began = synchronised(device)
        found = measure(predictor, x, estimator="ray", batch_size=batch, flip_points=False)
        ours = synchronised(device) - began
    v = np.ones((batch, 10), np.float32)
    began = synchronised(device)
    for ask, k in calls:
        ask(x[:k]) if ask is predict else ask(x[:k], v[:k])
    bare = synchronised(device) - began
    return found, ours, bare, len(calls), counted


def exported(module):
    """The net as an ONNX model."""
    buffer = io.BytesIO()
    torch.onnx.export(
        module, torch.zeros(1, 1, 28, 28), buffer, input_names=["x"], dynamo=False,
        dynamic_axes={"x": {0: "n"}},
    )  # fmt: skip
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=2048)
    options = parser.parse_args()
    module = net()
    onnx = exported(module)
    rows = torch.rand((options.rows, 1, 28, 28), generator=torch.Generator().manual_seed(1))
    rows = rows.to(options.device)
    for name, model in (("torch", module.to(options.device)), ("onnx", onnx)):
        given = {"access": "logits", "input_shape": (1, 28, 28)}
        given |= {"provider": options.device} if name == "onnx" else {}
        predictor = load(model, **given)
        found, ours, bare, n_calls, counted = compare(
            predictor, rows, options.batch, options.device
        )
        print(
            f"{name} on {options.device}: {options.rows / ours:,.0f} rows/s, "
            f"{ours / bare:.2f} times the time of the same {n_calls:,} calls alone; "
            f"copies: {dict(counted)}, "
            f"{counted['bytes to the host'] + counted['bytes to the card']:,} bytes, of "
            f"{rows.nbytes:,} of inputs; {found.count_by_status()}"
        )
