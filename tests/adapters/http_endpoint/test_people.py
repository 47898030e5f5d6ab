"""Endpoints as people serve them: each body and answer described, and compared with the model."""

import numpy as np
import people
import pytest
from blackbox_boundary.adapters.http_endpoint import load
from people import COLUMNS, LABELS, WEIGHTS, X, probabilities

from blackbox_boundary import BadPrediction, InvalidInput, Prediction, measure

P = probabilities(X)
FIELDS = (
    '{"version": 2, "sepal_width": $row[1], "petal.length": $row[2], '
    '"sepal length": $row[0], "petal\\"width": $row[3]}'
)
BY_NAME = (
    '{"version": 2, "sepal_width": $row[sepal_width], "sepal length": $row[sepal length], '
    '"petal.length": $row["petal.length"], "petal\\"width": $row[3]}'
)
DATA, INPUTS = '{"data": $rows}', '{"inputs": $rows}'
ALL = {
    "fields by number": ("/fields", {"body": FIELDS}, {"scores": "probabilities"}),
    "fields by name": (
        "/fields",
        {"body": BY_NAME, "columns": COLUMNS},
        {"scores": "probabilities"},
    ),
    "records": (
        "/records",
        {"body": '{"rows": $records}', "columns": COLUMNS},
        {"ranked": "[*]"},
    ),
    "records, a path a class": (
        "/records",
        {"body": '{"rows": $records}', "columns": COLUMNS},
        {"scores": ["[*].setosa", "[*].versicolor", "[*].virginica"]},
    ),
    "frame": (
        "/frame",
        {
            "body": '{"dataframe_split": {"columns": $columns, "data": $rows}}',
            "columns": COLUMNS,
        },
        {"scores": "predictions"},
    ),
    "CSV": ("/csv", {"format": "csv"}, {"format": "csv", "scores": "$"}),
    "CSV with headers": (
        "/csv-header",
        {"format": "csv", "header": True, "columns": COLUMNS},
        {"format": "csv", "header": True, "scores": [f"[*].{name}" for name in LABELS]},
    ),
    "JSON lines": (
        "/jsonlines",
        {"format": "jsonlines", "item": '{"features": $row}'},
        {"format": "jsonlines", "scores": "[*].score"},
    ),
    "scores as text": ("/text", {"body": DATA}, {"scores": "scores", "scores_as": "text"}),
    "percent": ("/percent", {"body": DATA}, {"scores": "scores", "scores_as": "percent"}),
    "pairs": (
        "/pairs",
        {"body": INPUTS},
        {"labels": "[*][*].label", "scores": "[*][*].score"},
    ),
    "parallel lists": (
        "/vertex",
        {"body": '{"instances": $rows}'},
        {"labels": "predictions[*].displayNames", "scores": "predictions[*].confidences"},
    ),
    "the first of a list": ("/first-row", {"body": DATA}, {"scores": "p"}),
    "a list of one": ("/one-row", {"body": DATA}, {"scores": "p"}),
}


@pytest.fixture(scope="module")
def server():
    """The services."""
    with people.serving() as running:
        yield running


def described(url, request, answer, **told):
    """A description of one of the services."""
    common = {"access": "probabilities", "input_shape": (4,), "labels": LABELS}
    request = {"dtype": "float64", **request}
    return load(url, request=request, answer=answer, **{**common, **told})


@pytest.mark.parametrize("name", ALL)
def test_each_way_gives_the_models_scores(server, name):
    """Within the digits of the answer, row by row, in one call of nine rows."""
    path, request, answer = ALL[name]
    with described(server[1] + path, request, answer) as endpoint:
        for _ in range(2):
            assert np.allclose(endpoint.predict(X).scores, P, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["fields by name", "CSV", "the first of a list", "pairs"])
def test_distances_are_those_of_the_model(server, name):
    """A whole measurement through it, against the same model asked directly."""

    class Direct:
        access, input_shape, n_classes, bounds = "probabilities", (4,), 3, None

    path, request, answer = ALL[name]
    with described(server[1] + path, request, answer) as endpoint:
        Direct.access = endpoint.access
        Direct.predict = lambda _, x: Prediction.from_scores(probabilities(x))
        found, direct = measure(endpoint, X), measure(Direct(), X)
        sent = endpoint.counters
        assert found.run["n_queries"] == sent.queries - sent.queries_again + sent.checks
    assert np.allclose(found.l2, direct.l2, rtol=1e-6)


def test_a_form_with_a_label_and_a_percentage(server):
    """The best label and its score as text, one row a request."""
    with described(
        f"{server[1]}/form",
        {"format": "form", "columns": COLUMNS},
        {"labels": "class", "scores": "confidence", "scores_as": "percent"},
        access="top1",
    ) as endpoint:
        answer = endpoint.predict(X)
    assert (answer.label == P.argmax(axis=-1)).all()
    assert np.allclose(answer.top1, P.max(axis=-1), atol=1e-11)


def test_a_query_that_answers_a_word(server):
    """GET, the numbers in the query, a label as the whole answer."""
    with described(
        f"{server[1]}/query?v=1",
        {"format": "query", "columns": COLUMNS},
        {"format": "text", "labels": "$"},
        access="label",
    ) as endpoint:
        assert (endpoint.predict(X).label == P.argmax(axis=-1)).all()


