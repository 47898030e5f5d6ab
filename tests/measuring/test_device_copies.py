"""Inputs stay where they are: a search copies scores and labels to the host, and no rows."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parents[1] / "quality"))


def test_no_block_of_images_is_copied_to_the_host():
    """For a torch module, the largest copy is far below a block, and all of them below the rows."""
    from gpu_rows import compare, net

    from blackbox_boundary import load

    x = torch.rand((256, 1, 28, 28), generator=torch.Generator().manual_seed(1))
    predictor = load(net(), access="logits", input_shape=(1, 28, 28))
    found, _, _, n_calls, counted = compare(predictor, x, 128, "cpu")
    assert found.count_by_status().get("CONVERGED", 0) > 200
    assert counted["to the host"] > 0
    assert n_calls > 5
    queries = int(found.n_predictions.sum())
    assert counted["bytes to the host"] < queries * 28 * 28 * 4 / 10
    assert counted["largest"] < 128 * 28 * 28 * 4 / 4
