"""Rows and gradients in the memory of a CUDA device, read and written there by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from blackbox_boundary.predictor import Array

from .inputs import Feed

__all__ = ["DeviceBuffer", "device_rows"]


@dataclass(frozen=True)
class DeviceBuffer:
    """Contiguous memory of the first CUDA device.

    Attributes
    ----------
    owner : torch.Tensor
        Owns the memory; it lives as long as the buffer.
    """

    owner: Any
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def pointer(self) -> int:
        """Address of the first element."""
        return int(self.owner.data_ptr())

    def empty_like(self) -> DeviceBuffer:
        """New memory of the same size."""
        return DeviceBuffer(self.owner.new_empty(self.shape), self.dtype, self.shape)


def device_rows(x: Array, feed: Feed) -> DeviceBuffer | None:
    """Rows on a CUDA device in the dtype and shape that the graph takes.

    None if the rows are elsewhere, or if they must be rounded. Waits for work on the rows that is
    still queued on the device.
    """
    if not _is_on_cuda(x) or feed.dtype.kind != "f":
        return None
    rows = x.detach().to(_torch_dtype(feed.dtype)).reshape(len(x), *feed.graph_shape).contiguous()
    _wait_for(rows)
    return DeviceBuffer(rows, feed.dtype, tuple(rows.shape))


def _is_on_cuda(x: Array) -> bool:
    """Whether rows are on the device that ONNX Runtime uses, the first one."""
    return bool(is_torch_array(x) and x.device.type == "cuda" and not x.device.index)


def _wait_for(rows: Any) -> None:
    import torch

    torch.cuda.current_stream(rows.device).synchronize()


def _torch_dtype(dtype: np.dtype[Any]) -> Any:
    import torch

    return getattr(torch, dtype.name)
