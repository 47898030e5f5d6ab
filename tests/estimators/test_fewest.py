"""How many columns must change: against the exact number, by trying all subsets."""

from itertools import combinations

import numpy as np
import pytest

from blackbox_boundary import Access, InvalidInput, measure
from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.estimators import Fewest, HalfSpace
from blackbox_boundary.predictor import Prediction


class Scores:
    """Two logits whose difference is a function of the row."""

    n_classes, bounds = 2, None

    def __init__(self, lead, d, access="logits"):
        self.lead, self.input_shape, self.access = lead, (d,), Access.parse(access)

    def predict(self, x):
        answer = Prediction.from_scores(np.stack([self.lead(x), np.zeros(len(x))], axis=-1))
        return Prediction(answer.label) if self.access is Access.LABEL else answer


def box(d):
    """Columns from 0 to 1 of different scales."""
    return Domain(tuple(Column(f"c{at}", lowest=0, highest=1, scale=0.5 + at) for at in range(d)))


def fewest_of_linear(w, b, x):
    """Fewest columns of [0, 1] that change the sign of ``w . x + b``: sum the largest effects."""
    lead = x @ w + b
    side = np.sign(lead)
    effect = np.sort(np.maximum(side * w * x, -side * w * (1 - x)))[::-1]
    return int(np.searchsorted(np.cumsum(effect), abs(lead)) + 1)


@pytest.mark.parametrize(("access", "share"), [("logits", 1.0), ("label", 0.8)])
def test_linear_models_have_the_exact_number(access, share):
    """The closed form's number of columns: always by scores, mostly by labels, never below."""
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=8), rng.uniform(0.2, 0.8, size=(12, 8))
    b = -0.5 * w.sum() + 1.2
    model = Scores(lambda p: (p * w).sum(axis=-1) + b, 8, access)
    found = measure(model, x, estimator=Fewest(), columns=box(8))
    exact = np.array([fewest_of_linear(w, b, row) for row in x])
    reachable = np.isfinite(found.l0)
    assert reachable.all()
    assert (found.l0 >= exact).all()
    assert (found.l0 == exact).mean() >= share
    np.testing.assert_array_equal(found.l0, (found.flip_points != x).sum(axis=-1))
    np.testing.assert_array_equal(model.predict(found.flip_points).label, found.flipped)


def test_interactions_need_pairs():
    """Where no single column flips and effects do not add up, the pair that does is found."""

    def lead(p):
        return 0.3 - (p[:, 1] > 0.9) * (p[:, 4] > 0.9) + 0.01 * p.sum(axis=-1)

    x = np.full((1, 6), 0.5)
    found = measure(Scores(lead, 6), x, estimator=Fewest(base=HalfSpace(200)), columns=box(6))
    assert found.l0[0] == 2
    assert np.flatnonzero(found.flip_points[0] != x[0]).tolist() == [1, 4]


def test_one_hot_groups_count_once():
    """A swap is one column, and is taken where it alone flips the row."""
    group = [Column(name, "one_hot", group="g") for name in "abc"]
    domain = Domain((*group, Column("n", "integer", 0, 3), Column("x", lowest=0, highest=1)))
    w = np.array([0.0, 0.5, 3.0, 0.2, 0.3])
    x = np.array([[1.0, 0, 0, 1, 0.5]])
    found = measure(Scores(lambda p: 1 - (p * w).sum(-1), 5), x, estimator="fewest", columns=domain)
    assert found.l0[0] == 1
    assert found.flip_points[0].tolist() in ([0, 0, 1, 1, 0.5], [0, 1, 0, 1, 0.5])


def test_it_never_changes_more_columns_than_its_base():
    """Two rings in six columns: at most the first flip's columns, at least any subset's need."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0.3, 0.7, size=(6, 4))

    def lead(p):
        return 0.35 - ((p - 0.5) ** 2).sum(axis=-1)

    found = measure(Scores(lead, 4), x, estimator=Fewest(base=HalfSpace(300)), columns=box(4))
    corners = np.array([0.0, 1.0])
    for row in range(6):
        exact = next(
            size
            for size in range(1, 5)
            for subset in combinations(range(4), size)
            if _flips(lead, x[row], subset, corners)
        )
        assert found.l0[row] == exact


def _flips(lead, row, subset, values):
    """Whether some ends of the columns in a subset flip the row."""
    ends = np.array(np.meshgrid(*[values] * len(subset))).reshape(len(subset), -1).T
    points = np.tile(row, (len(ends), 1))
    points[:, subset] = ends
    return (lead(points) < 0).any()


def test_it_works_without_a_domain():
    """Inputs in their own units: one input is enough where nothing bounds it."""
    w = np.array([1.0, -2.0, 0.5])
    found = measure(
        Scores(lambda p: (p * w).sum(axis=-1) + 0.2, 3), np.ones((2, 3)), estimator="fewest"
    )
    assert ((found.flip_points != 1).sum(axis=-1) == 1).all()


def test_bad_settings_are_refused():
    """Settings out of range are named."""
    for settings in ({"subset_size": 0}, {"max_queries_per_row": 3}, {"max_queries_per_row": 2.5}):
        with pytest.raises(InvalidInput, match=next(iter(settings))):
            Fewest(**settings)
