"""The how-to's recipes for schedulers run as they are, on simulated Slurm and Kubernetes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary import Distances
from blackbox_boundary.datasets import digits, digits_model

pytest.importorskip("pyarrow")
pytest.importorskip("onnxruntime")

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
PAGE = "measure-a-hundred-million-rows.md"
SHARDS = 3


def recipe(name, page=PAGE):
    """The code of a recipe, with three shards instead of a hundred, and the access of the model."""
    (code,) = re.findall(rf"```\w+ recipe={name}\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)
    code = code.replace("/100", f"/{SHARDS}").replace("1-100", f"1-{SHARDS}")
    return code.replace("N = 100", f"N = {SHARDS}").replace(
        "completions: 100", f"completions: {SHARDS}"
    )


@pytest.fixture
def folder(tmp_path):
    """Ninety digits as a folder of Parquet files, a model, and the command on the path."""
    import pyarrow as pa
    from pyarrow import parquet

    x = digits()[0][:90].reshape(90, -1).astype(np.float32)
    (tmp_path / "data").mkdir()
    for k in range(2):
        table = pa.table({f"p{j}": x[45 * k : 45 * (k + 1), j] for j in range(64)})
        parquet.write_table(table, tmp_path / "data" / f"{k}.parquet")
    shutil.copy(digits_model(), tmp_path / "model.onnx")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "blackbox-boundary"
    code = (
        "import sys; from blackbox_boundary.cli import main; args = sys.argv[1:]; "
        "main(args + ['--access', 'logits', '--bounds', '0,1'] * (args[0] == 'measure'))"
    )
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(code, folder, **environment):
    """Run shell code in the folder."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    known = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        ["bash", "-euc", code], cwd=folder, env=known, capture_output=True, text=True, check=False
    )


def merged(folder):
    """Merge the shards as the page says, and compare them with one run."""
    found = run(recipe("merge"), folder)
    assert found.returncode == 0, found.stderr
    code = (
        f"blackbox-boundary measure model.onnx data --shards {SHARDS} "
        "--results parquet --output one"
    )
    assert run(code, folder).returncode == 0
    whole, one = Distances.load(folder / "whole"), Distances.load(folder / "one")
    assert len(whole) == 90
    np.testing.assert_array_equal(whole.l2, one.l2)
    assert (folder / "whole" / "report.html").exists()


def test_slurm(folder):
    """Each task of the array is a shard; a requeued one goes on."""
    for task in (1, 3, 2, 3):
        found = run(recipe("slurm"), folder, SLURM_ARRAY_TASK_ID=str(task))
        assert found.returncode == 0, found.stderr
    merged(folder)


def test_slurm_with_ledgers(folder):
    """Folders of shards and their ledgers lie side by side, and all of them are merged."""
    np.save(folder / "x.npy", digits()[0][:90])
    page = "measure-in-shards.md"
    for task in range(1, SHARDS + 1):
        found = run(recipe("array", page), folder, SLURM_ARRAY_TASK_ID=str(task))
        assert found.returncode == 0, found.stderr
    found = run(recipe("join", page), folder)
    assert found.returncode == 0, found.stderr
    assert len(Distances.load(folder / "whole" / "results.npz")) == 90


def test_kubernetes(folder):
    """Each index of the job is a shard."""
    text = recipe("kubernetes")
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load(text)["spec"]
    assert (job["completionMode"], job["completions"]) == ("Indexed", SHARDS)
    container = job["template"]["spec"]["containers"][0]
    assert container["command"] == ["sh", "-c"]
    for index in range(SHARDS):
        found = run(container["args"][0], folder, JOB_COMPLETION_INDEX=str(index))
        assert found.returncode == 0, found.stderr
    merged(folder)


_RAY = """
def init():
    pass

def get(results):
    return results

def remote(**options):
    assert options["max_retries"] == 0
    def decorate(function):
        function.remote = function
        return function
    return decorate
"""


def test_ray(folder):
    """Each task is a shard; a module with Ray's three functions stands in for it."""
    (folder / "ray.py").write_text(_RAY)
    (folder / "all.py").write_text(recipe("ray"))
    found = run(f'"{sys.executable}" all.py', folder, PYTHONPATH=str(folder))
    assert found.returncode == 0, found.stderr
    assert found.stdout.endswith("\n{0: 3}\n")
    merged(folder)
