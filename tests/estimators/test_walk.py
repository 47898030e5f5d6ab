"""Turns from one corner to another in L-infinity."""

import numpy as np

from blackbox_boundary.estimators._walk import Corners, corner_slope
from blackbox_boundary.search.geometry import nearest


def _boxes(rng):
    """Rooms (6, 40) of which some are used up on one side, and slopes."""
    up = np.where(rng.random((6, 40)) < 0.3, 0.0, rng.uniform(0.2, 1.0, (6, 40)))
    down = np.where(rng.random((6, 40)) < 0.3, 0.0, -rng.uniform(0.2, 1.0, (6, 40)))
    return down, up, rng.standard_normal((6, 40))


def _foot(slope, down, up):
    return nearest(-slope, down, up, np.ones(len(slope)), "linf")


def test_a_corner_is_the_nearest_point_of_its_slope():
    """Also where coordinates have no room on the side that their slope leads to."""
    rng = np.random.default_rng(0)
    down, up, slope = _boxes(rng)
    p = np.clip(0.15 * np.sign(slope), down, up)
    at_rest = corner_slope(p, down)
    np.testing.assert_allclose((at_rest * p).sum(axis=-1), 1)
    np.testing.assert_allclose(_foot(at_rest, down, up), p, atol=1e-9)


def test_the_share_of_a_turn_is_the_share_of_its_gain():
    """The steepest coordinates change sides first, none at 0 and all at 1."""
    rng = np.random.default_rng(1)
    down, up, w = _boxes(rng)
    at_rest = corner_slope(np.clip(0.15 * np.sign(rng.standard_normal((6, 40))), down, up), down)
    corners, rows = Corners.between(at_rest, w), np.arange(6)
    contrary = np.where(at_rest * w < 0, np.abs(w), 0.0)
    before = np.zeros(6)
    for share in (1e-9, 0.3, 0.6, 0.999999):
        t = 1.000001 * corners.share(rows, np.full(6, share))[:, None]
        changed = np.sign(at_rest + t * (w - at_rest)) != np.sign(at_rest)
        gained = (contrary * changed).sum(axis=-1) / contrary.sum(axis=-1)
        assert (gained >= np.maximum(share, before)).all()
        assert (gained - share < 1.001 * contrary.max(axis=-1) / contrary.sum(axis=-1)).all()
        before = gained
    np.testing.assert_array_equal(corners.share(rows, np.full(6, 1.5)), 1.5)
