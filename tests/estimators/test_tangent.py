"""The tightest gradient-based estimator: exact where solvable, and inside its bounds."""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Prediction, Status
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.search.geometry import limits, nearest
from blackbox_boundary.testing import Ball, Linear, Opaque, Reference, Wedge
from blackbox_boundary.testing.strategies import inputs, predictors

NORMS = pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
ORDER = {"l1": 1, "l2": 2, "linf": np.inf}


def linear(seed=0, d=6, classes=5, **settings):
    """A linear classifier with random weights."""
    rng = np.random.default_rng(seed)
    return Reference(Linear(rng.normal(size=(classes, d)), rng.normal(size=classes)), **settings)


def exact_in_box(predictor, x, norm):
    """A row's distance to a linear classifier's boundary inside bounds, in closed form."""
    weights, home = (
        predictor.shape.weights.reshape(predictor.n_classes, -1),
        predictor.predict(x[None]).label[0],
    )
    logits = predictor.shape.logits(x[None])[0]
    least = np.inf
    for rival in set(range(predictor.n_classes)) - {home}:
        w = (weights[home] - weights[rival])[None]
        step = nearest(
            w, *limits(x[None], predictor.bounds), (logits[home] - logits[rival])[None], norm
        )
        if (w * step).sum() <= -(logits[home] - logits[rival]) * (1 - 1e-6):
            least = min(least, np.linalg.norm(step[0], ORDER[norm]))
    return least


@NORMS
@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_linear_scores_are_solved_with_two_steps(norm, access):
    """A hyperplane is met exactly by the first projection and the last."""
    predictor = linear(classes=2, access=access)
    x = np.random.default_rng(1).normal(size=(20, 6)) * 0.3
    found = measure(predictor, x, estimator=Tangent(norm=norm, steps=2))
    assert (found.status == Status.CONVERGED).all()
    assert np.allclose(found.norm(norm), predictor.distance(x, norm), rtol=1.5e-3)
    assert (found.n_gradients == 2).all()


@NORMS
def test_several_classes_inside_bounds_are_solved(norm):
    """The nearest of five classes inside a box, against the closed form."""
    predictor = linear(bounds=(-1.0, 1.0))
    x = np.random.default_rng(3).uniform(-1, 1, size=(30, 6))
    found = measure(predictor, x, estimator=Tangent(norm=norm, rounds=9))
    exact = np.array([exact_in_box(predictor, row, norm) for row in x])
    assert (found.norm(norm) >= exact * (1 - 1e-6)).all()
    assert np.allclose(found.norm(norm), exact, rtol=5e-3)


def test_curved_and_cornered_boundaries():
    """From inside and outside a ball, and in front of a wedge's edge, within 1 %."""
    rng = np.random.default_rng(0)
    ball = Reference(Ball(np.zeros(4), 1.0))
    x = rng.normal(size=(20, 4))
    found = measure(ball, x, estimator="tangent")
    assert np.allclose(found.l2, ball.distance(x), rtol=1e-2, atol=1e-3)
    wedge = Reference(Wedge(np.array([[1.0, 0.3], [0.2, 1.0]]), np.zeros(2)))
    x = rng.normal(size=(30, 2))
    found = measure(wedge, x, estimator=Tangent(steps=40))
    assert np.allclose(found.l2, wedge.distance(x), rtol=2e-2, atol=1e-3)


@NORMS
@given(st.data())
@settings(deadline=None, max_examples=25)
def test_whatever_is_drawn_is_never_beaten_from_below(norm, data):
    """Flip points flip, lie in bounds, and are no nearer than the boundary; all rows end."""
    predictor = data.draw(predictors(rounded=False).filter(lambda p: p.access.has_scores))
    x = data.draw(inputs(predictor))
    if not len(x):
        return
    found = measure(predictor, x, estimator=Tangent(norm=norm, steps=6))
    known = found.has_flip
    assert (predictor.predict(found.flip_points[known]).label != found.home[known]).all()
    assert (found.lo <= found.hi).all()
    exact = predictor.distance(x, "l2")[known]
    assert (found.l2[known] >= exact * (1 - 1e-5) - 1e-5).all()
    if predictor.bounds is not None:
        lowest, highest = (np.asarray(bound, x.dtype) for bound in predictor.bounds)
        assert ((found.flip_points[known] >= lowest) & (found.flip_points[known] <= highest)).all()


@NORMS
def test_more_rounds_never_worsen(norm):
    """Each round only adds to what the earlier ones found."""
    predictor, x = (
        linear(classes=5, d=8, bounds=(-2.0, 2.0)),
        np.random.default_rng(5).normal(size=(20, 8)).clip(-2, 2),
    )
    distances = [
        measure(predictor, x, estimator=Tangent(norm=norm, steps=3, rounds=k)).norm(norm)
        for k in (1, 2, 3, 4, 6)
    ]
    assert (np.diff(distances, axis=0) <= 0).all()


