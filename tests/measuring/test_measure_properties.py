"""Properties of every measurement: each estimator, under references and an adversary."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from blackbox_boundary import CapabilityMissing, Differentiable, Measurement, Status, measure
from blackbox_boundary.estimators import CATALOGUE, Ray
from blackbox_boundary.search.asks import AskGradient
from blackbox_boundary.testing import Adversary, Linear, Reference, Slab, Stripes
from blackbox_boundary.testing.strategies import adversaries, inputs, predictors

ESTIMATORS = {
    "ray": Ray(),
    "ray-paper": Ray(search_by="paper"),
    "ray-margin": Ray(direction="margin"),
    "ray-sections": Ray(search_by="paper", sections=3),
    "ray-scan": Ray(scan=5),
    "ray-steps": Ray(search_by="paper", num_steps=4),
    "ray-coarse": Ray(rtol=0.1),
}
COLUMNS = (
    "l1",
    "l2",
    "linf",
    "lo",
    "hi",
    "home",
    "flipped",
    "status",
    "n_predictions",
    "n_gradients",
    "flip_points",
    "top1",
    "entropy",
    "flip_top1",
)

every_estimator = st.sampled_from(list(ESTIMATORS.values()))


class Recorder:
    """A predictor that keeps every point it was asked about."""

    def __init__(self, predictor):
        self.inner, self.predicted, self.differentiated = predictor, [], []
        self.access, self.bounds = predictor.access, predictor.bounds
        self.input_shape, self.n_classes = predictor.input_shape, predictor.n_classes

    def predict(self, x):
        self.predicted.append(x.copy())
        return self.inner.predict(x)

    def vjp(self, x, v):
        self.differentiated.append(x.copy())
        return self.inner.vjp(x, v)

    @property
    def points(self):
        return np.concatenate([*self.predicted, *self.differentiated])


@st.composite
def situations(draw, estimator, *, models=None, min_rows=1):
    """A predictor that the estimator can work with, and rows for it."""
    predictor = draw(st.one_of(predictors(), adversaries()) if models is None else models)
    try:
        measure(
            predictor,
            np.zeros((1, *predictor.input_shape)),
            estimator=estimator,
            bounds=(-np.inf, np.inf),
            max_queries=0,
        )
    except CapabilityMissing:
        assume(False)
    return predictor, draw(inputs(predictor, min_rows=min_rows, max_rows=4))


def by_hand(predictor, x, estimator, *, row_ids=None, inspect=None):
    """Measure with ask() and tell(), looking at the measurement after every answer."""
    running = Measurement(
        x,
        estimator=estimator,
        access=predictor.access,
        n_classes=predictor.n_classes,
        bounds=predictor.bounds,
        differentiable=isinstance(predictor, Differentiable),
        row_ids=row_ids,
    )
    while (ask := running.ask()) is not None:
        assert running.ask() is ask
        running.tell(
            predictor.vjp(ask.points, ask.v)
            if isinstance(ask, AskGradient)
            else predictor.predict(ask.points)
        )
        if inspect is not None:
            inspect(running)
    return running.distances()


def assert_equal(one, other, names=COLUMNS):
    """Equal to the last bit."""
    for name in names:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_valid(found, x, predictor):
    """What every result promises, finished or not."""
    flat = (found.flip_points.astype(np.float64) - x).reshape(len(x), -1)
    assert (found.has_flip == (found.flipped >= 0)).all()
    assert (found.lo <= found.hi).all()
    assert (found.lo >= 0).all()
    assert np.isfinite(found.lo).all()
    known = found.has_flip
    assert (found.home[known] >= 0).all()
    assert (found.home[known] != found.flipped[known]).all()
    assert np.isnan(flat[~known]).all()
    assert np.isinf(found.l1[~known]).all()
    for norm, order in {"l1": 1, "l2": 2, "linf": np.inf}.items():
        expected = np.linalg.norm(flat[known], ord=order, axis=-1)
        np.testing.assert_allclose(
            found.norm(norm)[known], expected, rtol=1e-5, atol=1e-6 * (1 + np.abs(x).max(initial=0))
        )
    converged = found.status == Status.CONVERGED
    assert known[converged].all()
    if known.any():
        label = predictor.predict(found.flip_points[known]).label
        assert (label == found.flipped[known]).all(), (
            "a reported flip point does not have the label that is reported for it"
        )
    if found.flip_top1 is not None:
        scored = np.isfinite(found.flip_top1)
        assert (converged | ~scored).all()
        score = predictor.predict(found.flip_points[scored]).label_score if scored.any() else []
        np.testing.assert_allclose(found.flip_top1[scored], score, rtol=1e-6, atol=1e-9)


@given(every_estimator, st.data())
def test_results_keep_their_promises(estimator, data):
    """Flip points flip again, distances are theirs, only unknowns are NaN; ``x`` is unchanged."""
    predictor, x = data.draw(situations(estimator))
    before = x.copy()
    x.flags.writeable = False
    found = measure(predictor, x, estimator=estimator)
    assert_valid(found, x, predictor)
    assert np.array_equal(x, before)
    assert (found.home == predictor.predict(x).label).all()
    assert not np.isin(
        found.status,
        [Status.NOT_MEASURED, Status.INTERRUPTED, Status.OUT_OF_BUDGET, Status.INVALID_INPUT],
    ).any()


@given(every_estimator, st.data())
def test_every_row_is_counted_once(estimator, data):
    """Rows at the model are those of the result, predictions and gradients, in any batch size."""
    predictor, x = data.draw(situations(estimator))
    predictor.n_predicted = predictor.n_differentiated = 0
    found = measure(predictor, x, estimator=estimator, batch_size=data.draw(st.integers(1, 7)))
    assert (found.n_predictions.sum(), found.n_gradients.sum()) == (
        predictor.n_predicted,
        predictor.n_differentiated,
    )
    assert found.run["n_queries"] == predictor.n_predicted + predictor.n_differentiated
    assert (found.n_predictions >= 1).all()


@given(every_estimator, st.data())
def test_bounds_are_never_left(estimator, data):
    """No point outside is asked about or reported."""
    predictor, x = data.draw(situations(estimator))
    assume(predictor.bounds is not None)
    recorder = Recorder(predictor)
    found = measure(recorder, x, estimator=estimator)
    lowest, highest = (np.asarray(bound, x.dtype) for bound in predictor.bounds)
    for points in (recorder.points, found.flip_points[found.has_flip]):
        assert (points >= lowest).all()
        assert (points <= highest).all()


@given(every_estimator, st.data())
def test_a_row_does_not_know_its_neighbours(estimator, data):
    """Alone, among others, in another order, among broken ones: equal values and counts."""
    predictor, x = data.draw(situations(estimator, min_rows=2))
    together = by_hand(predictor, x, estimator)
    order = np.array(data.draw(st.permutations(range(len(x)))))
    assert_equal(together[order], by_hand(predictor, x[order], estimator, row_ids=order))
    for row in range(len(x)):
        assert_equal(
            together[row : row + 1], by_hand(predictor, x[row : row + 1], estimator, row_ids=[row])
        )
    broken = np.concatenate([np.full_like(x[:1], np.nan), x, np.full_like(x[:1], np.inf)])
    among = by_hand(predictor, broken, estimator, row_ids=[77, *range(len(x)), 78])
    assert_equal(together, among[1:-1])
    assert (among.status[[0, -1]] == Status.INVALID_INPUT).all()
    assert (among.n_predictions[[0, -1]] == 0).all()


@given(every_estimator, st.data())
def test_any_limit_leaves_valid_results_and_can_be_resumed(estimator, data):
    """No query exceeds the limit, what is known is valid, and a resume ends like a free run.

    A row that the limit cut off continues from its bracket, and may end at another crossing of its
    ray.
    """
    predictor, x = data.draw(situations(estimator))
    free = measure(predictor, x, estimator=estimator)
    limit = data.draw(st.integers(0, int(free.n_predictions.sum() + free.n_gradients.sum())))
    predictor.n_predicted = predictor.n_differentiated = 0
    found = measure(predictor, x, estimator=estimator, max_queries=limit)
    assert predictor.n_predicted + predictor.n_differentiated <= limit
    assert found.n_predictions.sum() + found.n_gradients.sum() <= limit
    assert_valid(found, x, predictor)
    names = tuple(
        name for name in COLUMNS if not name.startswith("n_") and getattr(free, name) is not None
    )
    finished = np.array([Status(status).is_final for status in found.status])
    assert_equal(
        found[finished],
        free[finished],
        tuple(name for name in names if getattr(found, name) is not None),
    )
    resumed = measure(predictor, x, estimator=estimator, resume=found)
    assert_valid(resumed, x, predictor)
    anew = (found.status != Status.OUT_OF_BUDGET) | ~found.has_flip
    assert_equal(resumed[anew], free[anew], names)


@given(every_estimator, st.data())
def test_asking_by_hand_is_measuring(estimator, data):
    """ask() and tell() give what measure() gives; brackets hold at every moment when re-asked."""
    predictor, x = data.draw(situations(estimator))

    def inspect(running):
        assert_valid(running.distances(), x, predictor)
        flips = running._flips
        if flips.path is not None and flips._best is None:
            rows = np.flatnonzero(flips.home >= 0)
            assert (
                predictor.predict(flips.path.at(rows, flips.lo[rows])).label == flips.home[rows]
            ).all()

    assert_equal(
        by_hand(predictor, x, estimator, inspect=inspect),
        measure(predictor, x, estimator=estimator),
    )


@given(every_estimator, st.data())
def test_brackets_hold_a_crossing_of_the_ray(estimator, data):
    """On closed forms the bracket holds an exact crossing of the ray, within input rounding."""
    predictor, x = data.draw(situations(estimator, models=predictors(rounded=False)))
    found = measure(predictor, x.astype(np.float64), estimator=estimator, bounds=(-np.inf, np.inf))
    rows = np.flatnonzero(found.status == Status.CONVERGED)
    assume(rows.size)
    direction = found.flip_points[rows] - x[rows]
    assume(np.linalg.norm(direction.reshape(len(rows), -1), axis=-1).min() > 1e-6)
    crossings = predictor.crossings(x[rows], direction)
    room = 1e-6 * (1 + found.hi[rows]) + 2e-6 * np.abs(x).max()
    inside = (crossings >= (found.lo[rows] - room)[:, None]) & (
        crossings <= (found.hi[rows] + room)[:, None]
    )
    third = (
        predictor.n_classes > 2
    )  # past its first crossing a ray of Linear may meet other classes, or come back never
    many = found.hi[rows] > crossings[:, -1]  # Stripes list four crossings of many
    at_row = found.lo[rows] == 0  # of a row on the boundary, whose crossing at 0 is not listed
    at_row &= np.isfinite(crossings[:, 0]) & (predictor.distance(x[rows]) == 0)
    assert (inside.any(axis=-1) | many | third | at_row).all()
    if getattr(estimator, "rtol", 0) <= 1e-6 and getattr(estimator, "num_steps", None) is None:
        single = np.isfinite(crossings[:, 0]) & ~np.isfinite(crossings[:, 1:]).any(axis=-1)
        np.testing.assert_allclose(
            found.l2[rows][single],
            crossings[single, 0],
            rtol=1e-5,
            atol=2e-6 * (1 + np.abs(x).max()),
        )


@given(every_estimator, st.data())
def test_permuting_the_classes_permutes_the_labels(estimator, data):
    """The order of the classes does not matter: equal brackets within rounding, other labels."""
    n_classes, whole = data.draw(st.integers(2, 4)), st.integers(-9, 9)
    weights, offsets = (
        data.draw(hnp.arrays(int, (n_classes, 3), elements=whole)),
        data.draw(hnp.arrays(int, n_classes, elements=whole)),
    )
    x = data.draw(hnp.arrays(int, (3, 3), elements=whole)).astype(float)
    order = np.array(data.draw(st.permutations(range(n_classes))))
    one = measure(Reference(Linear(weights / 8, offsets / 8)), x, estimator=estimator)
    other = measure(
        Reference(Linear(weights[order] / 8, offsets[order] / 8)), x, estimator=estimator
    )
    scores = np.sort(x @ weights.T + offsets, axis=-1)
    clear = scores[:, -1] > scores[:, -2]  # ties go to the lowest index, whatever it is called
    assert (one.home == order[other.home])[clear].all()
    if getattr(estimator, "direction", "top1") != "top1":
        pass  # of rivals that tie, too, the lowest index is taken
    elif getattr(estimator, "num_steps", None) is None:
        np.testing.assert_allclose(one.hi[clear], other.hi[clear], rtol=2e-6)
    else:  # a tie at a step belongs to the lowest index: the brackets lie on both sides of it
        touching = np.maximum(one.lo, other.lo) <= np.minimum(one.hi, other.hi) * (1 + 2e-6)
        assert touching[clear & (one.status == Status.CONVERGED)].all()
    assert (one.status == other.status)[clear].all()


@pytest.mark.parametrize(
    ("access", "estimator"),
    [
        ("label", Ray()),
        ("logits", Ray()),
        ("probabilities", Ray(direction="margin")),
        ("logits", Ray(search_by="paper")),
    ],
    ids=["label", "logits", "probabilities", "paper"],
)
@given(st.data())
def test_moving_and_scaling_the_inputs_moves_and_scales_the_result(access, estimator, data):
    """A hyperplane scaled or moved has scaled distances; steeper scores have the same."""
    normal = np.array(data.draw(st.tuples(*[st.integers(-5, 5)] * 3).filter(any)), float)
    offset, unit = data.draw(st.integers(-9, 9)) + 0.5, data.draw(st.sampled_from([0.5, 3.0, 40.0]))
    x = data.draw(hnp.arrays(int, (3, 3), elements=st.integers(-5, 5))).astype(float)
    exact = np.abs(x @ normal + offset) / np.linalg.norm(normal)
    for shape, rows, factor, scale in (
        (Linear.hyperplane(normal, offset), x, 1, 0.1),
        (Linear.hyperplane(normal / unit, offset), x * unit, unit, 0.1),
        (Linear.hyperplane(normal, offset - normal.sum()), x + 1, 1, 0.1),
        (Linear.hyperplane(normal, offset), x, 1, 0.2),
    ):
        found = measure(Reference(shape, access=access, scale=scale), rows, estimator=estimator)
        assert (found.status == Status.CONVERGED).all()
        np.testing.assert_allclose(found.l2, exact * factor, rtol=3e-6)


@pytest.mark.parametrize("search_by", ["paper", "secant"])
def test_a_scan_finds_an_earlier_crossing(search_by):
    """A steep model's first radius passes many stripes; a fine enough scan finds the first."""
    stripes = Reference(Stripes(np.array([1.0, 0.0])), scale=30)
    x = np.array([[0.3, 0.0], [2.8, 1.0]])
    first = stripes.distance(x)
    assert (measure(stripes, x, estimator=Ray(search_by="paper")).l2 > 2 * first).all()
    np.testing.assert_allclose(
        measure(stripes, x, estimator=Ray(search_by=search_by, scan=5000)).l2, first, rtol=1e-6
    )


