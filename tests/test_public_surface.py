"""Whatever is given to the public surface, what comes back is a result or one of our own errors."""

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blackbox_boundary import (
    Access,
    BoundaryError,
    Distances,
    Measurement,
    Prediction,
    Predictor,
    load,
    measure,
)

FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def scores(x):
    """Two logits of a row of two numbers, whose boundary is a line."""
    x = np.asarray(x, float).reshape(len(x), -1)
    return np.stack([x.sum(axis=-1) - 1, 1 - x.sum(axis=-1)], axis=-1)


class Model:
    """A predictor, some of whose attributes and answers are odd."""

    def __init__(self, answer, **attributes):
        self.__dict__.update(attributes)
        self._answer = answer

    def predict(self, x):
        """What the answer makes of the scores."""
        return self._answer(scores(x))


class Odd(torch.nn.Module):
    """A module that returns what a function makes of two logits."""

    def __init__(self, make):
        super().__init__()
        self.layer, self.make = torch.nn.Linear(2, 2), make

    def forward(self, x):
        return self.make(self.layer(x))


class Estimator:
    """An estimator whose method answers what a function makes of the scores."""

    def __init__(self, answer, method, classes):
        self.classes_, self.n_features_in_ = classes, 2
        setattr(self, method, lambda x: answer(scores(x)))

    def fit(self):
        """It is fitted."""


def fail(error):
    """Raise this error."""
    raise error


ANSWERS = {
    "prediction": Prediction.from_scores,
    "array": lambda z: z,
    "labels": lambda z: Prediction(z.argmax(axis=-1)),
    "float labels": lambda z: Prediction(z.argmax(axis=-1).astype(float)),
    "list of labels": lambda z: Prediction(z.argmax(axis=-1).tolist()),
    "large labels": lambda z: Prediction(z.argmax(axis=-1) + 7),
    "no answers": lambda z: Prediction(np.full(len(z), -1), scores=z),
    "NaN": lambda z: Prediction.from_scores(z * np.nan),
    "probabilities": lambda z: Prediction.from_scores(1 / (1 + np.exp(z[:, ::-1] - z))),
    "too few": lambda z: Prediction.from_scores(z[:-1]),
    "one column": lambda z: Prediction.from_scores(z[:, :1]),
    "list of scores": lambda z: Prediction(z.argmax(axis=-1), scores=z.tolist()),
    "text": lambda z: Prediction(z.argmax(axis=-1), scores=z.astype(str)),
    "top1": lambda z: Prediction(z.argmax(axis=-1), top1=z.max(axis=-1)),
    "column of top1": lambda z: Prediction(z.argmax(axis=-1), top1=z.max(axis=-1)[:, None]),
    "none": lambda z: None,
    "tuple": lambda z: (z.argmax(axis=-1), z),
    "fails": lambda z: fail(RuntimeError("out of order")),
    "stops": lambda z: fail(StopIteration()),
    "exits": lambda z: fail(MemoryError()),
}
DECLARED = {
    "access": ["logits", Access.LOGITS, "label", "top1", "probabilities", "loud", None, 3, 2.5],
    "input_shape": [(2,), [2], 2, (1, 2), (0,), None, "2", (2.0,)],
    "n_classes": [2, 3, 1, 0, -1, 2.0, "2", None, np.int64(2), True],
    "bounds": [None, (-9, 9), (9, -9), (np.nan, 1), ([0, 0], [1, 1]), 5, "ab", (1, 2, 3)],
}
OUTPUTS = {
    "logits": lambda z: z,
    "pair": lambda z: (z, z),
    "mapping": lambda z: {"logits": z},
    "nothing": lambda z: None,
    "list": lambda z: z.tolist(),
    "sum": lambda z: z.sum(),
    "labels": lambda z: z.argmax(-1),
    "half": lambda z: z.half(),
    "one": lambda z: z[:, :1],
    "sigmoid": lambda z: torch.sigmoid(z[:, 0]),
    "complex": lambda z: z * 1j,
    "empty": lambda z: z[:, :0],
    "rows mixed": lambda z: z - z.mean(0),
    "fails": lambda z: fail(KeyError("layer")),
    "detached": lambda z: z.detach(),
    "infinite": lambda z: z / 0,
}
METHODS = ("predict_proba", "decision_function", "predict")
CLASSES = (np.array([0, 1]), np.array(["a", "b"]), np.array([0]), [np.array([0, 1])] * 2, None, 5)
RAW = {
    "scores": lambda z: z,
    "labels": lambda z: z.argmax(axis=-1),
    "names": lambda z: np.array(["a", "b"])[z.argmax(axis=-1)],
    "list": lambda z: [z, z],
    "none": lambda z: None,
    "one": lambda z: z[:, 0],
    "objects": lambda z: np.array([None] * len(z)),
    "fails": lambda z: fail(ValueError("not fitted")),
    "cube": lambda z: z[..., None] * np.ones(3),
}
OBJECTS = [
    None, 3, "model", "model.onnx", "no.such:factory", b"", b"ONNX", {}, [], object(), Model, len,
    np.ones(3), torch.nn.Linear, lambda x: x, type("Empty", (), {})(), Path("nowhere.onnx"),
    np.float64(2), iter([]), Ellipsis, open,
]  # fmt: skip

