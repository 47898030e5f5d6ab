"""The scale of the inputs: from what is declared, else from the data, and steps that follow it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit

from blackbox_boundary import Access, InvalidInput, Measurement, Prediction, Status, measure
from blackbox_boundary.estimators import Linearised, Ray, Tangent
from blackbox_boundary.gradients import (
    AntitheticBlocks,
    CentralDifferences,
    ForwardDifferences,
    LocalLinear,
    data_scale,
)
from blackbox_boundary.gradients import scale as scale_module

pytestmark = pytest.mark.filterwarnings("ignore:The spreads of the columns")


UNITS = np.array([4000.0, 90.0, 3.0, 0.02, 0.001])
"""What the columns of the table below vary by."""


@dataclasses.dataclass
class Table:
    """A logistic regression on standardised columns, asked for probabilities of raw ones."""

    units: np.ndarray = dataclasses.field(default_factory=lambda: UNITS)
    slope: float = 1.0
    access = Access.PROBABILITIES
    n_classes = 2
    bounds = None

    @property
    def input_shape(self):
        return self.units.shape

    @property
    def weights(self):
        """By the raw columns."""
        return (
            self.slope * np.linspace(1, 2, self.units.size).reshape(self.units.shape) / self.units
        )

    def margin(self, x):
        """Log-odds of class 1, zero at three units of each column."""
        apart = np.asarray(x, np.float64) - 3 * self.units
        return (apart * self.weights).reshape(len(x), -1).sum(axis=-1)

    def predict(self, x):
        p = expit(self.margin(x))
        return Prediction.from_scores(np.stack([expit(-self.margin(x)), p], axis=-1))

    def distance(self, x):
        """Closed form, L2 in raw units."""
        return np.abs(self.margin(x)) / np.linalg.norm(self.weights)

    def rows(self, n, seed=0):
        """Raw rows around the boundary."""
        return self.units * (3 + np.random.default_rng(seed).normal(size=(n, *self.input_shape)))


@pytest.mark.parametrize(
    "estimator",
    [
        Ray(),
        Ray(direction="margin"),
        Ray(gradients=ForwardDifferences()),
        Ray(gradients=AntitheticBlocks()),
        Ray(gradients=LocalLinear()),
        Tangent(),
        Linearised(),
    ],
    ids=["ray", "margin", "forward", "blocks", "local", "tangent", "linearised"],
)
def test_columns_of_mixed_units_have_the_closed_form(estimator):
    """Columns from thousandths to thousands: every row is measured, within one percent."""
    model = Table()
    x = model.rows(30)
    found = measure(model, x, estimator=estimator)
    if isinstance(estimator, Linearised):
        np.testing.assert_allclose(found.estimate, model.distance(x), rtol=0.01)
        return
    assert (found.status == Status.CONVERGED).all()
    np.testing.assert_allclose(found.l2, model.distance(x), rtol=0.01)


def test_zeros_are_no_scale():
    """Columns of mostly zero counts keep their scale; a row of zeros is measured."""
    model = Table()
    x = model.rows(40) * (np.random.default_rng(1).uniform(size=(40, 5)) < 0.6)
    found = measure(model, x)
    np.testing.assert_allclose(found.l2, model.distance(x), rtol=0.01)


def test_bounds_in_the_units_of_another_column_are_no_scale():
    """One pair of bounds for all raw columns, as --bounds gives: still the closed form."""
    model = Table()
    x = model.rows(20)
    found = measure(model, x, bounds=(-1e5, 1e5))
    np.testing.assert_allclose(found.l2, model.distance(x), rtol=0.01)


@given(st.integers(0, 5), st.integers(1, 6))
def test_a_row_alone_with_the_same_scale_is_the_row_in_its_data(seed, n):
    """Values and counts are equal, bit for bit; by hand, too, and in a shard."""
    model = Table(slope=3.0)
    x = model.rows(n, seed)
    together = measure(model, x)
    scale = together.run["scale"]
    alone = measure(model, x[:1], scale=scale)
    running = Measurement(x[:1], access="probabilities", n_classes=2, scale=np.array(scale))
    while (ask := running.ask()) is not None:
        running.tell(model.predict(ask.points))
    for column in ("status", "lo", "hi", "l2", "n_predictions"):
        expected = getattr(together, column)[0]
        assert getattr(alone, column)[0] == expected
        assert getattr(running.distances(), column)[0] == expected


def test_a_resumed_run_keeps_its_scale():
    """Blocks and a resumed run take the steps of the whole; with another scale it is refused."""
    model = Table()
    x = model.rows(300)
    whole = measure(model, x, batch_size=16)
    part = measure(model, x, batch_size=16, max_queries=2000)
    resumed = measure(model, x, batch_size=16, resume=part)
    np.testing.assert_array_equal(resumed.l2, whole.l2)
    assert resumed.run["scale"] == whole.run["scale"]
    with pytest.raises(InvalidInput, match="scale"):
        measure(model, x, resume=part, scale=1.0)


def test_bounds_of_an_image_are_its_scale():
    """Nothing is taken from the data, and nothing is written, where bounds say it."""

    class Image(Table):
        bounds = (-50.0, 50.0)

    model = Image(np.ones((6, 6)))
    found = measure(model, model.rows(4))
    assert found.run["scale"] is None
    np.testing.assert_allclose(found.l2, model.distance(model.rows(4)), rtol=0.01)


@given(
    hnp.arrays(
        float, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(-9, 9)
    ),
    st.integers(1, 4),
)
def test_the_spread_does_not_depend_on_how_rows_are_read(x, size):
    """Blocks of any size give the standard deviation of the columns, and always a usable scale."""
    scale_module._BLOCK_BYTES, usual = 8 * x.shape[1] * size, scale_module._BLOCK_BYTES
    try:
        scale = data_scale(x)
    finally:
        scale_module._BLOCK_BYTES = usual
    assert (np.isfinite(scale) & (scale > 0)).all()
    varies = x.std(axis=0) > 1e-9
    np.testing.assert_allclose(scale[varies], x.std(axis=0)[varies], rtol=1e-6)


def test_rows_that_are_not_finite_do_not_count():
    """A row with NaN gets its status, and leaves the scale as it is."""
    x = np.vstack([Table().rows(10), np.full(5, np.nan)])
    np.testing.assert_array_equal(data_scale(x), data_scale(x[:10]))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, [1.0, 2.0], "wide"])
def test_a_scale_must_be_positive_and_fit(scale):
    """Refused before any query."""
    with pytest.raises(InvalidInput, match="scale"):
        measure(Table(), Table().rows(2), scale=scale)


def test_a_step_across_a_column_fails_its_check():
    """A declared scale far too long for one column: the row ends without a gradient."""
    model = Table(np.array([1000.0, 1.0]))
    x = model.rows(20)
    found = measure(model, x, estimator="ray", scale=[1000.0, 1000.0])
    wrong = found.l2 > 1.05 * model.distance(x)
    assert not (wrong & (found.status == Status.CONVERGED)).any()
    assert (found.status == Status.UNRESOLVED).any()


def test_a_gradient_lost_in_single_precision_is_no_direction():
    """Probabilities of single precision near one: either the closed form, or the status."""
    model = Table(np.ones(6), slope=2.0)
    x = 3 + np.linspace(0.2, 1.5, 40)[:, None] * np.ones(6)

    class Single(Table):
        def predict(self, rows):
            return Prediction.from_scores(super().predict(rows).scores.astype(np.float32))

    found = measure(Single(np.ones(6), slope=2.0), x, estimator="ray")
    done = found.status == Status.CONVERGED
    assert done[:10].all()
    np.testing.assert_allclose(found.l2[done], model.distance(x)[done], rtol=0.2)
    assert not done[-5:].any()


def test_a_given_step_takes_no_scale():
    """Explicit steps are the caller's."""
    found = measure(
        Table(np.ones(4)),
        Table(np.ones(4)).rows(3),
        estimator=Ray(gradients=CentralDifferences(step=1e-3)),
    )
    assert found.run["scale"] is None
