"""Only answers to exactly what was asked are accepted; garbage raises none but our own errors.

A hundred examples each by default; ten thousand in all with ``--hypothesis-profile=thorough``.
"""

import json

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint.answers import read_labels, read_ranked, read_scores
from blackbox_boundary.adapters.http_endpoint.configuration import Configuration
from blackbox_boundary.adapters.http_endpoint.contract import Contract
from blackbox_boundary.adapters.http_endpoint.dialects.described import describe
from blackbox_boundary.adapters.http_endpoint.dialects.oip_v2 import OpenInference
from blackbox_boundary.adapters.http_endpoint.strict_json import CutShort, numbers, read_json, shown
from blackbox_boundary.adapters.http_endpoint.wire import Reply
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, BadPrediction

N, K = 3, 4
CONTRACT = Contract(Access.PROBABILITIES, (2,), K, labels=("a", "b", "c", "d"))
V2 = OpenInference(CONTRACT, "/v2/models/m", "x", "p", "FP32", True, None, {})
TOP = describe(
    "/",
    Configuration.of(
        {
            "url": "http://127.0.0.1",
            "access": "top1",
            "input_shape": [2],
            "labels": list("abcd"),
            "answer": {"ranked": "r[*]"},
        }
    ),
)
LABELS = describe(
    "/",
    Configuration.of(
        {
            "url": "http://127.0.0.1",
            "access": "label",
            "input_shape": [2],
            "labels": list("abcd"),
            "answer": {"labels": "l"},
        }
    ),
)
GOOD = [[0.1, 0.2, 0.3, 0.4]] * N
HEADER = "inference-header-content-length"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a", "d", "0.5", "NaN", 0.25, 1e308, 2**70])
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=25,
)
shapes = st.lists(st.integers(-2, 5) | scalars, max_size=3)
tensors = st.fixed_dictionaries(
    {
        "name": st.just("p") | scalars,
        "shape": st.just([N, K]) | shapes,
        "datatype": st.sampled_from(["FP32", "FP16", "INT64", "BYTES", "BOOL", "X"]) | documents,
    },
    optional={
        "data": documents | st.lists(st.floats(), min_size=N * K, max_size=N * K),
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 60) | scalars})
        | scalars,
    },
)
v2_documents = (
    st.fixed_dictionaries({"outputs": st.lists(tensors, max_size=3) | documents}) | documents
)
FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def reply(body, **headers):
    """An answer with status 200."""
    return Reply(200, headers, body, 0.1)


def accepted(read, *args):
    """The prediction, if it is one; nothing but our own refusal otherwise."""
    try:
        prediction = read(*args)
    except BadPrediction as error:
        message = str(error)
        assert message.isprintable() and len(message) < 1500  # noqa: PT018 - refusing is one of two right outcomes
        return
    assert prediction.label.shape == (N,)
    assert ((prediction.label >= -1) & (prediction.label < K)).all()
    usable = prediction.label >= 0
    if prediction.scores is not None:
        assert prediction.scores.shape == (N, K)
        assert np.isfinite(prediction.scores[usable]).all()
        assert (prediction.scores[usable] >= -1e-5).all()
        assert (prediction.scores[usable] <= 1 + 1e-5).all()
    if prediction.top1 is not None:
        assert np.isfinite(prediction.top1[usable]).all()


@FUZZ
@given(v2_documents, st.binary(max_size=60), st.none() | st.integers(-5, 300) | st.text(max_size=3))
@example({"outputs": [{"name": "p", "shape": [N, K], "datatype": "FP32", "data": GOOD}]}, b"", None)
@example(
    {
        "outputs": [
            {
                "name": "p",
                "shape": [N, K],
                "datatype": "FP32",
                "data": [0.0] * (N * K - 1) + [3.4028235677973366e38],
            }
        ]
    },
    b"",
    None,
)
@example(
    {"outputs": [{"name": "p", "shape": [N, K], "datatype": ["FP32"], "data": GOOD}]}, b"", None
)
@example({"outputs": []}, b"", "9" * 5000)
def test_v2_answers(document, raw, length):
    """JSON, binary, and everything in between."""
    text = json.dumps(document).encode()
    headers = {} if length is None else {HEADER: str(len(text) if length == 0 else length)}
    accepted(V2.read, reply(text + raw, **headers), N)


@FUZZ
@given(
    documents
    | st.fixed_dictionaries(
        {
            "r": st.lists(
                st.dictionaries(st.sampled_from("abcde"), scalars, max_size=5),
                min_size=N,
                max_size=N,
            )
        }
    )
)
def test_ranked_answers(document):
    """Objects of labels and scores."""
    accepted(TOP.read, reply(json.dumps(document).encode()), N)