class Bumps:
    """Two classes whose lead is 1 less eight narrow bumps: a flip lies near most of them."""

    access, n_classes, input_shape, bounds = Access.LOGITS, 2, (6,), None

    def __init__(self):
        rng = np.random.default_rng(0)
        centre = rng.normal(size=(8, 6))
        radius = rng.uniform(1, 2, size=8) / np.linalg.norm(centre, axis=1)
        self.centre, self.height = centre * radius[:, None], rng.uniform(1.3, 3, 8)

    def parts(self, x):
        away = np.asarray(x, np.float64)[:, None] - self.centre
        return away, self.height * np.exp(-(away**2).sum(axis=-1) / 0.32)

    def predict(self, x):
        lead = 1 - self.parts(x)[1].sum(axis=-1)
        return Prediction.from_scores(np.stack([lead / 2, -lead / 2], axis=-1))

    def vjp(self, x, v):
        away, height = self.parts(x)
        slope = (height[..., None] * away).sum(axis=1) / 0.16
        return (slope * ((v[:, 0] - v[:, 1]) / 2)[:, None]).astype(x.dtype)


def test_later_rounds_look_elsewhere():
    """The planned rounds end at a bump that is not the nearest, or at none; later ones find it."""
    x = np.random.default_rng(5).normal(size=(16, 6)) * 0.15
    four, twelve = (measure(Bumps(), x, estimator=Tangent(steps=8, rounds=k)).l2 for k in (4, 12))
    assert (twelve <= four).all()
    assert (twelve < 0.99 * four).any()


def test_a_larger_query_limit_never_worsens():
    """A spent limit ends with the best point so far and says so."""
    predictor, x = linear(d=8), np.random.default_rng(5).normal(size=(10, 8))
    earlier = np.full(10, np.inf)
    for limit in (0, 15, 40, 100, 200, 400, 4000):
        found = measure(predictor, x, estimator=Tangent(steps=6, rounds=3), max_queries=limit)
        assert (found.l2 <= earlier).all()
        assert found.n_predictions.sum() + found.n_gradients.sum() <= limit
        earlier = found.l2
    assert (found.status == Status.CONVERGED).all()


@NORMS
def test_frozen_features_and_integer_grids_are_respected(norm):
    """Frozen entries keep their bits, changed ones lie on the grid."""
    predictor = linear(bounds=(0.0, 1.0))
    x = (np.random.default_rng(6).integers(0, 256, size=(20, 6)) / 255).astype(np.float32)
    frozen = np.array([True, False, False, False, True, False])
    found = measure(predictor, x, estimator=Tangent(norm=norm, frozen=frozen, levels=256))
    points = found.flip_points[found.has_flip]
    assert found.has_flip.sum() > 10
    assert (points[:, frozen] == x[found.has_flip][:, frozen]).all()
    assert (points == (np.round(points * 255) / 255).astype(np.float32)).all()
    assert (predictor.predict(points).label != found.home[found.has_flip]).all()


def test_nothing_may_move():
    """With everything frozen there is no flip, and the status says so."""
    found = measure(
        linear(), np.zeros((2, 6)), estimator=Tangent(frozen=np.ones(6, np.bool_), steps=3)
    )
    assert (found.status == Status.NO_FLIP).all()
    assert not found.has_flip.any()


@NORMS
def test_rows_do_not_see_each_other(norm):
    """A row alone gives the same bits and the same counts as in a batch."""
    predictor, x = linear(d=8), np.random.default_rng(7).normal(size=(9, 8))
    together = measure(predictor, x, estimator=Tangent(norm=norm, steps=5, rounds=6))
    alone = measure(predictor, x[4:5], estimator=Tangent(norm=norm, steps=5, rounds=6))
    for column in ("l1", "l2", "linf", "lo", "hi", "n_predictions", "n_gradients"):
        assert getattr(together, column)[4] == getattr(alone, column)[0]
    assert (together.flip_points[4] == alone.flip_points[0]).all()


def test_scaling_the_logits_changes_nothing_but_rounding():
    """Temperatures are in units of the margin at the row."""
    x = np.random.default_rng(8).normal(size=(10, 6))
    plain, steep = (
        measure(linear(scale=scale), x, estimator="tangent").l2 for scale in (1.0, 64.0)
    )
    assert np.allclose(plain, steep, rtol=1e-9)


def test_tensors_give_what_arrays_give():
    """The same distances, and flip points of the caller's kind."""
    x = np.random.default_rng(9).normal(size=(6, 6))
    arrays, tensors = (
        measure(linear(), x, estimator="tangent"),
        measure(linear(), torch.from_numpy(x), estimator="tangent"),
    )
    assert isinstance(tensors.flip_points, torch.Tensor)
    assert np.allclose(arrays.l2, tensors.l2, rtol=1e-9)


