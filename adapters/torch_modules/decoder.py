"""A torch module as the decoder of :class:`blackbox_boundary.wrappers.Composed`."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import torch
from torch import Tensor, nn

from blackbox_boundary.arrays import as_kind, as_numpy
from blackbox_boundary.predictor import Array

__all__ = ["TorchDecoder"]


class TorchDecoder:
    r"""A module that makes inputs of latent rows, in evaluation mode, with gradients.

    Parameters
    ----------
    module : torch.nn.Module
        From (n, \*latent_shape) to (n, \*input_shape). It is put into evaluation mode.
    device : str
        Where to decode.
    """

    def __init__(self, module: nn.Module, *, device: str = "cpu") -> None:
        self._module, self._device = module.to(device).eval(), device

    @property
    def fingerprint(self) -> str:
        """Digest of the weights and of the module's layout."""
        digest = sha256(repr(self._module).encode())
        for name, value in self._module.state_dict().items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        return f"sha256:{digest.hexdigest()}"

    def __call__(self, z: Array) -> Array:
        """Decode ``z``, in its kind."""
        with torch.no_grad():
            return as_kind(as_numpy(self._module(self._tensor(z))), z)

    def vjp(self, z: Array, gradient: Array) -> Array:
        """Gradient by ``z`` of the decoded rows' inner products with ``gradient``."""
        latent = self._tensor(z).requires_grad_()
        decoded = self._module(latent)
        (found,) = torch.autograd.grad(decoded, latent, self._tensor(gradient).to(decoded.dtype))
        return as_kind(as_numpy(found), z)

    def _tensor(self, rows: Array) -> Tensor:
        return torch.as_tensor(
            np.ascontiguousarray(as_numpy(rows)), dtype=torch.float32, device=self._device
        )
