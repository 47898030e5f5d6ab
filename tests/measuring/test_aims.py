"""The distance to a class: against the closed form for three linear scores."""

import numpy as np
import pytest

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Status, measure
from blackbox_boundary.estimators import Broyden, Fewest, HalfSpace, Tangent
from blackbox_boundary.predictor import Prediction

W = np.array([[1.0, 0.2, -0.5], [-0.8, 1.0, 0.3], [0.1, -0.9, 0.8], [-0.2, 0.1, 0.1]])
B = np.array([0.1, 0.0, -0.2, 0.4])


class Linear:
    """Four linear scores of three inputs."""

    input_shape, n_classes, bounds = (3,), 4, None
    class_names = ("red", "green", "blue", "grey")

    def __init__(self, access):
        self.access = Access.parse(access)

    def scores(self, x):
        z = (x[:, None, :] * W).sum(axis=-1) + B
        if self.access is Access.PROBABILITIES:
            z = np.exp(z - z.max(axis=-1, keepdims=True))
            z /= z.sum(axis=-1, keepdims=True)
        return z

    def predict(self, x):
        answer = Prediction.from_scores(self.scores(x))
        return Prediction(answer.label) if self.access is Access.LABEL else answer


class Differentiable(Linear):
    """The same with gradients."""

    def vjp(self, x, v):
        if self.access is Access.LOGITS:
            return v @ W
        p = self.scores(x)
        return (p * (v - (p * v).sum(axis=-1, keepdims=True))) @ W


def distance_to(c, x):
    """Distance of a row to the region where score c is the largest: a small quadratic programme."""
    from scipy.optimize import minimize

    others = [k for k in range(4) if k != c]
    return (
        minimize(
            lambda p: ((p - x) ** 2).sum(),
            np.linalg.lstsq(W[[c]] - W[others].mean(axis=0), [10.0], rcond=None)[0],
            jac=lambda p: 2 * (p - x),
            constraints={
                "type": "ineq",
                "fun": lambda p: (W[c] - W[others]) @ p + B[c] - B[others],
                "jac": lambda p: W[c] - W[others],
            },
            options={"ftol": 1e-14, "maxiter": 500},
        ).fun
        ** 0.5
    )


@pytest.mark.parametrize(
    ("kind", "access", "estimator", "within"),
    [
        (Differentiable, "logits", None, 0.02),
        (Differentiable, "probabilities", Tangent(rounds=3), 0.05),
        (Linear, "logits", Broyden(2000), 0.05),
        (Linear, "probabilities", None, 0.1),
        (Linear, "label", HalfSpace(2000), 0.1),
    ],
)
def test_the_distance_to_a_class(kind, access, estimator, within):
    """Flips are to the class asked for, none nearer than its region, near it in the median."""
    model = kind(access)
    x = np.random.default_rng(0).normal(size=(10, 3))
    found = measure(model, x, estimator=estimator, towards="blue")
    home = model.predict(x).label
    np.testing.assert_array_equal(found.home, home)
    np.testing.assert_array_equal(found.status == Status.AT_TARGET, home == 2)
    others = np.flatnonzero(home != 2)
    assert (found.flipped[others] == 2).all()
    assert (model.predict(found.flip_points[others]).label == 2).all()
    exact = np.array([distance_to(2, row) for row in x[others]])
    ratio = found.l2[others] / exact
    assert (ratio > 1 - 1e-4).all()
    assert np.median(ratio) < 1 + within


def test_misclassified_rows_go_back_to_their_label():
    """Right rows go to any other class, wrong ones to the true one, unlabelled ones to any."""
    model = Differentiable("logits")
    x = np.random.default_rng(1).normal(size=(12, 3))
    home = model.predict(x).label
    truth = home.copy()
    truth[:4] = (home[:4] + 1) % 4
    truth[4] = -1
    found = measure(model, x, from_label=truth)
    plain = measure(model, x, estimator="tangent")
    assert (found.flipped[:4] == truth[:4]).all()
    np.testing.assert_array_equal(found.l2[4:], plain.l2[4:])
    np.testing.assert_array_equal(found.top1, plain.top1)
    assert (found.l2[:4] >= plain.l2[:4] * (1 - 1e-6)).all()


def test_columns_and_classes_go_together():
    """A frozen column stays on the way to a class, and the fewest columns are counted."""
    from blackbox_boundary.column import Column
    from blackbox_boundary.domain import Domain

    domain = Domain((Column("a", frozen=True), Column("b"), Column("c")))
    x = np.random.default_rng(2).normal(size=(4, 3))
    found = measure(Linear("logits"), x, towards=0, columns=domain, estimator=Fewest())
    done = found.has_flip
    assert done.any()
    assert (found.flip_points[done, 0] == x[done, 0]).all()
    assert (found.flipped[done] == 0).all()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"towards": 4}, "below 4"),
        ({"towards": "pink"}, "red, green"),
        ({"towards": 1, "from_label": np.zeros(2, int)}, "exclude"),
        ({"from_label": np.zeros(3, int)}, "2 numbers"),
        ({"from_label": np.array([0, 9])}, "from 0 to 9"),
        ({"from_label": np.array([0.0, 1.0])}, "float64"),
    ],
)
def test_classes_that_do_not_exist_are_refused(settings, word):
    """A class or labels out of range are named before any query."""
    with pytest.raises(InvalidInput, match=word):
        measure(Linear("logits"), np.zeros((2, 3)), **settings)


def test_what_does_not_reach_a_class_is_refused():
    """Estimators that read other scores refuse an aim by name; a resume needs the same aim."""
    with pytest.raises(CapabilityMissing, match="flip_point"):
        measure(Linear("logits"), np.zeros((2, 3)), estimator="flip_point", towards=1)
    x = np.random.default_rng(0).normal(size=(6, 3))
    part = measure(Linear("logits"), x, towards=1, max_queries=2000)
    with pytest.raises(InvalidInput, match="aim"):
        measure(Linear("logits"), x, towards=2, resume=part)


def test_a_number_of_a_class_may_be_missing():
    """None among numbers is a label that is not known, as among names."""
    x = np.random.default_rng(0).normal(size=(3, 3))
    found, same = (
        measure(Linear("logits"), x, from_label=each)
        for each in ([2, None, 0], np.array([2, -1, 0]))
    )
    np.testing.assert_array_equal(found.l2, same.l2)
    np.testing.assert_array_equal(found.flipped, same.flipped)
    with pytest.raises(InvalidInput, match="from 0 to 9"):
        measure(Linear("logits"), x, from_label=[9, 0, 0])
    with pytest.raises(InvalidInput, match="from -1 to 9"):
        measure(Linear("logits"), x, from_label=[9, None, 0])


def test_true_labels_may_be_names_of_classes():
    """As data hold them; None where one is not known."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = np.arange(8.0).reshape(4, 2)
    model = linear_model.LogisticRegression().fit(x, ["no", "no", "yes", "yes"])
    names, numbers = np.array(["yes", "no", None, "yes"], object), np.array([1, 0, -1, 1])
    found, same = (measure(model, x, from_label=each) for each in (names, numbers))
    np.testing.assert_array_equal(found.flip_points, same.flip_points)
    np.testing.assert_array_equal(found.flipped, same.flipped)
    with pytest.raises(InvalidInput, match="one of no, yes; got maybe"):
        measure(model, x, from_label=["yes", "no", "maybe", "no"])
