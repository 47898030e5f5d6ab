"""An endpoint described by the user: every way of answering, every way of encoding."""

import numpy as np
import pytest
import toy_model as model
from blackbox_boundary.adapters.http_endpoint import load

from blackbox_boundary import Access, BadPrediction, InvalidInput

X = np.random.default_rng(0).random((40, *model.SHAPE), dtype=np.float32)
P = model.probabilities_of(X)
BODY = {"body": '{"data": $rows}'}


def described(url, **told):
    """An endpoint of the service's model."""
    common = {
        "access": "probabilities",
        "input_shape": model.SHAPE,
        "n_classes": model.N_CLASSES,
        "bounds": (0, 1),
        "request": BODY,
    }
    return load(url, **{**common, **told})


def test_full_scores(service_url):
    """Float32 written with nine digits arrives bit for bit."""
    with described(f"{service_url}/scores", answer={"scores": "predictions[*].scores"}) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


def test_logits(service_url):
    """Logits are taken as they are."""
    with described(
        f"{service_url}/scores?kind=logits",
        access="logits",
        answer={"scores": "predictions[*].scores"},
    ) as endpoint:
        assert (endpoint.predict(X).scores == model.logits_of(X)).all()


def test_logits_declared_probabilities_are_refused(service_url):
    """The declaration is held against what comes."""
    with (
        described(
            f"{service_url}/scores?kind=logits", answer={"scores": "predictions[*].scores"}
        ) as endpoint,
        pytest.raises(BadPrediction, match="logits"),
    ):
        endpoint.predict(X)


def test_top_k_reveals_the_best_alone(service_url):
    """Of a top-3 list the best label and its score are kept; the missing mass is not invented."""
    paths = {"labels": "[*][*].label", "scores": "[*][*].score"}
    with described(
        f"{service_url}/top", access="top1", labels=model.LABELS, answer=paths
    ) as endpoint:
        answer = endpoint.predict(X)
    assert answer.scores is None
    assert (answer.label == P.argmax(axis=-1)).all()
    assert (answer.top1 == P.max(axis=-1)).all()


def test_top_k_does_not_pass_for_full_scores(service_url):
    """Who declares probabilities for a top-3 list is told what to declare."""
    paths = {"labels": "[*][*].label", "scores": "[*][*].score"}
    with (
        described(f"{service_url}/top", labels=model.LABELS, answer=paths) as endpoint,
        pytest.raises(BadPrediction, match='access="top1"'),
    ):
        endpoint.predict(X)
    with described(f"{service_url}/top?k=5", labels=model.LABELS, answer=paths) as endpoint:
        assert (endpoint.predict(X).scores == P).all()


@pytest.mark.parametrize("names", [True, False])
def test_labels_alone(service_url, names):
    """Names are mapped by the table given, indices are taken as they are."""
    labels = model.LABELS if names else ()
    with described(
        f"{service_url}/label?names={names}",
        access="label",
        labels=labels,
        answer={"labels": "labels"},
    ) as endpoint:
        answer = endpoint.predict(X)
    assert endpoint.access is Access.LABEL
    assert answer.scores is None
    assert answer.top1 is None
    assert (answer.label == P.argmax(axis=-1)).all()


def test_unknown_label_is_an_error(service_url):
    """A name that is not in the table is not guessed at."""
    labels = [*model.LABELS[:-1], "elk"]
    endpoint = described(
        f"{service_url}/label", access="label", labels=labels, answer={"labels": "labels"}
    )
    with endpoint, pytest.raises(BadPrediction, match="eel"):
        endpoint.predict(X)


def test_binary_model_with_a_single_score(service_url):
    """One probability a row becomes two scores that sum to one."""
    with described(f"{service_url}/positive", n_classes=2, answer={"scores": "p"}) as endpoint:
        scores = endpoint.predict(X).scores
    logits = model.logits_of(X).astype(float)
    assert np.allclose(scores[:, 1], 1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), atol=1e-12)
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-15)


@pytest.mark.parametrize(
    ("path", "request_", "answer"),
    [
        (
            "/bytes",
            {
                "body": '{"instances": $rows}',
                "item": '{"b64": $row}',
                "encoding": "base64",
                "dtype": "uint8",
            },
            "predictions",
        ),
        ("/image", {"body": "$raw", "encoding": "png"}, "scores"),
        ("/upload", {"body": "$raw", "encoding": "png", "form_field": "picture"}, "scores"),
    ],
)
def test_pixels_are_rounded_inside_the_query_path(service_url, path, request_, answer):
    """What arrives is what ``as_sent`` says, rounded half to even, and the answer is to that."""
    x = np.rint(X * 510) / 2
    with described(
        f"{service_url}{path}", request=request_, answer={"scores": answer}, bounds=(0, 255)
    ) as endpoint:
        scores, sent = endpoint.predict(x).scores, endpoint.as_sent(x)
    assert sent.dtype == np.uint8
    assert (sent == np.rint(x)).all()
    assert (sent[x % 1 == 0.5] % 2 == 0).all()
    assert (scores == model.probabilities_of(sent.astype(np.float32) / np.float32(255))).all()


