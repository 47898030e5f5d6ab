"""Cost of the ledger: time beside a model of 5,000 rows/s; lookups and file size as it grows.

    python tests/quality/ledger_overhead.py                 # a minute or two
    python tests/quality/ledger_overhead.py --rows 10000000  # about 800 MB of disk and of memory

The figures in docs/explanation/ledger.md come from here.
"""

import os
import tempfile
import time
from multiprocessing import get_context
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

    access, input_shape, n_classes, bounds, fingerprint = (
        Access.LOGITS,
        (784,),
        10,
        (0.0, 1.0),
        "paced",
    )

    def predict(self, x):
        """Wait as a server would make us wait."""
        time.sleep(len(x) / ROWS_PER_SECOND)
        return Prediction.from_scores(x[:, :10])


@click.command()
@click.option(
    "--rows", default=1_000_000, show_default=True, help="Recorded queries of the second part."
)
@click.option(
    "--seconds", default=4.0, show_default=True, help="Length of each timing of the first part."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the ledgers are written. [default: a temporary one]",
)
def main(rows, seconds, folder):
    """Print both tables."""
    with tempfile.TemporaryDirectory(dir=folder) as where:
        flush = flush_s(Path(where))
        print(
            f"a flush of the disk takes {1e3 * flush:.2f} ms (median); the model answers "
            f"{ROWS_PER_SECOND} rows/s\n"
        )
        print("rows asked | a call | overhead | processor alone | flushes alone")
        for asked, call in (
            (256, 256),
            (512, 512),
            (1024, 1024),
            (2048, 2048),
            (8192, 1024),
            (8192, 2048),
        ):
            wall, processor = overhead(
                Path(where) / f"{asked}-{call}.db",
                asked,
                call,
                max(2, round(seconds * ROWS_PER_SECOND / asked)),
            )
            n_flushes = asked // call + 1
            flushes = n_flushes * flush * ROWS_PER_SECOND / asked
            print(
                f"{asked:10} | {call:6} | {wall:8.1%} | {processor:15.1%} | {flushes:13.1%}",
            )
        scale(Path(where) / "scale.db", rows)


def flush_s(folder):
    """Median time of one flush of a small write."""
    times = []
    with (folder / "flush").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(8192))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return np.median(times)


def overhead(path, asked, call, n):
    """Share of time that a ledger adds, measured in turns: wall time, processor time."""
    model, random = Paced(), np.random.default_rng(0)
    clock, processor = {}, {}
    with LedgerPredictor(model, path, rows_per_call=call) as ledger:
        for _ in range(n):
            x = random.random((asked, 784), np.float32)
            for predictor in (model, ledger):
                began = time.perf_counter(), time.process_time()
                predictor.predict(x)
                clock.setdefault(predictor, []).append(time.perf_counter() - began[0])
                processor.setdefault(predictor, []).append(time.process_time() - began[1])
    without, with_ledger = (np.median(clock[predictor]) for predictor in (model, ledger))
    return with_ledger / without - 1, (
        np.median(processor[ledger]) - np.median(processor[model])
    ) / without


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
    print(
        f"file: {n_bytes / 1e6:,.1f} MB for {stored / 1e6:,.1f} MB of keys and answers, "
        f"{n_bytes / stored:.3f} x"
    )
    looker = get_context("spawn").Process(
        target=look, args=(path, n_calls)
    )  # its memory is that of a fresh run
    looker.start()
    looker.join()


def look(path, n_calls):
    """Open a ledger, and find recorded queries."""
    random = np.random.default_rng(1)
    before, began = resident_bytes(), (time.perf_counter(), time.process_time())
    reader = LedgerReader(path)
    clock, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    print(
        f"opening: {clock:.2f} s, {processor:.2f} s of the processor; "
        f"{(resident_bytes() - before) / 2**20:,.0f} MiB of memory"
    )
    for size, n in ((1, 3000), (CALL, 200)):
        clock, processor = [], []
        for _ in range(n):
            first = int(random.integers(CALL - size + 1))
            keys = keys_of(int(random.integers(n_calls)))[first : first + size]
            began = time.perf_counter(), time.process_time()
            reader.fetch(reader.find(keys))
            clock.append(1e6 * (time.perf_counter() - began[0]) / size)
            processor.append(1e6 * (time.process_time() - began[1]) / size)
        print(
            f"lookup, {size:4} at a time: median {np.median(clock):.2f} us each, "
            f"{np.median(processor):.2f} us of the processor"
        )
    reader.close()


def resident_bytes():
    """Memory of this process, as Linux tells."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
