"""The pages about endpoints: their configurations are accepted, their code runs."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.configuration import Configuration
from blackbox_boundary.adapters.http_endpoint.opening import DIALECTS
from blackbox_boundary.adapters.http_endpoint.transport_settings import TransportSettings
from conftest import free_port, running

DOCS = Path(__file__).parents[3] / "docs"
HOW_TO = (DOCS / "how-to" / "audit-an-http-endpoint.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "http-endpoint.md").read_text(encoding="utf-8")


def blocks(text, language):
    """The code of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


OTHERS = (
    "audit-your-own-service",
    "audit-a-cloud-endpoint",
    "audit-a-model-server",
    "audit-a-python-server",
    "audit-a-fastapi-service",
)
TEXTS = [HOW_TO, *((DOCS / "how-to" / f"{name}.md").read_text(encoding="utf-8") for name in OTHERS)]


@pytest.mark.parametrize("text", [text for page in TEXTS for text in blocks(page, "toml")])
def test_configurations_are_accepted(text, tmp_path):
    """All are read; those that need no metadata are set up, too."""
    told = Configuration.of(tomllib.loads(text))
    if told.answer and "/models/" not in told.url:
        (tmp_path / "endpoint.toml").write_text(text)
        load(tmp_path / "endpoint.toml", allow=["aws", "command"]).close()


def test_the_fastapi_page_runs(tmp_path, monkeypatch, capsys):
    """Its service starts, probe prints the page's description, and the code measures through it."""
    pytest.importorskip("fastapi")
    page, port = TEXTS[-1], free_port()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "service.py").write_text(blocks(page, "python file=service.py")[0])
    where = ["--app-dir", str(tmp_path), "--port", str(port), "--log-level", "warning"]
    with running(port, "-m", "uvicorn", "service:app", *where) as url:
        printed = probe(f"{url}/predict").toml
        (expected,) = blocks(page, "toml")
        assert printed.replace(url, "http://localhost:8000") == expected
        (tmp_path / "loans.toml").write_text(printed)
        (code,) = blocks(page, "python")
        names = {}
        exec(code, names)
    x, distances = names["x"], names["distances"]
    plane = abs(x @ [1, -2]) / np.sqrt(5)
    assert distances.has_flip.all()
    assert (distances.l2 >= plane * (1 - 1e-6)).all()
    assert (distances.l2 <= plane * 1.2).all()


def test_the_code_runs(service_url, tmp_path, monkeypatch):
    """Block after block, on a server that is there."""
    monkeypatch.chdir(tmp_path)
    Path("mnist.toml").write_text(probe(f"{service_url}/v2/models/digits").toml)
    x = np.random.default_rng(0).random((10, *model.SHAPE), dtype=np.float32)
    names = {"x": x, "allowance": SimpleNamespace(charge=lambda n: None)}
    for code in blocks(HOW_TO, "python"):
        exec(code, names)
    assert names["seen"].is_repeatable


@pytest.mark.parametrize(
    "name", [*Configuration.__dataclass_fields__, *TransportSettings.names(), *DIALECTS]
)
def test_every_setting_is_in_the_reference(name):
    """Nothing is hidden."""
    assert f"`{name}`" in REFERENCE or f"[{name}]" in REFERENCE
