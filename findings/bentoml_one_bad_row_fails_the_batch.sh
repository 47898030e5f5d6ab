#!/usr/bin/env bash
# Guess: adaptive batching in BentoML joins requests of several clients, and a request whose rows
#   cannot be used fails alone, as it does when nobody else asks.
# Seen: every request of the batch gets status 500, also those whose rows are right.
# Why it matters: a client that retries or gives up after a 500 blames its own row, or the model,
#   for what a stranger sent. Ask a row again alone before it counts as one without an answer.
set -euo pipefail
work=$(mktemp -d)
trap 'if [ -f "$work/group" ]; then kill -KILL -- "-$(cat "$work/group")" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q bentoml==1.4.40 numpy==2.4.6
cat >"$work/service.py" <<'PYTHON'
import bentoml
import numpy as np


@bentoml.service
class Sums:
    @bentoml.api(batchable=True, max_batch_size=16)
    def add(self, rows: np.ndarray) -> np.ndarray:
        return rows @ np.ones(3)
PYTHON
export BENTOML_HOME="$work/home" BENTOML_DO_NOT_TRACK=True
"$work/venv/bin/python" -W ignore - "$work" <<'PYTHON'
import collections
import importlib.metadata
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

work = sys.argv[1]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
log = open(f"{work}/log", "wb")
command = ["-m", "bentoml", "serve", "service:Sums", "--host", "127.0.0.1", "--port", str(port)]
server = subprocess.Popen(
    [sys.executable, *command], cwd=work, start_new_session=True, stdout=log, stderr=log
)
open(f"{work}/group", "w").write(str(server.pid))


def ask(row):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/add",
        json.dumps({"rows": [row]}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


end = time.monotonic() + 120
while True:
    try:
        alone = {"right": ask([1.0, 2.0, 3.0]), "wrong": ask([1.0, 2.0])}
        break
    except OSError:
        assert time.monotonic() < end and server.poll() is None, "the service did not start"
        time.sleep(0.3)
seen = collections.Counter()


def client(kind, row):
    for _ in range(50):
        seen[kind, ask(row)] += 1


clients = [("right", [1.0, 2.0, 3.0]), ("wrong", [1.0, 2.0])] * 2
threads = [threading.Thread(target=client, args=each) for each in clients]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("bentoml", importlib.metadata.version("bentoml"))
print(f"alone: right row {alone['right']}, row of another length {alone['wrong']}")
print(f"together, 100 right rows: expected 100 times 200, seen 200 {seen['right', 200]} times, "
      f"500 {seen['right', 500]} times")
assert alone["right"] == 200 and seen["right", 500] > 0
PYTHON
