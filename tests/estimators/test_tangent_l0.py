"""The fewest inputs by gradients: exact where sets can be counted, and each row by itself."""

from itertools import combinations

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.testing import Linear, Reference


def linear(seed=0, d=12, classes=4, **settings):
    """Four classes with flat boundaries in the unit box."""
    rng = np.random.default_rng(seed)
    shape = Linear(rng.normal(size=(classes, d)), 2 * rng.normal(size=classes))
    return Reference(shape, bounds=(0.0, 1.0), **settings)


def fewest(predictor, x):
    """By the closed form: of each rival, the largest gains first."""
    logits, home = predictor.shape.logits(x), predictor.predict(x).label
    least = np.full(len(x), np.inf)
    for i, row in enumerate(x):
        for rival in set(range(predictor.n_classes)) - {int(home[i])}:
            w = predictor.shape.weights[rival] - predictor.shape.weights[home[i]]
            gain = np.sort(np.where(w > 0, w * (1 - row), -w * row))[::-1].cumsum()
            count = np.searchsorted(gain, logits[i, home[i]] - logits[i, rival], side="right") + 1
            least[i] = min(least[i], count if count <= len(gain) else np.inf)
    return least


@pytest.mark.parametrize("access", ["logits", "probabilities"])
def test_flat_boundaries_are_met_with_the_fewest_inputs(access):
    """Twenty rows and the closed form; no row below it."""
    predictor = linear(access=access)
    x = np.random.default_rng(1).uniform(size=(20, 12))
    found, least = (
        measure(predictor, x, estimator=Tangent(norm="l0", steps=16, rounds=2)),
        fewest(predictor, x),
    )
    known = np.isfinite(least)
    assert known.sum() > 15
    assert (found.l0[known] >= least[known]).all()
    assert (found.l0[known] == least[known]).mean() > 0.9
    assert (found.status[known] == Status.CONVERGED).all()
    changed = (found.flip_points != x).sum(axis=-1)[found.has_flip]
    assert (found.l0[found.has_flip] == changed).all()
    assert (
        predictor.predict(found.flip_points[found.has_flip]).label != found.home[found.has_flip]
    ).all()


def test_products_need_the_right_pair():
    """Of a sum of products of pairs, by enumeration; gradients at the row name no pair."""

    class Products:
        """Two classes; their lead is 1 less the weighted products of neighbouring inputs."""

        access, n_classes, input_shape, bounds = Access.LOGITS, 2, (8,), (0.0, 1.0)
        weights = np.array([0.9, 1.3, 0.8, 1.2])

        def predict(self, x):
            pairs = np.asarray(x, np.float64).reshape(len(x), 4, 2)
            lead = 1 - (pairs.prod(axis=-1) * self.weights).sum(axis=-1)
            return Prediction.from_scores(np.stack([lead / 2, -lead / 2], axis=-1))

        def vjp(self, x, v):
            pairs = np.asarray(x, np.float64).reshape(len(x), 4, 2)
            slope = -pairs[..., ::-1] * self.weights[:, None]
            return (slope.reshape(len(x), 8) * ((v[:, 0] - v[:, 1]) / 2)[:, None]).astype(x.dtype)

    predictor, x = Products(), np.random.default_rng(2).uniform(0.05, 0.3, size=(6, 8))
    found = measure(predictor, x, estimator=Tangent(norm="l0", steps=16, rounds=2))
    for row, count in zip(x, found.l0, strict=True):
        least = next(
            size
            for size in range(1, 9)
            for chosen in combinations(range(8), size)
            if predictor.predict(np.where(np.isin(np.arange(8), chosen), 1.0, row)[None]).label[0]
        )
        assert count == least


