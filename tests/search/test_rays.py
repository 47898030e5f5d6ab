"""The search along a ray: its brackets, its cost, and what it does where scores mislead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Ray

CROSSING = 1.0


class Profile:
    """One input, two classes; class 0's lead is a function of it; gradients have a given size."""

    input_shape, n_classes, bounds = (1,), 2, None

    def __init__(self, lead, unit=1.0, access=Access.LOGITS):
        self.lead, self.unit, self.access, self.n_predictions = lead, unit, access, 0

    def predict(self, x):
        self.n_predictions += len(x)
        lead = self.lead(x[:, 0])
        if self.access is Access.LABEL:
            return Prediction((lead < 0).astype(np.intp))
        return Prediction.from_scores(np.stack([lead, np.zeros(len(x))], axis=-1))

    def vjp(self, x, v):
        return -self.unit * v[:, :1] * np.ones_like(x)


LEADS = {
    "straight": lambda r: CROSSING - r,
    "steep": lambda r: 1e8 * (CROSSING - r),
    "flat": lambda r: (CROSSING - r) ** 5,
    "saturated": lambda r: np.tanh(200 * (CROSSING - r)),
    "step": lambda r: np.where(r < CROSSING, 1.0, -1.0),
    "plateau before": lambda r: np.where(r < CROSSING, 1.0, CROSSING - r - 1e-9),
    "plateau behind": lambda r: np.where(r < CROSSING, CROSSING - r, -1e-9),
    "rounded to 3 decimals": lambda r: np.round(CROSSING - r, 3) - 1e-9,
    "rounded to 1 decimal": lambda r: np.round(CROSSING - r, 1) - 1e-9,
    "jump to a steep line": lambda r: np.where(r < CROSSING, 100 - r, -1e-6 * r),
    "one kink": lambda r: np.where(r < 0.9, 10 - r, 91 * (CROSSING - r)),
    "many kinks": lambda r: (CROSSING - r) * (1.5 + np.sin(40 * r)),
    "misleading noise": lambda r: (CROSSING - r) * (1 + 0.9 * np.sin(1e7 * r)),
}


@pytest.mark.parametrize("unit", [0.003, 0.2, 0.99, 1.0, 1.7, 40.0, 1e4])
@pytest.mark.parametrize("name", LEADS)
def test_the_secant_costs_no_row_more_than_two_queries_over_bisection(name, unit):
    """Steep, flat, discontinuous and rounded scores included; and it finds the same crossing."""
    found = {}
    for search in ("secant", "paper"):
        distances = measure(
            Profile(LEADS[name], unit), np.zeros((1, 1)), estimator=Ray(search_by=search)
        )
        assert distances.status[0] == Status.CONVERGED
        assert distances.hi[0] - distances.lo[0] <= 1.01e-6 * distances.hi[0]
        found[search] = distances
    assert found["secant"].hi[0] == pytest.approx(found["paper"].hi[0], rel=2e-6)
    assert found["secant"].n_predictions[0] <= found["paper"].n_predictions[0] + 2


@settings(max_examples=200)
@given(
    crossing=st.floats(1e-4, 1e4),
    unit=st.floats(1e-4, 1e4),
    knots=st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e3)), max_size=6),
    slope=st.floats(1e-3, 1e3),
)
@example(crossing=1.0, unit=1.0, knots=[], slope=1.0)
def test_no_piecewise_linear_lead_costs_more_than_two_queries_over_bisection(
    crossing, unit, knots, slope
):
    """Any positive knots before the crossing, any slope behind it."""
    at, height = np.array(
        [
            *sorted(
                {
                    round(position, 3): size
                    for position, size in [(0.0, 1.0), *knots]
                    if position < 1
                }.items()
            )
        ]
    ).T
    radii, leads = (
        np.append(at * crossing, [crossing, 2 * crossing]),
        np.append(height, [0.0, -slope]),
    )

    def lead(r):
        beyond = np.maximum(r - 2 * crossing, 0) * slope / crossing
        return np.interp(r, radii, leads) - beyond - 1e-12

    counts = [
        measure(Profile(lead, unit), np.zeros((1, 1)), estimator=Ray(search_by=by)).n_predictions[0]
        for by in ("secant", "paper")
    ]
    assert counts[0] <= counts[1] + 2


def test_the_papers_schedule_is_alpha_one_ten_hundred_then_midpoints():
    """Algorithm 2, then Algorithm 1: the very radii, for a crossing at 30 gradients of size 1."""
    asked = []

    def lead(r):
        asked.extend(r.tolist())
        return 30.0 - r

    measure(Profile(lead), np.zeros((1, 1)), estimator=Ray(search_by="paper", num_steps=4))
    assert asked == [
        0.0,
        1.0,
        10.0,
        100.0,
        55.0,
        32.5,
        21.25,
        26.875,
        32.5,
    ]  # the last confirms the flip point


