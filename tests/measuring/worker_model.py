"""A ball behind a server that writes down what it received; workers make it by its name.

The server is a file: what is in it was received, whatever became of the worker. Settings come by
the environment: ``SERVER``, the file; ``KILL``, an empty file whose removal is the right to kill
its own process; ``AFTER``, the number of calls before that.
"""

import contextlib
import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from blackbox_boundary.testing import Ball, Reference


class Watched(Reference):
    """Label-only, so that rows take many calls."""

    fingerprint = "watched ball"

    def __init__(self):
        super().__init__(Ball(np.zeros(3), 1.0), access="label")
        self.n_calls = 0

    def predict(self, x):
        """Write the rows down, and perhaps die before the answer."""
        self._receive(x, b"prediction")
        return super().predict(x)

    def vjp(self, x, v):
        """Likewise."""
        self._receive(x, b"gradient")
        return super().vjp(x, v)

    def _receive(self, x, kind):
        self.n_calls += 1
        rows = np.ascontiguousarray(x, np.float64)
        lines = [hashlib.blake2b(kind + row.tobytes()).hexdigest()[:16] for row in rows]
        server = os.open(os.environ["SERVER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(server, "".join(f"{line}\n" for line in lines).encode())
        os.close(server)
        with Path(f"{os.environ['SERVER']}.calls").open("a") as calls:
            calls.write(".")
        time.sleep(float(os.environ.get("SLEEP", "0")))
        if self.n_calls == int(os.environ.get("AFTER", "-1")):
            with contextlib.suppress(FileNotFoundError):
                Path(os.environ["KILL"]).unlink()
                os.kill(os.getpid(), signal.SIGKILL)


def watched():
    """The model."""
    return Watched()


def deadly():
    """A model that kills whoever opens it, as one larger than memory does."""
    if os.environ.get("IN_WORKER_ONLY") != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return Watched()


def threads():
    """A model whose fingerprint is the number of threads that libraries were given."""
    model = Watched()
    model.fingerprint = os.environ.get("OMP_NUM_THREADS", "")
    return model


def calls(server):
    """How many calls the server received."""
    return Path(f"{server}.calls").stat().st_size


def received(server):
    """How often the server received each row."""
    lines = Path(server).read_text().split() if Path(server).exists() else []
    return {line: lines.count(line) for line in set(lines)}
