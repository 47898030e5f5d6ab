"""The estimators that need no gradient: right where the truth is known, and every row by itself."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from blackbox_boundary import (
    Access,
    CapabilityMissing,
    InvalidInput,
    Measurement,
    Prediction,
    Status,
    measure,
)
from blackbox_boundary.estimators import Broyden, HalfSpace, Tangent, halfspace
from blackbox_boundary.gradients import Coordinates, Cosines, Span
from blackbox_boundary.search.geometry import limits, nearest
from blackbox_boundary.testing import Ball, Linear, Opaque, Reference

BOTH = [
    HalfSpace(max_queries_per_row=200),
    Broyden(max_queries_per_row=100),
    Broyden(max_queries_per_row=100, norm="linf"),
]
SEARCH = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
)  # shrinking a run of hundreds of questions takes minutes and shows little
names = {"ids": lambda estimator: f"{estimator.name} {estimator.norm}"}


@pytest.fixture(autouse=True, scope="module")
def _phases_come_early():
    """A label search that looks around after some sixty questions, so that all phases run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(halfspace, "_SETTLED", 60)
        patch.setattr(halfspace, "_REFINE", 30)
        yield


def access_for(estimator):
    """What the estimator is meant for."""
    return Access.LABEL if isinstance(estimator, HalfSpace) else Access.LOGITS


def hyperplanes(d, *, access, seed=0, bounds=None, scale=1.0):
    """Four classes with flat boundaries."""
    rng = np.random.default_rng(seed)
    return Reference(
        Linear(rng.standard_normal((4, d)), rng.standard_normal(4)),
        access=access,
        bounds=bounds,
        scale=scale,
    )


