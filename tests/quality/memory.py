"""Peak memory of `measure` over 60,000 MNIST rows of a memory-mapped file, above the model's own.

    BLACKBOX_BOUNDARY_DATA=... python tests/quality/memory.py [--rows 60000]

Each variant runs in a process of its own: the model alone on one batch, then the measurement with
flip points left out, and with flip points streamed to disk. Memory that maps files is not counted
(it can be dropped at any time).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from mnist_nets import load_net, mnist


def anonymous_mib(process="self"):
    """Anonymous resident memory of a process, MiB (Linux)."""
    text = Path(f"/proc/{process}/status").read_text()
    return (
        next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))
        / 1024
    )


def peak_of(function):
    """Largest anonymous memory seen while the function runs, MiB."""
    peak, done = anonymous_mib(), threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, anonymous_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    try:
        function()
        seconds = time.perf_counter() - began
    finally:
        done.set()
        watcher.join()
    return peak, seconds


def variant(name, file, folder):
    """Run one variant in this process and print its peak."""
    from blackbox_boundary.adapters.torch_modules import TorchPredictor

    from blackbox_boundary import measure

    predictor = TorchPredictor(load_net("dense"), input_shape=(1, 28, 28), n_classes=10)
    x = np.load(file, mmap_mode="r")
    keep = {"none": False, "disk": Path(folder) / "flips.npy"}.get(name, False)
    if name == "model":
        peak, seconds = peak_of(lambda: measure(predictor, np.array(x[:512])))
    else:
        peak, seconds = peak_of(lambda: measure(predictor, x, flip_points=keep))
    print(f"{peak:.0f} {seconds:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--variant")
    parser.add_argument("paths", nargs="*")
    options = parser.parse_args()
    if options.variant:
        variant(options.variant, *options.paths)
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.npy"
        np.save(file, np.resize(mnist("train")[0], (options.rows, 1, 28, 28)))
        peaks = {}
        for name in ("model", "none", "disk"):
            command = [sys.executable, __file__, "--variant", name, str(file), folder]
            peak, seconds = map(
                float,
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(),
            )
            peaks[name] = peak
            print(
                f"{name}: peak {peak:.0f} MiB, {peak - peaks['model']:.0f} above the model with "
                f"one batch; {seconds:.1f} s"
            )
