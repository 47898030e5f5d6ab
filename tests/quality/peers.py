"""The gradient-based peers: minimum-norm attacks of adv-lib, Foolbox and secml-torch.

Each is a function of a module, images and labels.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from functools import partial

import numpy as np

__all__ = ["PEERS"]


def _without_unused():
    """Import adv-lib without torchvision and visdom, which its perceptual losses and plots need."""
    for name in ("torchvision", "torchvision.models", "visdom"):
        stand_in = types.ModuleType(name)
        stand_in.__spec__ = importlib.machinery.ModuleSpec(name, None)
        sys.modules.setdefault(name, stand_in)
    sys.modules["torchvision"].models = sys.modules["torchvision.models"]


_without_unused()

from adv_lib.attacks import alma, ddn, df, fab, fmn, pdpgd, sdf  # noqa: E402 - after the stand-in
from adv_lib.attacks.sigma_zero import sigma_zero  # noqa: E402


def _foolbox_deepfool(net, x, labels):
    import foolbox

    model = foolbox.PyTorchModel(net, bounds=(0, 1))
    _, points, _ = foolbox.attacks.L2DeepFoolAttack()(model, x, labels, epsilons=None)
    return points


def _foolbox_ddn(net, x, labels):
    import foolbox

    model = foolbox.PyTorchModel(net, bounds=(0, 1))
    return foolbox.attacks.DDNAttack(steps=100)(model, x, labels, epsilons=None)[1]


def _secml(attack, net, x, labels):
    from secmlt.models.pytorch.base_pytorch_nn import BasePyTorchClassifier
    from torch.utils.data import DataLoader, TensorDataset

    rows = DataLoader(TensorDataset(x, labels), batch_size=len(x))
    return next(iter(attack()(BasePyTorchClassifier(net), rows)))[0]


def _secml_ddn():
    from secmlt.adv.evasion.ddn import DDN

    return DDN(num_steps=100)


def _secml_fmn(norm, step_size):
    from secmlt.adv.evasion.fmn import FMN

    return FMN(perturbation_model=norm, num_steps=100, step_size=step_size)


PEERS = {
    "l2": {
        "DDN 100": partial(ddn, steps=100, levels=None),
        "DDN 100 (Foolbox)": _foolbox_ddn,
        "DDN 100 (secml)": partial(_secml, _secml_ddn),
        "FMN 100 (secml)": partial(_secml, partial(_secml_fmn, "l2", 1.0)),
        "SuperDeepFool": sdf,
        "DeepFool": df,
        "DeepFool (Foolbox)": _foolbox_deepfool,
        "ALMA 100": partial(alma, distance="l2", num_steps=100),
        "ALMA 1000": partial(alma, distance="l2"),
        "FMN 100": partial(fmn, norm=2, steps=100),
        "DDN 24": partial(ddn, steps=24, levels=None),
        "FMN 24": partial(fmn, norm=2, steps=24),
    },
    "l0": {
        "sigma-zero 100": partial(sigma_zero, num_steps=100),
        "sigma-zero 1000": sigma_zero,
        "FMN 100": partial(fmn, norm=0, steps=100),
    },
    "linf": {"FAB": partial(fab, norm=np.inf), "FMN 100": partial(fmn, norm=np.inf, steps=100)},
    "l1": {
        "PDPGD 500": partial(pdpgd, norm=1),
        "FAB": partial(fab, norm=1),
        "ALMA 1000": partial(alma, distance="l1"),
        "FMN 100": partial(fmn, norm=1, steps=100),
    },
}
"""By norm and name. Settings are the authors' defaults but for the number of steps in the name."""
