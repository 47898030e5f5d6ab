"""Extract Model 1 by ART's CopycatCNN and KnockoffNets and by ours, at equal budgets, with one surrogate and one number of steps.

    pip install adversarial-robustness-toolbox
    BLACKBOX_BOUNDARY_DATA=… python examples/paper/peers.py reproduce-mnist

The folder is one of ``blackbox-boundary reproduce mnist``: its victim is used, and ``peers.csv`` and ``peers.png`` are written below its
``figures/``. Results are kept, and the script goes on where it was stopped. ART's attacks draw from NumPy's global generator, which is
seeded here before each.
"""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from art.attacks.extraction import CopycatCNN, KnockoffNets
from art.estimators.classification import PyTorchClassifier
from blackbox_boundary.adapters.paper import data
from blackbox_boundary.adapters.paper.curves import curve
from blackbox_boundary.adapters.paper.exhibit import Exhibit
from blackbox_boundary.adapters.paper.reproduction import REDUCED
from blackbox_boundary.adapters.paper.samples import Samples
from blackbox_boundary.adapters.paper.store import Store
from blackbox_boundary.adapters.paper.study import mnist_study

from blackbox_boundary.extraction import spread

BUDGETS = (250, 500, 1000, 2500, 5000, 10_000)
OURS = ("random", "surrogate distance, whole pool", "margin, whole pool")
PEERS = ("CopycatCNN (ART)", "KnockoffNets, random, probabilities (ART)", "KnockoffNets, adaptive, probabilities (ART)")
MOST_ADAPTIVE = 500
"""ART's adaptive sampling trains once a query: above this budget it takes minutes a seed."""


def by_art(study, samples, name, budget, seed):
    """Agreement on natural test rows of ART's attack at one budget."""
    np.random.seed(seed)  # noqa: NPY002 -- the generator that ART draws from
    torch.manual_seed(seed)
    recipe = study.surrogates["Model 3"](study.scale.curve_steps)

    def wrapped(net, optimizer=None):
        loss = torch.nn.CrossEntropyLoss()
        return PyTorchClassifier(net, loss=loss, optimizer=optimizer, input_shape=recipe.input_shape, nb_classes=10, device_type="cpu")

    victim_net = (
        torch.nn.Sequential(study.victims["Model 1"](), torch.nn.Softmax(dim=1)) if "probabilities" in name else study.victims["Model 1"]()
    )
    victim, thief_net = wrapped(victim_net), recipe.build()
    thief = wrapped(thief_net, torch.optim.Adam(thief_net.parameters(), lr=1e-3))
    epochs = math.ceil(recipe.n_steps * recipe.batch_size / budget)
    given = {"batch_size_fit": recipe.batch_size, "batch_size_query": 512, "nb_epochs": epochs, "nb_stolen": budget}
    if name.startswith("CopycatCNN"):
        attack = CopycatCNN(victim, **given)
    else:
        strategy = "adaptive" if "adaptive" in name else "random"
        attack = KnockoffNets(victim, **given, sampling_strategy=strategy, use_probability=True, verbose=False)
    y = np.eye(10)[study.data.y[: study.n_pool]]
    attack.extract(samples.x, y if "adaptive" in name else None, thieved_classifier=thief)
    test = study.test_sets("Model 1")[0]
    return float((thief.predict(test.x, batch_size=1000).argmax(axis=1) == test.victim).mean())


def compared(study, n_seeds):
    """Rows: strategy, answers used, budget, mean and deviation of agreement over the seeds."""
    samples, rows = Samples(study, "Model 1"), []
    for name in PEERS:
        for budget in BUDGETS:
            if "adaptive" in name and budget > MOST_ADAPTIVE:
                continue
            values = []
            for seed in range(n_seeds):
                configuration = study.about("Model 1", strategy=name, budget=budget, seed=seed, steps=study.scale.curve_steps)
                values.append(study.store.numbers("peer", configuration, partial(by_art, study, samples, name, budget, seed)))
            found = spread([100 * value for value in values])
            rows.append((name, "probabilities" if "probabilities" in name else "labels", budget, found.mean, found.std, found.n))
    for name in OURS:
        for soft in (False, True):
            runs = [curve(study, samples, "Model 3", name, seed, soft=soft) for seed in range(n_seeds)]
            for points in zip(*runs, strict=True):
                found = spread([100 * point["scores"]["natural"]["agreement"] for point in points])
                if (budget := points[0]["n_queries"]) in BUDGETS:
                    rows.append((f"{name} (ours)", "probabilities" if soft else "labels", budget, found.mean, found.std, found.n))
    return rows


def drawn(rows, figure):
    """Agreement by budget."""
    axes = figure.subplots()
    for number, (name, answers) in enumerate(dict.fromkeys((row[0], row[1]) for row in rows)):
        line = [(row[2], row[3], row[4]) for row in rows if row[:2] == (name, answers)]
        budget, mean, std = zip(*line, strict=True)
        style = {"marker": "osv^Dx*"[number % 7], "linestyle": ("-", "--", ":", "-.")[number % 4]}
        axes.errorbar(budget, mean, std, **style, markersize=4, linewidth=1, label=name if answers in name else f"{name}, {answers}")
    axes.set(xscale="log", xlabel="victim queries", ylabel="agreement with the victim (%)")
    axes.set_xticks(BUDGETS, [f"{budget:,}" for budget in BUDGETS])
    axes.minorticks_off()
    axes.legend(fontsize=7)


def main():
    """Read the command line, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    study = mnist_study(data.mnist(), REDUCED, Store(given.folder / "results", print))
    rows = compared(study, given.seeds)
    note = f"Model 1 extracted by Model 3, {REDUCED.curve_steps} optimiser steps of {REDUCED.batch_size} rows each."
    columns = "strategy | answers used | budget | agreement (%) | ± std | seeds"
    Exhibit("peers", "Peers at equal budget", columns, rows, note, partial(drawn, rows), size=(8.0, 4.6)).write(given.folder / "figures")


if __name__ == "__main__":
    main()
