"""Real servers on loopback, started once for all tests of this folder and stopped by process id."""

import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("thorough", max_examples=2500)

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


@contextmanager
def running(port, *command):
    """A server as a process of its own; gives its URL."""
    process = subprocess.Popen([sys.executable, *command])
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def service_url():
    """The FastAPI service under uvicorn."""
    port = free_port()
    where = ["--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port)]
    with running(
        port, "-m", "uvicorn", "http_service:app", *where, "--log-level", "warning"
    ) as url:
        yield url


@pytest.fixture(scope="session")
def _fault_server():
    port = free_port()
    with running(port, str(HERE / "fault_server.py"), str(port)) as url:
        yield url


@pytest.fixture
def fault_url(_fault_server):
    """The server that misbehaves, having forgotten the tests before."""
    urllib.request.urlopen(f"{_fault_server}/forget").close()
    return _fault_server
