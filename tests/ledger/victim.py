"""A process to be killed: for each line of input it forks a run that asks through a ledger.

Forking from here costs milliseconds, starting Python half a second; so a test can afford to kill at
every moment.
"""

import json
import os
import signal
import sys
import traceback
from multiprocessing.connection import Client
from pathlib import Path

import numpy as np

from blackbox_boundary import Access, Prediction
from blackbox_boundary.wrappers.ledger import LedgerPredictor


class Remote:
    """A model behind a connection."""

    access, input_shape, n_classes, bounds, fingerprint = Access.LABEL, (4,), 7, None, "remote"

    def __init__(self, port):
        self.connection = Client(("127.0.0.1", port))

    def predict(self, x):
        """Send the rows, receive the labels."""
        self.connection.send_bytes(x.tobytes())
        return Prediction(np.frombuffer(self.connection.recv_bytes(), np.int64))


def work(predictor, n_rounds):
    """A search: what is asked next depends on all answers before, and some rows are asked again."""
    x = before = np.arange(24, dtype=np.float32).reshape(6, 4)
    for _ in range(n_rounds):
        labels = predictor.predict(np.concatenate([x, before[:2], x[:1]])).label[:6]
        before, x = x, x + 0.5 + labels[:, None].astype(np.float32)
    return x.tobytes().hex()


def run(job):
    """One run, which kills itself at the given SQL statement if one is given."""
    if job["die_at"] is not None:
        die_at_statement(job["die_at"])
    with LedgerPredictor(
        Remote(job["port"]), job["ledger"], rows_per_call=job["rows_per_call"]
    ) as ledger:
        result = work(ledger, job["n_rounds"])
        lost = ledger.n_lost
    part = Path(job["result"] + ".part")
    part.write_text(json.dumps([result, lost]))
    part.rename(job["result"])


def die_at_statement(number):
    """Kill this process just before the given statement reaches SQLite."""
    from blackbox_boundary.ledger import database

    connect, left = database._connect, [number]

    def count(statement):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(address):
        db = connect(address)
        db.set_trace_callback(count)
        return db

    database._connect = watched


if __name__ == "__main__":
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                run(json.loads(line))
                code = 0
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)
