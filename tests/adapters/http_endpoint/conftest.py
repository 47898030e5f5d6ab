"""Real servers on loopback, started once for all tests of this folder and stopped by their process id."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the servers are modules that some tests import too


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, seconds=60):
    """Wait until something listens, or say why nothing does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the server on port {port} did not start: exit code {process.poll()}")


@pytest.fixture(scope="session")
def service_url():
    """The FastAPI service under uvicorn, as a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "http_service:app", "--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning", "--timeout-keep-alive", "5"])
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
