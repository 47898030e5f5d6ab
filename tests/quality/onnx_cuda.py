"""Compare gradients of ONNX exports on a CUDA device with the CPU's; check that they stay there.

Needs a card, torch with CUDA and ``blackbox-boundary[onnx-gpu]``; takes less than a minute::

    python tests/quality/onnx_cuda.py

Prints one line a net, and ends with an error where answers differ by more than 1e-4 of the largest,
or where a gradient of a tensor on the device is not there.
"""

import statistics
import time

import numpy as np
import torch
from onnx_gradient_speed import nets

from blackbox_boundary import load, measure

N_ROWS, N_RUNS, TOLERANCE = 256, 20, 1e-4


def _median(run):
    times = []
    for repetition in range(N_RUNS + 3):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        if repetition >= 3:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def _difference(ours, theirs):
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def compare(name, net, shape, exported):
    """Compare a net's answers, gradients and times on the device with those on the CPU."""
    model = exported(net, shape)
    cpu, cuda = (
        load(model, access="logits", provider=provider, gradients="required")
        for provider in ("cpu", "cuda")
    )
    rng = np.random.default_rng(0)
    x = rng.random((N_ROWS, *shape)).astype(np.float32)
    v = rng.normal(size=(N_ROWS, cpu.n_classes)).astype(np.float32)
    tensor = torch.from_numpy(x).cuda()
    gradient = cuda.vjp(tensor, v)
    assert gradient.device == tensor.device, gradient.device
    differences = (
        _difference(cuda.predict(tensor).scores, cpu.predict(x).scores),
        _difference(gradient.cpu().numpy(), cpu.vjp(x, v)),
        _difference(cuda.vjp(x, v), cpu.vjp(x, v)),
    )
    assert max(differences) < TOLERANCE, differences
    bound, copied = _median(lambda: cuda.vjp(tensor, v)), _median(lambda: cuda.vjp(x, v))
    found = measure(cuda, tensor[:16], estimator="tangent", bounds=(0, 1))
    print(
        f"{name:8s} largest differences {', '.join(f'{d:.0e}' for d in differences)}; gradient of "
        f"{N_ROWS} rows bound {bound * 1e3:.2f} ms, copied {copied * 1e3:.2f} ms; tangent found "
        f"{int(found.has_flip.sum())} of 16 flips",
        flush=True,
    )


if __name__ == "__main__":
    torch.manual_seed(0)
    made, exported = nets()
    for name, (net, shape) in made.items():
        compare(name, net.eval().requires_grad_(requires_grad=False), shape, exported)
