"""The driver of a measurement on a cluster, to be killed: ADDRESS, FOLDER, number of shards."""

import sys
from pathlib import Path

import numpy as np
from blackbox_boundary.adapters.ray_cluster import measure_on_cluster

X = np.random.default_rng(0).normal(size=(48, 3))

if __name__ == "__main__":
    address, folder, n_shards = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    found = measure_on_cluster(
        "worker_model:watched",
        X,
        folder=folder / "run",
        address=address,
        workers=4,
        n_shards=n_shards,
        ledger=folder / "all.db",
        estimator="ray",
    )
    found.save(folder / "found.npz")
