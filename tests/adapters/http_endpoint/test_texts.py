"""Columns of texts go to an endpoint as words."""

import csv
import io
import json
import tomllib
from urllib.parse import parse_qs

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("pandas")

from blackbox_boundary.adapters.http_endpoint import probe
from click.testing import CliRunner
from conftest import HERE, free_port, running
from text_service import JOBS, LABELS, fitted, frame

from blackbox_boundary import (
    CapabilityMissing,
    Column,
    Domain,
    InvalidInput,
    infer_domain,
    load,
    measure,
)
from blackbox_boundary.cli import main
from blackbox_boundary.column_file import domain_text

DOMAIN = infer_domain(frame())


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """What probe prints for the service, in a file."""
    port = free_port()
    where = ["--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port)]
    command = ["-m", "uvicorn", "text_service:app", *where, "--log-level", "warning"]
    with running(port, *command) as url:
        path = tmp_path_factory.mktemp("texts") / "e.toml"
        path.write_text(probe(f"{url}/predict").toml)
        yield path


def test_a_required_text_is_a_column(description):
    """Beside numbers; a text with a default stays a constant."""
    request = tomllib.loads(description.read_text())["request"]
    assert request["columns"] == ["age", "job", "income"]
    assert '"product": "car loan"' in request["body"]


def test_an_endpoint_gives_what_its_pipeline_gives(description):
    """Labels, flips and changed categories, though the table has its columns in another order."""
    x = frame()[["job", "income", "age"]][:2]
    columns = infer_domain(frame()[["income", "age", "job"]])
    with load(description, columns=columns, request=_exact(description)) as endpoint:
        found = measure(endpoint, x, columns=columns, estimator="fewest", max_queries=150)
        assert endpoint.input_names == ("age", "job", "income")
    assert (found.home == fitted().predict(x)).all()
    flipped = frame().iloc[:0].reindex(range(2))
    flipped["age"], flipped["income"] = found.flip_points[:, 0], found.flip_points[:, 2]
    flipped["job"] = np.array(JOBS)[found.flip_points[:, 1].astype(int)]
    assert (fitted().predict(flipped) == found.flipped).all()


def _exact(description):
    return {**tomllib.loads(description.read_text())["request"], "dtype": "float64"}


def test_the_command_line_audits_it(description, tmp_path):
    """With the columns' description; flips.csv names the words."""
    frame()[:1].to_csv(tmp_path / "x.csv", index=False)
    (tmp_path / "columns.toml").write_text(domain_text(DOMAIN))
    options = ["--columns", str(tmp_path / "columns.toml"), "--output", str(tmp_path / "out")]
    quiet = ["--no-progress", "--no-report", "--no-behaviour", "--norm", "l0"]
    limit = ["--max-queries", "150"]
    arguments = ["measure", str(description), str(tmp_path / "x.csv"), *options, *quiet, *limit]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 5, done.output  # the limit ends the search of the row
    flips = list(csv.DictReader(io.StringIO((tmp_path / "out" / "flips.csv").read_text())))
    assert len(flips) == 1
    assert flips[0]["job"] in JOBS


def written(request, rows):
    """The body of a request of three columns."""
    columns = Domain((Column("age"), Column("job", "categorical", values=JOBS), Column("income")))
    settings = {"access": "label", "labels": LABELS, "answer": {"labels": "$"}, "columns": columns}
    settings["input_shape"] = (3,)
    names = {"columns": ["age", "job", "income"]}
    with load("http://127.0.0.1:1/p", request={**names, **request}, **settings) as endpoint:
        sent = endpoint.as_sent(np.asarray(rows, float))
        made = endpoint.dialect.request(sent)
        return made.body.decode(), made.path


def test_words_are_written_as_the_format_demands():
    """JSON, CSV, forms and queries; numbers between two categories go to the nearest one."""
    rows = [[30, 1, 5.5], [31, 2.4, -1]]
    body, _ = written({"body": '{"rows": $records}'}, rows)
    assert [row["job"] for row in json.loads(body)["rows"]] == list(JOBS[1:])
    body, _ = written({"body": '{"data": $rows}'}, rows)
    assert json.loads(body)["data"] == [[30.0, JOBS[1], 5.5], [31.0, JOBS[2], -1.0]]
    body, _ = written({"body": '[$row[income], $row["job"]]'}, rows[1:])
    assert json.loads(body) == [-1.0, JOBS[2]]
    body, _ = written({"format": "csv", "header": True}, rows)
    assert [line["job"] for line in csv.DictReader(io.StringIO(body))] == list(JOBS[1:])
    body, _ = written({"format": "form"}, rows[1:])
    assert parse_qs(body)["job"] == [JOBS[2]]
    _, path = written({"format": "query"}, rows[1:])
    assert parse_qs(path.partition("?")[2])["job"] == [JOBS[2]]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"body": '{"job": "$row[job]"}'}, "without any"),
        ({"columns": None}, "sent by name"),
        ({"columns": ["age", "work", "income"]}, "lacks work"),
        ({"body": '{"b": [$rows]}', "encoding": "base64"}, "json or flat"),
    ],
)
def test_requests_that_cannot_hold_words_are_refused(request_, message):
    """Before anything is sent."""
    with pytest.raises(InvalidInput, match=message):
        written(request_, [[30, 1, 5.5]])


def test_the_words_name_the_model():
    """Two lists of categories are two models: their numbers mean other words."""
    answers = {"access": "label", "labels": LABELS, "answer": {"labels": "$"}}
    settings = {**answers, "request": {"columns": ["job"]}}
    prints = set()
    for jobs in (JOBS, JOBS[::-1]):
        domain = Domain((Column("job", "categorical", values=jobs),))
        with load("http://127.0.0.1:1/p", columns=domain, **settings) as endpoint:
            prints.add(endpoint.fingerprint)
    assert len(prints) == 2


def test_a_protocol_of_numbers_refuses_words():
    """The message names the dialect that takes them."""
    settings = {"access": "label", "labels": LABELS, "input_shape": (1,), "n_classes": 2}
    domain = Domain((Column("job", "categorical", values=JOBS),))
    with pytest.raises(CapabilityMissing, match="described"):
        load("http://127.0.0.1:1/v2/models/m", columns=domain, dialect="oip_v2", **settings)
