"""First flips of L-infinity: cells of a corner change sides, or random corners are nearer."""

from itertools import islice

import numpy as np
import pytest

from blackbox_boundary import Prediction
from blackbox_boundary.estimators._cells import first_corner, halves
from blackbox_boundary.estimators._directions import Blocks
from blackbox_boundary.estimators._starts import follow
from blackbox_boundary.gradients.bases import basis_for
from blackbox_boundary.search.box import Box
from blackbox_boundary.search.lockstep import Answers, Replies

SHAPE = (1, 16, 16)
BLOCKS = Blocks(basis_for(SHAPE, largest=256))


@pytest.mark.parametrize("shape", [(5,), (1, 6, 6), (3, 4, 5)])
def test_each_level_covers_the_input_once(shape):
    """Down to single coordinates, and no level twice."""
    levels = list(halves(shape))
    for level in levels:
        covered = np.zeros(shape, int)
        for cell in level:
            covered[cell] += 1
        assert (covered == 1).all()
    assert len(levels[0]) == 1
    assert len(levels[-1]) == np.prod(shape)
    sizes = [len(level) for level in levels]
    assert sizes == sorted(set(sizes))


def _searched(w):
    """What is found beyond ``w . s > 1`` in a box of unit room, and how many corners are asked."""
    room, asked = np.ones(len(w)), 0
    search = first_corner(
        Box(-room, room), SHAPE, BLOCKS.basis, 20, np.random.default_rng(0), BLOCKS.spectra
    )
    ask = next(search)
    while True:
        answers = None
        if isinstance(ask, np.ndarray):
            asked += len(ask)
            flipped = ask @ w > 1
            answers = Answers(ask, flipped, Prediction(flipped.astype(np.intp)))
        else:
            _follow(ask, w)
        try:
            ask = search.send(answers)
        except StopIteration as end:
            return end.value, asked


def _follow(rays, w):
    work = follow([rays])
    _, points = next(work)
    while True:
        flipped = points @ w > 1
        try:
            _, points = work.send(Replies(points, flipped, flipped.astype(np.intp)))
        except StopIteration:
            return


@pytest.mark.parametrize("level", [1, 3])
def test_a_normal_with_one_sign_a_cell_is_found(level):
    """The corner of its signs, to a few per cent, in a few questions a cell."""
    (cells,) = islice(halves(SHAPE), level, level + 1)
    w = np.empty(SHAPE)
    for number, cell in enumerate(cells):
        w[cell] = -3 if number % 2 else 5  # the mean is not zero
    w = w.reshape(-1) * (8 / np.abs(w).sum())
    found, asked = _searched(w)
    assert 1 / 8 <= np.abs(found.point).max() < 1.07 / 8
    assert (np.sign(found.point) == np.sign(w)).all()
    assert asked < 40 + 10 * len(cells)


def test_random_corners_that_are_clearly_nearer_are_taken():
    """A rough normal, which has next to no mean: raised alike, the input flips at one half."""
    drawn = np.random.default_rng(1).standard_normal((1, BLOCKS.basis.size))
    w = BLOCKS.basis.synthesise(drawn * np.sqrt(BLOCKS.spectra[2]))[0]
    w *= 2 / abs(w.sum())
    found, _ = _searched(w)
    assert np.abs(found.point).max() < 0.6 / 2
    assert found.spectrum == 2
