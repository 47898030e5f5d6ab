"""Whatever a caller gives to ``read``, the answer is data or an error of the package."""

import contextlib
import fractions

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import BoundaryError
from blackbox_boundary.datasets import read

FEW = settings(max_examples=150, deadline=None)

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
