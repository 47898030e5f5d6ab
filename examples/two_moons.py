"""Measure a torch module of your own on two interleaved half circles.

pip install "blackbox-boundary[torch]"
python examples/two_moons.py
"""

from __future__ import annotations

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from torch import nn

from blackbox_boundary import measure
from blackbox_boundary.estimators import Tangent


def two_moons(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) and their half circle (n,)."""
    labels = rng.integers(2, size=n)
    angle = rng.uniform(0, np.pi, n)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    return (points + rng.normal(0, 0.1, (n, 2))).astype(np.float32), labels


def trained(x: np.ndarray, labels: np.ndarray) -> nn.Module:
    """A 2-32-32-2 network, trained for a moment."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
        optimiser.step()
    return net


def main() -> None:
    """Train, measure along the paper's ray, and measure again with the tightest estimator."""
    rng = np.random.default_rng(0)
    x, labels = two_moons(500, rng)
    predictor = TorchPredictor(trained(x, labels), input_shape=(2,), n_classes=2)
    along_ray, tightest = measure(predictor, x), measure(predictor, x, estimator=Tangent())
    for name, found in (("ray", along_ray), ("tangent", tightest)):
        cost = (
            f"{found.n_predictions.mean():.1f} predictions and {found.n_gradients.mean():.1f} "
            "gradients a row"
        )
        print(f"{name:8s} median L2 {np.median(found.l2):.3f}, {cost}, {found.count_by_status()}")
    nearest = np.argsort(tightest.l2)[:3]
    for row in nearest:
        print(
            f"row {row} at {x[row].round(3)} flips at {tightest.flip_points[row].round(3)}, "
            f"{tightest.l2[row]:.4f} away"
        )


if __name__ == "__main__":
    main()
