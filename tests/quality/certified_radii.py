"""How many radii that verifiers proved linear bounds prove, too, and in how much time.

    BLACKBOX_BOUNDARY_DATA=... OMP_NUM_THREADS=1 python tests/quality/certified_radii.py [NET ...]

Nets and radii: the folder ``vnncomp`` of the data; L-infinity, inside the nets' domains. Printed
for each net: rows that verifiers proved, how many of these are certified up to their radius, how
many rows with a known flip within the radius are (none may be), the median certified share of the
radius, and CPU seconds a row. ``--norms`` also gives the products of norms alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

import numpy as np

from blackbox_boundary import load
from blackbox_boundary.estimators import LowerBound
from blackbox_boundary.measuring.driver import measure

NETS = (
    "mnist_fc_256x2",
    "cora_mnist_set",
    "cora_mnist_trades",
    "verivital_avgpool",
    "sri_resnet_a",
)


def certified(name, *, by_norms):
    """Certified radii (n,) relative to the known ones, whether each row flips, and CPU seconds."""
    folder = Path(os.environ["BLACKBOX_BOUNDARY_DATA"]) / "vnncomp"
    with np.load(folder / f"{name}.npz") as known:
        lowest, highest = known["domain"].tolist()
        x = known["x"].astype(np.float32).clip(lowest, highest)
        eps, flips = known["eps"], known["verdict"] == "sat"
    predictor = load(
        folder / f"{name}.onnx",
        access="logits",
        bounds=(lowest, highest),
        input_shape=x.shape[1:],
        gradients="none",
    )
    begun = time.process_time()
    chain = predictor.chain()
    chain = dataclasses.replace(chain, graph=None) if by_norms else chain
    found = measure(predictor, x, estimator=LowerBound(chain, norm="linf"))
    return found.certified / eps, flips, time.process_time() - begun


def main():
    """Print a line a net."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--norms", action="store_true")
    settings = parser.parse_args()
    print("net | proved | certified | flip, certified | median share | CPU s a row")
    for name in settings.nets:
        share, flips, seconds = certified(name, by_norms=settings.norms)
        counts = (~flips).sum(), (share[~flips] >= 1).sum(), (share[flips] >= 1).sum()
        print(
            f"{name} | {counts[0]} | {counts[1]} | {counts[2]} of {flips.sum()} | "
            f"{np.median(share):.3g} | {seconds / len(share):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
