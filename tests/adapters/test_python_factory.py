"""``"package.module:factory"``: the code that was named runs, and no other."""

import sys

import numpy as np
import pytest
from blackbox_boundary.adapters.python_factory import is_factory
from blackbox_boundary.adapters.sklearn_estimators import EstimatorPredictor
from blackbox_boundary.adapters.torch_modules import TorchPredictor

from blackbox_boundary import Access, InvalidInput, load

CODE = """
import torch
from blackbox_boundary.testing import Ball, Reference
from blackbox_boundary import InvalidInput

class Models:
    @staticmethod
    def linear():
        return torch.nn.Linear(3, 2)

def ball():
    return Reference(Ball([0.0, 0.0], 1.0))

def number():
    return 3

def path():
    return "their_models:path"

def kind():
    return Reference

def estimator():
    from sklearn.linear_model import LogisticRegression
    return LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], ["left", "right"])

def sides():
    return lambda x: x.sum(axis=-1)

def broken():
    raise KeyError("weights")

def refusing():
    raise InvalidInput("not today")

constant = 3
"""


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A module ``their_models`` in the current folder, which is not on the path."""
    (tmp_path / "their_models.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield "their_models"
    sys.modules.pop("their_models", None)


def test_a_factory_returns_a_module_or_a_predictor(models):
    """A torch module is wrapped with the settings given; a predictor is kept; so is sys.path."""
    before = list(sys.path)
    predictor = load(f"{models}:Models.linear", input_shape=(3,), access="label", bounds=(0, 1))
    assert isinstance(predictor, TorchPredictor)
    assert (predictor.access, predictor.n_classes, predictor.bounds) == (Access.LABEL, 2, (0, 1))
    assert (load(f"{models}:ball").predict(np.zeros((1, 2))).label == [1]).all()
    assert sys.path == before


def test_a_factory_returns_an_estimator_or_a_function(models):
    """Whatever an adapter takes as an object is taken with the settings given."""
    predictor = load(f"{models}:estimator", access="label")
    assert isinstance(predictor, EstimatorPredictor)
    assert (predictor.access, predictor.class_names) == (Access.LABEL, ("left", "right"))
    sides = load(f"{models}:sides", access="logits", input_shape=(2,), n_classes=2)
    assert sides.predict(np.array([[1.0, 1.0], [-1.0, 0.0]])).label.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("Models.linear", {}, "missing a required argument: 'input_shape'"),
        (
            "Models.linear",
            {"input_shape": (3,), "provider": "cpu"},
            "unexpected keyword argument 'provider'. Its settings are input_shape,",
        ),
        (
            "ball",
            {"access": "label"},
            "returns a predictor, which has its own settings; drop access",
        ),
        ("number", {}, '^"their_models:number" returned int: No adapter understands'),
        ("path", {}, "must return a predictor, a torch module or a fitted estimator; got str"),
        ("kind", {}, "or a fitted estimator; got Reference"),
        (
            "estimator",
            {"n_classes": 5},
            '^"their_models:estimator" returned Logistic.* given as 5',
        ),
        ("sides", {}, '^"their_models:sides" returned function: .* must be declared'),
        ("broken", {}, "failed: KeyError: 'weights'"),
        ("refusing", {}, "^not today$"),
        ("constant", {}, "must name a function; got int"),
        ("absent", {}, "cannot be imported: AttributeError"),
    ],
)
def test_what_a_factory_may_do_wrong(models, name, given, message):
    """Each failure is the caller's to mend, and says what happened."""
    with pytest.raises(InvalidInput, match=message):
        load(f"{models}:{name}", **given)


def test_installed_packages_come_before_the_current_folder(models, tmp_path):
    """A file in the current folder does not replace an installed package of the same name."""
    (tmp_path / "colorsys.py").write_text(
        "def rgb_to_hsv(): raise SystemExit('the wrong file ran')"
    )
    sys.modules.pop("colorsys", None)
    with pytest.raises(InvalidInput, match="failed: TypeError"):
        load("colorsys:rgb_to_hsv")


@pytest.mark.parametrize("spec", ["a:b", "package.module:factory", "p.m:Class.method", "_p:f1"])
def test_factories_are_recognised(spec):
    """Dotted names on both sides of one colon."""
    assert is_factory(spec)


@pytest.mark.parametrize(
    "spec",
    [
        "http://host:80/v2",
        "host:8000",
        "C:\\net",
        "a:",
        ":b",
        "a.b",
        "a:b:c",
        "a b:c",
        "a..b:c",
        "1a:b",
        3,
        b"a:b",
    ],
)
def test_other_specs_are_left_alone(spec):
    """Addresses, paths and fragments are not factories."""
    assert not is_factory(spec)
