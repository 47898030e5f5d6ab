"""Peak memory of the command line beyond memory-sized data, and its time over the bare model.

    python tests/quality/large.py [--rows 100000,1000000] [--width 30] [--workers 2]
    python tests/quality/large.py --against-bare [--rows 1000000] [--hidden 256]

The first runs ``measure --results parquet`` with --estimator (linearised) on Parquet data (or
--npy) of each size, in a process of its own. That process has --above MiB more address space than
the loaded model needs; printed is the peak of its anonymous memory above that, with --workers also
that of the largest worker. The second measures a memory-mapped file with `ray` in one process, then
repeats the same calls, predictions and gradients of as many rows, on bare ONNX Runtime sessions.
The model is a perceptron with two hidden layers of --hidden (32).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import itertools

from memory import anonymous_mib, peak_of


def perceptron(width, path, hidden=32):
    """Write a net of ``width`` inputs and three classes."""
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    sizes, nodes, weights, name = (width, hidden, hidden, 3), [], [], "x"
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        for kind, shape in (("w", (a, b)), ("b", (b,))):
            values = (rng.normal(size=shape) / np.sqrt(a)).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"{kind}{k}"))
        last = k == len(sizes) - 2
        out = "scores" if last else f"h{k}"
        nodes.append(helper.make_node("Gemm", [name, f"w{k}", f"b{k}"], [out]))
        if not last:
            nodes.append(helper.make_node("Relu", [out], [f"r{k}"]))
            name = f"r{k}"
    row, scores = (
        helper.make_tensor_value_info(label, TensorProto.FLOAT, ["n", size])
        for label, size in (("x", width), ("scores", 3))
    )
    graph = helper.make_graph(nodes, "perceptron", [row], [scores], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_rows(folder, n, width, group):
    """Standard normal rows: a folder of Parquet files of a million rows, ``group`` a row group."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    rng = np.random.default_rng(1)
    for first in range(0, n, 1_000_000):
        path = folder / f"part-{first:012d}.parquet"
        schema = pa.schema([(f"c{k}", pa.float32()) for k in range(width)])
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as file:
            for start in range(first, min(first + 1_000_000, n), group):
                size = min(group, n - start, first + 1_000_000 - start)
                x = rng.standard_normal((size, width), np.float32)
                file.write_table(pa.table({f"c{k}": x[:, k] for k in range(width)}, schema))


def measured(model, data, output, above, words):
    """Run the command here under a limit of the address space; print the peak above the model."""
    from blackbox_boundary import Distances, load, measure
    from blackbox_boundary.cli import main

    predictor = load(model, access="logits")
    width = predictor.input_shape[0]
    x = np.random.default_rng(2).standard_normal((512, width), np.float32)
    measure(predictor, x, estimator="linearised")
    base = anonymous_mib()
    if above:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = held + above * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def command():
        with contextlib.suppress(SystemExit):  # a limit has an exit code; rows are counted below
            arguments = [
                "measure", model, data, "--access", "logits", "--output", output,
                "--results", "parquet", "--no-progress", *words,
            ]  # fmt: skip
            main(arguments, standalone_mode=False)

    with peak_of_workers() as largest:
        peak, seconds = peak_of(command)
    n = len(Distances.load(output))
    print(f"RESULT {peak:.0f} {peak - base:.0f} {seconds:.1f} {n} {max(largest):.0f}")