def test_a_batch_found_too_long_is_halved_and_remembered(service_url):
    """A 413 costs a few requests once; the limit then holds."""
    with described(
        f"{service_url}/scores?most=9",
        answer={"scores": "predictions[*].scores"},
        transport={"connections": 1},
    ) as endpoint:
        assert (endpoint.predict(X).scores == P).all()
        assert endpoint.max_rows <= 9
        before = endpoint.counters
        endpoint.predict(X)
        assert endpoint.counters.queries - before.queries == len(X)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"answer": {}, "dialect": "described"}, "path to the scores"),
        ({"answer": {"scores": "a..b["}}, "path into an answer"),
        ({"request": {"body": "{$rows"}, "answer": {"scores": "p"}}, "must be JSON"),
        ({"request": {"body": "{}"}, "answer": {"scores": "p"}}, r"\$rows"),
        ({"request": {**BODY, "form_field": "file"}, "answer": {"scores": "p"}}, "form_field"),
        (
            {
                "request": {"body": "$raw", "encoding": "npy", "form_field": 'a"b'},
                "answer": {"scores": "p"},
            },
            "form_field",
        ),
        ({"request": {"encoding": "jpeg"}, "answer": {"scores": "p"}}, "encoding"),
        ({"input_shape": None, "answer": {"scores": "p"}}, "input_shape"),
        ({"n_classes": 1, "answer": {"scores": "p"}}, "at least 2"),
        ({"labels": ["a", "b"], "answer": {"scores": "p"}}, "labels"),
        ({"bounds": (1, 0), "answer": {"scores": "p"}}, "bounds"),
        ({"request": {**BODY, "bdy": ""}, "answer": {"scores": "p"}}, "bdy"),
    ],
)
def test_a_description_that_does_not_hold_together(told, says):
    """Each mistake is named before anything is sent."""
    with pytest.raises(InvalidInput, match=says):
        described("http://127.0.0.1:9/x", **told)


def test_the_levels_of_pixels_are_in_the_fingerprint():
    """With other bounds the same row is another pixel; for numbers sent as they are, it is not."""

    def print_of(bounds, **request):
        told = {"request": {"body": '{"data": $rows}', **request}, "bounds": bounds}
        with described("http://127.0.0.1:9/x", answer={"scores": "p"}, **told) as endpoint:
            return endpoint.fingerprint

    assert print_of((0, 1), dtype="uint8") != print_of((0, 255), dtype="uint8")
    assert print_of((0, 1)) == print_of((0, 255)) == print_of(None)


@pytest.mark.parametrize(
    "other",
    [
        {"labels": ["bee", "ant", *model.LABELS[2:]]},
        {"headers": {"Azureml-Model-Deployment": "green"}},
        {"request": {"body": '{"data": $rows}', "item": '{"pixels": $row}'}},
        {"request": {"body": '{"data": $rows}', "method": "PUT"}},
        {"request": {"body": '{"data": $rows}', "dtype": "float64"}},
        {"request": {"body": '{"data": $rows}', "encoding": "flat"}},
    ],
)
def test_what_decides_on_an_answer_is_in_the_fingerprint(other, monkeypatch):
    """A ledger answers for one order of labels and one deployment only; keys do not matter."""
    told = {
        "access": "label",
        "input_shape": model.SHAPE,
        "labels": model.LABELS,
        "answer": {"labels": "l"},
    }
    told |= {
        "request": {"body": '{"data": $rows}'},
        "headers": {"azureml-model-deployment": "blue"},
    }
    monkeypatch.setenv("KEY", "one")
    with (
        load("http://127.0.0.1:1/x", **told) as one,
        load("http://127.0.0.1:1/x", **{**told, **other}) as two,
    ):
        assert one.fingerprint != two.fingerprint
    told["headers"] = {"AzureML-Model-Deployment": "blue", "Authorization": {"env": "KEY"}}
    with load("http://127.0.0.1:1/x", **told) as same:
        assert same.fingerprint == one.fingerprint