@FUZZ
@given(documents | st.fixed_dictionaries({"l": st.lists(scalars, max_size=4) | documents}))
def test_label_answers(document):
    """Labels alone."""
    accepted(LABELS.read, reply(json.dumps(document).encode()), N)


@FUZZ
@given(
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([V2, TOP, LABELS]),
)
@example(b"\xef\xbb\xbf{}", V2)
@example(b'{"l": ["\\ud800"]}', LABELS)
@example(b"[" * 100_000, V2)
@example(b"1" * 10_000, V2)
@example(b'{"outputs": [' + b"1," * 50_000 + b"1]}", V2)
def test_arbitrary_bytes(body, dialect):
    """What is not JSON at all."""
    accepted(dialect.read, reply(body), N)


@given(st.data())
def test_any_change_of_a_good_answer_is_noticed_or_harmless(data):
    """One changed, dropped or doubled byte is refused, or leaves exactly N x K probabilities."""
    body = bytearray(
        json.dumps(
            {
                "outputs": [
                    {
                        "name": "p",
                        "shape": [N, K],
                        "datatype": "FP32",
                        "data": np.ravel(GOOD).tolist(),
                    }
                ]
            }
        ).encode()
    )
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=2))
    accepted(V2.read, reply(bytes(body)), N)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        (np.zeros((N, K + 1)), "shape"),
        (np.zeros((N - 1, K)), "shape"),
        (np.zeros((1, K)), "shape"),
        (np.zeros(N * K), "shape"),
        (np.full((N, K), -0.1), "logits"),
        (np.full((N, K), 1.1), "logits"),
    ],
)
def test_scores_that_are_not_n_by_k_probabilities(scores, says):
    """Nothing is broadcast, cut or reshaped to fit."""
    with pytest.raises(BadPrediction, match=says):
        read_scores(scores, N, CONTRACT)


def test_scores_reveal_no_more_than_declared():
    """Who declares labels gets labels, whatever the server says."""
    scores = np.array(GOOD)
    label = read_scores(scores, N, Contract(Access.LABEL, (2,), K))
    assert label.scores is None
    assert label.top1 is None
    assert label.label.tolist() == [3, 3, 3]
    assert read_scores(scores, N, Contract(Access.TOP1, (2,), K)).top1.tolist() == [0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b"],
        ["a", "b", "e"],
        ["a", "b", 4],
        ["a", "b", -1],
        ["a", "b", 1.0],
        ["a", "b", True],
        ["a", "b", None],
        "abc",
        None,
    ],
)
def test_labels_that_are_not_n_known_ones(labels):
    """One a row, in the table or in range."""
    with pytest.raises(BadPrediction):
        read_labels(labels, N, CONTRACT)


def test_ties_go_to_the_lowest_index():
    """In whatever order a list gives them."""
    contract = Contract(Access.TOP1, (2,), K, labels=("a", "b", "c", "d"))
    assert read_ranked([["c", "b", "a"]], [[0.4, 0.4, 0.2]], 1, contract).label.tolist() == [1]


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        ([["a", "a"]], [[0.5, 0.4]]),
        ([["a", "b"]], [[0.5]]),
        ([[]], [[]]),
        ([["a"]], [[0.5], [0.5]]),
    ],
)
def test_ranked_lists_that_contradict_themselves(labels, scores):
    """Labels differ, and each has one score."""
    with pytest.raises(BadPrediction):
        read_ranked(labels, scores, 1, CONTRACT)


def test_numbers_are_numbers_alone():
    """Texts and truth values are refused, though NumPy would convert them; a null is NaN."""
    assert np.isnan(numbers([[1, None], [float("inf"), 0.5]])).tolist() == [
        [False, True],
        [True, False],
    ]
    for strange in (["0.5"], [True], [[1], 2], [{}], {"a": 1}, "1"):
        with pytest.raises(BadPrediction):
            numbers(strange)


def test_a_document_that_ends_early_is_told_from_one_that_is_wrong():
    """So that only a cut-off answer is asked for again."""
    for text in ('{"p": [1, 2', '{"p": "abc', "[[0.1, 0.2], [0.", "{"):
        with pytest.raises(CutShort):
            read_json(text.encode())
    for text in ("<html>", '{"p": 1,}', "", "nothing"):
        with pytest.raises(BadPrediction) as caught:
            read_json(text.encode())
        assert type(caught.value) is BadPrediction


def test_shown_is_short_and_harmless():
    """A megabyte of control characters becomes a line."""
    assert shown(b"\x1b[2J" * 250_000, 20) == '"?[2J?[2J?[2J?[2J?[2J…"'
    assert len(shown([[0.1] * 1000] * 1000)) < 300
