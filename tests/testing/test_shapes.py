"""The closed forms against slower, plainer ways to the same truth."""

import numpy as np
import pytest
from scipy import optimize

from blackbox_boundary import CapabilityMissing
from blackbox_boundary.testing import Ball, Box, Linear, Reference, Slab, Stripes, Wedge

NORMS = {"l1": 1, "l2": 2, "linf": np.inf}
_rng = np.random.default_rng(5)
SHAPES = {
    "hyperplane": Linear.hyperplane(np.array([1.0, -2.0, 0.5]), 0.3),
    "linear": Linear(_rng.normal(size=(4, 3)), _rng.normal(size=4)),
    "ball": Ball(np.array([0.2, -0.1, 0.3]), 1.3),
    "box": Box(np.array([-1.0, -0.5, 0.0]), np.array([1.0, 0.75, 2.0])),
    "slab": Slab(np.array([1.0, 1.0, -0.5]), 0.2, 0.8),
    "wedge": Wedge(np.array([[1.0, 0.2, 0.0], [-0.3, 1.0, 0.5]]), np.array([0.1, -0.2])),
    "stripes": Stripes(np.array([0.4, -0.3, 0.2]), 0.15),
}
every_shape = pytest.mark.parametrize("name", SHAPES)


def _points(n):
    return np.random.default_rng(11).normal(scale=1.2, size=(n, 3))


def _nearest_by_search(reference, row, order):
    """The distance by brute force: rays to all sides, corners and axes, bisected, best polished."""
    rng = np.random.default_rng(0)
    signs = np.array(np.meshgrid(*[[-1, 0, 1]] * 3)).reshape(3, -1).T
    sides = np.concatenate([signs[np.abs(signs).sum(axis=1) > 0], rng.normal(size=(1000, 3))])

    def reach(sides):
        sides = sides / np.linalg.norm(sides, ord=order, axis=-1, keepdims=True)
        return reference.crossings(np.repeat(row[None], len(sides), axis=0), sides)[
            :, 0
        ] / np.linalg.norm(sides, axis=-1)

    best = sides[reach(sides).argmin()]
    polished = optimize.minimize(
        lambda side: min(reach(side[None])[0], 1e3), best, method="Nelder-Mead"
    )
    return min(polished.fun, reach(sides).min())


@every_shape
@pytest.mark.parametrize("norm", NORMS)
def test_distance_is_the_nearest_crossing_in_any_direction(name, norm):
    """No direction reaches another label before the closed form; some direction does so there."""
    reference = Reference(SHAPES[name])
    x = _points(8)
    if name == "wedge" and norm != "l2":
        x = x[reference.predict(x).label == 1]
    distances, searched = (
        reference.distance(x, norm),
        np.array([_nearest_by_search(reference, row, NORMS[norm]) for row in x]),
    )
    assert (searched >= distances * (1 - 1e-9)).all()
    np.testing.assert_allclose(distances, searched, rtol=3e-3, atol=1e-6)


@every_shape
def test_crossings_are_where_the_label_changes(name):
    """Along many rays the label on a fine grid changes exactly where neighbours hold a crossing."""
    reference = Reference(SHAPES[name])
    x, u = _points(60), np.random.default_rng(2).normal(size=(60, 3))
    crossings = reference.crossings(x, u)
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    assert (np.diff(np.where(np.isfinite(crossings), crossings, 1e9), axis=-1) >= 0).all()
    radii = np.linspace(0, 3, 500)
    labels = np.stack([reference.predict(x + r * u).label for r in radii], axis=-1)
    for row in range(len(x)):
        held = np.histogram(crossings[row], bins=radii)[0]
        seen = labels[row, :-1] != labels[row, 1:]
        until = np.searchsorted(radii, crossings[row, -1]) - 1 if name == "stripes" else len(seen)
        if name == "linear":  # past its first crossing a ray may meet a third class
            until = int(np.argmax(seen)) + 1 if seen.any() else len(seen)
        assert (seen[:until] == (held[:until] % 2 == 1)).all()


@every_shape
@pytest.mark.parametrize("access", ["logits", "probabilities"])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_gradient_agrees_with_central_differences(name, access, scale):
    """The vector-Jacobian product is the derivative of the scores that are revealed."""
    reference = Reference(SHAPES[name], access=access, scale=scale)
    x, v = _points(20), np.random.default_rng(3).normal(size=(20, reference.n_classes))
    h = 1e-6
    for axis in np.eye(3):
        ahead, behind = (reference.predict(x + side * h * axis).scores for side in (1, -1))
        slope = (v * (ahead - behind)).sum(axis=-1) / (2 * h)
        np.testing.assert_allclose(
            (reference.vjp(x, v) * axis).sum(axis=-1), slope, rtol=1e-6, atol=1e-8
        )


def test_hyperplane_distances_are_the_textbook_formula():
    """|w·x + b| over the dual norm of w, for points on both sides."""
    w, b, x = np.array([3.0, -4.0]), 2.0, np.array([[1.0, 1.0], [-5.0, 2.0], [0.0, 0.5]])
    reference = Reference(Linear.hyperplane(w, b))
    assert reference.predict(x).label.tolist() == [1, 0, 0]
    for norm, dual in {"l2": 5.0, "linf": 7.0, "l1": 4.0}.items():
        np.testing.assert_allclose(reference.distance(x, norm), np.abs(x @ w + b) / dual)


def test_slab_flips_and_flips_back():
    """A ray through a slab crosses twice, from inside once, and beside it never."""
    reference = Reference(Slab(np.array([1.0, 0.0]), 0.0, 0.5))
    x = np.array([[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    u = np.array([[1.0, 0.0]] * 3)
    np.testing.assert_allclose(
        reference.crossings(x, u), [[1.5, 2.5], [0.5, np.inf], [np.inf, np.inf]]
    )


def test_wedge_says_what_has_no_closed_form():
    """L1 from outside is refused, naming what can be had."""
    reference = Reference(SHAPES["wedge"])
    with pytest.raises(CapabilityMissing, match="L2 alone"):
        reference.distance(np.array([[-5.0, -5.0, 0.0]]), "l1")


def test_wedge_corner_is_nearest_from_the_far_side():
    """Seen from behind the edge, the distance is that to the edge and not to either plane."""
    quadrant = Reference(Wedge(np.eye(2), np.zeros(2)))
    np.testing.assert_allclose(
        quadrant.distance(np.array([[-3.0, -4.0], [-3.0, 4.0], [2.0, 5.0]])), [5, 3, 2]
    )


@every_shape
def test_no_rows_give_no_answers(name):
    """An empty batch is a batch."""
    reference, nothing = Reference(SHAPES[name]), np.zeros((0, 3))
    assert reference.predict(nothing).scores.shape == (0, reference.n_classes)
    assert reference.distance(nothing).shape == (0,)
    assert reference.crossings(nothing, nothing).shape[0] == 0
    assert reference.vjp(nothing, np.zeros((0, reference.n_classes))).shape == (0, 3)


@pytest.mark.parametrize("norm", NORMS)
def test_one_dimension_is_not_special(norm):
    """With d = 1 all norms agree: ball, box and slab are the same interval."""
    x = np.array([[0.25], [-3.0], [1.5]])
    for shape in (Ball(np.zeros(1), 1.0), Box(-np.ones(1), np.ones(1)), Slab(np.ones(1), 0.0, 1.0)):
        np.testing.assert_allclose(Reference(shape).distance(x, norm), [0.75, 2.0, 0.5])
