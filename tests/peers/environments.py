"""Environments of real servers, built once and kept: ``python tests/peers/environments.py``.

They lie in the folder that ``BLACKBOX_BOUNDARY_PEERS`` names, else in the user's cache.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TRITON = ("nvidia-pytriton==0.7.0", "numpy==1.26.4", "setuptools<81")
MLFLOW = ("mlflow-skinny==3.17.2", "numpy<3", "pandas<3")
KSERVE = ("kserve==0.21.0", "numpy<3")
TORCHSERVE = (
    "torchserve==0.12.0",
    "torch-model-archiver==0.12.0",
    "pyyaml<7",
    "numpy<3",
    "pillow<14",
)
MLSERVER = ("mlserver==1.7.1", "uvloop==0.21.0", "numpy<3")
BENTOML = ("bentoml==1.4.40", "numpy<3")
LITSERVE = ("litserve==0.2.19", "numpy<3")
RAY_SERVE = ("ray[serve]==2.60.0", "numpy<3")
RAY_CLUSTER = ("ray==2.60.0", "numpy<3", "-e", str(Path(__file__).parents[2]))
GRADIO = ("gradio==6.31.0", "numpy<3")


def cache_folder():
    """Where environments are kept."""
    told = os.environ.get("BLACKBOX_BOUNDARY_PEERS")
    return (
        Path(told)
        if told
        else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        / "blackbox-boundary"
        / "peers"
    )


def python_of(name, requirements):
    """The interpreter of an environment that holds the requirements, whether it is built or not."""
    mark = hashlib.sha256(repr((requirements, sys.version)).encode()).hexdigest()[:8]
    return cache_folder() / f"{name}-{mark}" / "bin" / "python"


def nginx_binary():
    """Debian's nginx, unpacked and not installed; or the system's own."""
    installed = shutil.which("nginx")
    return Path(installed) if installed else cache_folder() / "nginx" / "usr" / "sbin" / "nginx"


def build(name, requirements):
    """Make an environment; an unfinished one is made again."""
    python = python_of(name, requirements)
    if (python.parents[1] / "complete").exists():
        return
    shutil.rmtree(python.parents[1], ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    subprocess.run(
        [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *requirements,
        ],
        check=True,
    )
    (python.parents[1] / "complete").touch()


def unpack_nginx():
    """Debian's package, unpacked into the cache."""
    if nginx_binary().exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "nginx"], cwd=folder, check=True)
        (package,) = Path(folder).glob("nginx_*.deb")
        subprocess.run(["dpkg", "-x", str(package), str(cache_folder() / "nginx")], check=True)


def is_built(python):
    """Whether an environment was finished."""
    return (python.parents[1] / "complete").exists()


if __name__ == "__main__":
    cache_folder().mkdir(parents=True, exist_ok=True)
    for name, requirements in (
        *(("triton", TRITON), ("mlserver", MLSERVER), ("mlflow", MLFLOW), ("kserve", KSERVE)),
        *(("bentoml", BENTOML), ("litserve", LITSERVE)),
        *(("ray_serve", RAY_SERVE), ("ray_cluster", RAY_CLUSTER), ("gradio", GRADIO)),
        *([("torchserve", TORCHSERVE)] if shutil.which("java") else []),
    ):
        build(name, requirements)
        print(python_of(name, requirements))
    unpack_nginx()
    print(nginx_binary())
