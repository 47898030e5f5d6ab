"""The pages about servers: each starts, probe prints what the page shows, distances are right."""

import os
import re
import subprocess
import sysconfig
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import environments
import numpy as np
import pytest
import servers
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import measure

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
RAY = (
    "import sys, threading; from ray import serve; import ray, ray_loans; "
    "ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False); "
    "serve.start(http_options={'host': '127.0.0.1', 'port': int(sys.argv[1])}); "
    "serve.run(ray_loans.loans, route_prefix='/loans'); threading.Event().wait()"
)
MLSERVER = "from mlserver.cli import main; main()"
MLFLOW = "-m mlflow models serve --model-uri loans --env-manager local --host 127.0.0.1 --port"


class Start(NamedTuple):
    """How a section's service starts: its page, what precedes the port, the path that answers."""

    page: str
    command: list[str]
    ready: str
    before: tuple[str, ...] = ()
    takes_port: bool = True


PYTHON, PROTOCOL = "audit-a-python-server", "audit-a-model-server"
START = {
    "BentoML": Start(PYTHON, ["-m", "bentoml", "serve", "bento_loans:Loans", "--port"], "readyz"),
    "LitServe": Start(PYTHON, ["lit_loans.py"], "health"),
    "Ray Serve": Start(PYTHON, ["-c", RAY], "-/healthz"),
    "Gradio": Start(PYTHON, ["gradio_loans.py"], "gradio_api/info", takes_port=False),
    "MLServer": Start(
        PROTOCOL, ["-c", MLSERVER, "start", "."], "v2/models/loans/ready", takes_port=False
    ),
    "Triton": Start(PROTOCOL, ["triton_loans.py"], "v2/models/loans/ready"),
    "MLflow": Start(PROTOCOL, MLFLOW.split(), "ping", ("mlflow_loans.py",)),
}


def settings(python, port, folder, home):
    """What the servers take from the environment: paths, ports, folders, no usage statistics."""
    return {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_PORT": str(port),
        "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR") or "",
        "MLFLOW_TRACKING_URI": str(folder),
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(servers._free_port()),
        "MLSERVER_METRICS_PORT": str(servers._free_port()),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "PYTRITON_HOME": str(home),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture
def short():
    """A folder with a short name: Triton's sockets in it have paths of at most 107 characters."""
    with tempfile.TemporaryDirectory() as home:
        yield home


@pytest.mark.parametrize("name", START)
def test_a_section_holds(name, tmp_path, short, monkeypatch):
    """Its service, its description, and the closed form of its model."""
    start, environment = START[name], name.lower().replace(" ", "_")
    python = environments.python_of(environment, getattr(environments, environment.upper()))
    servers._need(python)
    text = (PAGES / f"{start.page}.md").read_text(encoding="utf-8")
    part = re.split(r"^## ", text.partition(f"\n## {name}\n")[2], flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    for _, file, code in blocks:
        if file:
            (tmp_path / file).write_text(code)
    monkeypatch.chdir(tmp_path)
    port = servers._free_port()
    extra, url = settings(python, port, tmp_path, short), f"http://127.0.0.1:{port}"
    if start.before:
        subprocess.run(
            [python, *start.before], env={**os.environ, **extra}, check=True, capture_output=True
        )
    command = [python, *start.command, *([port] if start.takes_port else [])]
    (asked,) = re.findall(r"probe http://localhost:\d+(\S*)", part)
    described = re.sub(r"http://localhost:\d+", url, blocks[-1][2])
    with servers._running(command, extra, f"{url}/{start.ready}"):
        told, printed = tomllib.loads(described), tomllib.loads(probe(url + asked).toml)
        if "preset" not in told or "preset" in printed:
            printed = {key: value for key, value in printed.items() if value != {}}
            assert {key: told.get(key) for key in printed} == printed
        (tmp_path / "loans.toml").write_text(described)
        x = np.random.default_rng(0).normal(size=(3, 2))
        with load("loans.toml") as endpoint:
            distances = measure(endpoint, x, estimator="tangent")
    assert np.allclose(distances.l2, abs(x @ [1, -2]) / np.sqrt(5), rtol=1e-3)
