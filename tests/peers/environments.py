"""Python environments for real model servers, built once and kept.

They lie in the folder that ``BLACKBOX_BOUNDARY_PEERS`` names, else in the user's cache. An environment that cannot be built skips
the tests that need it, with the reason.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

TRITON = ("nvidia-pytriton==0.7.0", "numpy==1.26.4", "setuptools<81")
MLSERVER = ("mlserver==1.7.1", "uvloop==0.21.0", "numpy<3")


def cache_folder():
    """Where environments are kept."""
    told = os.environ.get("BLACKBOX_BOUNDARY_PEERS")
    folder = Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "blackbox-boundary" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def python_with(name, requirements):
    """The interpreter of an environment that holds the requirements, built if need be."""
    mark = hashlib.sha256(repr((requirements, sys.version)).encode()).hexdigest()[:8]
    folder = cache_folder() / f"{name}-{mark}"
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run("venv", [sys.executable, "-m", "venv", str(folder)])
            _run("pip", [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
            (folder / "complete").touch()
    return folder / "bin/python"


def library_path():
    """Environment for pytriton's stub, which links to the shared library of the Python that runs it."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        pytest.skip("pytriton needs a Python that is built as a shared library")
    return {**os.environ, "LD_LIBRARY_PATH": sysconfig.get_config_var("LIBDIR")}


def _run(what, command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        pytest.skip(f"{what} failed: {done.stderr.strip().splitlines()[-1:] or done.returncode}")


if __name__ == "__main__":
    for name, requirements in (("triton", TRITON), ("mlserver", MLSERVER)):
        print(python_with(name, requirements))
