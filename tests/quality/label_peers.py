"""The reach of label-only peers with a number of queries: the authors' code, from checkouts.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/label_peers.py cgba resnet8 --peers FOLDER --file labels.jsonl

``FOLDER`` holds the checkouts ``CGBA`` (Farhamdur), ``SurFree`` (t-maho), ``TangentAttack``
(machanic), ``TtBA`` (BUPTAIOC) and ``RayS`` (uclaml); Foolbox is imported from the environment.
Each image is attacked alone. Every row sent counts, and the nearest flip among all that were
*asked* counts as found, in each norm: more generous than what a peer returns. Defaults are the
authors' unless a comment says otherwise. Images that the file has already are left out.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
import time
import types
import warnings
from unittest import mock

import numpy as np
import torch
from label_marks import Reached, append, arguments, known
from label_nets import load_rows


class SpentError(Exception):
    """The allowance of one image is used up."""


class Counted(torch.nn.Module):
    """A net that counts its rows for one image; raises at the allowance."""

    def __init__(self, net, x, label, limit):
        super().__init__()
        self.net, self.x, self.label, self.limit = net, x, label, limit
        self.reached, self.seconds = Reached(1), 0.0

    @torch.no_grad()
    def forward(self, points):
        began = time.process_time()
        points = points.float()
        points = points.reshape(-1, *self.x.shape).clamp(0, 1)
        logits = self.net(points)
        away = (points - self.x).reshape(len(points), -1).double().numpy()
        flipped = (logits.argmax(-1) != self.label).numpy()
        self.reached.note(np.zeros(len(points), int), away, flipped)
        self.seconds += time.process_time() - began
        if self.reached.asked[0] >= self.limit:
            raise SpentError
        return logits

    def predict_label(self, points):
        return self(points).argmax(-1)


def _reduction(x):
    """The default of CGBA and TtBA, a quarter of the frequencies, for images of their size."""
    return 4 if x.shape[-1] >= 224 else 1


def cgba(counted, x, label, limit, norm):
    """CGBA [Reza et al. 2023], its defaults; small images in all directions."""
    attack = importlib.import_module("proposed_attack")
    ones = torch.ones(x.shape[0]).numpy()
    low, high = torch.zeros(1, *x.shape), torch.ones(1, *x.shape)
    made = attack.Proposed_attack(
        counted, x[None], ones * 0, ones, low, high, dim_reduc_factor=_reduction(x),
        attack_method="CGBA", iteration=100_000, verbose_control="No",
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
    """TtBA [2025], its defaults; small images in all directions."""
    for name in ("torchvision", "matplotlib", "matplotlib.pyplot", "PIL"):
        sys.modules.setdefault(name, mock.MagicMock())
    attack = importlib.import_module("TtBA")
    arguments = types.SimpleNamespace(budget=limit, epsilon=0.0, early=0)
    made = attack.Attacker(
        arguments, counted, x[None], 0, dim_reduc_factor=_reduction(x), iteration=100_000
    )
    made.attack()


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
    attacks = importlib.import_module("foolbox.attacks")
    made = attacks.HopSkipJumpAttack(steps=200, constraint="linf" if norm == "linf" else "l2")
    made.run(_foolbox(counted), x[None], torch.tensor([label]))


def pointwise(counted, x, label, limit, norm):
    """Pointwise attack [Schott et al. 2019], Foolbox's version and defaults; it minimises L0."""
    made = importlib.import_module("foolbox.attacks").PointwiseAttack()
    made.run(_foolbox(counted), x[None], torch.tensor([label]))


def _foolbox(counted):
    return importlib.import_module("foolbox").PyTorchModel(counted, bounds=(0, 1), device="cpu")


PEERS = {
    "cgba": (cgba, "CGBA"),
    "ttba": (ttba, "TtBA"),
    "surfree": (surfree, "SurFree"),
    "tangent-attack": (tangent, "TangentAttack"),
    "rays": (rays, "RayS"),
    "hopskipjump": (hopskipjump, None),
    "pointwise": (pointwise, None),
}


def search(attack, net, x, label, limit, norm):
    """Attack one image; what was reached, and processor seconds of the attack's own."""
    counted, began = Counted(net, torch.from_numpy(x), label, limit), time.process_time()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.suppress(SpentError):
            attack(counted, torch.from_numpy(x), label, limit, norm)
    return counted.reached, time.process_time() - began - counted.seconds


def main():
    """Attack the images one by one."""
    parser = arguments(__doc__, ("l2", "linf"), sorted(PEERS))
    parser.add_argument("--peers", default="peers", help="the folder of the checkouts")
    a = parser.parse_args()
    run = {"method": a.peer, "net": a.net, "norm": a.norm, "first": a.first, "queries": a.queries}
    attack, checkout = PEERS[a.peer]
    if checkout:
        sys.path.insert(0, f"{a.peers}/{checkout}")
    net, x, labels = load_rows(a.net, a.first, a.rows)
    torch.Tensor.cuda = lambda self, *_, **__: self
    for i in sorted(set(range(len(x))) - known(a.file, run)):
        torch.manual_seed(i)
        np.random.seed(i)
        append(a.file, run, i, *search(attack, net, x[i], int(labels[i]), a.queries, a.norm))


if __name__ == "__main__":
    main()
