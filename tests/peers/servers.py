"""Starting real servers and stopping them."""

import contextlib
import json
import os
import shutil
import signal
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
    """nginx's addresses, the certificates to trust, and the key that goes with them."""

    url: str
    tls_url: str
    ca_file: str
    key_file: str
    expired_url: str
    expired_ca_file: str


@contextlib.contextmanager
def triton():
    """Triton with the models of ``toy_model``; gives its URL."""
    python = environments.python_of("triton", environments.TRITON)
    _need(python)
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        pytest.skip("pytriton needs a Python that is built as a shared library")
    with tempfile.TemporaryDirectory() as home:
        # Without the path, Triton's stub would load another Python's library than its modules'.
        extra = {
            "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR"),
            "PYTRITON_HOME": home,
            "PYTHONPATH": str(MODELS),
        }
        port = _free_port()
        with _running(
            [python, HERE / "triton_server.py", port],
            extra,
            f"http://127.0.0.1:{port}/v2/models/mnist/ready",
        ) as url:
            yield url


@contextlib.contextmanager
def mlserver():
    """MLServer with the models of ``toy_model``; gives its URL."""
    python = environments.python_of("mlserver", environments.MLSERVER)
    _need(python)
    with tempfile.TemporaryDirectory() as folder:
        ports = [_free_port() for _ in range(3)]
        names = ("http_port", "grpc_port", "metrics_port")
        settings = {
            "host": "127.0.0.1",
            "parallel_workers": 0,
            **dict(zip(names, ports, strict=True)),
        }
        Path(folder, "settings.json").write_text(json.dumps(settings))
        models = (("digits", [1, 4, 4], 5), ("merged", [1, 4, 4], 5), ("mnist", [1, 28, 28], 10))
        for name, shape, n_classes in models:
            merging = {"max_batch_size": 8, "max_batch_time": 0.02} if name == "merged" else {}
            model = {
                **merging,
                "name": name,
                "implementation": "mlserver_runtime.ToyRuntime",
                "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, *shape]}],
                "outputs": [
                    {"name": "probabilities", "datatype": "FP32", "shape": [-1, n_classes]}
                ],
            }
            Path(folder, name).mkdir()
            Path(folder, name, "model-settings.json").write_text(json.dumps(model))
        extra = {"PYTHONPATH": f"{HERE}{os.pathsep}{MODELS}"}
        command = [python.with_name("mlserver"), "start", folder]
        with _running(command, extra, f"http://127.0.0.1:{ports[0]}/v2/models/mnist/ready") as url:
            yield url


@contextlib.contextmanager
def mlflow():
    """MLflow's scoring server with the small model of ``toy_model``; gives its URL."""
    python = environments.python_of("mlflow", environments.MLFLOW)
    _need(python)
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        extra = {"PYTHONPATH": str(MODELS), "MLFLOW_TRACKING_URI": folder}
        with _running(
            [python, HERE / "mlflow_server.py", port, folder],
            extra,
            f"http://127.0.0.1:{port}/ping",
        ) as url:
            yield url


@contextlib.contextmanager
def kserve():
    """KServe's model server with the small model of ``toy_model``; gives its URL."""
    python = environments.python_of("kserve", environments.KSERVE)
    _need(python)
    port = _free_port()
    with _running(
        [python, HERE / "kserve_server.py", port],
        {"PYTHONPATH": str(MODELS)},
        f"http://127.0.0.1:{port}/v1/models/digits",
    ) as url:
        yield url


@contextlib.contextmanager
def torchserve():
    """TorchServe with ``toy_model``, without the launcher, which does not stop it; its URL."""
    python = environments.python_of("torchserve", environments.TORCHSERVE)
    _need(python)
    if not shutil.which("java"):
        pytest.skip("TorchServe needs Java")
    (home,) = python.parents[1].glob("lib/python3*/site-packages")
    with tempfile.TemporaryDirectory() as folder:
        # Its worker asks torch only whether an answer is a tensor, which needs no two gigabytes.
        Path(folder, "torch.py").write_text("class Tensor: pass\n")
        archive = [
            python.with_name("torch-model-archiver"),
            "--model-name",
            "digits",
            "--version",
            "1.0",
            "--export-path",
            folder,
        ]
        archive += [
            "--handler",
            HERE / "torchserve_handler.py",
            "--extra-files",
            MODELS / "toy_model.py",
        ]
        subprocess.run(list(map(str, archive)), check=True, capture_output=True)
        ports = [_free_port() for _ in range(5)]
        settings = [
            f"{name}_address=http://127.0.0.1:{port}"
            for name, port in zip(("inference", "management", "metrics"), ports, strict=False)
        ]
        for name, port in zip(("inference", "management"), ports[3:], strict=True):
            settings += [f"grpc_{name}_address=127.0.0.1", f"grpc_{name}_port={port}"]
        Path(folder, "config").write_text(
            "\n".join(
                [*settings, "default_workers_per_model=1", "disable_token_authorization=true"]
            )
        )
        command = [
            "java",
            f"-Dmodel_server_home={home}",
            "-cp",
            f".:{home}/ts/frontend/*",
            "org.pytorch.serve.ModelServer",
        ]
        command += [
            "--python",
            python,
            "-f",
            f"{folder}/config",
            "-s",
            folder,
            "-ncs",
            "-m",
            "digits=digits.mar",
        ]
        extra = {
            "PYTHONPATH": folder,
            "LOG_LOCATION": folder,
            "METRICS_LOCATION": folder,
            "TEMP": folder,
        }
        with _running(command, extra, f"http://127.0.0.1:{ports[0]}/ping") as url:
            yield url