def test_gradients_can_be_estimated():
    """Without gradients of its own a predictor is differentiated by predictions."""
    predictor = linear()
    found = measure(Opaque(predictor), np.zeros((3, 6)) + 0.1, estimator=Tangent(steps=4))
    assert np.allclose(
        found.l2,
        measure(predictor, np.zeros((3, 6)) + 0.1, estimator=Tangent(steps=4)).l2,
        rtol=1e-3,
    )
    assert (found.n_gradients == 0).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"norm": "l7"}, "norm"),
        ({"steps": 1}, "steps"),
        ({"rounds": 0}, "rounds"),
        ({"levels": 1}, "levels"),
        ({"frozen": np.zeros(6)}, "bool"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    """Each with its name, before any query."""
    with pytest.raises(InvalidInput, match=words):
        Tangent(**settings)


def test_what_does_not_fit_the_predictor_is_refused():
    """Labels alone; a mask of another shape; a grid without bounds. Nothing has been sent."""
    predictor = linear()
    with pytest.raises(CapabilityMissing, match="scores of all classes"):
        measure(linear(access="top1"), np.zeros((1, 6)), estimator="tangent")
    with pytest.raises(InvalidInput, match="shape"):
        measure(predictor, np.zeros((1, 6)), estimator=Tangent(frozen=np.zeros(5, np.bool_)))
    with pytest.raises(InvalidInput, match="bounds"):
        measure(predictor, np.zeros((1, 6)), estimator=Tangent(levels=256))
    assert predictor.n_predicted == 0


@NORMS
@pytest.mark.parametrize("bounds", [None, (-3.0, 3.0)])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e3, 1e30])
def test_extreme_probabilities_are_measured_in_silence(norm, bounds, scale):
    """With probabilities all but equal, or 0 and 1, every row ends with a reason."""
    predictor = linear(d=6, classes=4, access="probabilities", bounds=bounds, scale=scale)
    x = np.random.default_rng(0).normal(size=(5, 6)).clip(-3, 3).astype(np.float32)
    found = measure(predictor, x, estimator=Tangent(norm=norm, steps=6, rounds=3))
    assert all(Status(status).is_final for status in found.status)
    assert (found.has_flip == (found.status == Status.CONVERGED)).all()


@NORMS
def test_a_row_whose_scores_overflow_is_left_alone(norm):
    """It ends as NON_FINITE in silence, and the others are measured."""
    module = torch.nn.Linear(2, 2, bias=False)
    module.weight.data = torch.tensor([[1e33, 0.0], [0.0, 1e33]])
    predictor = TorchPredictor(module, input_shape=(2,), n_classes=2)
    found = measure(
        predictor, torch.tensor([[2.0, 1.0], [1e6, 10.0]]), estimator=Tangent(norm=norm, steps=6)
    )
    assert list(found.status) == [Status.CONVERGED, Status.NON_FINITE]


def test_in_l1_one_coordinate_leaves_a_ball():
    """Inside a ball the nearest point in L1 is along one coordinate, the gradient along all."""
    predictor = Reference(Ball(np.zeros(8), 1.0))
    x = np.random.default_rng(0).uniform(-0.3, 0.3, size=(20, 8))
    exact = (np.sqrt(1 - (x * x).sum(axis=-1, keepdims=True) + x * x) - np.abs(x)).min(axis=-1)
    assert np.allclose(measure(predictor, x, estimator=Tangent(norm="l1")).l1, exact, rtol=2e-2)


def test_flat_scores_have_no_gradient():
    """A plateau names no direction."""
    predictor = Reference(Linear(np.zeros((2, 3)), np.array([1.0, 0.0])))
    assert (
        measure(predictor, np.ones((2, 3)), estimator="tangent").status == Status.ZERO_GRADIENT
    ).all()


class _Rounded(Reference):
    """A linear classifier with scores rounded to a quantum; gradients ignore the rounding."""

    def predict(self, x):
        scores = np.round(super().predict(x).scores / 0.5) * 0.5
        return Prediction.from_scores(scores)


def test_ties_that_keep_the_label_are_stepped_over():
    """Where rounded scores tie and keep the label, the radius grows and rows are flipped."""
    rng = np.random.default_rng(0)
    shape = Linear(rng.normal(size=(3, 6)), rng.normal(size=3))
    predictor, x = _Rounded(shape), rng.normal(size=(200, 6))
    best, second = np.sort(predictor.predict(x).scores, axis=1).T[[-1, -2]]
    x = x[best > second]
    found = measure(predictor, x, estimator=Tangent())
    exact = Reference(shape).distance(x, "l2")
    slopes = np.linalg.norm(shape.weights[:, None] - shape.weights[None], axis=-1)
    quantum = 0.5 / slopes[slopes > 0].min()
    assert found.has_flip.all()
    assert (found.l2 <= 1.2 * exact + 2 * quantum).all()
