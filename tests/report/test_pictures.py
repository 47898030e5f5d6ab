"""Pictures of rows, read back from the page's data URIs."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from blackbox_boundary import InvalidInput
from blackbox_boundary.report.pictures import image_layout, triptychs


def pixels(uri):
    """Decode a PNG data URI with another library than the one that wrote it."""
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.load()
        return np.asarray(image)


@pytest.fixture
def grey():
    """Five rows (5, 9, 12) in 0 to 1 and flip points that are up to 0.5 brighter or darker."""
    rng = np.random.default_rng(0)
    x = rng.random((5, 9, 12))
    x[0, 0, :2] = 0, 1
    return x, x + rng.uniform(-0.5, 0.5, x.shape)


def test_grey_pictures_show_the_values(grey):
    """Black is the lowest original, white the highest; flip points are clipped to it."""
    x, flips = grey
    (drawn,), scale = triptychs(x, flips, np.array([0]), image_layout((9, 12), None))
    assert scale == (0, 1)
    np.testing.assert_array_equal(pixels(drawn.original), np.round(255 * x[0]))
    np.testing.assert_array_equal(pixels(drawn.flip), np.round(255 * np.clip(flips[0], 0, 1)))


def test_difference_grows_lighter_from_less_to_more(grey):
    """In grey, too: lightness orders pixels by signed change, and the scale's end is stated."""
    x, flips = grey
    (drawn,), _ = triptychs(x, flips, np.array([2]), image_layout((9, 12), None))
    change = (flips - x)[2]
    assert drawn.largest == np.abs(change).max()
    lightness = pixels(drawn.difference) @ [0.2126, 0.7152, 0.0722]
    order = np.argsort(change, axis=None)
    assert (np.diff(lightness.ravel()[order]) > -1).all()
    assert np.ptp(lightness) > 100


def test_no_change_is_grey():
    """A flip point equal to the row: no division by zero, one neutral colour."""
    x = np.random.default_rng(0).random((1, 8, 8))
    (drawn,), _ = triptychs(x, x, np.array([0]), image_layout((8, 8), None))
    assert drawn.largest == 0
    assert (pixels(drawn.difference) == 142).all()


def test_channels_first_and_last_and_flat_are_the_same_picture():
    """NCHW, NHWC and flattened rows of either; torch tensors of any precision that fits."""
    torch = pytest.importorskip("torch", reason="torch is an optional dependency")
    x = np.random.default_rng(0).integers(0, 17, (4, 3, 8, 10)) / 16
    flips, rows = x[::-1].copy(), np.array([3, 1])
    last = np.moveaxis(x, 1, -1).copy(), np.moveaxis(flips, 1, -1).copy()
    expected = triptychs(x, flips, rows, image_layout((3, 8, 10), None))
    assert expected == triptychs(*last, rows, image_layout((8, 10, 3), None))
    assert expected == triptychs(
        x.reshape(4, -1), flips.reshape(4, -1), rows, image_layout((240,), (3, 8, 10))
    )
    for dtype in (torch.float64, torch.bfloat16):
        assert expected == triptychs(
            torch.tensor(x, dtype=dtype),
            torch.tensor(flips, dtype=dtype),
            rows,
            image_layout((3, 8, 10), None),
        )
    colours = pixels(expected[0][0].original)
    np.testing.assert_array_equal(colours, np.round(255 * last[0][3]))


@pytest.mark.parametrize("change", [0.25, -0.25])
def test_colour_difference_shows_the_channel_that_changes_most(change):
    """One channel of one pixel changes, up or down: that pixel alone leaves the neutral grey."""
    x = np.random.default_rng(0).random((1, 3, 8, 8))
    flips = x.copy()
    flips[0, 1, 2, 5] += change
    (drawn,), _ = triptychs(x, flips, np.array([0]), image_layout((3, 8, 8), None))
    changed = (pixels(drawn.difference) != 142).any(axis=-1)
    assert np.argwhere(changed).tolist() == [[2, 5]]
    assert drawn.largest == pytest.approx(0.25)


def test_large_pictures_are_averaged_over_blocks():
    """300 pixels become 100 blocks of three, so that a page does not weigh megabytes."""
    x = np.random.default_rng(0).random((1, 300, 150))
    (drawn,), (low, high) = triptychs(x, None, np.array([0]), image_layout((300, 150), None))
    means = x[0].reshape(100, 3, 50, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(
        pixels(drawn.original), np.round(255 * (means - low) / (high - low))
    )


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (257, 8)])
def test_long_pictures_keep_a_pixel(shape):
    """The short side does not vanish when the long one is reduced."""
    x = np.random.default_rng(0).random((1, *shape))
    (drawn,), _ = triptychs(x, None, np.array([0]), image_layout(shape, shape))
    assert min(pixels(drawn.original).shape) >= 1
    assert max(pixels(drawn.original).shape) <= 128


def test_rows_without_a_flip_point_have_an_original_only(grey):
    """NaN where there is no flip point, or no flip points at all."""
    x, flips = grey
    flips[1] = np.nan
    for points in (flips, None):
        (drawn,), _ = triptychs(x, points, np.array([1]), image_layout((9, 12), None))
        assert drawn.original
        assert drawn.flip is drawn.difference is None


@pytest.mark.parametrize(
    ("row_shape", "image_shape", "channels"),
    [
        ((28, 28), None, None),
        ((1, 28, 28), None, 0),
        ((32, 32, 3), None, 2),
        ((96, 3), (3, 32, 3), 0),
        ((64,), (8, 8), None),
    ],
)
def test_layouts_that_are_read(row_shape, image_shape, channels):
    """Height and width, channels first or last; where both read, first."""
    assert image_layout(row_shape, image_shape).channels == channels


@pytest.mark.parametrize(
    "row_shape", [(30,), (4, 4), (2, 32, 32), (3, 5, 100), (), (8, 8, 8, 8), (0, 9)]
)
def test_rows_that_are_no_pictures(row_shape):
    """Not guessed where the shape does not say so."""
    assert image_layout(row_shape, None) is None


def test_image_shape_must_fit():
    """The message names what is allowed and what came."""
    with pytest.raises(InvalidInput, match="as many values as a row, 64"):
        image_layout((64,), (7, 9))
    with pytest.raises(InvalidInput, match=r"got \(2, 4, 8\)"):
        image_layout((64,), (2, 4, 8))
