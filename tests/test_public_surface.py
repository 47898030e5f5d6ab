"""Whatever a caller gives, the answer is a result or an error of the package."""

import contextlib
import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import BoundaryError, Measurement, load, measure
from blackbox_boundary.datasets import read
from blackbox_boundary.testing import Linear, Reference

FEW = settings(max_examples=150, deadline=None)
MODEL = Reference(Linear.hyperplane(np.array([1.0, -1.0]), 0.1), access="logits")

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**70),
    st.floats(),
    st.text(max_size=4),
    st.binary(max_size=4),
    st.sampled_from([object(), type, np.array(3.0), fractions.Fraction(1, 2), {}, [[]], 1j, set()]),
    st.lists(st.floats() | st.text(max_size=2) | st.none(), max_size=3),
    st.lists(st.lists(st.floats(-2, 2), min_size=2, max_size=2), min_size=1, max_size=3),
)
ROWS = st.one_of(
    ODD,
    st.sampled_from(
        [
            np.zeros((1, 2), complex),
            np.zeros((2, 2), "M8[s]"),
            np.zeros((1, 2), object),
            np.zeros((1, 2), [("a", "f8")]),
            np.zeros((0, 2)),
            np.float16([[0.1, 0.2]]),
            np.longdouble([[0.1, 0.2]]),
            np.array([["a", "b"]]),
            np.ma.masked_invalid([[np.nan, 1.0]]),
            np.array([[np.inf, 0.0], [1e308, -1e308]]),
        ]
    ),
)
SETTINGS = {
    "bounds": ODD | st.tuples(ODD, ODD),
    "max_queries": ODD,
    "batch_size": ODD,
    "seed": ODD,
    "votes": ODD,
    "score_resolution": ODD,
    "estimator": ODD | st.sampled_from(["ray", "halfspace"]),
    "flip_points": st.booleans() | st.none(),
    "resume": ODD,
}


@pytest.mark.filterwarnings("ignore")
@FEW
@given(
    st.sampled_from(sorted(SETTINGS)).flatmap(lambda name: st.tuples(st.just(name), SETTINGS[name]))
)
def test_settings_of_measure(setting):
    """One odd setting at a time."""
    name, value = setting
    given = {"max_queries": 50, name: value}
    with contextlib.suppress(BoundaryError):
        measure(MODEL, np.array([[0.1, 0.4]]), **given)


@pytest.mark.filterwarnings("ignore")
@FEW
@given(ROWS)
def test_rows(x):
    """Rows of any kind, for both drivers."""
    with contextlib.suppress(BoundaryError):
        measure(MODEL, x, max_queries=50)
    with contextlib.suppress(BoundaryError):
        Measurement(x, access="logits", n_classes=2)


@pytest.mark.filterwarnings("ignore")
@FEW
@given(
    ODD,
    st.dictionaries(
        st.sampled_from(
            ["labels", "ids", "drop", "use", "class_names", "divide_by", "shape", "array"]
        ),
        ODD,
        max_size=2,
    ),
)
def test_readers(tmp_path_factory, spec, choice):
    """Any name, and odd choices of columns of a table that is there."""
    with contextlib.suppress(BoundaryError):
        read(spec)
    path = tmp_path_factory.getbasetemp() / "t.csv"
    path.write_text("a,b,label\n1,2,x\n3,4,y\n")
    with contextlib.suppress(BoundaryError):
        read(path, **choice)


@pytest.mark.filterwarnings("ignore")
@FEW
@given(ODD)
def test_models(spec):
    """What names no model."""
    with contextlib.suppress(BoundaryError):
        load(spec)
