"""How near the estimators come for what they ask; skipped without MNIST."""

import os
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "BLACKBOX_BOUNDARY_DATA" not in os.environ,
        reason="BLACKBOX_BOUNDARY_DATA names no folder with MNIST",
    ),
]


@pytest.fixture
def run(monkeypatch):
    """The comparison's own function."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from our_queries import run

    return run


@pytest.mark.parametrize(("net", "wanted"), [("dense", 0.90), ("cnn", 1.90)])
def test_labels_alone_at_a_thousand_queries(run, net, wanted):
    """Below what was wanted for fifty images, on the first twenty; every row has a flip."""
    result = run("halfspace", net, 20, 1000)
    assert result["median_l2"][1000] <= wanted
    assert result["no_flip"][1000] == 0
    assert result["most_queries"] <= 1000


def test_scores_at_a_thousand_queries(run):
    """Within six percent of three hundred white-box steps, in the median."""
    result = run("broyden", "dense", 10, 1000)
    assert result["median_l2"][1000] <= 0.85
    assert result["median_ratio"][1000] <= 1.06
