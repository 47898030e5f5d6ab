#!/usr/bin/env bash
# Guess: a LitServe server whose process gets SIGTERM stops: after `kill PID` its port is closed.
# Seen: the process ends, and its children stay. The port goes on answering, with the old model.
# Why it matters: after a redeployment on another port, or a "stopped" audit target, answers still
#   come, and come from the model that was to be replaced. Stop the whole process group.
set -euo pipefail
work=$(mktemp -d)
trap 'if [ -f "$work/group" ]; then kill -KILL -- "-$(cat "$work/group")" 2>/dev/null || true; fi; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q litserve==0.2.19 numpy==2.4.6
cat >"$work/server.py" <<'PYTHON'
import sys

import litserve


class Sum(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["input"]

    def predict(self, row):
        return sum(row)

    def encode_response(self, output):
        return {"output": output}


if __name__ == "__main__":
    server = litserve.LitServer(Sum(), accelerator="cpu")
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="error")
PYTHON
"$work/venv/bin/python" - "$work" <<'PYTHON'
import importlib.metadata
import json
import signal
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
server = subprocess.Popen(
    [sys.executable, f"{work}/server.py", str(port)],
    start_new_session=True, stdout=log, stderr=log,
)
open(f"{work}/group", "w").write(str(server.pid))


def ask():
    body = json.dumps({"input": [1, 2, 3]}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as reply:
        return json.load(reply)["output"]


end = time.monotonic() + 90
while True:
    try:
        before = ask()
        break
    except OSError:
        assert time.monotonic() < end and server.poll() is None, "the server did not start"
        time.sleep(0.2)
server.send_signal(signal.SIGTERM)
code = server.wait(30)
time.sleep(5)
try:
    after = ask()
except OSError as error:
    after = f"no answer ({type(error).__name__})"
print("litserve", importlib.metadata.version("litserve"))
print(f"answer before SIGTERM {before}; the process ended with code {code}")
print(f"five seconds after its end: expected no answer, seen {after}")
assert after == before
PYTHON
