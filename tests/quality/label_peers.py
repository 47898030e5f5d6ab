"""The reach of label-only peers with a number of queries: the authors' code, from checkouts.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/label_peers.py cgba resnet8 --peers FOLDER --rows 30 >> labels.jsonl

``FOLDER`` holds the checkouts ``CGBA`` (Farhamdur), ``SurFree`` (t-maho), ``TangentAttack``
(machanic), ``TtBA`` (BUPTAIOC) and ``RayS`` (uclaml); Foolbox is imported from the environment.
Each image is attacked alone. Every row sent counts, and the nearest flip among all that were
*asked* counts as found, in each norm: more generous than what a peer returns. Defaults are the
authors' unless a comment says otherwise. One JSON line goes to stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import time
import types
import warnings
from unittest import mock

import numpy as np
import torch
from label_marks import LIMIT, Reached, describe
from label_nets import NETS, load_rows


class SpentError(Exception):
    """The allowance of one image is used up."""


class Counted(torch.nn.Module):
    """A net that counts its rows for one image; raises at the allowance."""

    def __init__(self, net, x, label, limit):
        super().__init__()
        self.net, self.x, self.label, self.limit = net, x, label, limit
        self.reached = Reached(1)

    @torch.no_grad()
    def forward(self, points):
        points = points.float()
        points = points.reshape(-1, *self.x.shape).clamp(0, 1)
        logits = self.net(points)
        away = (points - self.x).reshape(len(points), -1).double().numpy()
        flipped = (logits.argmax(-1) != self.label).numpy()
        self.reached.note(np.zeros(len(points), int), away, flipped)
        if self.reached.asked[0] >= self.limit:
            raise SpentError
        return logits

    def predict_label(self, points):
        return self(points).argmax(-1)


def cgba(counted, x, label, limit, norm):
    """CGBA [Reza et al. 2023], all directions: ``dim_reduc_factor=1``, else its defaults."""
    attack = importlib.import_module("proposed_attack")
    ones = torch.ones(x.shape[0]).numpy()
    low, high = torch.zeros(1, *x.shape), torch.ones(1, *x.shape)
    made = attack.Proposed_attack(
        counted, x[None], ones * 0, ones, low, high, dim_reduc_factor=1, attack_method="CGBA",
        iteration=100_000, verbose_control="No",
    )  # fmt: skip
    made.inv_tf = lambda image, mean, std: (
        image
    )  # of three channels only, and of images in [0, 1] the identity
    draw = torch.randn

    def one_channel(*shape):  # it draws three channels whatever the image has
        return draw(shape[0], x.shape[0], *shape[2:]) if len(shape) == 4 else draw(*shape)

    with mock.patch.object(torch, "randn", one_channel):
        made.Attack()


def ttba(counted, x, label, limit, norm):
    """TtBA [2025], its defaults."""
    for name in ("torchvision", "matplotlib", "matplotlib.pyplot", "PIL"):
        sys.modules.setdefault(name, mock.MagicMock())
    attack = importlib.import_module("TtBA")
    arguments = types.SimpleNamespace(budget=limit, epsilon=0.0, early=0)
    attack.Attacker(arguments, counted, x[None], 0, dim_reduc_factor=1, iteration=100_000).attack()


def surfree(counted, x, label, limit, norm):
    """SurFree [Maho et al. 2021], its defaults."""
    attack = importlib.import_module("surfree")
    made = attack.SurFree(steps=100_000, max_queries=2 * limit)
    made(counted, x[None], torch.tensor([label]))


def tangent(counted, x, label, limit, norm):
    """Tangent attack [Ma et al. 2021], hemisphere, its defaults for one image."""
    for name in (
        "glog", "config", "dataset", "dataset.dataset_loader_maker",
        "dataset.target_class_dataset", "models", "models.standard_model", "models.defensive_model",
    ):  # fmt: skip
        sys.modules.setdefault(name, mock.MagicMock())
    attack = importlib.import_module("tangent_attack_hemisphere.attack")
    attack.args = types.SimpleNamespace(targeted=False, dataset="CIFAR-10", ablation_study=False)
    made = attack.TangentAttack.__new__(attack.TangentAttack)
    channels, height, width = x.shape
    d = x.numel()
    made.__dict__.update(
        model=counted, norm="l2", ord=2, epsilon=0.0, clip_min=0.0, clip_max=1.0, dim=d,
        height=height, width=width, channels=channels, shape=tuple(x.shape), theta=1 / d**1.5,
        init_num_evals=100, max_num_evals=10_000, num_iterations=1000, gamma=1.0,
        stepsize_search="geometric_progression", verify_tangent_point=False, best_radius=False,
        maximum_queries=2 * limit, batch_size=1, total_images=1, dataset_name="CIFAR-10",
        distortion_all={0: {}},
    )  # fmt: skip
    made.attack(0, x[None], None, torch.tensor([label]), None)


def rays(counted, x, label, limit, norm):
    """RayS [Chen and Gu 2020], its defaults; it minimises L-inf."""
    attack = importlib.import_module("RayS_Single")
    order = np.inf if norm == "linf" else 2
    made = attack.RayS(counted, order=order, early_stopping=False)
    made(x[None], torch.tensor([label]), query_limit=2 * limit)


def hopskipjump(counted, x, label, limit, norm):
    """HopSkipJump [Chen et al. 2020], Foolbox's version and defaults."""
    import foolbox as fb

    model = fb.PyTorchModel(counted, bounds=(0, 1), device="cpu")
    made = fb.attacks.HopSkipJumpAttack(steps=200, constraint="linf" if norm == "linf" else "l2")
    made.run(model, x[None], torch.tensor([label]))


PEERS = {
    "cgba": (cgba, "CGBA"),
    "ttba": (ttba, "TtBA"),
    "surfree": (surfree, "SurFree"),
    "tangent-attack": (tangent, "TangentAttack"),
    "rays": (rays, "RayS"),
    "hopskipjump": (hopskipjump, None),
}


def run(peer, name, n, limit, norm, first, folder):
    """Attack ``n`` images one by one."""
    attack, checkout = PEERS[peer]
    if checkout:
        sys.path.insert(0, f"{folder}/{checkout}")
    net, x, labels = load_rows(name, first, n)
    parts, began = [], time.perf_counter()
    torch.Tensor.cuda = lambda self, *_, **__: self
    for i in range(len(x)):
        torch.manual_seed(i)
        np.random.seed(i)
        counted = Counted(net, torch.from_numpy(x[i]), int(labels[i]), limit)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.suppress(SpentError):
                attack(counted, torch.from_numpy(x[i]), int(labels[i]), limit, norm)
        parts.append(counted.reached)
    return describe(peer, name, first, norm, parts, (time.perf_counter() - began) / len(x))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--peers", default="peers")
    parser.add_argument("--queries", type=int, default=LIMIT)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--norm", choices=("l1", "l2", "linf"), default="l2")
    a = parser.parse_args()
    print(json.dumps(run(a.peer, a.net, a.rows, a.queries, a.norm, a.first, a.peers)))
