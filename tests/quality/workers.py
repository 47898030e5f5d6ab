"""What workers and a Ray cluster bring and cost, and how many shards one driver can give out.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/workers.py speed [--rows 10000] [--engine local|ray]
    python tests/quality/workers.py dispatch [--shards 1000] [--engine local|ray]

``speed``: a convolutional net with one thread, by one plain process, one worker and two, in turn;
wall time and processor time from the first shard to the last, start-up apart. On a machine with
other load the processor time says more.

``dispatch``: shards of eight rows and a model that answers at once: what the driver itself needs.

Ray needs the extra ``cluster``. Nets and data: see mnist_nets.py.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
os.environ.update(dict.fromkeys(THREADS, "1"))

import numpy as np  # noqa: E402

from blackbox_boundary import load, measure  # noqa: E402
from blackbox_boundary.measuring.sharded import results  # noqa: E402
from blackbox_boundary.measuring.sharded.dispatch import Dispatch  # noqa: E402
from blackbox_boundary.measuring.workers import measure_with_workers  # noqa: E402
from blackbox_boundary.processes import keep_freed_memory  # noqa: E402
from blackbox_boundary.testing import Linear, Reference  # noqa: E402

GIVEN = {"input_shape": (1, 28, 28), "bounds": (0, 1)}


def conv():
    """The net of a worker."""
    import torch
    from mnist_nets import load_net

    torch.set_num_threads(1)
    return load_net("conv")


def instant():
    """A plane in two dimensions."""
    return Reference(Linear.hyperplane(np.array([1.0, 1.0]), 0.1), access="logits")


def run(engine, model, x, workers, n_shards, folder, **more):
    """One measurement."""
    if engine == "local":
        return measure_with_workers(
            model, x, folder=folder, workers=workers, n_shards=n_shards, threads=1, **more
        )
    from blackbox_boundary.adapters.ray_cluster import measure_on_cluster

    return measure_on_cluster(model, x, folder=folder, workers=workers, n_shards=n_shards, **more)


def spent(folder):
    """Seconds from the beginning of the first shard to the end of the last, by its files."""
    shards = [path for path in (folder / "shards").iterdir() if path.is_dir()]
    begins = min((shard / "lock").stat().st_mtime for shard in shards)
    return max((shard / "results.npz").stat().st_mtime for shard in shards) - begins


def plain_run(path, n_shards):
    """Wall and processor time of one plain run in this process, and its distances."""
    keep_freed_memory()  # as the command does
    x, predictor = np.load(path, mmap_mode="r"), load("workers:conv", **GIVEN)
    began, cpu = time.perf_counter(), time.process_time()
    found = measure(predictor, x, n_shards=n_shards)
    return time.perf_counter() - began, time.process_time() - cpu, found.l2


def speed(arguments):
    """Plain, one worker, two workers, in turn."""
    from mnist_nets import mnist

    x = mnist("t10k")[0] if arguments.rows <= 10_000 else mnist("train")[0]
    x = x[: arguments.rows]
    times = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "x.npy")
        np.save(path, x)
        x = np.load(path, mmap_mode="r")
        for turn in range(arguments.repeats):
            began = time.perf_counter()
            # in a process of its own: how an allocator has been used before changes page faults
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                wall, cpu, expected = pool.submit(plain_run, path, arguments.shards).result()
            total = time.perf_counter() - began
            times.setdefault("plain", []).append((wall, cpu, total - wall))
            for workers in (1, 2):
                folder, began = Path(scratch, f"{turn}-{workers}"), time.perf_counter()
                found = run(
                    arguments.engine, "workers:conv", x, workers, arguments.shards, folder,
                    given=GIVEN,
                )  # fmt: skip
                np.testing.assert_array_equal(found.l2, expected)
                wall, total = spent(folder), time.perf_counter() - began
                cpu = found.run["cpu_seconds"]
                times.setdefault(f"{workers} worker(s)", []).append((wall, cpu, total - wall))
    print(f"{len(x):,} rows, {arguments.shards} shards, {arguments.engine}; load {os.getloadavg()}")
    for name, runs in times.items():
        wall, cpu, start = (float(np.median(part)) for part in zip(*runs, strict=True))
        print(f"{name:12s} wall {wall:7.2f} s, processor {cpu:7.2f} s, start-up {start:6.2f} s")
    base = {name: np.array([run[:2] for run in runs]) for name, runs in times.items()}
    one, two, plain = (base[name] for name in ("1 worker(s)", "2 worker(s)", "plain"))
    print("two over one, wall:", *(one[:, 0] / two[:, 0]).round(2))
    print("one over plain, wall:", *(one[:, 0] / plain[:, 0]).round(3))
    print("one over plain, processor:", *(one[:, 1] / plain[:, 1]).round(3))
    print("two over plain, processor:", *(two[:, 1] / plain[:, 1]).round(3))


GIVING_OUT = []
"""Processor time of the driver while shards are given out, of each run."""


class TimedDispatch(Dispatch):
    """Notes the time."""

    def run(self, numbers):
        began = time.process_time()
        super().run(numbers)
        GIVING_OUT.append(time.process_time() - began)


def dispatch(arguments):
    """What the driver needs for a shard, and for a row."""
    results.Dispatch = TimedDispatch
    n_rows = 8 * arguments.shards
    x = np.random.default_rng(0).normal(size=(n_rows, 2))
    with tempfile.TemporaryDirectory() as scratch:
        for workers in (1, 2):
            folder = Path(scratch, str(workers))
            cpu, began = time.process_time(), time.perf_counter()
            run(arguments.engine, "workers:instant", x, workers, arguments.shards, folder)
            cpu, total = time.process_time() - cpu, time.perf_counter() - began
            wall, giving = spent(folder), GIVING_OUT.pop()
            print(
                f"{arguments.engine}, {workers} worker(s): {arguments.shards / wall:.0f} shards/s "
                f"and {n_rows / wall:.0f} rows/s from the first shard to the last, {total:.1f} s "
                "in all; "
                f"processor time of the driver {1e3 * giving / arguments.shards:.2f} ms a shard to "
                f"give them out, {1e3 * cpu / arguments.shards:.2f} ms with the checks before and "
                "the merging after"
            )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the driver {peak:.0f} MiB; load {os.getloadavg()}")


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "dispatch"))
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    (speed if arguments.what == "speed" else dispatch)(arguments)


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(HERE))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    main()