def test_a_slab_that_the_grid_jumps_over_is_not_seen():
    """Radii 0.5, 5, 50 lie before and behind it: no flip is reported, only the radius tried."""
    slab = Reference(Slab(np.array([1.0, 0.0]), 0.0, 0.5))
    found = measure(slab, np.array([[-8.0, 0.0]]), estimator=Ray(search_by="paper"))
    assert found.count_by_status() == {"NO_FLIP": 1}
    np.testing.assert_allclose(found.lo, 0.5e11)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_a_row_on_the_boundary_ends(estimator):
    """Every radius flips, so the bracket is never narrow relative to it: the search still ends."""
    model = Reference(Linear.hyperplane(np.array([1.0, 2.0]), 0.0))
    found = measure(model, np.zeros((1, 2)), estimator=estimator, max_queries=1000)
    assert found.count_by_status() == {"CONVERGED": 1}
    assert found.n_predictions[0] < 150


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_a_row_with_infinite_scores_ends_quietly(estimator):
    """It is NON_FINITE, its neighbour is measured, and infinity minus infinity does not warn."""
    adversary = Adversary((1,), 2, seed=111, broken=0.05)
    assert np.isneginf(adversary.predict(np.ones((1, 1))).scores).any()
    found = measure(adversary, np.array([[0.0], [1.0]]), estimator=estimator)
    assert (found.status == [found.status[0], Status.NON_FINITE]).all()
    assert found.home.tolist() == [0, -1]


