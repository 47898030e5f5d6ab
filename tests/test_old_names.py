"""Documented import paths of version 0.1 still work, with a warning that names the new path."""

import importlib
import sys

import pytest

MOVED = {
    "blackbox_boundary.adapters.onnx_chain": (
        "chain_of",
        "blackbox_boundary.adapters.onnx_exports.chain",
    ),
    "blackbox_boundary.adapters.onnx_runtime": (
        "OnnxPredictor",
        "blackbox_boundary.adapters.onnx_exports",
    ),
    "blackbox_boundary.adapters.torch_chain": (
        "chain_of",
        "blackbox_boundary.adapters.torch_modules.chain",
    ),
    "blackbox_boundary.adapters.torch_module": (
        "TorchPredictor",
        "blackbox_boundary.adapters.torch_modules",
    ),
    "blackbox_boundary.adapters.torch_training": (
        "TorchTrainable",
        "blackbox_boundary.adapters.torch_modules.training",
    ),
    "blackbox_boundary.asks": ("AskGradient", "blackbox_boundary.search.asks"),
    "blackbox_boundary.behaviour": ("read_behaviour", "blackbox_boundary.measuring.behaviour"),
    "blackbox_boundary.distributions": ("compare", "blackbox_boundary.analysis.distributions"),
    "blackbox_boundary.selection": ("k_centre", "blackbox_boundary.analysis.selection"),
    "blackbox_boundary.uncertainty": ("Softness", "blackbox_boundary.analysis.uncertainty"),
}
"""Old module: one of its names, and the module that holds it now."""


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_gives_the_same_object_and_warns(old):
    """The name is the object of the new place, and the warning names that place."""
    name, new = MOVED[old]
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{new}\\.$"):
        module = importlib.import_module(old)
    assert getattr(module, name) is getattr(importlib.import_module(new), name)


def test_names_that_did_not_move_are_where_they_were():
    """What the documentation of 0.1 names beside those keeps its place."""
    for module, name in (
        ("blackbox_boundary.chains", "Chain"),
        ("blackbox_boundary.datasets", "read"),
        ("blackbox_boundary.estimators", "flatness"),
        ("blackbox_boundary.estimators.tangent", "Tangent"),
        ("blackbox_boundary.loading", "build"),
        ("blackbox_boundary.report", "write_report"),
        ("blackbox_boundary.testing", "check_predictor"),
        ("blackbox_boundary.wrappers", "forecast"),
    ):
        assert hasattr(importlib.import_module(module), name)


def test_setting_is_called_problem():
    """The former name of :class:`Problem` gives the class, and warns."""
    estimators = importlib.import_module("blackbox_boundary.estimators")
    with pytest.warns(DeprecationWarning, match="called Problem"):
        assert estimators.Setting is estimators.Problem
