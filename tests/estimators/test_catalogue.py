"""What the catalogue says of an estimator is what it does."""

import numpy as np
import pytest

from blackbox_boundary import Access, CapabilityMissing, InvalidInput, Prediction, measure
from blackbox_boundary.chains import Chain
from blackbox_boundary.estimators import (
    CATALOGUE,
    Directions,
    HalfSpace,
    LowerBound,
    Problem,
    Ray,
    Tangent,
    by_name,
)
from blackbox_boundary.gradients import (
    SOURCES,
    AntitheticBlocks,
    Cosines,
    Span,
    source_by_name,
)
from blackbox_boundary.testing import Linear, Opaque, Reference
from blackbox_boundary.tree_ensembles import TreeEnsemble

SHAPE = Linear(np.random.default_rng(0).standard_normal((4, 6)), np.zeros(4))
CHAIN = Chain((), SHAPE.weights)
X = np.random.default_rng(1).standard_normal((10, 6))


TREES = TreeEnsemble(
    feature=np.array([0, 1, 2, -1, -1, -1, -1]),
    threshold=np.zeros(7),
    left=np.array([1, 3, 5, -1, -1, -1, -1]),
    right=np.array([2, 4, 6, -1, -1, -1, -1]),
    missing_left=np.zeros(7, bool),
    value=np.concatenate([np.zeros((3, 4)), np.eye(4)]),
    roots=np.array([0]),
    base=np.zeros(4),
    n_features=6,
    dtype=np.dtype("f8"),
    summed_in=np.dtype("f8"),
)


class OfTrees:
    """Four classes cut out by axis-parallel splits."""

    access, input_shape, n_classes, bounds = Access.LABEL, (6,), 4, None

    def predict(self, x):
        """Label each row."""
        return Prediction(TREES.labels(x)[0])

    def tree_ensemble(self):
        """The splits."""
        return TREES


def asked_by(name):
    """A predictor that the estimator of this name can search."""
    return OfTrees() if name == "trees" else reference()


def reference(access=Access.LOGITS):
    """Four classes with flat boundaries; a chain of one layer."""
    predictor = Reference(SHAPE, access=access)
    predictor.chain = lambda: CHAIN
    return predictor


def problem(access):
    """What that predictor reveals, without gradients."""
    return Problem(access, 4, (6,), n_rows=10, chain=lambda: CHAIN, tree_ensemble=lambda: TREES)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_access_needed_is_the_least(name):
    """It is accepted, and less is refused."""
    estimator, least = by_name(name), CATALOGUE[name].access
    estimator.check(problem(least))
    for less in Access:
        if less < least:
            with pytest.raises(CapabilityMissing):
                estimator.check(problem(less))


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_queries_expected_are_about_those_spent(name):
    """At most a third more; not less than a third, where rows are near."""
    found = measure(asked_by(name), X, estimator=name)
    spent = float((found.n_predictions + found.n_gradients).mean())
    expected = CATALOGUE[name].queries(Problem.of(asked_by(name)))
    assert spent <= 1.34 * expected
    if name != "flip_point":  # it states the most: a linear problem is solved in a few steps
        assert spent >= expected / 3


@pytest.mark.parametrize("name", [name for name, entry in CATALOGUE.items() if "l1" in entry.norms])
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_every_norm_listed_can_be_set(name, norm):
    """Those with a choice take each."""
    assert by_name(name, norm=norm).norm == norm


def test_weights_are_the_predictors_own_or_given():
    """A predictor that exposes its chain needs no other; else it is refused before any query."""
    own = measure(reference(), X, estimator="lower_bound")
    np.testing.assert_array_equal(
        own.certified, measure(Reference(SHAPE), X, estimator=LowerBound(CHAIN)).certified
    )
    with pytest.raises(CapabilityMissing, match="weights"):
        measure(Reference(SHAPE), X, estimator="lower_bound")


def test_the_other_end_may_be_named():
    """It gets the same norm where it has one; an unknown name is refused."""
    assert by_name("lower_bound", upper="tangent", norm="l1").upper == Tangent(norm="l1")
    assert by_name("lower_bound", upper="halfspace").upper == HalfSpace()
    with pytest.raises(InvalidInput, match="nothing"):
        by_name("lower_bound", upper="nothing")