def light(name):
    """The registered estimator of this name, told to spend little where it can be told."""
    estimator = CATALOGUE[name].kind()
    return (
        dataclasses.replace(estimator, max_queries_per_row=60)
        if hasattr(estimator, "max_queries_per_row")
        else estimator
    )


@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # of extreme scores: the results are what is tested here
@pytest.mark.parametrize(
    "name", sorted(name for name, entry in CATALOGUE.items() if not entry.weights)
)
@given(st.data())
@settings(max_examples=12)
def test_every_registered_estimator_keeps_the_promises(name, data):
    """Valid results, all queries counted, bounds kept, rows apart, no query beyond a limit."""
    estimator = light(name)
    predictor, x = data.draw(situations(estimator))
    recorder = Recorder(predictor)
    predictor.n_predicted = predictor.n_differentiated = 0
    found = measure(recorder, x, estimator=estimator)
    assert (found.n_predictions.sum(), found.n_gradients.sum()) == (
        predictor.n_predicted,
        predictor.n_differentiated,
    )
    assert_valid(found, x, predictor)
    if predictor.bounds is not None:
        lowest, highest = (np.asarray(bound, x.dtype) for bound in predictor.bounds)
        assert ((recorder.points >= lowest) & (recorder.points <= highest)).all()
    for row in range(len(x)):
        assert_equal(
            found[row : row + 1], by_hand(predictor, x[row : row + 1], estimator, row_ids=[row])
        )
    limit = data.draw(st.integers(0, int(found.n_predictions.sum() + found.n_gradients.sum())))
    predictor.n_predicted = predictor.n_differentiated = 0
    partial = measure(predictor, x, estimator=estimator, max_queries=limit)
    assert (
        predictor.n_predicted + predictor.n_differentiated
        == partial.n_predictions.sum() + partial.n_gradients.sum()
        <= limit
    )
    assert_valid(partial, x, predictor)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_broyden_asks_about_points_alone():
    """In three dimensions as in many: no NaN is asked about."""
    lowest = np.array([0.0, -1.0, 0.0])
    model = Recorder(
        Reference(
            Linear.hyperplane(np.array([0.0, 0.0, 1.0]), 0.0),
            access="probabilities",
            bounds=(lowest, lowest + 0.25),
        )
    )
    measure(model, np.array([[0.0, -0.75, 0.25]]), estimator="broyden")
    assert np.isfinite(model.points).all()