def inside(n, d, seed=1):
    """Rows inside the unit box."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, (n, d))


@pytest.mark.parametrize(
    ("estimator", "within"),
    [(HalfSpace(max_queries_per_row=1500), 1.03), (Broyden(max_queries_per_row=150), 1.002)],
)
def test_hyperplanes_are_met_at_their_distance(estimator, within):
    """The nearest of several hyperplanes, in twenty dimensions without bounds."""
    predictor, x = hyperplanes(20, access=access_for(estimator)), inside(6, 20)
    found = measure(Opaque(predictor), x, estimator=estimator)
    ratio = found.l2 / predictor.distance(x)
    assert (found.status == Status.CONVERGED).all()
    assert (ratio > 1 - 1e-6).all()
    assert (np.median(ratio) if isinstance(estimator, HalfSpace) else ratio.max()) < within


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_scores_in_l_infinity_meet_hyperplanes_at_their_distance(bounds):
    """The nearest of several hyperplanes in twenty dimensions, against the closed form in a box."""
    predictor, x = hyperplanes(20, access=Access.LOGITS, bounds=bounds), inside(6, 20)
    found = measure(Opaque(predictor), x, estimator=Broyden(max_queries_per_row=150, norm="linf"))
    logits, weights = predictor.predict(x).scores, predictor.shape.weights
    exact = np.full(len(x), np.inf)
    for rival in range(4):
        lead = logits[np.arange(6), found.home] - logits[:, rival]
        step = nearest(weights[found.home] - weights[rival], *limits(x, bounds), lead, "linf")
        reached = (rival != found.home) & (
            ((weights[found.home] - weights[rival]) * step).sum(axis=-1) <= -lead * (1 - 1e-6)
        )
        exact = np.where(reached, np.minimum(exact, np.abs(step).max(axis=-1)), exact)
    assert (found.linf > exact * (1 - 1e-6)).all()
    assert (found.linf < exact * 1.002).all()


@pytest.mark.parametrize(
    ("estimator", "within"),
    [
        (HalfSpace(max_queries_per_row=1500), 1.01),
        (Broyden(max_queries_per_row=300), 1.01),
    ],
)
def test_a_ball_is_met_at_its_distance(estimator, within):
    """A boundary as curved as it is far, from inside."""
    predictor = Reference(Ball(np.zeros(10), 2.0), access=access_for(estimator))
    x = np.random.default_rng(2).standard_normal((5, 10)) * 0.3
    found = measure(Opaque(predictor), x, estimator=estimator)
    ratio = found.l2 / predictor.distance(x)
    assert (ratio > 1 - 1e-6).all()
    assert (ratio < within).all()


def test_a_nearer_class_is_found_beside_the_first():
    """A row that settles at the facet of another class than the nearest one leaves it for that."""
    predictor, x = hyperplanes(20, access=Access.LABEL, seed=3), inside(12, 20)
    estimator, truth = HalfSpace(max_queries_per_row=1200), predictor.distance(x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(halfspace, "_settled", lambda blocks: 1200)
        settled = measure(Opaque(predictor), x, estimator=estimator).l2
    looked = measure(Opaque(predictor), x, estimator=estimator).l2
    assert (settled / truth > 1.05).any()
    assert (looked / truth < 1.01).all()


@pytest.mark.parametrize("estimator", BOTH, **names)
def test_row_alone_equals_row_in_batch(estimator):
    """Distances, flip points and counts are equal, bit for bit, beside any rows in any number."""
    predictor, x = hyperplanes(12, access=access_for(estimator), bounds=(0.0, 1.0)), inside(7, 12)
    together = measure(Opaque(predictor), x, estimator=estimator)
    for i in (0, 3, 6):
        running = Measurement(
            x[i : i + 1],
            estimator=estimator,
            access=predictor.access,
            n_classes=4,
            bounds=(0.0, 1.0),
            row_ids=np.array([i]),
        )
        while (ask := running.ask()) is not None:
            running.tell(predictor.predict(ask.points))
        alone = running.distances()
        assert alone.l2[0] == together.l2[i]
        assert alone.n_predictions[0] == together.n_predictions[i]
        np.testing.assert_array_equal(alone.flip_points[0], together.flip_points[i])


@pytest.mark.parametrize("estimator", BOTH, **names)
def test_rows_do_not_notice_how_many_fit_in_memory(estimator, monkeypatch):
    """One row at a time gives what all together give."""
    predictor, x = hyperplanes(12, access=access_for(estimator)), inside(5, 12)
    together = measure(Opaque(predictor), x, estimator=estimator)
    monkeypatch.setattr("blackbox_boundary.search.lockstep._MEMORY", 1)
    np.testing.assert_array_equal(
        measure(Opaque(predictor), x, estimator=estimator).l2, together.l2
    )


class Watched:
    """A predictor that remembers the box of all points asked."""

    def __init__(self, predictor):
        self._predictor, self.lowest, self.highest = predictor, np.inf, -np.inf

    def __getattr__(self, name):
        return getattr(self._predictor, name)

    def predict(self, x):
        self.lowest, self.highest = (
            min(self.lowest, float(x.min())),
            max(self.highest, float(x.max())),
        )
        return self._predictor.predict(x)


@settings(max_examples=8, deadline=None, phases=SEARCH)
@given(
    seed=st.integers(0, 1000),
    d=st.integers(1, 9),
    dtype=st.sampled_from([np.float32, np.float64]),
    estimator=st.sampled_from(BOTH),
)
def test_bounds_and_allowance_hold(seed, d, dtype, estimator):
    """Points stay in the box, queries within the setting, inputs as given, and flips are flips."""
    predictor = hyperplanes(d, access=access_for(estimator), seed=seed, bounds=(-1.5, 2.0))
    x = np.random.default_rng(seed).uniform(-1.5, 2.0, (4, d)).astype(dtype)
    before = x.copy()
    watched = Watched(Opaque(predictor))
    found = measure(watched, x, estimator=estimator)
    assert watched.lowest >= -1.5
    assert watched.highest <= 2.0
    assert (
        found.n_predictions[found.status != Status.UNCONFIRMED]
        <= estimator.max_queries_per_row + 24
    ).all()
    np.testing.assert_array_equal(x, before)
    known = found.has_flip
    assert (predictor.predict(found.flip_points[known]).label != found.home[known]).all()


@settings(max_examples=5, deadline=None, phases=SEARCH)
@given(seed=st.integers(0, 1000), estimator=st.sampled_from(BOTH), few=st.integers(10, 100))
def test_more_queries_never_worsen(seed, estimator, few):
    """The first questions do not depend on how many will follow."""
    predictor, x = hyperplanes(6, access=access_for(estimator), seed=seed), inside(3, 6, seed)
    less = measure(
        Opaque(predictor), x, estimator=dataclasses.replace(estimator, max_queries_per_row=few)
    )
    more = measure(
        Opaque(predictor), x, estimator=dataclasses.replace(estimator, max_queries_per_row=few + 60)
    )
    assert (more.l2 <= less.l2).all()


@settings(max_examples=5, deadline=None, phases=SEARCH)
@given(seed=st.integers(0, 1000), power=st.integers(-8, 8))
def test_labels_do_not_know_the_scale_of_logits(seed, power):
    """Multiplying logits by a positive number leaves a label-only run as it is, bit for bit."""
    x = inside(3, 6, seed)
    plain = measure(Opaque(hyperplanes(6, access=Access.LABEL, seed=seed)), x, estimator=BOTH[0])
    scaled = measure(
        Opaque(hyperplanes(6, access=Access.LABEL, seed=seed, scale=2.0**power)),
        x,
        estimator=BOTH[0],
    )
    np.testing.assert_array_equal(plain.flip_points, scaled.flip_points)
    np.testing.assert_array_equal(plain.n_predictions, scaled.n_predictions)


@pytest.mark.parametrize("access", [Access.LABEL, Access.TOP1])
def test_a_search_by_scores_is_refused_to_those_who_hide_them(access):
    """The error names what would be needed; nothing is asked."""
    predictor = hyperplanes(4, access=access)
    with pytest.raises(CapabilityMissing, match="probabilities or logits"):
        measure(Opaque(predictor), inside(1, 4), estimator="broyden")
    assert predictor.n_predicted == 0


@pytest.mark.parametrize("estimator", BOTH, **names)
def test_a_constant_model_has_no_flip(estimator):
    """The row says so, with an infinite distance."""
    constant = Reference(
        Linear(np.zeros((2, 5)), np.array([1.0, 0.0])),
        access=access_for(estimator),
        bounds=(0.0, 1.0),
    )
    found = measure(Opaque(constant), inside(2, 5), estimator=estimator)
    assert (found.status == Status.NO_FLIP).all()
    assert np.isinf(found.l2).all()


def test_saturated_probabilities_start_from_a_flip():
    """Where a row's scores are exactly 1 and 0, a flip is sought as with labels."""
    steep = Reference(
        Linear(np.array([[5.0, 0.0], [-5.0, 0.0]]), np.zeros(2)),
        access=Access.PROBABILITIES,
        scale=200.0,
    )
    found = measure(
        Opaque(steep), np.array([[0.7, 0.1]]), estimator=Broyden(max_queries_per_row=200)
    )
    assert found.status[0] == Status.CONVERGED
    assert found.l2[0] == pytest.approx(0.7, rel=0.02)


