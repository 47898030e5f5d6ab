"""Distances, queries and seconds a row of our gradient-based estimators beside their peers.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    sh tests/quality/build_peers.sh PEERS
    PEERS/bin/python tests/quality/compare_gradient_methods.py --net dense --norm l2

Rows: the first test images from ``--first`` on that the net labels correctly, as tensors for us and
for peers. Bounds: [0, 1]. A failed row counts as infinite. Gradients are backward passes and
predictions forward passes a row, counted at the net for peers (a backward pass needs its own
forward pass, counted too) and by the ledger for ours. ``p95`` is that of the ratio to the row's
best distance by any method, ``best`` the share of rows within .1 % of it. Seconds are of this run,
after two rows to warm up; each is also given as a multiple of DDN-100's and of ALMA-1000's, where
these ran.

Optimality compares robustness curves, the share of rows with a distance above a radius, up to the
radius at which the curve of the best known distances reaches zero. The area under a curve is
exactly the mean of the distances, those beyond that radius counted as that radius; optimality is 1
at the area of the best known distances, 0 where no row is flipped.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.torch_modules.chain import chain_of
from mnist_nets import NETS as MNIST_NETS
from trained_nets import NETS, load, rows_of

from blackbox_boundary.estimators import FlipPoint, Homotopy, Linearised, LowerBound, Ray, Tangent
from blackbox_boundary.measuring.driver import measure

ORDER = {"l0": 0, "l1": 1, "l2": 2, "linf": np.inf}


def ours(norm):
    """Our estimators for a norm, by name."""
    if norm == "l0":
        return {
            "tangent": Tangent(norm=norm),
            "tangent, 4 rounds": Tangent(norm=norm, rounds=4),
        }
    chosen = {
        "tangent": Tangent(norm=norm),
        "tangent, 12 steps": Tangent(norm=norm, steps=12),
        "tangent, 8 steps": Tangent(norm=norm, steps=8),
        **{f"tangent, {k} rounds": Tangent(norm=norm, rounds=k) for k in (2, 4, 5, 8, 16, 40)},
        "linearised (no bound)": Linearised(norm=norm, n_rivals=3),
    }
    if norm == "l2":
        chosen |= {
            "ray, margin": Ray(direction="margin"),
            "flip_point": FlipPoint(pairs=2),
            "homotopy": Homotopy(),
        }
    return chosen


def clocked(work):
    """What ``work`` returns, and the CPU and wall seconds that it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    done = work()
    return done, time.process_time() - cpu, time.perf_counter() - wall


def run_ours(net, estimator, x, _labels, norm):
    """Distances (n,); gradients and predictions a row; CPU and wall seconds in all."""
    predictor = predictor_of(net, x)
    measure(predictor, x[:2], estimator=estimator)
    found, *seconds = clocked(lambda: measure(predictor, x, estimator=estimator))
    distance = found.estimate if isinstance(estimator, Linearised) else found.norm(norm)
    return distance, found.n_gradients.mean(), found.n_predictions.mean(), *seconds


def predictor_of(net, x):
    """The net behind our protocol."""
    return TorchPredictor(net, input_shape=x.shape[1:], n_classes=len(net(x[:1])[0]), bounds=(0, 1))


def run_peer(net, attack, x, labels, norm):
    """The same of a peer."""
    counts = {"forward": 0, "backward": 0}

    def count(_module, _inputs, scores):
        counts["forward"] += len(scores)
        if scores.requires_grad:
            scores.register_hook(
                lambda gradient: counts.update(backward=counts["backward"] + len(gradient))
            )

    attack(net, x[:2], labels[:2])
    hook = net.register_forward_hook(count)
    points, *seconds = clocked(lambda: attack(net, x, labels).detach())
    hook.remove()
    with torch.no_grad():
        failed = (net(points).argmax(-1) == labels).numpy()
    distance = np.linalg.norm((points - x).flatten(1).double().numpy(), ord=ORDER[norm], axis=-1)
    return (
        np.where(failed, np.inf, distance),
        counts["backward"] / len(x),
        counts["forward"] / len(x),
        *seconds,
    )


def optimality(distance, best):
    """1 for the best known distances, 0 for no flip at all; see above."""
    least, last = best.mean(), best.max()
    return 1 - (np.minimum(distance, last).mean() - least) / (last - least)


def summary(results, bounds):
    """A row of the table for each method, by name."""
    best = np.minimum.reduce([result[0] for name, result in results.items() if name not in bounds])
    rows = {}
    for name, (distance, n_gradients, n_predictions, cpu, wall) in results.items():
        met = np.isfinite(distance)
        rows[name] = {
            "median": np.median(distance),
            "mean": distance[met].mean(),
            "failed": 1 - met.mean(),
            "p95": np.quantile(np.where(met, distance / best, 1e9), 0.95),
            "best": np.mean(distance <= 1.001 * best),
            "optimality": optimality(distance, best),
            "gradients": n_gradients,
            "predictions": n_predictions,
            "CPU ms": cpu / len(best) * 1e3,
            "wall ms": wall / len(best) * 1e3,
        }
        for peer in ("DDN 100 *", "ALMA 1000 *"):
            if peer in results:
                rows[name][f"{peer[:-2]} / CPU"], rows[name][f"{peer[:-2]} / wall"] = (
                    results[peer][3] / cpu,
                    results[peer][4] / wall,
                )
    return best, rows


def main():
    """Run, print a table, and write the distances to a file if told."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", choices=NETS, default="dense")
    parser.add_argument("--norm", choices=sorted(ORDER), default="l2")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first test image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--only", nargs="*", default=[""], help="methods whose names begin so")
    parser.add_argument("--json", help="write the rows of the table there")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    net = load(settings.net)
    rows = rows_of(settings.net, net, settings.rows, first=settings.first)
    x, labels = (torch.from_numpy(part) for part in rows)
    methods = {
        name: partial(run_ours, net, estimator) for name, estimator in ours(settings.norm).items()
    }
    if not settings.only_ours:
        from peers import PEERS

        methods |= {
            f"{name} *": partial(run_peer, net, attack)
            for name, attack in PEERS[settings.norm].items()
        }
    results = {
        name: run(x, labels, settings.norm)
        for name, run in methods.items()
        if name.startswith(tuple(settings.only))
    }
    best, rows = summary(results, bounds={"linearised (no bound)"})
    print(
        f"{settings.net}, {settings.norm}, {len(x)} rows, {settings.threads} threads; "
        f"best known: median {np.median(best):.4f}; * peers"
    )
    if settings.net in MNIST_NETS and settings.norm != "l0":
        below = LowerBound(chain_of(net, x.shape[1:]), norm=settings.norm)
        certified = measure(predictor_of(net, x), x, estimator=below).certified
        print(
            f"certified from below: median {np.median(certified):.4f}, "
            f"{np.median(best / certified):.1f} times below the best known"
        )
    print("method | " + " | ".join(next(iter(rows.values()))))
    for name, row in rows.items():
        print(
            f"{name} | "
            + " | ".join(f"{value:.4f}" if value < 10 else f"{value:.1f}" for value in row.values())
        )
    if settings.json:
        Path(settings.json).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