def test_a_third_class_counts_as_flipped():
    """Algorithm 1 of the paper stalls where the midpoint falls in a third class; ours does not."""

    class Three(Profile):
        n_classes = 3

        def predict(self, x):
            self.n_predictions += len(x)
            return Prediction(np.searchsorted([0.5, 0.7], x[:, 0], side="right"))

        def vjp(self, x, v):
            return -np.ones_like(x)

    distances = measure(Three(None, access=Access.LABEL), np.zeros((1, 1)))
    assert distances.hi[0] == pytest.approx(0.5, rel=2e-6)
    assert distances.flipped[0] == 1


def test_scan_finds_the_earlier_of_several_crossings():
    """The label flips on [0.2, 0.3] and from 0.9 on; the grid sees the latter alone."""

    def lead(r):
        return np.where(((r >= 0.2) & (r < 0.3)) | (r >= 0.9), -1.0, 1.0)

    x = np.zeros((1, 1))
    assert measure(Profile(lead), x, estimator=Ray(search_by="paper")).hi[0] == pytest.approx(
        0.9, rel=2e-6
    )
    assert measure(Profile(lead), x, estimator=Ray(search_by="paper", scan=20)).hi[
        0
    ] == pytest.approx(0.2, rel=2e-6)


@pytest.mark.parametrize("sections", [1, 3, 7])
def test_sections_trade_calls_for_queries(sections):
    """k-section narrows by k + 1 a call, to the same crossing."""
    calls = []

    class Counted(Profile):
        def predict(self, x):
            calls.append(len(x))
            return super().predict(x)

    predictor = Counted(LEADS["straight"], access=Access.LABEL)
    distances = measure(predictor, np.zeros((1, 1)), estimator=Ray(sections=sections))
    assert distances.hi[0] == pytest.approx(CROSSING, rel=2e-6)
    assert len(calls) == {1: 28, 3: 15, 7: 11}[sections]
    assert distances.n_predictions[0] == sum(calls)


def test_a_ray_without_a_flip_ends_with_a_status():
    """Twelve radii of the grid, then NO_FLIP; the distance is unknown, not the input's own."""
    distances = measure(Profile(np.ones_like), np.zeros((1, 1)))
    assert distances.status[0] == Status.NO_FLIP
    assert np.isinf(distances.l2[0])
    assert distances.lo[0] == 1e11
    assert np.isnan(distances.flip_points).all()


def test_a_score_that_is_not_finite_ends_its_row_alone():
    """The bracket found by then stays."""

    def lead(r):
        return np.where((r > 0.4) & (r < 0.6), np.nan, 1 - r - 1e-9)

    x = np.array([[0.0], [0.7]])
    distances = measure(Profile(lead), x, estimator=Ray(search_by="paper"))
    assert distances.status.tolist() == [Status.NON_FINITE, Status.CONVERGED]
    assert (distances.lo[0], distances.hi[0]) == (0.0, 1.0)


def test_a_flip_point_that_flips_back_is_moved_outward_until_it_stays():
    """If the boundary moves a little before the check, the flip point is moved until it flips."""
    asked = []

    def lead(r):
        asked.append(1)
        return (CROSSING + 1e-5 if len(asked) > 23 else CROSSING) - r

    predictor = Profile(lead, access=Access.LABEL)
    distances = measure(predictor, np.zeros((1, 1), np.float32), estimator=Ray(num_steps=20))
    assert distances.status[0] == Status.CONVERGED
    assert CROSSING + 1e-5 <= distances.hi[0] < CROSSING + 3e-5
    assert (predictor.predict(distances.flip_points).label == 1).all()


def test_a_model_that_never_repeats_its_flip_is_called_unconfirmed():
    """A flip that is only ever seen once is no flip point."""
    seen = []

    def lead(r):
        seen.append(1)
        return np.where(len(seen) > 22, 1.0, CROSSING - r)

    distances = measure(
        Profile(lead, access=Access.LABEL), np.zeros((1, 1)), estimator=Ray(num_steps=20)
    )
    assert distances.status[0] == Status.UNCONFIRMED


def test_resuming_leaves_the_earlier_result_as_it_was():
    """What is taken over is copied: the caller may keep both."""
    predictor, x = Profile(LEADS["straight"]), np.zeros((3, 1))
    earlier = measure(predictor, x, max_queries=6)
    before = (earlier.status.copy(), earlier.n_predictions.copy(), earlier.hi.copy())
    whole = measure(predictor, x, resume=earlier)
    assert (whole.status == Status.CONVERGED).all()
    for kept, now in zip(before, (earlier.status, earlier.n_predictions, earlier.hi), strict=True):
        assert np.array_equal(kept, now)
