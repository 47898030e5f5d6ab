"""Each rule against what it promises; all rules against what every rule promises."""

import numpy as np
import pytest

from blackbox_boundary import Distances
from blackbox_boundary.analysis import selection
from blackbox_boundary.analysis.selection import (
    Pool,
    class_balanced,
    diverse,
    k_centre,
    k_centre_of,
)
from blackbox_boundary.errors import InvalidInput

N = 400


def pool(n=N, seed=0):
    """Exponential distances with ties, two tenths unknown; four labels, unevenly many."""
    rng = np.random.default_rng(seed)
    distance = np.round(rng.exponential(2, n), 1)
    distance[rng.random(n) < 0.2] = np.inf
    return Pool(
        n, distance=distance, label=rng.choice(4, n, p=[0.7, 0.2, 0.07, 0.03]),
        features=rng.standard_normal((n, 3)),
        entropy=rng.random(n), margin=rng.random(n), votes=rng.random(n),
        distance_queries=1000, label_queries=7, score_queries=50, vote_queries=300,
    )  # fmt: skip


RULES = {
    "random": (selection.random, 0),
    "lowest": (selection.lowest, 1000),
    "highest": (selection.highest, 1000),
    "uniform": (selection.uniform_distance, 1000),
    "entropy": (selection.largest_entropy, 50),
    "margin": (selection.smallest_margin, 50),
    "k-centre": (k_centre, 0),
    "lowest + k-centre": (k_centre_of(selection.lowest, factor=2), 1000),
    "balanced lowest": (class_balanced(selection.lowest), 1007),
    "balanced random": (class_balanced(selection.random), 7),
    "diverse by votes": (diverse("votes"), 307),
    "diverse by distance": (diverse("distance"), 1007),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("k", [0, 1, 37])
def test_every_rule(name, k):
    """Chooses k distinct rows of the pool, repeats for the same seed, and says what it spent."""
    rule, spent = RULES[name]
    chosen = rule(pool(), k, seed=4)
    assert len(chosen.rows) == len(set(chosen.rows.tolist())) == k
    assert ((chosen.rows >= 0) & (chosen.rows < N)).all()
    assert (rule(pool(), k, seed=4).rows == chosen.rows).all()
    assert chosen.n_queries == spent


@pytest.mark.parametrize("name", sorted(set(RULES) - {"lowest + k-centre"}))
def test_too_many_rows_are_refused(name):
    """More rows than the pool can give are an error that says how many it can."""
    with pytest.raises(InvalidInput, match="must lie in"):
        RULES[name][0](pool(), N + 1, seed=0)


def test_settings_that_mean_nothing_are_refused():
    """Half a row, no candidates, an unknown score: as errors of the package, before any choice."""
    for rule, _ in RULES.values():
        with pytest.raises(InvalidInput, match="whole number"):
            rule(pool(), 2.5, seed=0)
    with pytest.raises(InvalidInput, match='"factor"'):
        k_centre_of(selection.lowest, factor=0)
    with pytest.raises(InvalidInput, match='"by" of diverse must be "votes" or "distance"'):
        diverse("entropy")


def test_ties_go_to_the_lower_row():
    """Among equal distances the lower row numbers win, at both ends."""
    some = Pool(6, distance=np.array([2.0, 1.0, 1.0, 1.0, 2.0, np.inf]))
    assert selection.lowest(some, 2).rows.tolist() == [1, 2]
    assert selection.highest(some, 1).rows.tolist() == [0]


def test_unknown_distances_are_never_chosen():
    """A row without a flip point is neither the nearest nor the farthest."""
    p = pool()
    for rule in (selection.lowest, selection.highest, selection.uniform_distance):
        assert np.isfinite(p.distance[rule(p, 200, seed=1).rows]).all()


def test_uniform_in_distance_is_flat():
    """Where the pool allows it, each fifth of the range gives a fifth of the rows."""
    rng = np.random.default_rng(0)
    distance = rng.exponential(1, 200_000)
    rows = selection.uniform_distance(Pool(len(distance), distance=distance), 500, seed=0).rows
    lo, hi = np.quantile(distance, [0.005, 0.995])
    share = np.histogram(np.clip(distance[rows], lo, hi), bins=5, range=(lo, hi))[0] / 500
    assert share == pytest.approx(0.2, abs=0.02)
    assert np.mean(distance < lo + (hi - lo) / 5) > 0.6


def test_even_quotas():
    """Small groups give all they have, the rest is shared; what is left over goes to the first."""
    assert selection._even_quotas(np.array([1, 10, 10]), 12).tolist() == [1, 6, 5]
    assert selection._even_quotas(np.array([3, 3]), 6).tolist() == [3, 3]


def test_class_balance():
    """Each label gives the same number where it can, and the rule holds within each label."""
    p = pool(1000)
    rows = class_balanced(selection.lowest)(p, 20, seed=0).rows
    assert np.bincount(p.label[rows], minlength=4).tolist() == [5, 5, 5, 5]
    for label in range(4):
        members = np.flatnonzero((p.label == label) & np.isfinite(p.distance))
        best = np.sort(p.distance[members])[:5]
        assert np.sort(p.distance[rows[p.label[rows] == label]]) == pytest.approx(best)


def test_absent_class_is_no_crash():
    """A label without rows, and rows without a label, only shrink what the pool can give."""
    p = Pool(6, label=np.array([0, 0, 2, 2, 2, -1]))
    rows = class_balanced(selection.random)(p, 4, seed=0).rows
    assert np.bincount(p.label[rows], minlength=3).tolist() == [2, 0, 2]
    with pytest.raises(InvalidInput, match="label"):
        class_balanced(selection.random)(p, 6, seed=0)


def test_k_centre_is_greedy_and_nested():
    """Each row is the farthest from those before it (plain loop); fewer rows are a prefix."""
    p = pool(60)
    rows = k_centre(p, 12, seed=2).rows
    for j in range(1, 12):
        apart = np.linalg.norm(p.features[:, None] - p.features[None, rows[:j]], axis=-1).min(
            axis=1
        )
        assert apart[rows[j]] == pytest.approx(apart.max(), rel=1e-5)
    assert (k_centre(p, 5, seed=2).rows == rows[:5]).all()


@pytest.mark.parametrize("offset", [0.0, 1e5, 1e6, 1.7e9])
def test_k_centre_does_not_depend_on_an_offset(offset):
    """Four groups ten apart give one centre each, however far from zero all rows lie."""
    group = np.repeat(np.arange(4), 25)
    corners = np.array([[0, 0], [10, 0], [0, 10], [10, 10.0]])
    rows = corners[group] + np.random.default_rng(0).random((100, 2)) + offset
    for seed in range(20):
        chosen = k_centre(Pool(100, features=rows), 4, seed=seed).rows
        assert sorted(group[chosen]) == [0, 1, 2, 3]


@pytest.mark.parametrize("rule", [selection.lowest, selection.highest, selection.uniform_distance])
def test_k_centre_of_a_rule_takes_the_rows_it_can_rank(rule):
    """With 20 known distances of 100, ten rows are chosen among the 20; twenty-one are refused."""
    distance = np.full(100, np.inf)
    distance[:20] = np.arange(20)
    features = np.random.default_rng(0).normal(size=(100, 3))
    p = Pool(100, distance=distance, features=features)
    rows = k_centre_of(rule)(p, 10).rows
    assert len(set(rows.tolist())) == 10
    assert max(rows) < 20
    with pytest.raises(InvalidInput, match="got 21"):
        k_centre_of(rule)(p, 21)


def test_diverse_spans_the_range():
    """Even steps through the sorted uncertainties of each label."""
    p = Pool(10, label=np.repeat([0, 1], 5), votes=np.array([5, 4, 3, 2, 1, 1, 2, 3, 4, 5.0]))
    rows = diverse("votes")(p, 4).rows
    assert sorted(p.votes[rows].tolist()) == [1, 1, 3, 3]


def test_missing_knowledge_is_named():
    """A rule says which column it misses."""
    with pytest.raises(InvalidInput, match='"distance"'):
        selection.lowest(Pool(3), 1)
    with pytest.raises(InvalidInput, match="one entry a row"):
        Pool(3, distance=np.ones(2))


def test_flip_points_and_uniform_inputs():
    """Flip points have their seen labels and the search's cost; uniform inputs are in bounds."""
    found = Distances.empty(3)
    found.hi[:2], found.flipped[:2], found.n_predictions[:], found.n_gradients[:] = (
        1.0,
        [4, 5],
        10,
        1,
    )
    found = Distances(**{**vars(found), "flip_points": np.arange(6.0).reshape(3, 2)})
    points, labels, chosen = selection.flip_points(found, 2, seed=0)
    assert sorted(labels.tolist()) == [4, 5]
    assert (points == found.flip_points[chosen.rows]).all()
    assert chosen.n_queries == 33
    with pytest.raises(InvalidInput, match="flip point"):
        selection.flip_points(found, 3)
    x = selection.uniform_inputs(50, (2, 3), lowest=-1, highest=2, seed=1)
    assert x.shape == (50, 2, 3)
    assert -1 <= x.min() < -0.8 < 1.8 < x.max() <= 2
    assert (selection.uniform_inputs(50, (2, 3), lowest=-1, highest=2, seed=1) == x).all()