@contextlib.contextmanager
def bentoml():
    """A BentoML service with the small model of ``toy_model``; gives its URL."""
    python = environments.python_of("bentoml", environments.BENTOML)
    _need(python)
    port = _free_port()
    command = [python, "-m", "bentoml", "serve", "bentoml_server:Digits"]
    with tempfile.TemporaryDirectory() as home:
        extra = {
            "PYTHONPATH": f"{HERE}{os.pathsep}{MODELS}",
            "BENTOML_HOME": home,
            "BENTOML_DO_NOT_TRACK": "True",
        }
        where = ["--host", "127.0.0.1", "--port", port]
        with _running([*command, *where], extra, f"http://127.0.0.1:{port}/readyz") as url:
            yield url


@contextlib.contextmanager
def litserve(max_batch_size=1, *more):
    """LitServe with the small model of ``toy_model``, perhaps merging requests; gives its URL."""
    python = environments.python_of("litserve", environments.LITSERVE)
    _need(python)
    port = _free_port()
    command = [python, HERE / "litserve_server.py", port, max_batch_size, *more]
    with _running(command, {"PYTHONPATH": str(MODELS)}, f"http://127.0.0.1:{port}/health") as url:
        yield url


@contextlib.contextmanager
def ray_serve():
    """Ray Serve with two deployments of the small model of ``toy_model``; gives its URL."""
    python = environments.python_of("ray_serve", environments.RAY_SERVE)
    _need(python)
    port = _free_port()
    command = [python, HERE / "ray_serve_server.py", port]
    extra = {"PYTHONPATH": str(MODELS), "RAY_USAGE_STATS_ENABLED": "0"}
    with _running(command, extra, f"http://127.0.0.1:{port}/digits") as url:
        yield url


@contextlib.contextmanager
def gradio():
    """A Gradio page with the small model of ``toy_model``; gives its URL."""
    python = environments.python_of("gradio", environments.GRADIO)
    _need(python)
    port = _free_port()
    command = [python, HERE / "gradio_server.py", port]
    extra = {"PYTHONPATH": str(MODELS), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    with _running(command, extra, f"http://127.0.0.1:{port}/gradio_api/info") as url:
        yield url


@contextlib.contextmanager
def service():
    """The FastAPI service of the tests; gives its URL."""
    port = _free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "http_service:app",
        "--app-dir",
        MODELS,
        "--port",
        port,
        "--log-level",
        "warning",
    ]
    with _running(command, {}, f"http://127.0.0.1:{port}/v2") as url:
        yield url


@contextlib.contextmanager
def described():
    """The FastAPI services that a description fits; gives their URL."""
    port = _free_port()
    where = ["--app-dir", MODELS, "--port", port, "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "fastapi_service:app", *where]
    with _running(command, {}, f"http://127.0.0.1:{port}/openapi.json") as url:
        yield url


@contextlib.contextmanager
def nginx():
    """Nginx in front of the FastAPI service, plain and with TLS."""
    binary = environments.nginx_binary()
    if not binary.exists() or not shutil.which("openssl"):
        pytest.skip("nginx and openssl are needed: python tests/peers/environments.py")
    with service() as behind, tempfile.TemporaryDirectory() as folder:
        ports = {name: _free_port() for name in ("PLAIN", "TLS", "EXPIRED", "CLOSED")}
        _certify(folder)
        config = (
            (HERE / "nginx.conf").read_text().replace("@BEHIND@", behind.removeprefix("http://"))
        )
        for name, port in ports.items():
            config = config.replace(f"@{name}@", str(port))
        Path(folder, "nginx.conf").write_text(config)
        with _running(
            [binary, "-p", folder, "-c", "nginx.conf", "-e", "error.log"],
            {},
            f"http://127.0.0.1:{ports['PLAIN']}/v2",
        ) as url:
            tls, expired = (f"https://127.0.0.1:{ports[name]}" for name in ("TLS", "EXPIRED"))
            yield Front(
                url,
                tls,
                str(Path(folder, "cert.pem")),
                str(Path(folder, "key.pem")),
                expired,
                str(Path(folder, "expired.pem")),
            )


def _certify(folder):
    """A certificate for this address, and one that ran out in 2021."""
    request = [
        *[
            "openssl",
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "key.pem",
        ],
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    Path(folder, "index.txt").touch()
    Path(folder, "ca.conf").write_text(
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
        "unique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n"
    )
    sign = [
        "openssl",
        "ca",
        "-batch",
        "-config",
        "ca.conf",
        "-selfsign",
        "-keyfile",
        "key.pem",
        "-in",
        "request.pem",
        "-notext",
    ]
    for command in (
        [*request, "-out", "request.pem"],
        [*sign, "-out", "cert.pem", "-days", "2"],
        [
            *sign,
            "-out",
            "expired.pem",
            "-startdate",
            "20200101000000Z",
            "-enddate",
            "20210101000000Z",
        ],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


@contextlib.contextmanager
def _running(command, extra, ready_url, seconds=120):
    """A process that answers at ``ready_url``; gives its origin."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            list(map(str, command)),
            env={**os.environ, **extra},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
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
            with contextlib.suppress(ProcessLookupError):  # LitServe's workers outlive it
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for(url, process, log, end):
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    log.seek(0)
    raise RuntimeError(
        f"no answer at {url}: exit code {process.poll()}\n"
        f"{log.read()[-3000:].decode(errors='replace')}"
    )


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _need(python):
    if not environments.is_built(python):
        pytest.skip(f"there is no {python}: build it with python tests/peers/environments.py")
