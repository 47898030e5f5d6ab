"""``load``: adapters are found, asked in order, and never named by the engine."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from blackbox_boundary import InvalidInput, load, loading
from blackbox_boundary.loading import as_predictor, build
from blackbox_boundary.testing import Ball, Reference


def ball():
    """A predictor that some factory returns."""
    return Reference(Ball(np.zeros(2), 1.0))


def takes_balls(spec, **given):
    """``"ball"``: a ball of radius one."""
    return ball() if spec == "ball" else None


def takes_everything(spec, **given):
    """Anything at all."""
    return given["answer"]


@pytest.fixture
def adapters(monkeypatch):
    """Install these adapters only; a name maps to ``module:function``, or to a callable here."""

    def install(**targets):
        points = []
        for name, target in targets.items():
            value = target if isinstance(target, str) else f"{target.__module__}:{target.__name__}"
            point = EntryPoint(name, value, loading.GROUP)
            points.append(point if isinstance(target, str) else Installed(point, target))
        monkeypatch.setattr(
            loading,
            "entry_points",
            lambda group: points if group == "blackbox_boundary.adapters" else [],
        )

    return install


class Installed:
    """An entry point to a function of this file."""

    def __init__(self, point, target):
        self.name, self._target = point.name, target

    def load(self):
        return self._target


def test_the_first_adapter_that_takes_a_spec_makes_the_predictor(adapters):
    """Adapters are tried in the order of their names; the one that takes a spec gets settings."""
    adapters(zz=takes_everything, aa=takes_balls)
    assert isinstance(load("ball"), Reference)
    assert load("cube", answer=3) == 3


def test_none_counts_as_not_given(adapters):
    """A setting of None never reaches an adapter."""
    adapters(all=takes_everything)
    with pytest.raises(KeyError):
        load("cube", answer=None)


def test_a_spec_that_nobody_takes_lists_what_is_taken(adapters):
    """The error has the first line of each adapter's docstring, and names broken adapters."""
    adapters(balls=takes_balls, broken="no_such_package.adapter:load")
    with pytest.raises(InvalidInput) as caught:
        load("cube")
    assert str(caught.value) == (
        'No adapter understands the model "cube". Installed adapters take:\n'
        '  balls: "ball": a ball of radius one.\n'
        "  broken: cannot be imported (ModuleNotFoundError: No module named 'no_such_package')\n"
        "Any object with access, input_shape, n_classes, bounds and predict is a predictor itself."
    )
    adapters()
    with pytest.raises(InvalidInput, match="none is installed"):
        load("cube")


def test_a_broken_adapter_does_not_stand_in_the_way(adapters):
    """A spec that another adapter takes is loaded all the same."""
    adapters(aa="no_such_package.adapter:load", balls=takes_balls)
    assert isinstance(load("ball"), Reference)


def test_a_predictor_is_taken_as_it_is():
    """Also one whose access is text; other objects go to the adapters, with the data's shape."""
    model = ball()
    assert as_predictor(model, (2,)) is model
    model.access = "logits"
    assert as_predictor(model, (2,)) is model


def test_an_object_is_given_the_shape_of_the_data(adapters):
    """What names a model knows its own shape, or says that it must be given."""

    def shapes(spec, **given):
        """Anything."""
        return given

    adapters(all=shapes)
    assert as_predictor(object(), (3, 2)) == {"input_shape": (3, 2)}
    assert as_predictor("model.onnx", (3, 2)) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounds": None}, "lacks bounds"),
        ({"access": "loud"}, '"access" must be one of'),
        ({"access": 3.5}, '"access" must be one of'),
        ({"n_classes": 1}, "a model of one class has no decision boundary"),
        ({"n_classes": "two"}, "must be a whole number"),
        ({"input_shape": 2}, "tuple of positive whole numbers; got 2"),
        ({"input_shape": (0,)}, "tuple of positive whole numbers"),
    ],
)
def test_a_predictor_that_declares_nonsense_is_refused(changes, message):
    """An error names the attribute, what is allowed, and what came."""
    declared = {"access": "logits", "input_shape": (2,), "n_classes": 2, "bounds": None}
    if "bounds" in changes:
        del declared["bounds"]
    declared.update({name: value for name, value in changes.items() if name != "bounds"})
    model = type("Model", (), {**declared, "predict": lambda self, x: None})()
    with pytest.raises(InvalidInput, match=message):
        as_predictor(model, (2,))


def test_settings_are_bound_before_anything_is_made():
    """Missing and unknown settings are named, with the known ones; an inner error is passed on."""

    def made(part, *, needed, optional=1):
        raise TypeError("inside")

    with pytest.raises(
        InvalidInput,
        match=r"missing a required argument: 'needed'\. Its settings are needed, optional",
    ):
        build(made, 0, given={})
    with pytest.raises(
        InvalidInput,
        match=r"unexpected keyword argument 'other'\. Its settings are needed, optional",
    ):
        build(made, 0, given={"needed": 1, "other": 2})
    with pytest.raises(TypeError, match="inside"):
        build(made, 0, given={"needed": 1})


@pytest.mark.parametrize(
    "spec", ["model.pt", "model.pkl", "", "nowhere", "C:\\models\\net.pth", 3, None]
)
def test_what_is_no_model_is_refused(spec):
    """Pickles, words and other objects are no specs; the installed adapters say what is."""
    with pytest.raises(InvalidInput, match="No adapter understands") as caught:
        load(spec)
    assert '"package.module:factory"' in str(caught.value)
    assert ".onnx" in str(caught.value)


def test_refusing_a_spec_imports_no_runtime():
    """Asking the adapters costs no import of torch, onnxruntime or requests."""
    code = (
        "import sys, blackbox_boundary\n"
        "try: blackbox_boundary.load('nothing')\n"
        "except blackbox_boundary.InvalidInput: pass\n"
        "names = ('torch', 'onnx', 'onnxruntime', 'requests', 'matplotlib')\n"
        "print([name for name in names if name in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
