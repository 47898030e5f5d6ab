#!/usr/bin/env bash
# Guess: a service whose method takes np.ndarray gets floats for a row of measurements, and 2 and
#   2.0 are the same number, as JSON has one kind of numbers.
# Seen: BentoML makes the array's type of how the numbers are written: [[1, 2]] is int64, and
#   [[1, 2.5]] is float64. Code that writes into an array like its input cuts the results to whole
#   numbers, and the same point gets another label.
# Why it matters: clients write 2.0 as 2 (JavaScript does, and %g does). Flip points with whole
#   coordinates, such as corners of the domain, then lie on another side. Write every float with a
#   point, or declare the type: Annotated[np.ndarray, DType("float32")].
set -euo pipefail
work=$(mktemp -d)
trap 'if [ -f "$work/group" ]; then kill -KILL -- "-$(cat "$work/group")" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q bentoml==1.4.40 numpy==2.4.6
cat >"$work/service.py" <<'PYTHON'
import bentoml
import numpy as np


@bentoml.service
class Scaled:
    @bentoml.api
    def label(self, rows: np.ndarray) -> dict:
        """1 where the sum of the standardised features is positive."""
        scaled = np.empty_like(rows)
        scaled[:] = (rows - 1.5) / 2
        return {"type": str(rows.dtype), "label": int(scaled.sum() > 0)}
PYTHON
export BENTOML_HOME="$work/home" BENTOML_DO_NOT_TRACK=True
"$work/venv/bin/python" -W ignore - "$work" <<'PYTHON'
import importlib.metadata
import json
import socket
import subprocess
import sys
import time
import urllib.request

work = sys.argv[1]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
log = open(f"{work}/log", "wb")
command = ["-m", "bentoml", "serve", "service:Scaled", "--host", "127.0.0.1", "--port", str(port)]
server = subprocess.Popen(
    [sys.executable, *command], cwd=work, start_new_session=True, stdout=log, stderr=log
)
open(f"{work}/group", "w").write(str(server.pid))


def ask(body):
    url, kind = f"http://127.0.0.1:{port}/label", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, kind), timeout=30) as reply:
        return json.load(reply)


end = time.monotonic() + 120
while True:
    try:
        ask(b'{"rows": [[0.5, 0.5]]}')
        break
    except OSError:
        assert time.monotonic() < end and server.poll() is None, "the service did not start"
        time.sleep(0.3)
with_point, without = ask(b'{"rows": [[2.0, 2.0]]}'), ask(b'{"rows": [[2, 2]]}')
print("bentoml", importlib.metadata.version("bentoml"))
print(f"(2, 2) written 2.0: {with_point}")
print(f"(2, 2) written 2: expected the same, seen {without}")
assert with_point["label"] != without["label"]
PYTHON