def test_more_rounds_or_queries_never_need_more_inputs():
    """The number of inputs, as rounds and as the limit grow; a limit holds."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(24, 12), torch.nn.Tanh(), torch.nn.Linear(12, 3))
    predictor = TorchPredictor(net, input_shape=(24,), bounds=(0, 1))
    x = np.random.default_rng(3).random((6, 24), dtype=np.float32)
    counts = [
        measure(predictor, x, estimator=Tangent(norm="l0", steps=8, rounds=k)).l0 for k in (1, 3)
    ]
    assert (np.diff(counts, axis=0) <= 0).all()
    earlier = np.full(6, np.inf)
    for limit in (60, 300, 1500):
        found = measure(predictor, x, estimator=Tangent(norm="l0"), max_queries=limit)
        assert (found.l0 <= earlier).all()
        assert found.n_predictions.sum() + found.n_gradients.sum() <= limit
        earlier = found.l0


def test_rows_do_not_see_each_other_and_frozen_inputs_stay():
    """The same bits alone and in a batch; on an 8-bit grid, with frozen inputs."""
    predictor = linear(seed=5)
    x = np.random.default_rng(6).integers(0, 256, size=(7, 12)) / 255
    frozen = np.arange(12) % 5 == 0
    estimator = Tangent(norm="l0", steps=8, rounds=2, frozen=frozen, levels=256)
    together = measure(predictor, x, estimator=estimator)
    assert together.has_flip.sum() > 3
    known = together.flip_points[together.has_flip]
    assert (known[:, frozen] == x[together.has_flip][:, frozen]).all()
    assert (known == np.round(known * 255) / 255).all()
    for i in range(7):
        alone = measure(predictor, x, estimator=estimator, shard=(i + 1, 7))
        assert len(alone.l0) == 1
        for column in ("l0", "l2", "status", "n_predictions", "n_gradients"):
            assert getattr(together, column)[i] == getattr(alone, column)[0]


def test_the_second_round_looks_for_another_class():
    """The nearest class needs three inputs of twelve; another one, its slope small, the last."""

    class Slow:
        """Scores: 0, the sum of the first twelve inputs less 3.2, the last one squared, less."""

        access, n_classes, input_shape, bounds = Access.LOGITS, 3, (13,), (0.0, 1.0)

        def predict(self, x):
            x = np.asarray(x, np.float64)
            slow = 8 * x[:, 12] ** 2 - 7.2
            return Prediction.from_scores(
                np.stack([0 * slow, x[:, :12].sum(axis=-1) - 3.2, slow], axis=-1)
            )

        def vjp(self, x, v):
            slope = np.repeat(v[:, 1:2], 13, axis=1)
            slope[:, 12] = v[:, 2] * 16 * x[:, 12]
            return slope

    x = np.random.default_rng(3).uniform(0.02, 0.08, size=(8, 13))
    counts = [measure(Slow(), x, estimator=Tangent(norm="l0", rounds=k)).l0 for k in (1, 2)]
    assert (counts[0] == 3).all()
    assert (counts[1] == 1).all()


def test_without_bounds_one_input_is_enough():
    """Where an input may move without end, a flat boundary is met by one alone."""
    shape = Linear(np.random.default_rng(7).normal(size=(3, 5)), np.zeros(3))
    x = np.random.default_rng(8).normal(size=(8, 5))
    found = measure(Reference(shape), x, estimator=Tangent(norm="l0"))
    assert (found.l0 == 1).all()
    assert np.isfinite(found.l2).all()


def test_where_gradients_end_the_search_goes_on_with_half():
    """Beyond the boundary the gradient is zero; of ten inputs, four are found to be enough."""

    class Floor:
        """The lead is 3.5 less the sum of the inputs, but not below -.01, where it is flat."""

        access, n_classes, input_shape, bounds = Access.LOGITS, 2, (10,), (0.0, 1.0)

        def predict(self, x):
            lead = np.maximum(3.5 - np.asarray(x, np.float64).sum(axis=-1), -0.01)
            return Prediction.from_scores(np.stack([lead / 2, -lead / 2], axis=-1))

        def vjp(self, x, v):
            alive = np.asarray(x, np.float64).sum(axis=-1) < 3.51
            slope = -((v[:, 0] - v[:, 1]) / 2) * alive
            return np.repeat(slope[:, None], 10, axis=1).astype(x.dtype)

    found = measure(Floor(), np.zeros((2, 10)), estimator=Tangent(norm="l0", rounds=2))
    assert found.l0.tolist() == [4, 4]
