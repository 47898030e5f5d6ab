"""Servers that merge the requests of several clients: known, found, and asked again."""

import json
import threading

import merging_server
import numpy as np
import people
import pytest
import requests
from blackbox_boundary.adapters.http_endpoint import load, probe
from click.testing import CliRunner

from blackbox_boundary import Status, measure
from blackbox_boundary.cli import main


@pytest.fixture(scope="module")
def merging_url():
    """A server that merges."""
    with merging_server.serving() as url:
        yield url


@pytest.fixture(scope="module")
def people_url():
    """Services that do not."""
    with people.serving() as (_, url):
        yield url


class OtherClient:
    """Sends INT64 rows as fast as it can, until it is stopped."""

    def __init__(self, url):
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        tensor = {"name": "x", "datatype": "INT64", "shape": [1, 4], "data": [3, 2, 1, 0]}
        with requests.Session() as session:
            while not self._stop.is_set():
                url = f"{self._url}/v2/models/iris/infer"
                session.post(url, json={"inputs": [tensor]}, timeout=10)

    def __enter__(self):
        self._thread.start()
        return self

    def stop(self):
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def __exit__(self, *_):
        self.stop()


@pytest.mark.filterwarnings("ignore::UserWarning")  # what else mixed answers look like
def test_a_merged_answer_does_not_stay_converged(merging_url):
    """Beside another client, each CONVERGED row flips at the model; other statuses say so."""
    with load(f"{merging_url}/v2/models/iris", transport={"connections": 1}) as endpoint:
        assert endpoint.merges_requests()
        with OtherClient(merging_url) as other:
            asked = type(endpoint).ask_alone

            def quiet(self, x):
                other.stop()
                return asked(self, x)

            endpoint.ask_alone = quiet.__get__(endpoint)
            found = measure(endpoint, people.X, estimator="ray", max_queries=600)
        again = found.run.get("flips_again", {"asked": 0, "disagreed": []})
        assert 0 <= endpoint.counters.checks - again["asked"] <= 1  # the model's own
        sent = endpoint.counters
        assert found.run["n_queries"] == sent.queries - sent.queries_again + sent.checks
    converged = found.status == Status.CONVERGED
    labels = people.probabilities(np.nan_to_num(found.flip_points).astype(np.float32)).argmax(-1)
    assert (labels[converged] == found.flipped[converged]).all()
    disagreed = again["disagreed"]
    assert (labels[disagreed] != found.flipped[disagreed]).all()


def test_a_server_that_lists_one_model_needs_no_name(merging_url):
    """``/models`` names it: probe of the server describes the model."""
    found = probe(merging_url)
    assert found.settings["url"] == f"{merging_url}/v2/models/iris"
    assert found.settings["request"]["input"] == "x"
    assert 'Models: "iris"' in found.says


def test_alone_all_flips_hold(merging_url):
    """Without other clients nothing disagrees."""
    with load(f"{merging_url}/v2/models/iris") as endpoint:
        found = measure(endpoint, people.X)
    assert found.run["flips_again"]["disagreed"] == []
    assert (found.status == Status.CONVERGED).all()


def test_triton_declares_dynamic_batching(service_url):
    """Its model configuration says so; a model without it is left alone."""
    with load(f"{service_url}/v2/models/digits") as endpoint:
        assert not endpoint.merges_requests()
    with load(f"{service_url}/v2/models/batched") as endpoint:
        assert endpoint.merges_requests()


def test_a_description_may_say_it_and_what_is_found_counts(people_url):
    """Given, contradicted, and found by rows that depend on the rows sent with them."""
    told = {
        "access": "probabilities",
        "input_shape": (4,),
        "n_classes": 3,
        "request": {"body": '{"data": $rows}'},
        "answer": {"scores": "scores", "scores_as": "text"},
    }
    with load(f"{people_url}/text", **told) as endpoint:
        assert not endpoint.merges_requests()
        endpoint.note_neighbours(depend=True)
        assert endpoint.merges_requests()
    with load(f"{people_url}/text", merges_requests=True, **told) as endpoint:
        assert endpoint.merges_requests()


def test_the_command_line_announces_counts_and_records_it(people_url, tmp_path):
    """One query a row is announced, also in the dry run; account and ledger count it once."""
    np.save(tmp_path / "x.npy", people.X)
    (tmp_path / "e.toml").write_text(
        f"""
        url = "{people_url}/text"
        access = "probabilities"
        input_shape = [4]
        n_classes = 3
        request = {{ body = '{{"data": $rows}}', dtype = "float64" }}
        answer = {{ scores = "scores", scores_as = "text" }}
        """
    )
    run = ["measure", str(tmp_path / "e.toml"), str(tmp_path / "x.npy"), "--no-progress"]
    dry = CliRunner().invoke(main, [*run, "--ask-flips-again", "--dry-run"])
    assert "up to 9 in as many requests to ask flip points again" in dry.stdout
    assert "again" not in CliRunner().invoke(main, [*run, "--dry-run"]).stdout
    out, ledger = ["--output", str(tmp_path / "out")], ["--ledger", str(tmp_path / "l.db")]
    done = CliRunner().invoke(
        main, [*run, *out, *ledger, "--no-report", "--no-behaviour", "--ask-flips-again"]
    )
    assert done.exit_code == 0, done.stderr
    assert "Each flip point is asked again at the end, alone: one query a row." in done.stderr
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["flips_again"]["asked"] == 9
    account = facts["account"]
    assert account["asked"] == facts["n_queries"]
    assert account["recorded"] == 1  # the probe for neighbours asked the first row, too
    assert (account["sent"], account["again"]) == (account["asked"] - 1, 0)
