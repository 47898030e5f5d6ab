"""TorchServe: ``POST /predictions/NAME``, one row a request, in whatever form the model's handler takes.

The handlers that come with TorchServe take an image as the body and answer the five best labels with their probabilities; that
is the default here. Any other handler is described as in :mod:`.described`.

References
----------
.. [1] PyTorch, "Inference API", pytorch/serve, docs/inference_api.md.
"""

from __future__ import annotations

from dataclasses import replace

from ..configuration import Configuration
from .described import Described, describe

__all__ = ["discover"]


def discover(path: str, told: Configuration) -> Described:
    """Set the dialect up from what was told; nothing is sent.

    Raises
    ------
    InvalidInput
        Something is missing or unknown.
    """
    request = {"body": "$raw", "encoding": "png", **told.request}
    if "body" in told.request and "encoding" not in told.request:
        request["encoding"] = "json"
    return describe(
        path, replace(told, request=request, answer=told.answer or {"ranked": "$"}), "torchserve"
    )
