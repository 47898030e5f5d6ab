"""The cluster engine with a stand-in for Ray in this process; tests/peers has the real one."""

import pickle
import sys
import types
from concurrent.futures import Future

import numpy as np
import pytest
from blackbox_boundary.adapters.ray_cluster import measure_on_cluster

from blackbox_boundary import measure
from blackbox_boundary.testing import Ball, Reference

X = np.random.default_rng(0).normal(size=(12, 3))
MODEL = Reference(Ball(np.zeros(3), 1.0), access="logits")


class ActorDied(Exception):
    """What Ray raises for an actor that is gone."""


class Handle:
    """An actor of this process: a call is answered at once."""

    def __init__(self, actor, cluster):
        self._actor, self._cluster = actor, cluster

    def __getattr__(self, name):
        return types.SimpleNamespace(remote=lambda *given: self._call(name, given))

    def _call(self, name, given):
        answer = Future()
        if name == "measure" and self._cluster.deaths:
            self._cluster.deaths -= 1
            answer.set_exception(ActorDied())
        else:
            answer.set_result(getattr(self._actor, name)(*given))
        return types.SimpleNamespace(future=lambda: answer)


class StandIn(types.ModuleType):
    """What the engine uses of Ray."""

    def __init__(self, nodes, deaths=0):
        super().__init__("ray")
        kinds = ("RayActorError", "NodeDiedError", "OutOfMemoryError", "WorkerCrashedError")
        self.exceptions = types.SimpleNamespace(**dict.fromkeys(kinds, ActorDied))
        self._nodes, self.deaths, self.asked, self.n_actors = nodes, deaths, [], 0

    def is_initialized(self):
        """The caller has connected."""
        return True

    def nodes(self):
        """As they were given."""
        return [{"Alive": alive, "Resources": has} for alive, has in self._nodes]

    def put(self, work):
        """What an actor gets: another object of the same content."""
        return pickle.dumps(work)

    def remote(self, kind):
        """The kind of actor, and what each is to occupy."""

        def started(packed):
            self.n_actors += 1
            return Handle(kind(pickle.loads(packed)), self)

        def options(**asked):
            self.asked.append(asked)
            return types.SimpleNamespace(remote=started)

        return types.SimpleNamespace(options=options)

    def kill(self, handle):
        """There is nothing to end."""


TWO_CARDS = [(True, {"CPU": 8, "GPU": 1}), (True, {"CPU": 8, "GPU": 1}), (False, {"GPU": 8})]


@pytest.mark.parametrize("results", ["tables", "parquet"])
def test_each_actor_occupies_its_share_of_a_card(tmp_path, monkeypatch, results):
    """As many actors as the living nodes have room for; the results are those of one process."""
    if results == "parquet":
        pytest.importorskip("pyarrow")
    cluster = StandIn(TWO_CARDS)
    monkeypatch.setitem(sys.modules, "ray", cluster)
    found = measure_on_cluster(
        MODEL, X, folder=tmp_path, num_gpus=0.5, num_cpus=2, n_shards=6, results=results
    )
    np.testing.assert_array_equal(found.l2, measure(MODEL, X, n_shards=6).l2)
    (asked,) = cluster.asked
    assert (asked["num_gpus"], asked["num_cpus"]) == (0.5, 2)
    assert (asked["max_restarts"], asked["max_task_retries"]) == (0, 0)
    assert asked["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == "2"
    assert cluster.n_actors == found.run["workers"]["number"] == 4


def test_without_room_one_actor_waits(tmp_path, monkeypatch, caplog):
    """Said, since it may wait for long."""
    monkeypatch.setitem(sys.modules, "ray", StandIn([(True, {"CPU": 8})]))
    found = measure_on_cluster(MODEL, X, folder=tmp_path, num_gpus=1, n_shards=2)
    assert found.run["workers"]["number"] == 1
    assert "No node of the cluster has 1 CPUs and 1 GPUs now" in caplog.text


def test_an_actor_that_dies_is_replaced(tmp_path, monkeypatch):
    """Its shard is measured by another one."""
    cluster = StandIn([(True, {"CPU": 1})], deaths=2)
    monkeypatch.setitem(sys.modules, "ray", cluster)
    found = measure_on_cluster(MODEL, X, folder=tmp_path, n_shards=3)
    np.testing.assert_array_equal(found.l2, measure(MODEL, X, n_shards=3).l2)
    assert (found.run["workers"]["killed"], cluster.n_actors) == (2, 3)
