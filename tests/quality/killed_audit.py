"""An audit over HTTP against a server that fails one request in five, killed at random moments.

What was asked twice, and is the result the same?

    python tests/quality/killed_audit.py                # one or two minutes
    python tests/quality/killed_audit.py --kills 500    # audits until 500 kills and faults

The server runs in this process and keeps its own count. The audit is another process. It is killed
with SIGKILL at random moments and started again with the same command, until it ends by itself.
"""

import csv
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import click
import numpy as np

from blackbox_boundary import Distances, measure
from blackbox_boundary.ledger import export_csv, verify
from blackbox_boundary.ledger.records import content_keys
from blackbox_boundary.wrappers import LedgerPredictor

N_ROWS, N_KILLS, DIMENSION = 500, 10, 6
N_PROBES = 4
"""Queries at most that show whether rows depend on each other."""
WEIGHTS = np.random.default_rng(1).normal(size=(DIMENSION, 4))
X = np.random.default_rng(2).uniform(0.05, 0.95, size=(N_ROWS, DIMENSION)).astype(np.float32)
COLUMNS = (
    "l1",
    "l2",
    "linf",
    "lo",
    "hi",
    "home",
    "flipped",
    "status",
    "n_predictions",
    "flip_points",
)


class Handler(BaseHTTPRequestHandler):
    """Logits of rows in JSON; one request in five is answered by a fault."""

    protocol_version = "HTTP/1.1"
    fault_share = 0.2
    answered: ClassVar[Counter] = Counter()
    n_requests, n_faults = 0, 0
    chance = random.Random(3)

    def do_POST(self):
        """Answer, or fail."""
        rows = np.array(
            json.loads(self.rfile.read(int(self.headers["Content-Length"])))["rows"], np.float32
        )
        Handler.n_requests += 1
        fault = (
            self.chance.choice(["429", "500", "reset", "silent", "cut"])
            if self.chance.random() < self.fault_share
            else None
        )
        Handler.n_faults += fault is not None
        body = json.dumps(
            {"scores": [list(row.astype(np.float64) @ WEIGHTS) for row in rows]}
        ).encode()
        if fault in ("429", "500"):
            self._send(int(fault), b"{}")
        elif fault == "reset":
            self.connection.setsockopt(
                6 if sys.platform == "win32" else 1, 13, struct.pack("ii", 1, 0)
            )
            self.close_connection = True
        elif fault == "silent":
            time.sleep(1)
            self.close_connection = True
        elif fault == "cut":
            self._send(200, body, cut=9)
            self.close_connection = True
        else:
            Handler.answered.update(key.tobytes().hex() for key in content_keys(rows))
            self._send(200, body)

    def _send(self, status, body, cut=0):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) - cut])

    def log_message(self, *_):
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Quiet about clients that are gone."""

    daemon_threads = True

    def handle_error(self, *_):
        """They were killed."""


def audit(port, ledger, results):
    """The command that is killed and repeated."""
    from blackbox_boundary.adapters.http_endpoint import load

    patience = {
        "connections": 4,
        "attempts": 8,
        "first_wait_s": 0.02,
        "read_timeout_s": 0.5,
        "total_timeout_s": 1.0,
    }
    endpoint = load(
        f"http://127.0.0.1:{port}/predict", request={"body": '{"rows": $rows}'},
        answer={"scores": "scores"}, access="logits",
        input_shape=(DIMENSION,), n_classes=4, bounds=(0, 1), max_rows=32, transport=patience,
    )  # fmt: skip
    with LedgerPredictor(endpoint, ledger, fingerprint="audited") as predictor:
        measure(predictor, X).save(results)


def start(port, ledger, results):
    """The same command each time."""
    return subprocess.Popen(
        [sys.executable, __file__, "--victim", str(port), str(ledger), str(results)]
    )


@click.command()
@click.option("--victim", nargs=3, hidden=True)
@click.option("--kills", default=10, show_default=True, help="Kills and failed requests, at least.")
def main(victim, kills):
    """Print what became of the audits; exit code 1 if any did not end as the clean run."""
    if victim:
        audit(*victim)
        return
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.TemporaryDirectory() as where:
        clean = Path(where)
        Handler.fault_share = 0
        began = time.monotonic()
        assert start(port, clean / "l.db", clean / "l.npz").wait() == 0
        seconds = time.monotonic() - began
        print(
            f"clean run: {N_ROWS} rows, {len(Handler.answered)} different inputs answered, "
            f"{seconds:.0f} s"
        )
        disturbed, is_right = 0, True
        for round_number in range(kills):
            folder = clean / str(round_number)
            folder.mkdir()
            n_kills = killed(port, folder, seconds, random.Random(4 + round_number))
            is_right &= compare(clean, folder, n_kills)
            disturbed += n_kills + Handler.n_faults
            if disturbed >= kills:
                break
    print(f"{disturbed} kills and failed requests; all results right: {is_right}")
    raise SystemExit(not is_right)


def killed(port, folder, seconds, moments):
    """One audit, killed at random moments until it ends; the number of kills."""
    Handler.fault_share, Handler.n_requests, Handler.n_faults = 0.2, 0, 0
    Handler.answered.clear()
    n_kills = 0
    while n_kills < N_KILLS:
        process = start(port, folder / "l.db", folder / "l.npz")
        before, give_up = len(Handler.answered), time.monotonic() + 60
        while (
            len(Handler.answered) == before
            and process.poll() is None
            and time.monotonic() < give_up
        ):
            time.sleep(0.005)  # until it asks something new
        time.sleep(moments.uniform(0, seconds / 10))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            n_kills += 1
        if process.wait() == 0:
            break
    assert start(port, folder / "l.db", folder / "l.npz").wait() == 0
    return n_kills


def compare(clean, folder, n_kills):
    """Compare the ledger with the server's count, and the results with those of the clean run."""
    report = verify(folder / "l.db")
    export_csv(folder / "l.db", folder / "l.csv")
    with (folder / "l.csv").open() as file:
        rows = list(csv.DictReader(file))
    recorded = {row["key"] for row in rows if row["outcome"] == "answered"}
    lost = {row["key"] for row in rows if row["outcome"] == "lost"}
    repeated = {key for key, times in Handler.answered.items() if times > 1}
    first, again = Distances.load(clean / "l.npz"), Distances.load(folder / "l.npz")
    same = all(
        np.array_equal(getattr(first, name), getattr(again, name), equal_nan=name == "flip_points")
        for name in COLUMNS
    )
    print(
        f"killed {n_kills} times; {Handler.n_requests} requests, "
        f"{Handler.n_faults} of them failed by the server"
    )
    print(f"  results identical to the clean run: {same}")
    votes = recorded - set(Handler.answered)  # probes: the same input, recorded once a vote
    is_recorded = set(Handler.answered) <= recorded and len(votes) <= N_PROBES
    print(
        f"  different inputs answered: {len(Handler.answered)} by the server's count, all of them "
        f"in the ledger: {is_recorded}; repeated votes of probes: {len(votes)}"
    )
    print(
        f"  answered more than once: {len(repeated)}; of them not reported as in flight at a kill "
        f"or a failure: {len(repeated - lost)}"
    )
    print(f"  reported as in flight: {report.n_lost}; failed for good: {report.n_failed}")
    return same and is_recorded


if __name__ == "__main__":
    main()
