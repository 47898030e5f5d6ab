"""Published verification nets (VNN-COMP): certified radii hold, and most known flips are found.

Needs the folder ``vnncomp`` in ``BLACKBOX_BOUNDARY_DATA``: ``NAME.onnx`` with ``NAME.npz`` of
instances (x, eps, label, verdict, domain).
"""

import os
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary import load
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.gradients import AntitheticBlocks, Cosines
from blackbox_boundary.measuring.driver import measure

pytestmark = pytest.mark.slow

NETS = (
    "mnist_fc_256x2",
    "cora_mnist_set",
    "cora_mnist_trades",
    "sri_resnet_a",
    "verivital_avgpool",
)
ROUNDS = 12
STEPS = 24
QUERIES = 20_000
"""A row, from scores alone."""


def facts(name, gradients):
    """The predictor of a net, and its rows, labels, radii, and whether a flip is known in each."""
    folder = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", "")) / "vnncomp"
    if "BLACKBOX_BOUNDARY_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("BLACKBOX_BOUNDARY_DATA names no folder with vnncomp/*.onnx and vnncomp/*.npz")
    with np.load(folder / f"{name}.npz") as known:
        lowest, highest = known["domain"].tolist()
        x = known["x"].astype(np.float32).clip(lowest, highest)
        settings = {
            "access": "logits",
            "bounds": (lowest, highest),
            "input_shape": x.shape[1:],
            "gradients": gradients,
        }
        predictor = load(folder / f"{name}.onnx", **settings)
        return predictor, x, known["label"], known["eps"], known["verdict"] == "sat"


@pytest.fixture(scope="module", params=[1, ROUNDS], ids=["default", "rounds"])
def results(request):
    """Rounds, and each net's distances, radii and verdicts, by default and with more rounds."""
    found = {}
    for name in NETS:
        predictor, x, label, eps, sat = facts(name, "torch")
        distances = measure(predictor, x, estimator=Tangent(norm="linf", rounds=request.param))
        assert (distances.home == label).all()
        found[name] = distances, eps, sat
    return request.param, found


def test_no_distance_is_below_what_is_certified(results):
    """On every instance that verifiers proved, the distance is above their radius."""
    for name, (distances, eps, sat) in results[1].items():
        assert (distances.linf[~sat] > eps[~sat]).all(), name


def test_nearly_all_known_flips_are_found(results):
    """At least 33 of the 35 known flips are found within their radius; 34 with more rounds."""
    rounds, found = results
    hits = np.concatenate([(distances.linf <= eps)[sat] for distances, eps, sat in found.values()])
    assert len(hits) == 35
    assert hits.sum() >= (33 if rounds == 1 else 34)


def test_every_row_has_a_flip_at_few_gradients(results):
    """No row ends without a flip; at most 40 gradients a row in the mean by default."""
    rounds, found = results
    assert all(distances.has_flip.all() for distances, _, _ in found.values())
    n_gradients = np.concatenate([distances.n_gradients for distances, _, _ in found.values()])
    assert rounds > 1 or n_gradients.mean() <= 40


def test_most_known_flips_are_found_from_scores_alone():
    """At least 60 % with 20,000 queries a row, gradients estimated in a quarter of frequencies."""
    hits = []
    for name in NETS:
        predictor, x, _, eps, sat = facts(name, "none")
        if not sat.any():
            continue
        image = (28, 28) if x[0].size == 28 * 28 else x.shape[1:]
        few = x[0].size // 4
        source = AntitheticBlocks(few, Cosines(image, few))
        tangent = Tangent(
            norm="linf", steps=STEPS, rounds=QUERIES // (STEPS * (few + 2)) - 3, gradients=source
        )  # a row without a flip may start three times more
        found = measure(predictor, x[sat], estimator=tangent)
        assert (found.n_predictions <= QUERIES).all()
        hits.append(found.linf <= eps[sat])
        print(name, hits[-1].sum(), "of", len(hits[-1]))
    assert np.concatenate(hits).mean() >= 0.6