def test_an_open_set_of_labels(server):
    """Unlisted labels form one class; with probabilities its score is what the listed leave."""
    paths = {"labels": "[*][*].label", "scores": "[*][*].score", "other": "any other"}
    told = {"labels": ["any other", "versicolor", "virginica"]}
    every = {"body": '{"inputs": $rows, "all": true}'}
    with described(f"{server[1]}/open", every, paths, **told) as endpoint:
        assert np.allclose(endpoint.predict(X).scores, P, atol=1e-12)
    with described(f"{server[1]}/open", {"body": INPUTS}, paths, access="top1", **told) as endpoint:
        label = endpoint.predict(X).label
    split = np.concatenate([P * [0.6, 1, 1], P[:, :1] * 0.4], axis=-1).argmax(axis=-1) % 3
    assert (label == split).all()


def test_best_labels_that_hide_a_class_are_told_at_the_first_row(server):
    """Two of four labels do not hold the scores of all classes."""
    paths = {"labels": "[*][*].label", "scores": "[*][*].score", "other": "any other"}
    told = {"labels": ["any other", "versicolor", "virginica"]}
    with (
        described(f"{server[1]}/open", {"body": INPUTS}, paths, **told) as endpoint,
        pytest.raises(BadPrediction, match=r'hide .* access="top1"'),
    ):
        endpoint.predict(X[:1])
    assert endpoint.counters.queries == 1


def test_a_stream_is_refused_with_a_word(server):
    """Several documents are not one answer."""
    with (
        described(f"{server[1]}/stream", {"body": DATA}, {"scores": "token"}) as endpoint,
        pytest.raises(BadPrediction, match="stream of several documents"),
    ):
        endpoint.predict(X[:1])


@pytest.mark.parametrize("bounds", [None, (-3, 3)])
def test_one_probability_a_row_declared_a_logit_is_refused(server, bounds):
    """The first row and four extreme ones are all in [0, 1]; the second row is not asked."""
    told = {"access": "logits", "n_classes": 2, "labels": None, "bounds": bounds}
    with described(f"{server[1]}/sigmoid", {"body": DATA}, {"scores": "z"}, **told) as endpoint:
        with pytest.raises(BadPrediction, match='Declare access="probabilities"'):
            measure(endpoint, np.clip(X, -3, 3))
        assert endpoint.counters.queries == 5
        assert endpoint.counters.canaries == 4


@pytest.mark.parametrize("limit", [1, None])
def test_a_logit_between_zero_and_one_is_believed(server, limit):
    """An extreme row shows that it is a logit; a limit reached there keeps the first answer."""
    x = np.full((9, 4), 0.5) * WEIGHTS[:, 0] / (WEIGHTS[:, 0] ** 2).sum()
    told = {"access": "logits", "n_classes": 2, "labels": None}
    with described(f"{server[1]}/logit", {"body": DATA}, {"scores": "z"}, **told) as endpoint:
        found = measure(endpoint, x, max_queries=limit)
        assert endpoint.counters.canaries <= 4
    if limit is None:
        assert np.allclose(found.l2, 0.5 / np.linalg.norm(WEIGHTS[:, 0]), rtol=1e-6)
    assert found.home[0] == 1


@pytest.mark.parametrize("path", ["/first-row", "/one-row"])
def test_that_a_body_takes_one_row_is_found_out_once(server, path, caplog):
    """One request of several rows tells; afterwards each row goes by itself, at one query each."""
    caplog.set_level("INFO")
    one = {"connections": 1}
    with described(server[1] + path, {"body": DATA}, {"scores": "p"}, transport=one) as endpoint:
        endpoint.predict(X)
        assert endpoint.max_rows == 1
        assert "one row a request" in caplog.text
        before = endpoint.counters
        endpoint.predict(X)
        after = endpoint.counters
        assert after.queries - before.queries == after.requests - before.requests == len(X)


@pytest.mark.parametrize(
    ("request_", "answer", "says"),
    [
        ({"body": '{"a": $row[4]}'}, {"scores": "p"}, "4 numbers of a row"),
        ({"body": '{"a": $row[age]}'}, {"scores": "p"}, "must name one of the"),
        ({"body": '{"a": $records}'}, {"scores": "p"}, "columns"),
        ({"columns": ["a", "b", "c"]}, {"scores": "p"}, "4 different names"),
        ({"columns": ["a", "b", "c", "a"]}, {"scores": "p"}, "4 different names"),
        ({"format": "xml"}, {"scores": "p"}, "must be one of json"),
        ({"format": "csv", "header": True}, {"scores": "p"}, "header"),
        ({"format": "csv", "body": "$row"}, {"scores": "p"}, "without"),
        ({"format": "form"}, {"scores": "p"}, "columns"),
        ({"body": '{"a": $rows, "b": $row[1]}'}, {"scores": "p"}, "once"),
        ({"body": '{"a": $row[0]'}, {"scores": "p"}, "must be JSON"),
        ({"item": "{$row"}, {"scores": "p"}, "must be JSON"),
        ({"item": "{}"}, {"scores": "p"}, "must hold"),
        ({}, {"scores": ["a", "b"]}, "one for each of 3"),
        ({}, {"scores": "p", "scores_as": "words"}, "scores_as"),
        ({}, {"scores": "p", "format": "yaml"}, "format"),
        ({}, {"scores": "p", "other": "else"}, 'one of "labels"'),
    ],
)
def test_what_does_not_hold_together_is_named_before_anything_is_sent(request_, answer, says):
    """Each mistake in a description."""
    with pytest.raises(InvalidInput, match=says):
        described("http://127.0.0.1:9/p", request_, answer)
