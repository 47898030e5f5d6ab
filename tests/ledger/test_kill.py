"""A killed run continues: same results, and only queries in flight are asked twice."""

import contextlib
import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import Listener
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary.ledger import export_csv, verify
from blackbox_boundary.ledger.records import content_keys

N_ROUNDS, ROWS_PER_CALL = 60, 4


class Server:
    """A model on a loopback port; knows how often it was asked each input."""

    def __init__(self):
        self.listener = Listener(("127.0.0.1", 0))
        self.port = self.listener.address[1]
        self.asked = Counter()
        self.delay_s = 0.0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=self._serve, args=(self.listener.accept(),), daemon=True
                ).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, EOFError), connection:
            while True:
                x = np.frombuffer(connection.recv_bytes(), np.float32).reshape(-1, 4)
                self.asked.update(key.tobytes().hex() for key in content_keys(x))
                time.sleep(self.delay_s)
                connection.send_bytes(
                    np.array(
                        [hashlib.sha256(row.tobytes()).digest()[0] % 7 for row in x], np.int64
                    ).tobytes()
                )


class Victim:
    """A process that forks runs, which can be killed."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("victim.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(
        self,
        server,
        folder,
        *,
        n_rounds=N_ROUNDS,
        die_at=None,
        rows_per_call=ROWS_PER_CALL,
        result="result",
    ):
        """Fork a run; return its process number."""
        job = {
            "port": server.port,
            "ledger": str(folder / "l.db"),
            "result": str(folder / result),
            "n_rounds": n_rounds,
        }
        self.process.stdin.write(
            json.dumps(job | {"die_at": die_at, "rows_per_call": rows_per_call}) + "\n"
        )
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self):
        """Wait for the run's end; whether it ended by itself, without error."""
        status = int(self.process.stdout.readline())
        assert status in (0, signal.SIGKILL), f"the run failed with status {status}"
        return status == 0

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture
def victims():
    """Two of them."""
    pair = Victim(), Victim()
    yield pair
    for victim in pair:
        victim.close()


@pytest.fixture
def server():
    """A fresh server."""
    server = Server()
    yield server
    server.listener.close()


@pytest.fixture
def clean(request, victims, server, tmp_path):
    """Result and question count of a run that nobody disturbs; the server forgets it."""
    (tmp_path / "clean").mkdir()
    victims[0].start(server, tmp_path / "clean", n_rounds=getattr(request, "param", N_ROUNDS))
    assert victims[0].wait()
    assert set(server.asked.values()) == {1}
    n = len(server.asked)
    server.asked.clear()
    return json.loads((tmp_path / "clean" / "result").read_text())[0], n


def check(folder, server, n_expected):
    """The ledger is whole, answers each question once, and lists every question the server saw."""
    report = verify(folder / "l.db")
    assert report.n_answered == n_expected
    assert report.n_in_flight == report.n_failed == 0
    export_csv(folder / "l.db", folder / "l.csv")
    with (folder / "l.csv").open() as file:
        told = Counter((row["key"], row["outcome"]) for row in csv.DictReader(file))
    assert len(server.asked) == n_expected
    for key, times in server.asked.items():
        assert told[key, "answered"] == 1
        assert times <= 1 + told[key, "lost"], "asked more often than the ledger says"
    return report


def test_killed_at_random_moments(victims, server, clean, tmp_path):
    """Twelve kills at random moments, then the same command once more."""
    expected, n_expected = clean
    moments, server.delay_s, killed = random.Random(20), 0.02, 0
    for _ in range(12):
        pid = victims[0].start(server, tmp_path)
        time.sleep(moments.uniform(0.005, 0.09))
        with suppress(
            ProcessLookupError
        ):  # later runs find most answers recorded, and may be over by now
            os.kill(pid, signal.SIGKILL)
        killed += not victims[0].wait()
    assert killed >= 3
    server.delay_s = 0
    victims[0].start(server, tmp_path)
    assert victims[0].wait()
    assert json.loads((tmp_path / "result").read_text())[0] == expected
    check(tmp_path, server, n_expected)


@pytest.mark.parametrize("clean", [3], indirect=True)
def test_killed_before_every_statement(victims, server, clean, tmp_path):
    """A run killed before its first SQL statement, its second, and so on, ends the same."""
    expected, n_expected = clean
    for die_at in range(36):  # creating, opening, claiming, recording, and into the next claim
        folder = tmp_path / str(die_at)
        folder.mkdir()
        server.asked.clear()
        victims[0].start(server, folder, n_rounds=3, die_at=die_at)
        assert not victims[0].wait()
        victims[0].start(server, folder, n_rounds=3)
        assert victims[0].wait()
        result, lost = json.loads((folder / "result").read_text())
        assert result == expected
        assert lost == check(folder, server, n_expected).n_lost <= ROWS_PER_CALL


def test_two_processes_ask_each_question_once(victims, server, clean, tmp_path):
    """Two runs on one ledger share answers: the server is asked each question once."""
    expected, n_expected = clean
    for number, victim in enumerate(victims):
        victim.start(server, tmp_path, result=f"result{number}", rows_per_call=2 + number)
    for number, victim in enumerate(victims):
        assert victim.wait()
        assert json.loads((tmp_path / f"result{number}").read_text()) == [expected, 0]
    assert set(server.asked.values()) == {1}
    assert check(tmp_path, server, n_expected).n_lost == 0


def test_one_of_two_processes_is_killed(victims, server, clean, tmp_path):
    """The other goes on, and asks again only what the dead one had in flight."""
    expected, n_expected = clean
    server.delay_s = 0.03
    pid = victims[0].start(server, tmp_path, result="result0")
    victims[1].start(server, tmp_path, result="result1")
    time.sleep(0.08)
    os.kill(pid, signal.SIGKILL)
    assert not victims[0].wait()
    assert victims[1].wait()
    result, lost = json.loads((tmp_path / "result1").read_text())
    assert result == expected
    assert lost == check(tmp_path, server, n_expected).n_lost <= ROWS_PER_CALL
    assert not list(tmp_path.glob("l.db-run-*"))
