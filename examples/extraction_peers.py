"""Extract Model 1 by ART's CopycatCNN and KnockoffNets and by ours, at equal budgets.

All use one surrogate and one number of steps.

    pip install adversarial-robustness-toolbox
    BLACKBOX_BOUNDARY_DATA=… python examples/extraction_peers.py reproduce-mnist

The folder is one of ``blackbox-boundary reproduce mnist``: its victim is used, and ``peers.csv``
and ``peers.png`` are written below its ``figures/``. Results are kept, and the script goes on where
it was stopped. ART's attacks draw from NumPy's global generator, which is seeded here before each.
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
from blackbox_boundary.reproduction import data
from blackbox_boundary.reproduction.command import REDUCED
from blackbox_boundary.reproduction.curves import curve
from blackbox_boundary.reproduction.drawings import Line, disagreement
from blackbox_boundary.reproduction.exhibit import Exhibit
from blackbox_boundary.reproduction.samples import Samples
from blackbox_boundary.reproduction.store import Store
from blackbox_boundary.reproduction.studies import mnist_study

from blackbox_boundary.extraction import lead, spread

BUDGETS = (250, 500, 1000, 2500, 5000, 10_000)
BEST = "surrogate distance, whole pool, clearance"
BY_LABELS = (
    BEST,
    "surrogate distance, whole pool",
    "margin, whole pool, clearance",
    "margin, whole pool",
    "entropy",
    "Jacobian",
    "random",
)
BY_PROBABILITIES = ("surrogate distance, whole pool", "margin, whole pool", "random")
ART = (
    "CopycatCNN (ART)",
    "KnockoffNets, random, probabilities (ART)",
    "KnockoffNets, adaptive, probabilities (ART)",
)
MOST_ADAPTIVE = 500
"""ART's adaptive sampling chooses one row at a time, and fits the thief to each answer for all
epochs before it chooses the next: its time grows as the budget times the training, so that this
budget takes two minutes a seed and 10,000 would take the better part of an hour."""


def by_art(study, samples, name, budget, seed):
    """Agreement on natural test rows of ART's attack at one budget."""
    np.random.seed(seed)  # noqa: NPY002 -- the generator that ART draws from
    torch.manual_seed(seed)
    recipe = study.surrogates["Model 3"](study.scale.curve_steps)

    def wrapped(net, optimizer=None):
        loss = torch.nn.CrossEntropyLoss()
        return PyTorchClassifier(
            net,
            loss=loss,
            optimizer=optimizer,
            input_shape=recipe.input_shape,
            nb_classes=10,
            device_type="cpu",
        )

    victim_net = (
        torch.nn.Sequential(study.victims.networks["Model 1"](), torch.nn.Softmax(dim=1))
        if "probabilities" in name
        else study.victims.networks["Model 1"]()
    )
    victim, thief_net = wrapped(victim_net), recipe.build()
    thief = wrapped(thief_net, torch.optim.Adam(thief_net.parameters(), lr=1e-3))
    epochs = math.ceil(recipe.n_steps * recipe.batch_size / budget)
    given = {
        "batch_size_fit": recipe.batch_size,
        "batch_size_query": 512,
        "nb_epochs": epochs,
        "nb_stolen": budget,
    }
    if name.startswith("CopycatCNN"):
        attack = CopycatCNN(victim, **given)
    else:
        strategy = "adaptive" if "adaptive" in name else "random"
        attack = KnockoffNets(
            victim, **given, sampling_strategy=strategy, use_probability=True, verbose=False
        )
    y = np.eye(10)[study.data.y[: study.inputs.n_pool]]
    attack.extract(samples.x, y if "adaptive" in name else None, thieved_classifier=thief)
    test = study.test_sets("Model 1")[0]
    return float((thief.predict(test.x, batch_size=1000).argmax(axis=1) == test.victim).mean())


def compared(study, n_seeds, n_peer_seeds):
    """Rows of the table: agreement by strategy, answers used and budget, and our best's lead."""
    samples, found = Samples(study, "Model 1"), {}
    for name in ART:
        for budget in [
            budget for budget in BUDGETS if "adaptive" not in name or budget <= MOST_ADAPTIVE
        ]:
            answers = "probabilities" if "probabilities" in name else "labels"
            for seed in range(n_peer_seeds):
                configuration = study.about(
                    "Model 1",
                    strategy=name,
                    budget=budget,
                    seed=seed,
                    steps=study.scale.curve_steps,
                )
                share = study.store.numbers(
                    "peer", configuration, partial(by_art, study, samples, name, budget, seed)
                )
                found.setdefault((name, answers, budget), []).append(100 * share)
    for name, soft in [
        *((name, False) for name in BY_LABELS),
        *((name, True) for name in BY_PROBABILITIES),
    ]:
        for seed in range(n_peer_seeds if soft else n_seeds):
            for point in curve(study, samples, "Model 3", name, seed, soft=soft):
                key = (f"{name} (ours)", "probabilities" if soft else "labels", point["n_queries"])
                found.setdefault(key, []).append(100 * point["scores"]["natural"]["agreement"])
    return [
        {"strategy": name, "answers used": answers, "budget": budget}
        | summarised(found[f"{BEST} (ours)", "labels", budget], values)
        for (name, answers, budget), values in found.items()
        if budget in BUDGETS
    ]


def summarised(best, values):
    """Mean and deviation over seeds, and the lead of our best on the same seeds."""
    own, ahead = spread(values), lead(best[: len(values)], values)
    mean, low, high = (None,) * 3 if values == best else (ahead.mean, ahead.lo, ahead.hi)
    return {
        "agreement (%)": own.mean,
        "agreement ± std (%)": own.std,
        "our best ahead by (points)": mean,
        "95 % low": low,
        "95 % high": high,
        "seeds": own.n,
    }


def lines_of(rows):
    """A line for each strategy and kind of answers."""
    lines = []
    for name, answers in dict.fromkeys((row["strategy"], row["answers used"]) for row in rows):
        line = [row for row in rows if (row["strategy"], row["answers used"]) == (name, answers)]
        heads = ("budget", "agreement (%)", "agreement ± std (%)")
        label = name if answers in name else f"{name}, {answers}"
        lines.append(Line(label, *([row[head] for row in line] for head in heads)))
    return lines


def main():
    """Read the command line, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="of our strategies by labels")
    parser.add_argument(
        "--peer-seeds", type=int, default=3, help="of ART's, and of ours by probabilities"
    )
    given = parser.parse_args()
    study = mnist_study(data.mnist(), REDUCED, Store(given.folder / "results", print))
    rows = compared(study, given.seeds, given.peer_seeds)
    note = (
        f"Model 1 extracted by Model 3, {REDUCED.curve_steps} optimiser steps of "
        f"{REDUCED.batch_size} rows each. Our best: {BEST}."
    )
    draw = partial(disagreement, lines_of(rows))
    Exhibit("peers", "Peers at equal budget", rows, note, draw).write(given.folder / "figures")


if __name__ == "__main__":
    main()
