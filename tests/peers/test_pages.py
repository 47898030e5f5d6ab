"""The page about Python servers: each service starts, probe prints what the page shows, and it is measured right."""

import re
import tomllib
from pathlib import Path

import environments
import numpy as np
import pytest
import servers
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import measure

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "audit-a-python-server.md"
RAY = (
    "import sys, threading; from ray import serve; import ray, ray_loans; "
    "ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False); "
    "serve.start(http_options={'host': '127.0.0.1', 'port': int(sys.argv[1])}); "
    "serve.run(ray_loans.loans, route_prefix='/loans'); threading.Event().wait()"
)
START = {
    "BentoML": ("bentoml", ["-m", "bentoml", "serve", "bento_loans:Loans", "--port"], "readyz"),
    "LitServe": ("litserve", ["lit_loans.py"], "health"),
    "Ray Serve": ("ray_serve", ["-c", RAY], "-/healthz"),
    "Gradio": ("gradio", ["gradio_loans.py"], "gradio_api/info"),
}
"""Environment, command before the port, and what is there once the service is."""


def section(name):
    """The code blocks of a section, by language."""
    text = PAGE.read_text(encoding="utf-8")
    (part,) = (
        each for each in re.split(r"^## ", text, flags=re.MULTILINE) if each.startswith(f"{name}\n")
    )
    return re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", START)
def test_a_section_holds(name, tmp_path, monkeypatch):
    """Its service, its description, and the closed form of its model."""
    (_, file, code), _, (_, _, description) = section(name)
    (tmp_path / file).write_text(code)
    environment, command, ready = START[name]
    python = environments.python_of(environment, getattr(environments, environment.upper()))
    servers._need(python)
    port = servers._free_port()
    extra = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    extra |= {"BENTOML_HOME": str(tmp_path / "bentoml"), "PYTHONPATH": str(tmp_path)}
    extra |= {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"}
    monkeypatch.chdir(tmp_path)
    given = [] if name == "Gradio" else [port]
    url = f"http://127.0.0.1:{port}"
    with servers._running([python, *command, *given], extra, f"{url}/{ready}"):
        (shown,) = re.findall(r'url = "(http://localhost:\d+)', description)
        complete = description.replace(shown, url)
        (asked,) = re.findall(r"probe http://localhost:\d+(\S*)", PAGE.read_text())[
            list(START).index(name) :
        ][:1]
        told, printed = tomllib.loads(complete), tomllib.loads(probe(url + asked).toml)
        if "preset" not in told or "preset" in printed:
            assert {key: told[key] for key in printed if key != "input_shape"} == {
                key: value for key, value in printed.items() if key != "input_shape"
            }
        (tmp_path / "loans.toml").write_text(complete)
        x = np.random.default_rng(0).normal(size=(3, 2))
        with load("loans.toml") as endpoint:
            distances = measure(endpoint, x, estimator="tangent")
    assert np.allclose(distances.l2, abs(x @ [1, -2]) / np.sqrt(5), rtol=1e-3)
