"""Real model servers and a real proxy on loopback, stopped by their process id.

Each needs an environment of its own: ``python tests/peers/environments.py`` builds them once. Where
one is missing, its tests skip.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "http_endpoint"))

import pytest
import servers

collect_ignore = [
    "bentoml_server.py",
    "gradio_server.py",
    "kserve_server.py",
    "litserve_server.py",
    "mlflow_server.py",
    "mlserver_runtime.py",
    "ray_cluster_driver.py",
    "ray_cluster_nodes.py",
    "ray_serve_server.py",
    "torchserve_handler.py",
    "triton_server.py",
]  # they run in the environments of their servers


def pytest_collection_modifyitems(items):
    """All tests of this folder need peers."""
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.peers)


@pytest.fixture(scope="session")
def triton_url():
    """Triton, by pytriton."""
    with servers.triton() as url:
        yield url


@pytest.fixture(scope="session")
def mlserver_url():
    """MLServer."""
    with servers.mlserver() as url:
        yield url


@pytest.fixture(scope="session")
def mlflow_url():
    """MLflow."""
    with servers.mlflow() as url:
        yield url


@pytest.fixture(scope="session")
def kserve_url():
    """KServe."""
    with servers.kserve() as url:
        yield url


@pytest.fixture(scope="session")
def bentoml_url():
    """BentoML."""
    with servers.bentoml() as url:
        yield url


@pytest.fixture(scope="session")
def litserve_url():
    """LitServe, one row a request."""
    with servers.litserve() as url:
        yield url


@pytest.fixture(scope="session")
def merging_litserve_url():
    """LitServe that merges requests."""
    with servers.litserve(8) as url:
        yield url


@pytest.fixture(scope="session")
def ray_serve_url():
    """Ray Serve."""
    with servers.ray_serve() as url:
        yield url


@pytest.fixture(scope="session")
def gradio_url():
    """Gradio."""
    with servers.gradio() as url:
        yield url


@pytest.fixture(scope="session")
def torchserve_url():
    """TorchServe."""
    with servers.torchserve() as url:
        yield url


@pytest.fixture(scope="session")
def nginx():
    """Plain and TLS URLs of nginx in front of a small service, and the file of its certificate."""
    with servers.nginx() as front:
        yield front