def test_known_gradients_cost_nothing():
    """The same ray as with gradients that are asked for, without asking; labels are enough."""
    asked = measure(reference(), X, estimator=Ray())
    gradients = SHAPE.weights[asked.home]
    known = measure(reference(), X, estimator=Ray(known_gradients=gradients))
    np.testing.assert_allclose(known.l2, asked.l2, rtol=1e-6)
    assert (known.n_gradients == 0).all()
    by_label = measure(Opaque(reference(Access.LABEL)), X, estimator=Ray(known_gradients=gradients))
    np.testing.assert_allclose(by_label.l2, asked.l2, rtol=1e-5)
    np.testing.assert_allclose(
        measure(reference(), X, estimator=Ray(known_gradients=gradients), batch_size=3).l2, known.l2
    )


@pytest.mark.parametrize("shape", [(9, 6), (10, 5)])
def test_known_gradients_must_fit_the_rows(shape):
    """Too few, or of another shape: refused before any query."""
    predictor = reference()
    with pytest.raises(InvalidInput, match="known_gradients"):
        measure(predictor, X, estimator=Ray(known_gradients=np.ones(shape)))
    assert predictor.n_predicted == 0


def test_runs_with_other_known_gradients_are_not_mixed():
    """What the ray followed is part of what a run is."""
    first = measure(
        reference(), X, estimator=Ray(known_gradients=SHAPE.weights[[0] * 10]), max_queries=5
    )
    with pytest.raises(InvalidInput, match="known_gradients"):
        measure(
            reference(), X, estimator=Ray(known_gradients=SHAPE.weights[[1] * 10]), resume=first
        )


def test_gradient_sources_by_name():
    """Each by its name and settings; unknown ones are named."""
    for name, kind in SOURCES.items():
        assert isinstance(source_by_name(name), kind)
    assert source_by_name("blocks", n_queries=8) == AntitheticBlocks(8)
    with pytest.raises(InvalidInput, match="central"):
        source_by_name("nothing")
    with pytest.raises(InvalidInput, match="n_queries"):
        source_by_name("central", n_queries=8)


def test_frequencies_are_those_of_the_cosine_basis():
    """A number of frequencies means that subspace; non-images are refused before any query."""
    image = Reference(Linear(np.random.default_rng(2).standard_normal((3, 64)), np.zeros(3)))
    image.input_shape = (8, 8)
    x = np.random.default_rng(3).standard_normal((3, 8, 8))
    by_number, by_basis = (
        measure(image, x, estimator=Ray(gradients=AntitheticBlocks(20, subspace=subspace)))
        for subspace in (10, Cosines((8, 8), 10))
    )
    np.testing.assert_array_equal(by_number.l2, by_basis.l2)
    predictor = reference()
    with pytest.raises(InvalidInput, match="height, width"):
        measure(predictor, X, estimator=Ray(gradients=AntitheticBlocks(20, subspace=3)))
    assert predictor.n_predicted == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda a: Tangent(frozen=a > 0),
        lambda a: Ray(known_gradients=a),
        lambda a: Directions(along=a),
        lambda a: Ray(gradients=AntitheticBlocks(subspace=Span(a))),
        lambda a: HalfSpace(subspace=Span(a)),
        lambda a: LowerBound(upper=Tangent(frozen=a > 0)),
    ],
    ids=["tangent", "ray", "directions", "source", "halfspace", "lower_bound"],
)
def test_settings_are_equal_where_their_arrays_are(make):
    """Two estimators of the same content are one dictionary key; of other content, unequal."""
    a = np.random.default_rng(0).standard_normal((2, 6))
    assert make(a) == make(a.copy())
    assert len({make(a), make(a.copy()), make(-a)}) == 2
    assert make(a) != make(-a)
    assert make(a) != Ray()


def test_images_with_the_same_cosines_are_equal():
    """Bases, too, are settings."""
    assert Cosines((8, 8), 10) == Cosines((8, 8), 10) != Cosines((8, 8), 11)
