"""Starting real servers and stopping them."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import environments
import pytest

HERE = Path(__file__).parent
MODELS = HERE.parent / "adapters" / "http_endpoint"


class Front(NamedTuple):
    """nginx's two addresses, and the certificate to trust."""

    url: str
    tls_url: str
    ca_file: str


@contextlib.contextmanager
def triton():
    """Triton with the models of ``toy_model``; gives its URL."""
    python = environments.python_of("triton", environments.TRITON)
    _need(python)
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        pytest.skip("pytriton needs a Python that is built as a shared library")
    with tempfile.TemporaryDirectory() as home:
        # Without the path, Triton's stub would load another Python's library than the one whose modules it imports.
        extra = {"LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR"), "PYTRITON_HOME": home, "PYTHONPATH": str(MODELS)}
        port = _free_port()
        with _running([python, HERE / "triton_server.py", port], extra, f"http://127.0.0.1:{port}/v2/models/mnist/ready") as url:
            yield url


@contextlib.contextmanager
def mlserver():
    """MLServer with the models of ``toy_model``; gives its URL."""
    python = environments.python_of("mlserver", environments.MLSERVER)
    _need(python)
    with tempfile.TemporaryDirectory() as folder:
        ports = [_free_port() for _ in range(3)]
        names = ("http_port", "grpc_port", "metrics_port")
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **dict(zip(names, ports, strict=True))}
        Path(folder, "settings.json").write_text(json.dumps(settings))
        for name, shape, n_classes in (("digits", [1, 4, 4], 5), ("mnist", [1, 28, 28], 10)):
            model = {
                "name": name,
                "implementation": "mlserver_runtime.ToyRuntime",
                "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, *shape]}],
                "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, n_classes]}],
            }
            Path(folder, name).mkdir()
            Path(folder, name, "model-settings.json").write_text(json.dumps(model))
        extra = {"PYTHONPATH": f"{HERE}{os.pathsep}{MODELS}"}
        command = [python.with_name("mlserver"), "start", folder]
        with _running(command, extra, f"http://127.0.0.1:{ports[0]}/v2/models/mnist/ready") as url:
            yield url


@contextlib.contextmanager
def service():
    """The FastAPI service of the tests; gives its URL."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "http_service:app", "--app-dir", MODELS, "--port", port, "--log-level", "warning"]
    with _running(command, {}, f"http://127.0.0.1:{port}/v2") as url:
        yield url


@contextlib.contextmanager
def nginx():
    """Nginx in front of the FastAPI service, plain and with TLS."""
    binary = environments.nginx_binary()
    if not binary.exists() or not shutil.which("openssl"):
        pytest.skip("nginx and openssl are needed: python tests/peers/environments.py")
    with service() as behind, tempfile.TemporaryDirectory() as folder:
        plain, tls = _free_port(), _free_port()
        certificate = [
            *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"],
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ]
        subprocess.run([*certificate, "-keyout", "key.pem", "-out", "cert.pem"], cwd=folder, check=True, capture_output=True)
        config = (HERE / "nginx.conf").read_text()
        for name, value in (("PLAIN", plain), ("TLS", tls), ("BEHIND", behind.removeprefix("http://")), ("CLOSED", _free_port())):
            config = config.replace(f"@{name}@", str(value))
        Path(folder, "nginx.conf").write_text(config)
        with _running([binary, "-p", folder, "-c", "nginx.conf", "-e", "error.log"], {}, f"http://127.0.0.1:{plain}/v2") as url:
            yield Front(url, f"https://127.0.0.1:{tls}", str(Path(folder, "cert.pem")))


@contextlib.contextmanager
def _running(command, extra, ready_url, seconds=120):
    """A process that answers at ``ready_url``; gives its origin."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(list(map(str, command)), env={**os.environ, **extra}, stdout=log, stderr=log)
        try:
            _wait_for(ready_url, process, log, time.monotonic() + seconds)
            yield "/".join(ready_url.split("/")[:3])
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(url, process, log, end):
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(f"no answer at {url}: exit code {process.poll()}\n{log.read()[-3000:].decode(errors='replace')}")


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _need(python):
    if not environments.is_built(python):
        pytest.skip(f"there is no {python}: build it with python tests/peers/environments.py")
