r"""The large-margin loss: keep the boundary off the rows, and off their hidden activations.

For a row of class :math:`y` and another class :math:`i`, the first-order distance of an activation
:math:`h` to their boundary in a norm :math:`p` is
:math:`(f_y - f_i) / \|\nabla_h f_y - \nabla_h f_i\|_q`, with the dual norm :math:`q` [1]_. The loss
of a layer is how much that falls short of the layer's margin :math:`\gamma`, over the best other
classes, and the losses of the chosen layers are added:

.. math:: \sum_{l} \operatorname{agg}_{i} \max\left(0, \gamma_l +
          \frac{f_i - f_y}{\varepsilon + \|\nabla_{h_l} f_y - \nabla_{h_l} f_i\|_q}\right)

References
----------
.. [1] Elsayed, Krishnan, Mobahi, Regan, Bengio, "Large Margin Deep Networks for Classification",
   NeurIPS 2018, equations 8 and 9; the denominator is taken as a constant in the gradient, as there
   (section 3.2). arXiv:1803.05598.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor, nn

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.inputs import is_whole

__all__ = ["INPUT", "LargeMargin"]

INPUT = "input"
"""The name of the network's input among the layers."""

_DUAL = {"l1": math.inf, "l2": 2.0, "linf": 1.0}


@dataclass(frozen=True)
class LargeMargin:
    """A loss that asks for a distance to the boundary at chosen layers [1]_.

    It is called with a network, rows and targets, in any training loop; a
    :class:`~blackbox_boundary.adapters.torch_modules.training.TorchTrainable` takes it as
    ``large_margin``. A step takes ``n_rivals`` further backward passes.

    Parameters
    ----------
    margins : mapping of str to float
        The margin of each layer, by the name of the submodule whose output it is, as
        ``named_modules`` says; ``"input"`` is the network's input, whose margin is in input units.
    norm : {"l1", "l2", "linf"}
        Of the distances.
    n_rivals : int
        Best other classes that count, by score.
    over_rivals : {"max", "sum"}
        Whether the nearest of these boundaries counts, or all.
    cross_entropy : float
        Weight of the cross-entropy that is added. The margin's loss is flat where the gradient
        vanishes, at the start of a training say; a small share of cross-entropy leads away.

    Raises
    ------
    InvalidInput
        No layer, a margin that is not positive and finite, or another word or number.
    """

    margins: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({INPUT: 1.0}))
    norm: Literal["l1", "l2", "linf"] = "l2"
    n_rivals: int = 1
    over_rivals: Literal["max", "sum"] = "max"
    cross_entropy: float = 0.1

    def __post_init__(self) -> None:
        if not self.margins or not all(0 < m < math.inf for m in self.margins.values()):
            raise InvalidInput(
                '"margins" of LargeMargin must give each of its layers, at least one, a positive '
                f"finite margin; got {dict(self.margins)}."
            )
        if self.norm not in _DUAL or self.over_rivals not in ("max", "sum"):
            raise InvalidInput(
                '"norm" of LargeMargin must be l1, l2 or linf, and "over_rivals" max or sum; '
                f"got {self.norm!r} and {self.over_rivals!r}."
            )
        if (
            not is_whole(self.n_rivals)
            or self.n_rivals < 1
            or not 0 <= self.cross_entropy < math.inf
        ):
            raise InvalidInput(
                '"n_rivals" of LargeMargin must be a whole number from 1 on, and "cross_entropy" '
                f"finite and at least 0; got {self.n_rivals} and {self.cross_entropy}."
            )

    def as_dict(self) -> dict[str, Any]:
        """The settings, in JSON types."""
        return {**vars(self), "margins": dict(self.margins)}

    def __call__(self, net: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
        r"""The mean loss of rows ``x`` (n, \*input_shape).

        ``targets`` are labels (n,) or probabilities (n, n_classes), whose largest is the label of
        the margins. Submodules must not change their outputs in place.

        Raises
        ------
        InvalidInput
            A layer that the network does not have, or does not run in a forward pass.
        """
        scores, layers = self._scores_and_layers(net, x)
        label = targets if targets.ndim == 1 else targets.argmax(dim=1)
        own = nn.functional.one_hot(label, scores.shape[1]).bool()
        n_rivals = min(self.n_rivals, scores.shape[1] - 1)
        others = scores.masked_fill(own, -math.inf).topk(n_rivals, dim=1).values
        lead = scores[own][:, None] - others  # (n, n_rivals)
        short = torch.stack([self._shortfall(lead[:, j], layers) for j in range(n_rivals)])
        worst = short.amax(dim=0) if self.over_rivals == "max" else short.sum(dim=0)
        loss = worst.sum(dim=0).mean()
        if self.cross_entropy:
            loss = loss + self.cross_entropy * nn.functional.cross_entropy(scores, targets)
        return loss

    def _shortfall(self, lead: Tensor, layers: list[Tensor]) -> Tensor:
        """Shortfall of the distance to one rival from each layer's margin, (layers, n)."""
        gradients = torch.autograd.grad(lead.sum(), layers, retain_graph=True)
        parts = []
        for gradient, margin in zip(gradients, self.margins.values(), strict=True):
            steepness = gradient.flatten(1).norm(p=_DUAL[self.norm], dim=1)
            parts.append((margin - lead / (steepness + _LEAST)).clamp(min=0))
        return torch.stack(parts)

    def _scores_and_layers(self, net: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The scores, and the chosen activations in the order of the margins."""
        x = x.detach().requires_grad_()
        seen: dict[str, Tensor] = {INPUT: x}
        known = dict(net.named_modules())
        if missing := [name for name in self.margins if name != INPUT and name not in known]:
            raise InvalidInput(
                f'"margins" of LargeMargin names the layers {missing}, which the network does not '
                f"have; it has {', '.join(name for name in known if name)}."
            )
        hooks = [
            known[name].register_forward_hook(_keep(seen, name))
            for name in self.margins
            if name != INPUT
        ]
        try:
            scores: Tensor = net(x)
        finally:
            for hook in hooks:
                hook.remove()
        if unused := [name for name in self.margins if name not in seen]:
            raise InvalidInput(f"A forward pass of the network does not run the layers {unused}.")
        return scores, [seen[name] for name in self.margins]


_LEAST = 1e-6
"""Added to the gradient's norm, as in the source: a row in a flat region counts as far, not NaN."""


def _keep(seen: dict[str, Tensor], name: str) -> Callable[..., None]:
    """A forward hook that keeps a module's output."""

    def hook(_module: nn.Module, _given: object, output: Tensor) -> None:
        seen[name] = output

    return hook
