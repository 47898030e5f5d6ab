"""Processor time of our own a query: ``halfspace`` from labels, of a model that costs little.

Rows are uniform in the unit box, and the boundary is a quadratic form some way from them::

    python tests/quality/own_cpu.py [--columns 30 784 3072] [--rows 64] [--queries 1000] [--profile]

Prints a line for each number of columns: microseconds of processor time a query without the
model's own, queries a second of it, the median distance, and by how much the largest resident
memory has grown since the small run that comes first, so that imports are not counted. 784 columns
are an image, 3,072 and 150,528 (``--rows 1``) ones of three channels.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import time

import numpy as np

from blackbox_boundary import Access, Prediction, measure
from blackbox_boundary.estimators import HalfSpace

SHAPES = {784: (1, 28, 28), 3072: (3, 32, 32), 150528: (3, 224, 224)}


class Quadratic:
    """Two classes divided by ``w . s + c |s|**2 = offset``, with ``s = x - 1/2``."""

    access, n_classes, bounds = Access.LABEL, 2, (0.0, 1.0)

    def __init__(self, columns, seed=0):
        self.input_shape = SHAPES.get(columns, (columns,))
        w = np.random.default_rng(seed).standard_normal(columns)
        self._w = (w / np.linalg.norm(w)).astype(np.float32)
        self.seconds, self.queries = 0.0, 0

    def predict(self, x):
        began = time.process_time()
        s = x.reshape(len(x), -1) - np.float32(0.5)
        height = s @ self._w + np.float32(0.05) * np.einsum("nd,nd->n", s, s)
        label = (height > self._offset(s.shape[1])).astype(np.intp)
        self.queries += len(x)
        self.seconds += time.process_time() - began
        return Prediction(label)

    @staticmethod
    def _offset(columns):
        """The mean of ``c |s|**2`` over the box, and .5 more: as far as most rows are from it."""
        return 0.05 * columns / 12 + 0.5


def run(columns, rows, queries, norm):
    """Measure ``rows`` rows at once; returns the line to print."""
    model = Quadratic(columns)
    x = np.random.default_rng(1).random((rows, *model.input_shape), np.float32)
    estimator = HalfSpace(max_queries_per_row=queries, norm=norm)
    began = time.process_time()
    found = measure(model, x, estimator=estimator)
    own = time.process_time() - began - model.seconds
    return (
        f"{columns:6d} columns {own / model.queries * 1e6:8.1f} us a query "
        f"{model.queries / own:9,.0f} queries a second, median {np.nanmedian(found.hi):.5f}"
    )


def largest_memory():
    """The largest resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, nargs="+", default=[30, 784, 3072])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--norm", choices=("l1", "l2", "linf"), default="l2")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    a = parser.parse_args()
    run(30, 2, 100, a.norm)
    before = largest_memory()
    for columns in a.columns:
        profile = cProfile.Profile()
        if a.profile:
            profile.enable()
        line = run(columns, a.rows, a.queries, a.norm)
        print(f"{line}, {largest_memory() - before:.0f} MB more", flush=True)
        if a.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(28)
