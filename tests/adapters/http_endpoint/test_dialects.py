"""TensorFlow Serving, KServe v1, MLflow and TorchServe, and finding out which of them it is."""

import tomllib

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load, probe
from blackbox_boundary.adapters.http_endpoint.probing import Finding
from click.testing import CliRunner

from blackbox_boundary import Access, InvalidInput, PredictorUnavailable
from blackbox_boundary.cli import main

X = np.random.default_rng(0).random((40, *model.SHAPE), dtype=np.float32)
P = model.probabilities_of(X)
SHAPES = {"input_shape": model.SHAPE, "n_classes": model.N_CLASSES}


def test_tf_serving_tells_its_signature(service_url):
    """Metadata gives shape, classes and kind of scores; float32 returns bit for bit."""
    with load(f"{service_url}/tf/v1/models/digits:predict") as endpoint:
        assert endpoint.input_shape == model.SHAPE
        assert endpoint.n_classes == model.N_CLASSES
        assert endpoint.access is Access.PROBABILITIES
        assert endpoint.counters.queries == 0
        assert (endpoint.predict(X).scores == P).all()


def test_kserve_v1_tells_nothing(service_url):
    """What is missing is named; once given, rows are answered."""
    with pytest.raises(InvalidInput, match='"access"'):
        load(f"{service_url}/kserve/v1/models/digits")
    with load(
        f"{service_url}/kserve/v1/models/digits", access="probabilities", **SHAPES
    ) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


def test_mlflow_with_named_tensors(service_url):
    """Names lead in and out."""
    told = {"request": {"input": "image"}, "answer": {"output": "probabilities"}}
    with load(
        f"{service_url}/mlflow/invocations", access="probabilities", **SHAPES, **told
    ) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


def test_mlflow_with_a_table_and_labels_alone(service_url):
    """Flat rows under column names."""
    columns = [f"p{i}" for i in range(16)]
    told = {
        "request": {"format": "dataframe_split", "columns": columns},
        "input_shape": (16,),
        "n_classes": model.N_CLASSES,
    }
    with load(f"{service_url}/mlflow/invocations", access="label", **told) as endpoint:
        assert (endpoint.predict(X.reshape(-1, 16)).label == P.argmax(axis=-1)).all()
    with pytest.raises(InvalidInput, match="columns"):
        load(f"{service_url}/mlflow/invocations", access="label", **{**told, "input_shape": (4, 4)})


def test_torchserve_image_in_best_labels_out(service_url):
    """One PNG a request; of the three best labels the best is kept."""
    told = {"labels": model.LABELS, "bounds": (0, 1), **SHAPES}
    with load(f"{service_url}/torch/predictions/digits", access="top1", **told) as endpoint:
        answer, sent = endpoint.predict(X), endpoint.as_sent(X)
        assert endpoint.max_rows == 1
    expected = model.probabilities_of(sent.astype(np.float32) / np.float32(255))
    assert (answer.label == expected.argmax(axis=-1)).all()
    assert np.allclose(answer.top1, expected.max(axis=-1))
    with load(
        f"{service_url}/torch/predictions/digits?k=5", access="probabilities", **told
    ) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, expected)


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v2/models/digits", "oip_v2"),
        ("", "oip_v2"),
        ("/tf/v1/models/digits:predict", "tf_serving"),
        ("/kserve/v1/models/digits", "kserve_v1"),
        ("/kserve", "kserve_v1"),
        ("/mlflow/invocations", "mlflow"),
        ("/mlflow", "mlflow"),
        ("/torch/predictions/digits", "torchserve"),
        ("/torch", "torchserve"),
        ("/somewhere/else", None),
    ],
)
def test_probe_finds_the_dialect_without_a_query(service_url, path, dialect):
    """From a model's URL or a server's, with GET alone; what it prints is TOML."""
    finding = probe(f"{service_url}{path}")
    assert finding.dialect == dialect
    assert 0 < finding.n_requests < 25
    assert tomllib.loads(finding.toml)["url"].startswith(service_url)


def test_what_probe_prints_can_be_loaded(service_url, tmp_path):
    """For a server with metadata the file is complete; else comments say what to fill in."""
    file = tmp_path / "endpoint.toml"
    file.write_text(probe(f"{service_url}/v2/models/digits").toml)
    with load(file, bounds=(0, 1)) as endpoint:
        assert (endpoint.predict(X).scores == P).all()
    text = probe(f"{service_url}/kserve/v1/models/digits").toml
    assert "# n_classes" in text
    filled = text.replace("# access", "access").replace(
        "# input_shape = [1, 28, 28]", "input_shape = [1, 4, 4]"
    )
    file.write_text(filled.replace("# n_classes = 10", "n_classes = 5"))
    with load(str(file)) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


def test_a_configuration_holds_no_lines_of_the_servers_own():
    """A server's words stay within the comment."""
    finding = Finding("oip_v2", "a server\nurl = 'http://elsewhere'", {"url": "http://here"})
    assert tomllib.loads(finding.toml) == {"url": "http://here"}


def test_the_command(service_url, tmp_path):
    """It prints the configuration; the exit code says whether anything was recognised."""
    (tmp_path / "there.toml").write_text(
        f'url = "{service_url}/tf/v1/models/digits"\n[headers]\nX-Team = "ours"\n'
    )
    for spec, exit_code in (
        (f"{service_url}/v2/models/digits", 0),
        (str(tmp_path / "there.toml"), 0),
        (f"{service_url}/x", 4),
        ("ftp://x", 3),
    ):
        done = CliRunner().invoke(main, ["probe", spec])
        assert done.exit_code == exit_code
        assert ("input_shape = [1, 4, 4]" in done.stdout.splitlines()) is (exit_code == 0)


def test_probe_of_nothing():
    """A closed port is told as such."""
    with pytest.raises(PredictorUnavailable):
        probe("http://127.0.0.1:9")


def test_a_url_that_tells_nothing_points_to_probe(service_url):
    """Loading does not guess."""
    with pytest.raises(InvalidInput, match="probe"):
        load(service_url)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("url = 'http://127.0.0.1:9/x'\ndialect = 'smoke'", "smoke"),
        ("dialect = 'oip_v2'", '"url"'),
        ("url = [", "cannot be read"),
        ("url = 'http://127.0.0.1:9/x'\n[transport]\nconnexions = 3", "connexions"),
        ("url = 'http://127.0.0.1:9/x'\n[transport]\nconnections = 0", "connections"),
        (
            "url = 'http://127.0.0.1:9/x'\n[transport]\nca_file = '/nowhere.pem'",
            "file:/nowhere.pem",
        ),
        ("url = 'http://127.0.0.1:9/x'\nheaders = 3", "headers"),
        ("url = 'ftp://127.0.0.1/x'", "http://"),
        ("url = 'http://[::1/x'", "valid"),
    ],
)
def test_a_file_with_a_mistake(tmp_path, text, says):
    """Each is named before anything is sent."""
    file = tmp_path / "endpoint.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        load(file)