@pytest.mark.parametrize("estimator", BOTH, **names)
def test_a_spent_limit_keeps_the_best_point(estimator):
    """The driver's own limit ends the row with what it has."""
    predictor, x = hyperplanes(8, access=access_for(estimator)), inside(1, 8)
    found = measure(Opaque(predictor), x, estimator=estimator, max_queries=60)
    assert found.status[0] == Status.OUT_OF_BUDGET
    assert np.isfinite(found.l2[0])
    assert predictor.n_predicted == found.n_predictions[0] <= 60


@pytest.mark.parametrize("estimator", BOTH, **names)
def test_tensors_are_asked_as_tensors(estimator):
    """The same flips for NumPy and torch; the answer is of the caller's kind."""
    predictor, x = hyperplanes(8, access=access_for(estimator)), inside(2, 8)
    as_numpy = measure(Opaque(predictor), x, estimator=estimator)
    as_torch = measure(Opaque(predictor), torch.from_numpy(x), estimator=estimator)
    assert isinstance(as_torch.flip_points, torch.Tensor)
    np.testing.assert_array_equal(as_torch.flip_points.numpy(), as_numpy.flip_points)


@pytest.mark.parametrize("kind", [HalfSpace, Broyden])
@pytest.mark.parametrize(
    "wrong",
    [{"max_queries_per_row": 2}, {"n_probes": 0}, {"probe_radius": 0.0}, {"forgetting": -1.0}],
)
def test_settings_are_checked_when_made(kind, wrong):
    """Nonsense is refused before anything is asked."""
    with pytest.raises(InvalidInput, match=kind.__name__):
        kind(**wrong)


