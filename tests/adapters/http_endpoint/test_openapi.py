"""Descriptions from OpenAPI documents: probe, load what it prints, and ask."""

import json
import tomllib

import numpy as np
import pytest

pytest.importorskip("fastapi")

import people
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.openapi import operations
from conftest import HERE, free_port, running
from hypothesis import given
from hypothesis import strategies as st
from people import LABELS, X

P = people.probabilities(X)


@pytest.fixture(scope="module")
def services():
    """FastAPI services under uvicorn."""
    port = free_port()
    where = ["--app-dir", str(HERE), "--host", "127.0.0.1", "--port", str(port)]
    command = ["-m", "uvicorn", "fastapi_service:app", *where, "--log-level", "warning"]
    with running(port, *command) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("fields/predict", {}),
        ("fields", {}),
        ("rows/v1/score", {"access": "probabilities", "input_shape": [4], "labels": LABELS}),
        ("single/classify", {"access": "probabilities", "n_classes": 3}),
        ("records/predict", {}),
        ("judged/judge", {"access": "probabilities", "labels": LABELS}),
        ("listed/judge", {"access": "probabilities", "labels": LABELS}),
        ("several/a", {"access": "probabilities", "input_shape": [4], "n_classes": 3}),
        (
            "several/b",
            {"access": "probabilities", "n_classes": 3, "answer": {"scores": "out"}},
        ),
    ],
)
def test_what_probe_prints_is_enough(services, path, told, tmp_path):
    """With the access and the number of classes added, the model's answers come back."""
    finding = probe(f"{services}/{path}")
    assert finding.dialect == "described"
    (tmp_path / "e.toml").write_text(finding.toml)
    with load(str(tmp_path / "e.toml"), request=_exact(finding), **told) as endpoint:
        assert endpoint.input_shape == (4,)
        answer = endpoint.predict(X)
        assert endpoint.counters.queries <= len(X) + 2  # two rows found out that one is taken
    assert (answer.label == P.argmax(axis=-1)).all()
    if answer.scores is not None:
        assert np.allclose(answer.scores, P, rtol=0, atol=1e-12)
    else:
        assert np.allclose(answer.top1, P.max(axis=-1), rtol=0, atol=1e-12)


def _exact(finding):
    return {**tomllib.loads(finding.toml)["request"], "dtype": "float64"}


def test_the_printed_file_names_what_is_missing(services):
    """As comments to fill in; labels that the document lists are there."""
    printed = probe(f"{services}/fields").toml
    told = tomllib.loads(printed)
    assert told["labels"] == LABELS
    assert told["access"] == "top1"
    assert told["request"]["columns"][0] == "sepal_length"
    assert '"model": "v2"' in told["request"]["body"]
    printed = probe(f"{services}/several/b").toml
    assert "# access" in printed
    assert "# scores" in printed


def test_a_map_of_scores_goes_before_the_label_beside_it(services):
    """Scores are not thrown away for a label; names that the schema lists are written down."""
    told = tomllib.loads(probe(f"{services}/listed").toml)
    assert told["answer"] == {"ranked": "scores"}
    assert told["labels"] == ["versicolor", "setosa", "virginica"]
    assert "access" not in told
    printed = probe(f"{services}/judged").toml
    assert tomllib.loads(printed)["answer"] == {"ranked": "probabilities"}
    assert "# labels = " in printed
    assert "# n_classes" not in printed


def test_of_several_routes_one_must_be_named(services):
    """Those that take numbers are listed."""
    says = probe(f"{services}/several").says
    assert "/a, /b" in says
    assert "/text" not in says


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["array", "number", "#/x", "object"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "$ref", "items", "properties", "a", "anyOf", "required", "enum", "default"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_schema_breaks_the_reader(schema):
    """Whatever a document holds, it is read or passed over; references may lead in circles."""
    content = {"application/json": {"schema": schema}}
    post = {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}
    document = {"paths": {"/p": {"post": post}}, "x": {"$ref": "#/x"}}
    for found in operations(document):
        json.dumps([found.request, found.answer, found.labels])
