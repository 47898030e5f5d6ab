"""How rows are written: every number arrives as it was, or rounded as it says."""

import base64
import io
import json

import numpy as np
import pytest
from blackbox_boundary.adapters.http_endpoint.contract import Contract
from blackbox_boundary.adapters.http_endpoint.dialects.encodings import Encoding
from blackbox_boundary.adapters.http_endpoint.dialects.row_text import RowText
from blackbox_boundary.adapters.http_endpoint.wire import (
    as_dtype,
    bounds_within,
    flat_json,
    nested_json,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from blackbox_boundary import Access, InvalidInput

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def encoding(shape, bounds=(0, 1), **told):
    """An encoding for rows of a shape."""
    return Encoding.of(told, Contract(Access.PROBABILITIES, shape, 2, bounds))


@given(
    st.sampled_from(["f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype, shapes, elements={"allow_nan": False, "allow_infinity": False}
        )
    )
)
def test_floats_come_back_bit_for_bit(x):
    """Nine digits are enough for float32, seventeen for float64; nested or flat."""
    assert (np.array(json.loads(flat_json(x)), x.dtype) == x.ravel()).all()
    nested = np.array(json.loads(nested_json(x)), x.dtype)
    assert nested.shape == x.shape
    assert (nested == x).all()


@given(
    st.sampled_from(["f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            (3, 4),
            elements=st.sampled_from([0.0, -0.0, 1.0, -7.0, 1e10, 2.0**60])
            | st.floats(-(2.0**100), 2.0**100, width=8 * np.dtype(dtype).itemsize),
        )
    )
)
def test_floats_of_a_description_are_floats_to_the_server(x):
    """Whole numbers, too: 2 would be an integer, and its row an integer array. No bit is lost."""
    named = '{"a": $row[2], "100 %.9g": [$row[0], $row[1]], "d": $row[3]}'
    nested = RowText.of("$row", (2, 2), x.dtype).lines(x.reshape(3, 2, 2), ",")
    rows = json.loads(b"[" + nested + b"]")
    fields = json.loads(b"[" + RowText.of(named, (4,), x.dtype).lines(x, ",") + b"]")
    numbers = [[*each["100 %.9g"], each["a"], each["d"]] for each in fields]
    lines = RowText.of("$row[0],$row[1],$row[2],$row[3]", (4,), x.dtype).lines(x, "\n").decode()
    assert all(type(value) is float for row in numbers for value in row)
    assert all(type(value) is float for row in rows for part in row for value in part)
    assert (np.array(rows, x.dtype).reshape(3, 4) == x).all()
    assert (np.array(numbers, x.dtype) == x).all()
    cells = [line.split(",") for line in lines.splitlines()]
    assert (np.array(cells, np.float64).astype(x.dtype) == x).all()
    assert all(set(cell) & set(".e") for line in cells for cell in line)


def test_whole_numbers_stay_whole():
    """A row of bytes is written without points."""
    rows = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert RowText.of("$row", (3,), rows.dtype).lines(rows, ",") == b"[0,1,2],[3,4,5]"


@given(hnp.arrays("f8", shapes, elements=st.floats(0, 255)))
def test_whole_numbers_are_rounded_half_to_even(x):
    """Never cut, and never further than half a step away."""
    sent = as_dtype(x, np.dtype("u1"))
    assert (sent == np.rint(x)).all()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.nan, "f4"),
        (np.inf, "f8"),
        (1e39, "f4"),
        (1e5, "f2"),
        (256, "u1"),
        (-1, "u1"),
        (np.nan, "i4"),
        (2, "?"),
        (2.0**63, "i8"),
    ],
)
def test_what_does_not_fit_is_refused(value, dtype):
    """With the number of the row, before anything is sent."""
    with pytest.raises(InvalidInput, match="row 1"):
        as_dtype(np.array([[0.0], [value]]), np.dtype(dtype))


@pytest.mark.parametrize("channels", ["first", "last", "none"])
def test_png_holds_the_pixels(channels):
    """In colour and in grey, whichever axis the colours are on."""
    pixels = (
        np.random.default_rng(0)
        .integers(0, 256, (6, 5, 3) if channels != "none" else (6, 5))
        .astype(np.uint8)
    )
    x = np.moveaxis(pixels, -1, 0) if channels == "first" else pixels
    way = encoding(x.shape, bounds=(0, 255), encoding="png")
    assert way.channels == channels
    sent = way.as_sent(x[None].astype(np.float32))
    assert (np.asarray(Image.open(io.BytesIO(way.raw(sent[0])))) == pixels).all()


def test_bytes_of_the_array():
    """As base64 within JSON, or as a NumPy file."""
    x = np.random.default_rng(0).random((2, 3, 2)).astype(np.float32)
    way = encoding((3, 2), encoding="base64")
    texts = [json.loads(way.row_json(row)) for row in way.as_sent(x)]
    rows = [np.frombuffer(base64.b64decode(text), "<f4") for text in texts]
    assert (np.array(rows) == x.reshape(2, 6)).all()
    way = encoding((3, 2), encoding="npy")
    assert (np.load(io.BytesIO(way.raw(way.as_sent(x)[0]))) == x[0]).all()


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((4,), {"encoding": "png"}),
        ((2, 5, 5), {"encoding": "png"}),
        ((4, 4), {"encoding": "png", "dtype": "float32"}),
        ((4, 4), {"encoding": "png", "channels": "first"}),
        ((4,), {"dtype": "complex64"}),
        ((4,), {"dtype": "wide"}),
    ],
)
def test_encodings_that_cannot_be(shape, told):
    """Named before anything is sent."""
    with pytest.raises(InvalidInput):
        encoding(shape, **told)


def test_pixels_need_bounds():
    """Without them nobody knows what 255 stands for."""
    with pytest.raises(InvalidInput, match="bounds"):
        encoding((4, 4), bounds=None, encoding="png")


def test_half_precision_bounds_the_search():
    """Its range replaces absent bounds; bounds beyond it are refused, those of other types kept."""
    half, single = np.dtype("f2"), np.dtype("f4")
    assert bounds_within(None, half) == (-65504.0, 65504.0)
    assert bounds_within((0, 1), half) == (0, 1)
    assert bounds_within(None, single) is None
    assert bounds_within((0, 1e6), single) == (0, 1e6)
    with pytest.raises(InvalidInput, match="within 65504"):
        bounds_within((0, 1e6), half)
