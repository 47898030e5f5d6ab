"""What the ledger costs: time beside a model of 5,000 rows/s, and lookups and file size as it grows.

    python tests/quality/ledger_overhead.py                 # a minute or two
    python tests/quality/ledger_overhead.py --rows 10000000  # about 800 MB of disk and of memory

The figures in docs/explanation/ledger.md come from here.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from blackbox_boundary import Access, Prediction
from blackbox_boundary.ledger.model_card import ModelCard
from blackbox_boundary.ledger.reader import LedgerReader
from blackbox_boundary.ledger.records import pack_predictions
from blackbox_boundary.ledger.store import LedgerStore
from blackbox_boundary.wrappers.ledger import LedgerPredictor

ROWS_PER_SECOND = 5000
CALL = 1024
CARD = ModelCard("scale", "LOGITS", 10, (784,), None, differentiable=False)


class Paced:
    """Ten logits of an MNIST-sized row, 5,000 rows a second, by the clock and not by work."""

    access, input_shape, n_classes, bounds, fingerprint = Access.LOGITS, (784,), 10, (0.0, 1.0), "paced"

    def predict(self, x):
        """Wait as a server would make us wait."""
        time.sleep(len(x) / ROWS_PER_SECOND)
        return Prediction.from_scores(x[:, :10])


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Recorded queries of the second part.")
@click.option("--seconds", default=4.0, show_default=True, help="Length of each timing of the first part.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Where the ledgers are written. [default: a temporary one]"
)
def main(rows, seconds, folder):
    """Print both tables."""
    with tempfile.TemporaryDirectory(dir=folder) as where:
        print(f"a flush of the disk takes {flush_ms(Path(where)):.2f} ms (median)\n")
        print("rows a call | without, rows/s | with, rows/s | overhead")
        for size in (128, 256, 512, 1024, 2048):
            without, with_ledger = overhead(Path(where) / f"{size}.db", size, max(2, int(seconds * ROWS_PER_SECOND / size)))
            print(f"{size:11} | {without:15.0f} | {with_ledger:12.0f} | {without / with_ledger - 1:8.1%}")
        scale(Path(where) / "scale.db", rows)


def flush_ms(folder):
    """Median time of one flush of a small write."""
    times = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return 1e3 * np.median(times)


def overhead(path, size, n_calls):
    """Rows a second without and with a ledger, measured in turns."""
    model, random, spent = Paced(), np.random.default_rng(0), {False: 0.0, True: 0.0}
    with LedgerPredictor(model, path, rows_per_call=size) as ledger:
        for _ in range(n_calls):
            x = random.random((size, 784), np.float32)
            for recorded, predictor in ((False, model), (True, ledger)):
                began = time.perf_counter()
                predictor.predict(x)
                spent[recorded] += time.perf_counter() - began
    return size * n_calls / spent[False], size * n_calls / spent[True]


def keys_of(number, size=CALL):
    """Keys that can be made again: what SHA-256 gives looks the same."""
    return np.random.default_rng(number).integers(0, 256, (size, 32), np.uint8)


def scale(path, n):
    """Fill a ledger, and look things up in it."""
    n_calls, random = -(-n // CALL), np.random.default_rng(0)
    records = pack_predictions(Prediction.from_scores(random.random((CALL, 10), np.float32)))
    began = time.perf_counter()
    with LedgerStore(path, CARD) as store:
        store._db.execute("PRAGMA synchronous = OFF")  # not the part that is measured here
        for call in range(n_calls):
            store.record(store.claim("predictions", keys_of(call), 44), slice(0, CALL), records)
    filled = time.perf_counter() - began
    stored = n_calls * CALL * (32 + records.dtype.itemsize)
    n_bytes = path.stat().st_size
    print(f"\n{n_calls * CALL:,} recorded queries in {filled:.0f} s")
    print(f"file: {n_bytes / 1e6:,.1f} MB for {stored / 1e6:,.1f} MB of keys and answers, {n_bytes / stored:.3f} x")
    began = time.perf_counter()
    reader = LedgerReader(path)
    print(f"opening: {time.perf_counter() - began:.2f} s; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    singles = []
    for _ in range(3000):
        key = keys_of(int(random.integers(n_calls)))[int(random.integers(CALL))][None]
        began = time.perf_counter()
        reader.fetch(reader.find(key))
        singles.append(1e6 * (time.perf_counter() - began))
    print(f"lookup of one random query: median {np.median(singles):.0f} us, 99th percentile {np.percentile(singles, 99):.0f} us")
    batches = []
    for _ in range(200):
        keys = keys_of(int(random.integers(n_calls)))
        began = time.perf_counter()
        reader.fetch(reader.find(keys))
        batches.append(1e6 * (time.perf_counter() - began) / CALL)
    print(f"lookup of a call of {CALL}, each query: median {np.median(batches):.2f} us")
    reader.close()


if __name__ == "__main__":
    main()