models = st.one_of(
    st.builds(
        lambda answer, **declared: Model(ANSWERS[answer], **declared),
        st.sampled_from(sorted(ANSWERS)),
        **{name: st.sampled_from([*[values[0]] * 6, *values]) for name, values in DECLARED.items()},
    ),
    st.builds(lambda name: Odd(OUTPUTS[name]), st.sampled_from(sorted(OUTPUTS))),
    st.builds(
        lambda answer, method, classes: Estimator(RAW[answer], method, classes),
        st.sampled_from(sorted(RAW)),
        st.sampled_from(METHODS),
        st.sampled_from(CLASSES),
    ),
    st.sampled_from(OBJECTS),
)

ROWS = [[0.2, 0.1], [3.0, 1.0], [-1.0, 0.5]]
INPUTS = {
    "array": np.array(ROWS),
    "single": np.array(ROWS, np.float32),
    "half": np.array(ROWS, np.float16),
    "long": np.array(ROWS, np.longdouble),
    "tensor": torch.tensor(ROWS),
    "leaf": torch.tensor(ROWS, requires_grad=True),
    "list": ROWS,
    "whole": [[1, 2], [3, 4]],
    "array of whole numbers": np.array([[1, 2], [3, 4]]),
    "ragged": [[0.5], [1.0, 2.0]],
    "masked": np.ma.masked_array(ROWS, mask=[[True, False], [False] * 2, [False] * 2]),
    "flat": [1.0, 2.0],
    "number": 3.0,
    "none": None,
    "empty": np.empty((0, 2)),
    "no columns": np.empty((3, 0)),
    "three columns": np.ones((2, 3)),
    "image": np.ones((2, 1, 2)),
    "text": [["a", "b"], ["c", "d"]],
    "objects": np.array([[None, 1.0]], object),
    "complex": np.array(ROWS) * 1j,
    "booleans": np.array(ROWS) > 0,
    "dates": np.array([["2020-01-01", "2020-01-02"]], "M8[D]"),
    "NaN": np.full((2, 2), np.nan),
    "infinite": np.array([[np.inf, 1.0], [1.0, 2.0]]),
    "huge": np.full((2, 2), 1e300),
    "dictionary": {"x": ROWS},
    "generator": (row for row in ROWS),
    "words": "rows",
    "reversed": np.array(ROWS)[::-1],
    "read only": np.broadcast_to(np.array([0.5, 1.0]), (3, 2)),
}


def outcome(call):
    """The result of a call, or our own error; anything else is a failure of the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except BoundaryError as error:
            message = str(error)
            assert message.strip()
            assert len(message) < 2000
            return error


@FUZZ
@given(model=models, rows=st.sampled_from(["array", "tensor", "single", "list"]))
def test_models_of_any_kind(model, rows):
    """A model is measured, or refused by one of our errors."""
    found = outcome(lambda: measure(model, INPUTS[rows], max_queries=60))
    assert isinstance(found, Distances | BoundaryError)


@pytest.mark.parametrize("model", OBJECTS, ids=lambda model: type(model).__name__)
def test_objects_that_are_no_models(model):
    """They are refused by ``load`` and by ``measure``."""
    assert isinstance(outcome(lambda: load(model)), BoundaryError)
    assert isinstance(outcome(lambda: measure(model, INPUTS["array"])), BoundaryError)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_inputs_of_any_kind(name):
    """Rows are measured, or refused by one of our errors; so they are with a torch module."""
    plain = Model(
        Prediction.from_scores, access="logits", input_shape=(2,), n_classes=2, bounds=None
    )
    for model in (plain, torch.nn.Linear(2, 3)):
        found = outcome(lambda model=model: measure(model, INPUTS[name], max_queries=60))
        assert isinstance(found, Distances | BoundaryError)
    by_hand = outcome(lambda: Measurement(INPUTS[name], access="logits", n_classes=2))
    assert isinstance(by_hand, Measurement | BoundaryError)


def test_every_attribute_is_checked():
    """One odd attribute at a time is refused, or does no harm."""
    plain = {name: values[0] for name, values in DECLARED.items()}
    for name, value in itertools.chain.from_iterable(
        [(name, value) for value in values] for name, values in DECLARED.items()
    ):
        model = Model(Prediction.from_scores, **{**plain, name: value})
        found = outcome(lambda model=model: measure(model, INPUTS["array"], max_queries=60))
        assert isinstance(found, Distances | BoundaryError), (name, value)
        assert isinstance(model, Predictor)


SETTINGS = {
    "estimator": ["ray", "magic", "", None, 3, object(), dict],
    "bounds": [None, (-9, 9), (9, -9), (-np.inf, np.inf), (0, np.nan)],
    "max_queries": [60, 0, -1, None, 2.5, "ten", np.int64(40)],
    "batch_size": [None, 1, 0, -1, 2.5, "ten"],
    "seed": [0, -1, 2.5, "one", None],
    "votes": [1, 3, 0, -1, 2.5, "one", None],
    "score_resolution": [0.0, 0.1, -1, np.nan, np.inf, "fine", None],
    "flip_points": [True, False, "no/such/folder/points.npy", None, 3],
    "resume": [None, {}, 3, "run"],
    "progress": [None, 3, print],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in SETTINGS.items() for value in values],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_settings_of_any_kind(name, value):
    """A setting is used, or refused by one of our errors."""
    model = Model(Prediction.from_scores, **{name: values[0] for name, values in DECLARED.items()})
    given = {"max_queries": 60, name: value}
    found = outcome(lambda: measure(model, INPUTS["array"], **given))
    assert isinstance(found, Distances | BoundaryError)
