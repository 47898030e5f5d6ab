"""Distances of `tangent` on probabilities that round to zero, beside their logits, in one run.

    BLACKBOX_BOUNDARY_DATA=... python tests/quality/saturated.py dense --rows 100

Probabilities are the softmax of the net's logits times ten, in single precision: a third of the
rows of the dense net have a zero gradient. Prints a line a norm: the ratio of the distances, and
their cost.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from mnist_nets import NETS, correct_test_rows, load_net

from blackbox_boundary import Access, measure
from blackbox_boundary.estimators import Tangent


class Steep(torch.nn.Module):
    """The softmax of logits times ``steepness``."""

    def __init__(self, net, steepness):
        super().__init__()
        self.net, self.steepness = net, steepness

    def forward(self, x):
        """Return probabilities (n, n_classes)."""
        return torch.softmax(self.net(x) * self.steepness, dim=-1)


def main():
    """Compare, norm by norm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--steepness", type=float, default=10.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = load_net(args.net)
    x, _ = correct_test_rows(net, args.rows)
    shape = {"input_shape": x.shape[1:], "bounds": (0.0, 1.0)}
    logits = TorchPredictor(net, access=Access.LOGITS, **shape)
    steep = TorchPredictor(Steep(net, args.steepness).eval(), access=Access.PROBABILITIES, **shape)
    for norm in ("l2", "linf", "l1"):
        reference = measure(logits, x, estimator=Tangent(norm=norm)).norm(norm)
        found = measure(steep, x, estimator=Tangent(norm=norm))
        ratio = found.norm(norm) / reference
        print(
            f"{norm}: no flip {np.isinf(ratio).sum()} of {len(x)}, "
            f"ratio median {np.median(ratio):.3f} mean {ratio.mean():.3f} "
            f"p95 {np.percentile(ratio, 95):.3f}; gradients {found.n_gradients.mean():.1f} "
            f"predictions {found.n_predictions.mean():.1f}"
        )


if __name__ == "__main__":
    main()
