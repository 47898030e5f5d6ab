"""Shards on a real Ray cluster: equal to one process, whatever dies."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import environments
import numpy as np
import pytest

from blackbox_boundary import Distances, measure
from blackbox_boundary.ledger import summarise, verify

HERE = Path(__file__).parent
MODELS = HERE.parent / "measuring"
sys.path.insert(0, str(MODELS))
import worker_model  # noqa: E402

X = np.random.default_rng(0).normal(size=(48, 3))
N_SHARDS = 8


@pytest.fixture
def python():
    """The interpreter that has Ray."""
    found = environments.python_of("ray_cluster", environments.RAY_CLUSTER)
    if not environments.is_built(found):
        pytest.skip(f"{found} is not built: python tests/peers/environments.py")
    return found


def environment(folder, **more):
    """Of the cluster and its workers."""
    own = {"SERVER": folder / "server", "PYTHONPATH": MODELS, "OMP_NUM_THREADS": "1", **more}
    return {**os.environ, **{name: str(value) for name, value in own.items()}}


def sent_by(shard):
    """What a plain measurement of a shard sends, by the server's count."""
    measure(worker_model.watched(), X, shard=(shard, N_SHARDS), estimator="ray")
    server = Path(os.environ["SERVER"])
    received = worker_model.received(server)
    server.unlink()
    return received


@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_and_driver_are_killed(python, tmp_path, monkeypatch, seed):
    """Two nodes of four, and the driver once: equal results, only rows in flight repeat."""
    command = [python, HERE / "ray_cluster_nodes.py", tmp_path, str(seed), str(N_SHARDS)]
    done = subprocess.run(
        command,
        env=environment(tmp_path, SLEEP="0.1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("killed the node") == 2
    assert done.stdout.count("killed the driver") == 1
    received = worker_model.received(tmp_path / "server")
    monkeypatch.setenv("SERVER", str(tmp_path / "plain"))
    plain = measure(worker_model.watched(), X, n_shards=N_SHARDS, estimator="ray")
    (tmp_path / "plain").unlink()
    found = Distances.load(tmp_path / "found.npz")
    for field in dataclasses.fields(Distances):
        if field.name != "run":
            np.testing.assert_array_equal(
                getattr(found, field.name), getattr(plain, field.name), err_msg=field.name
            )
    n_lost = 0
    for shard in range(1, N_SHARDS + 1):
        ledger = verify(tmp_path / "run" / "shards" / str(shard) / "ledger.db")
        expected = sent_by(shard)
        assert set(expected) <= set(received)
        assert ledger.n_answered == len(expected)
        n_lost += ledger.n_lost
    n_repeated = sum(received.values()) - len(received)
    print(
        f"{done.stdout}{len(received)} inputs, {n_repeated} repeated, {n_lost} in flight at kills"
    )
    assert n_repeated <= n_lost
    assert summarise(tmp_path / "all.db").n_answered == len(received)


UNREACHABLE = """
import sys
from blackbox_boundary import InvalidInput
from blackbox_boundary.adapters.ray_cluster import measure_on_cluster
try:
    measure_on_cluster(
        "worker_model:watched", [[0.5, 0.5, 0.5]], folder=sys.argv[1], address="127.0.0.1:1"
    )
except InvalidInput as error:
    print(error)
"""


def test_a_cluster_that_does_not_answer(python, tmp_path):
    """One message; no folder is left, and nothing was sent."""
    command = [python, "-c", UNREACHABLE, tmp_path / "run"]
    done = subprocess.run(
        command, env=environment(tmp_path), timeout=120, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith('No Ray cluster answers at "127.0.0.1:1": ')
    assert done.stdout.endswith("Nothing was sent.\n")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "server").exists()


def test_the_command_line_on_a_cluster_of_its_own(python, tmp_path):
    """An actor is killed in mid-shard: the table is that of one process byte for byte."""
    np.save(tmp_path / "x.npy", X)
    kill = tmp_path / "kill"
    kill.touch()
    common = ["measure", "worker_model:watched", tmp_path / "x.npy", "--estimator", "ray"]
    common += ["--no-report", "--shards", "8", "--output"]
    outcomes = []
    for name, typed in (("one", []), ("all", ["--workers", "2", "--cluster"])):
        more = ["--ledger", tmp_path / f"{name}.db", *typed]
        command = [python.with_name("blackbox-boundary"), *common, tmp_path / name, *more]
        env = environment(tmp_path, **({"KILL": kill, "AFTER": 9} if typed else {}))
        outcomes.append(
            subprocess.run(
                command, env=env, timeout=300, capture_output=True, text=True, check=False
            )
        )
    assert [done.returncode for done in outcomes] == [0, 0], outcomes[-1].stderr
    assert not kill.exists()
    assert "1 worker was killed and replaced" in outcomes[-1].stderr
    tables = [(tmp_path / name / "results.csv").read_bytes() for name in ("one", "all")]
    assert tables[0] == tables[1]
    assert verify(tmp_path / "all.db").n_lost > 0