@pytest.mark.parametrize(("kind", "rounding"), [(HalfSpace, 1e-7), (Broyden, 1e-9)])
def test_a_subspace_limits_the_directions(kind, rounding):
    """Displacements of a search without bounds stay in the subspace that was named."""
    vectors = np.random.default_rng(3).standard_normal((3, 10))
    predictor, x = hyperplanes(10, access=access_for(kind(max_queries_per_row=50))), inside(2, 10)
    found = measure(
        Opaque(predictor), x, estimator=kind(max_queries_per_row=150, subspace=Span(vectors))
    )
    moved = found.flip_points - x
    basis = Span(vectors)
    np.testing.assert_allclose(basis.synthesise(basis.analyse(moved)), moved, atol=rounding)


@pytest.mark.parametrize(
    "basis",
    [
        Coordinates(24),
        Cosines((4, 6), 24),
        Cosines((4, 6), 7),
        Cosines((2, 4, 5), 40),
        Cosines((4, 6, 1), 9),
    ],
)
def test_bases_are_orthonormal(basis):
    """Analysis undoes synthesis; variances are relative and fall within a channel."""
    rows = basis.synthesise(np.eye(basis.size))
    np.testing.assert_allclose(rows @ rows.T, np.eye(basis.size), atol=1e-12)
    np.testing.assert_allclose(basis.analyse(rows), np.eye(basis.size), atol=1e-12)
    assert basis.variance.sum() == pytest.approx(basis.size)
    channel = getattr(basis, "channel", np.zeros(basis.size))
    for number in np.unique(channel):
        assert (np.diff(basis.variance[channel == number]) <= 1e-12).all()


class Coin:
    """Three classes at random, whatever is asked: a stochastic defence, or a broken server."""

    input_shape, n_classes, bounds = (8,), 3, None

    def __init__(self, access):
        self.access, self.random = access, np.random.default_rng(0)

    def predict(self, x):
        if self.access is Access.LABEL:
            return Prediction(self.random.integers(0, 3, len(x)))
        return Prediction.from_scores(self.random.standard_normal((len(x), 3)))


@pytest.mark.parametrize("votes", [1, 5])
@pytest.mark.parametrize("estimator", ["broyden", "halfspace", "ray", "tangent"])
def test_random_answers_end_with_statuses(estimator, votes):
    """A row whose own label flips between queries ends UNDECIDED."""
    predictor = Coin(Access.LABEL if estimator == "halfspace" else Access.LOGITS)
    x = np.random.default_rng(2).standard_normal((12, 8)).astype(np.float32)
    found = measure(predictor, x, estimator=estimator, max_queries=12_000, votes=votes)
    assert found.n_predictions.sum() <= 12_000
    done = found.status == Status.CONVERGED
    assert np.isfinite(found.l2[done]).all()
    assert estimator == "ray" or (found.l2[done] > 0).all()


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_each_norm_is_made_small(norm, bounds):
    """A plane is found near its distance in the norm asked for, nearer than by a search in L2."""
    rng = np.random.default_rng(5)
    model = Linear(rng.standard_normal((2, 16)), rng.standard_normal(2))
    predictor = Reference(model, access=Access.LABEL, bounds=bounds)
    x = inside(8, 16, 6)
    found = measure(Opaque(predictor), x, estimator=HalfSpace(norm=norm, max_queries_per_row=800))
    other = measure(Opaque(predictor), x, estimator=HalfSpace(max_queries_per_row=800))
    open_box = Reference(model, access=Access.LOGITS, bounds=bounds)
    white_box = measure(open_box, x, estimator=Tangent(norm=norm))
    ratio = getattr(found, norm) / getattr(white_box, norm)
    assert np.median(ratio) < 1.03
    assert np.median(getattr(other, norm) / getattr(found, norm)) > 1.1
