"""First flips that label searches look for, and how long they go on with the first facet."""

import contextlib

import numpy as np
import pytest

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.analysis.hints import hints
from blackbox_boundary.estimators import HalfSpace, halfspace
from blackbox_boundary.estimators._directions import Blocks
from blackbox_boundary.estimators._starts import first_flip, follow
from blackbox_boundary.gradients.bases import Cosines, basis_for
from blackbox_boundary.search.box import Box
from blackbox_boundary.search.lockstep import Replies
from blackbox_boundary.testing import Linear, Reference


class _FlipsAt:
    """One class up to a distance from zero, another beyond; no bounds."""

    access, input_shape, n_classes, bounds = Access.LABEL, (4,), 2, None

    def __init__(self, radius):
        self.radius = radius

    def predict(self, x):
        length = np.linalg.norm(np.asarray(x, np.float64), axis=1)
        return Prediction(np.where(length > self.radius, 1, 0))


def test_a_flip_beyond_all_data_is_no_answer():
    """A million row lengths away nothing is said of the row: NO_FLIP, and the hint names bounds."""
    x = np.random.default_rng(0).normal(size=(3, 4))
    found = measure(_FlipsAt(1e12), x, estimator="halfspace")
    assert (found.status == Status.NO_FLIP).all()
    assert any("--bounds" in line for line in hints(found))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_flips_within_reach_are_found_at_any_scale(size):
    """Rows inside a sphere some lengths away, whose curvature leads label searches too far."""
    x = size * np.random.default_rng(1).normal(size=(3, 4))
    found = measure(_FlipsAt(10 * size), x, estimator="halfspace")
    assert (found.status == Status.CONVERGED).all()
    nearest = 10 * size - np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(found.l2, nearest, rtol=0.35)


class _Shell:
    """A class between two distances from the middle of the unit box; home again at its corners."""

    access, input_shape, n_classes, bounds = Access.LABEL, (1, 8, 8), 2, (0.0, 1.0)

    def predict(self, x):
        length = np.linalg.norm(np.asarray(x, np.float64).reshape(len(x), -1) - 0.5, axis=1)
        return Prediction(((length > 0.5) & (length < 3.0)).astype(np.intp))


def test_flips_are_found_where_every_corner_is_at_home():
    """Corners lie four from the middle: shorter rays are tried after the farthest ones."""
    x = np.random.default_rng(2).uniform(0.48, 0.52, (4, 1, 8, 8))
    found = measure(_Shell(), x, estimator="halfspace")
    assert (found.status == Status.CONVERGED).all()
    np.testing.assert_allclose(found.l2, 0.5, atol=0.2)


def _chosen(blocks, normals):
    """Numbers of the spectra that first flips beyond half-spaces ``w . s > 1`` choose."""
    room = np.full(normals.shape[1], 10.0)
    searches = [
        first_flip(
            Box(-room, room), blocks.basis, 20, np.random.default_rng(seed), spectra=blocks.spectra
        )
        for seed in range(len(normals))
    ]
    rays = [next(search) for search in searches]
    work = follow(rays)
    ask = next(work)
    with contextlib.suppress(StopIteration):
        while True:
            at, points = ask
            flipped = np.einsum("md,md->m", points, normals[at]) > 1
            ask = work.send(Replies(points, flipped, flipped.astype(np.intp)))
    return [each.nearest.spectrum for each in rays]


@pytest.mark.parametrize("number", [0, 2])
def test_first_flips_choose_the_spectrum_of_the_normal(number):
    """More than half of twenty normals with the first or the last spectrum; the rest are doubtful.

    A few directions of each spectrum are one draw of a heavy-tailed distance.
    """
    blocks = Blocks(basis_for((3, 16, 16), largest=1024))
    rng = np.random.default_rng(3)
    drawn = rng.standard_normal((20, 768)) * np.sqrt(blocks.spectra[number])
    normals = blocks.basis.synthesise(drawn)
    chosen = _chosen(blocks, normals / np.linalg.norm(normals, axis=-1, keepdims=True))
    assert chosen.count(number) > 10
    assert chosen.count(2 - number) <= 4


def test_low_frequencies_of_a_large_image_are_expected_to_be_alike():
    """A belief begins flat, whatever first flips say; all frequencies have three spectra."""
    low, all_of_them = Blocks(Cosines((3, 32, 32), 512)), Blocks(Cosines((3, 32, 32), 3072))
    assert [len(blocks.spectra) for blocks in (low, all_of_them)] == [2, 3]
    np.testing.assert_array_equal(low.variance, 1.0)
    for number in (0, 1):
        np.testing.assert_array_equal(low.octaves(number), 0.0)


def test_a_flat_normal_of_low_frequencies_is_learnt():
    """Half-spaces at distance 1: 2.13 in the geometric mean; 2.23 where it is expected smooth."""
    basis, found = Cosines((3, 48, 48), 1024), []
    for seed in range(4):
        drawn = np.random.default_rng(seed).standard_normal((1, 1024))
        w = basis.synthesise(drawn)[0]
        plane = Reference(Linear.hyperplane(w / np.linalg.norm(w), 1.0), access="label")
        plane.input_shape = basis.shape
        estimator = HalfSpace(600, subspace=basis)
        found.append(measure(plane, np.zeros((1, *basis.shape)), estimator=estimator).l2[0])
    assert np.exp(np.log(found).mean()) < 2.18


class _Falling:
    """A facet whose length falls by a per cent a round of thirty questions, until ``slow``."""

    def __init__(self, slow):
        self.slow, self.rounds = slow, [(0, 1.0)]

    @property
    def asked(self):
        return self.rounds[-1][0]

    @property
    def length(self):
        return self.rounds[-1][1]

    def length_after(self, asked):
        return next(length for spent, length in reversed(self.rounds) if spent <= asked)

    def go_on(self):
        falls = 0.99 if self.asked < self.slow else 1.0
        self.rounds.append((self.asked + 30, self.length * falls))


@pytest.mark.parametrize(("slow", "expected"), [(0, 1020), (900, 1050), (2400, 2550)])
def test_a_facet_is_followed_while_it_gets_nearer_fast(slow, expected):
    """A thousand questions at least, and on until three hundred gain less than 5 %."""
    facet = _Falling(slow)
    for each in halfspace._settle(1000, facet):
        each.go_on()
    assert facet.asked == expected
