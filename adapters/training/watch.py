"""The gradients that one step of a training loop computes anyway, and what they say of distances.

The loss is a function of the logits. Its derivative by them, ``v``, is read by a hook on the
module's output, its derivative by the input, ``g``, from the input. For cross-entropy with label
``y`` and softmax probabilities ``p``, up to the factor by which the loss weights the row,

    v = p - onehot(y),        g = J^T v = -(1 - p_y) grad s,        s = z_y - log sum_{j != y} e^z_j

so that ``|g| / |v_y|`` is the slope of ``s``, the lead of the label over a soft maximum of the
others. The factor cancels: means, sums, weights of classes or samples, and scaled losses of mixed
precision all give the same slope. With two classes ``s`` is the margin and the estimate is that of
Elsayed et al. [1]_; with more, ``s`` mixes the rivals by their probabilities.

The distance, first order, is the margin ``z_y - max_{j != y} z_j`` over that slope.

References
----------
.. [1] Elsayed, Krishnan, Mobahi, Regan, Bengio, "Large Margin Deep Networks for Classification",
   NeurIPS 2018, section 3. arXiv:1803.05598.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.predictor import Access

from ..torch_modules.outputs import chosen_outputs

__all__ = ["Watch", "margins"]

_AGREEMENT = 0.1
"""How far ``v`` may be from "the label against all others", relative to the label's part: rounding
of ``p_y`` near one, soft labels and mixed samples are beyond it."""

_SATURATED = 1e-4
"""Probability of all other classes below which a ``v`` that disagrees is rounding."""


class Watch:
    """One step: the input as a leaf with a gradient, and a hook on a module until :meth:`close`.

    Parameters
    ----------
    module : torch.nn.Module
    x : Tensor (n, ...)
        Floating point.
    labels : Tensor (n,) int64
        Class of each row, on the device of ``x``.
    """

    def __init__(self, module: nn.Module, x: Tensor, labels: Tensor) -> None:
        self.x = x.detach().requires_grad_()
        self.labels = labels
        self.call: Callable[[Tensor], Any] | None = None
        self.logits: Tensor | None = None
        self.upstream: Tensor | None = None
        self._n_calls = 0
        self._hook = module.register_forward_hook(self._called, with_kwargs=True)

    def close(self) -> None:
        """Remove the hook."""
        self._hook.remove()

    def _called(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        name = next((key for key, value in kwargs.items() if value is self.x), None)
        if not (name or any(value is self.x for value in args)):
            return
        self._n_calls += 1
        self.call = (lambda points: module(**{name: points})) if name else module
        logits = chosen_outputs(output, None, Access.LOGITS)[0]
        if logits.ndim not in (1, 2) or len(logits) != len(self.x):
            raise BadPrediction(
                f"The module must put out logits ({len(self.x)}, n_classes); "
                f"got {tuple(logits.shape)}."
            )
        self.logits = logits.detach().clone()  # a loss may work in place
        if logits.requires_grad:
            logits.register_hook(self._differentiated)  # type: ignore[no-untyped-call]

    def _differentiated(self, upstream: Tensor) -> None:
        self.upstream = upstream.detach()

    def check(self) -> None:
        """Raise unless the step called the module once with the watched input, and backward().

        Raises
        ------
        InvalidInput
        """
        if self._n_calls != 1:
            raise InvalidInput(
                "A watched step must call the module once with the input that step() gives, "
                f"as in: with monitor.step(x, ...) as x: module(x). It did {self._n_calls} times."
            )
        if self.upstream is None:
            raise InvalidInput(
                "A watched step must call backward() on a loss of the module's output."
            )
        assert self.logits is not None
        n_classes = _scores(self.logits).shape[1]
        if int(self.labels.max()) >= n_classes:
            raise InvalidInput(
                f'"labels" of a watched step must be below {n_classes}, the classes that the '
                f"module puts out; got {int(self.labels.max())}."
            )

    @property
    def has_gradient(self) -> bool:
        """Whether the loss depends on the input smoothly: its gradient is there and not all zero.

        A row that the loss leaves out has no gradient either, so only rows with ``v`` count.
        """
        assert self.upstream is not None
        return self.x.grad is not None and (
            bool(self.x.grad.count_nonzero()) or not bool(self.upstream.count_nonzero())
        )

    def slope(self) -> tuple[Tensor, Tensor]:
        """Gradient (n, ...) of the label's lead by the input, and its L2 norm (n,).

        The norm is NaN where the loss does not set the label against the others: soft labels,
        mixed samples, rows of weight zero. It is zero where the label's probability is so near one
        that rounding has taken its derivative.
        """
        assert self.logits is not None
        assert self.upstream is not None
        assert self.x.grad is not None
        v = _columns(self.upstream, negative=-1.0, positive=1.0)
        own = _own(v, self.labels)
        agrees = (v.abs().sum(dim=1) - 2 * own.abs()).abs() <= _AGREEMENT * own.abs()
        usable = agrees & (own != 0)
        per_row = (-1, *[1] * (self.x.ndim - 1))
        gradient = self.x.grad.to(v.dtype) / torch.where(usable, own, 1.0).reshape(per_row)
        norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
        unknown = torch.where(self._saturated(), 0.0, torch.nan)
        return gradient, torch.where(usable, norm, unknown.to(norm.dtype))

    def distance(self) -> Tensor:
        """First-order distance (n,), L2, input units; negative on the wrong side of the boundary.

        Infinite where the label's probability is too near one to resolve a slope; NaN where the
        step says nothing of the row.
        """
        assert self.logits is not None
        _, norm = self.slope()
        return margins(self.logits, self.labels).to(norm.dtype) / norm

    def _saturated(self) -> Tensor:
        assert self.logits is not None
        logits = _scores(self.logits).double()
        return logits.logsumexp(dim=1) - _own(logits, self.labels) < _SATURATED


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of each row's label minus the largest other one, (n,).

    Parameters
    ----------
    logits : Tensor (n, n_classes)
        Or one logit z a row, (n,) or (n, 1), of class 1: read as (-z/2, z/2).
    labels : Tensor (n,) int64
    """
    scores = _scores(logits)
    own = nn.functional.one_hot(labels, scores.shape[1]).bool()
    return scores[own] - scores.masked_fill(own, -torch.inf).amax(dim=1)


def _scores(logits: Tensor) -> Tensor:
    """Two columns at least: one logit z becomes (-z/2, z/2)."""
    return _columns(logits, negative=-0.5, positive=0.5)


def _columns(values: Tensor, *, negative: float, positive: float) -> Tensor:
    """Values (n, k) in single precision at least; one column as its two multiples."""
    values = values.float() if values.element_size() < 4 else values
    values = values.unsqueeze(1) if values.ndim == 1 else values
    return torch.cat([negative * values, positive * values], 1) if values.shape[1] == 1 else values


def _own(values: Tensor, labels: Tensor) -> Tensor:
    """The entry (n,) of each row's label."""
    return values.gather(1, labels.unsqueeze(1)).squeeze(1)
