"""Published verification nets (VNN-COMP): no distance at or below a certified radius, and nearly all known flips found.

Needs the folder ``vnncomp`` in ``BLACKBOX_BOUNDARY_DATA``: ``NAME.onnx`` with ``NAME.npz`` of instances (x, eps, label, verdict, domain).
"""

import os
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary import load
from blackbox_boundary.driver import measure
from blackbox_boundary.estimators import Tangent

NETS = ("mnist_fc_256x2", "cora_mnist_set", "cora_mnist_trades", "sri_resnet_a", "verivital_avgpool")
ROUNDS = 12


@pytest.fixture(scope="module")
def results():
    """Distances, radii and verdicts of every net."""
    folder = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", "")) / "vnncomp"
    if "BLACKBOX_BOUNDARY_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("BLACKBOX_BOUNDARY_DATA names no folder with vnncomp/*.onnx and vnncomp/*.npz")
    found = {}
    for name in NETS:
        with np.load(folder / f"{name}.npz") as facts:
            lowest, highest = facts["domain"].tolist()
            x = facts["x"].astype(np.float32).clip(lowest, highest)
            shape = facts["x"].shape[1:]
            predictor = load(folder / f"{name}.onnx", gradients="torch", access="logits", bounds=(lowest, highest), input_shape=shape)
            distances = measure(predictor, x, estimator=Tangent(norm="linf", rounds=ROUNDS))
            assert (distances.home == facts["label"]).all()
            found[name] = distances.linf, facts["eps"], facts["verdict"] == "sat"
    return found


@pytest.mark.slow
def test_no_distance_is_below_what_is_certified(results):
    """On every instance that verifiers proved, the distance is above their radius."""
    for name, (linf, eps, sat) in results.items():
        assert (linf[~sat] > eps[~sat]).all(), name


@pytest.mark.slow
def test_nearly_all_known_flips_are_found(results):
    """At least 95 % of the instances known to flip within their radius are found within it."""
    hits = np.concatenate([(linf <= eps)[sat] for linf, eps, sat in results.values()])
    assert hits.mean() >= 0.95