@contextlib.contextmanager
def peak_of_workers():
    """A list of what the largest process that this one has started was seen to hold, MiB."""
    seen, done = [0.0], threading.Event()

    def watch():
        while not done.wait(0.05):
            for worker in multiprocessing.active_children():
                with contextlib.suppress(OSError, StopIteration):  # it has just ended
                    seen.append(anonymous_mib(worker.pid))
            seen[:] = [max(seen)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def write_npy(path, n, width):
    """Standard normal rows as a ``.npy`` file."""
    x, rng = np.lib.format.open_memmap(path, "w+", np.float32, (n, width)), np.random.default_rng(1)
    for first in range(0, n, 65_536):
        x[first : first + 65_536] = rng.standard_normal((min(65_536, n - first), width), np.float32)


def memory(sizes, options):
    """Measure each size in a process of its own."""
    width = options.width
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
            root = Path(folder)
            data = root / ("data.npy" if options.npy else "data")
            perceptron(width, root / "model.onnx")
            if options.npy:
                write_npy(data, n, width)
            else:
                write_rows(data, n, width, options.group_rows)
            command = [
                sys.executable, __file__, "--child", str(root / "model.onnx"), str(data),
                str(root / "run"), "--above", str(options.above), "--estimator", options.estimator,
                *typed(options),
            ]  # fmt: skip
            out = subprocess.run(command, capture_output=True, text=True, check=False)
            lines = [line for line in out.stdout.splitlines() if line.startswith("RESULT")]
            if not lines:
                sys.exit(out.stdout + out.stderr)
            _, peak, more, seconds, found, worker = lines[0].split()
            assert int(found) == n, out.stderr
            size = sum(file.stat().st_size for file in (root / "run" / "results").iterdir())
            besides = "" if options.workers is None else f", of a worker {worker}"
            print(
                f"{n:,} x {width}: peak {peak} MiB, {more} above the model{besides}; {seconds} s, "
                f"{n / float(seconds):,.0f} rows/s; results {size / n:.0f} bytes a row",
                flush=True,
            )


def typed(options):
    """Options of the command line as they are typed."""
    words = []
    for name in ("max_queries", "workers"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def against_bare(n, width, hidden):
    """Wall time of `ray` on a memory-mapped file over that of the same calls on bare sessions."""
    import onnx
    import onnxruntime as ort
    from blackbox_boundary.adapters.onnx_exports.reverse_mode import gradient_model

    from blackbox_boundary import load
    from blackbox_boundary.measuring.to_parquet import measure_to_parquet

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        perceptron(width, root / "model.onnx", hidden)
        x = np.lib.format.open_memmap(root / "x.npy", "w+", np.float32, (n, width))
        for first in range(0, n, 100_000):
            x[first : first + 100_000] = np.random.default_rng(first).standard_normal(
                x[first : first + 100_000].shape, np.float32
            )
        predictor, calls = load(root / "model.onnx", access="logits", threads=1), []
        predict, vjp = predictor.predict, predictor.vjp
        predictor.predict = lambda rows: (calls.append(("p", len(rows))), predict(rows))[1]
        predictor.vjp = lambda rows, v: (calls.append(("g", len(rows))), vjp(rows, v))[1]
        began, before = time.perf_counter(), time.process_time()
        found = measure_to_parquet(predictor, x, root / "run", estimator="ray")
        wall, cpu = time.perf_counter() - began, time.process_time() - before
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(root / "model.onnx", options, ["CPUExecutionProvider"])
        gradients = ort.InferenceSession(
            gradient_model(onnx.load(root / "model.onnx")).SerializeToString(),
            options,
            ["CPUExecutionProvider"],
        )
        names = [value.name for value in gradients.get_inputs()]
        rows = np.array(x[:4096])
        v = np.ones((4096, 3), np.float32)
        began, before = time.perf_counter(), time.process_time()
        for kind, size in calls:
            if kind == "p":
                session.run(None, {"x": rows[:size]})
            else:
                gradients.run(None, dict(zip(names, (rows[:size], v[:size]), strict=True)))
        bare, bare_cpu = time.perf_counter() - began, time.process_time() - before
        n_queries = sum(size for _, size in calls)
        print(
            f"{n:,} x {width}, hidden {hidden}, ray: {wall:.1f} s, CPU {1e6 * cpu / n:.1f} us a "
            f"row; the same {len(calls):,} calls of {n_queries:,} rows on bare sessions "
            f"{bare:.1f} s, CPU {1e6 * bare_cpu / n:.1f} us a row; "
            f"{wall / bare:.2f} times the wall, {cpu / bare_cpu:.2f} times the CPU; "
            f"{found.count_by_status()}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--width", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--above", type=int, default=0, help="MiB; 0: no limit")
    parser.add_argument("--estimator", default="linearised")
    parser.add_argument("--max-queries", type=int, help="0: all but the search itself")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--group-rows", type=int, default=65_536, help="of a Parquet row group")
    parser.add_argument("--npy", action="store_true", help="the data as a .npy file")
    parser.add_argument("--scratch", help="folder for the data")
    parser.add_argument("--against-bare", action="store_true")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    if options.child:
        model, data, output = options.rest
        words = ["--estimator", options.estimator, *typed(options)]
        measured(model, data, output, options.above, words)
    elif options.against_bare:
        against_bare(int(options.rows.split(",")[0]), options.width, options.hidden)
    else:
        memory([int(n) for n in options.rows.split(",")], options)
