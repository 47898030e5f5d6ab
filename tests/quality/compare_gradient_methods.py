"""Distances, queries and seconds a row of our gradient-based estimators beside their peers, in one run.

    sh tests/quality/build_peers.sh PEERS
    BLACKBOX_BOUNDARY_DATA=... PEERS/bin/python tests/quality/compare_gradient_methods.py --net dense --norm l2

Rows: the first test images that the net labels correctly. Bounds: [0, 1]. A failed row counts as infinite. Gradients are backward passes
and predictions forward passes a row, counted at the net for peers (a backward pass needs its own forward pass, counted too) and by the
ledger for ours. ``p95`` is that of the ratio to the best distance that anybody found for the row. Seconds are CPU seconds on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from blackbox_boundary.adapters.torch_chain import chain_of
from blackbox_boundary.adapters.torch_module import TorchPredictor
from mnist_nets import NETS, correct_test_rows, load_net

from blackbox_boundary.driver import measure
from blackbox_boundary.estimators import FlipPoint, Homotopy, Linearised, LowerBound, Ray, Tangent

ORDER = {"l1": 1, "l2": 2, "linf": np.inf}


def ours(norm):
    """Our estimators for a norm, by name."""
    chosen = {
        "tangent": Tangent(norm=norm),
        "tangent, 12 steps": Tangent(norm=norm, steps=12),
        "tangent, 5 rounds": Tangent(norm=norm, rounds=5),
        "linearised (no bound)": Linearised(norm=norm, n_rivals=3),
    }
    if norm == "l2":
        chosen |= {"ray, margin": Ray(direction="margin"), "flip_point": FlipPoint(pairs=2), "homotopy": Homotopy()}
    return chosen


def run_ours(net, estimator, x, norm):
    """Distances (n,), and cost a row."""
    predictor = TorchPredictor(net, input_shape=x.shape[1:], n_classes=10, bounds=(0, 1))
    began = time.process_time()
    found = measure(predictor, x, estimator=estimator)
    seconds = time.process_time() - began
    distance = found.estimate if isinstance(estimator, Linearised) else found.norm(norm)
    return distance, found.n_gradients.mean(), found.n_predictions.mean(), seconds


def run_peer(net, attack, x, labels, norm):
    """Distances (n,), and cost a row."""
    counts = {"forward": 0, "backward": 0}

    def count(_module, _inputs, scores):
        counts["forward"] += len(scores)
        if scores.requires_grad:
            scores.register_hook(lambda gradient: counts.update(backward=counts["backward"] + len(gradient)))

    images, labels = torch.from_numpy(x), torch.from_numpy(labels)
    hook = net.register_forward_hook(count)
    began = time.process_time()
    points = attack(net, images, labels).detach()
    seconds = time.process_time() - began
    hook.remove()
    with torch.no_grad():
        failed = (net(points).argmax(-1) == labels).numpy()
    distance = np.linalg.norm((points - images).flatten(1).double().numpy(), ord=ORDER[norm], axis=-1)
    return np.where(failed, np.inf, distance), counts["backward"] / len(x), counts["forward"] / len(x), seconds


def main():
    """Run, print a table, and write the distances to a file if told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=NETS, default="dense")
    parser.add_argument("--norm", choices=sorted(ORDER), default="l2")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--only", default="", help="of ours, those whose name begins so")
    parser.add_argument("--json", help="write the rows of the table there")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    net = load_net(settings.net)
    x, labels = correct_test_rows(net, settings.rows)
    results = {
        name: run_ours(net, estimator, x, settings.norm)
        for name, estimator in ours(settings.norm).items()
        if name.startswith(settings.only)
    }
    if not settings.only_ours:
        from peers import PEERS

        results |= {f"{name} *": run_peer(net, attack, x, labels, settings.norm) for name, attack in PEERS[settings.norm].items()}
    seen = [name for name in results if "no bound" not in name]
    best = np.minimum.reduce([results[name][0] for name in seen])
    certified = measure(
        TorchPredictor(net, input_shape=x.shape[1:], n_classes=10),
        x,
        estimator=LowerBound(chain_of(net, x.shape[1:]), norm=settings.norm),
    ).certified
    print(f"{settings.net}, {settings.norm}, {len(x)} rows; best known: median {np.median(best):.4f}; * peers")
    print(f"certified from below: median {np.median(certified):.4f}, {np.median(best / certified):.1f} times below the best known")
    print("method | median | mean | failed | p95 of ratio to best | gradients | predictions | CPU ms a row")
    table = []
    for name, (distance, n_gradients, n_predictions, seconds) in results.items():
        met = np.isfinite(distance)
        p95 = np.quantile(np.where(met, distance / best, 1e9), 0.95)
        table.append(
            (name, np.median(distance), distance[met].mean(), 1 - met.mean(), p95, n_gradients, n_predictions, seconds / len(x) * 1e3)
        )
        print("{} | {:.4f} | {:.4f} | {:.3f} | {:.3f} | {:.0f} | {:.0f} | {:.2f}".format(*table[-1]), flush=True)
    if settings.json:
        Path(settings.json).write_text(json.dumps(table), encoding="utf-8")


if __name__ == "__main__":
    main()
