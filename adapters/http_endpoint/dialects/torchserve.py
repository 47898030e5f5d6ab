"""TorchServe: ``POST /predictions/NAME``, one row a request.

The model's handler decides the form of a row. The handlers that come with TorchServe take an image
as the body and return the five best labels with their probabilities; that is the default here. Any
other handler is described as in :mod:`.described`.

References
----------
.. [1] PyTorch, "Inference API", pytorch/serve, docs/inference_api.md.
"""

from __future__ import annotations

from dataclasses import replace

from ..configuration import Configuration
from .described import Described, describe

__all__ = ["discover"]


def discover(path: str, config: Configuration) -> Described:
    """Set the dialect up from the configuration; nothing is sent.

    Raises
    ------
    InvalidInput
        Something is missing or unknown.
    """
    request = {"body": "$raw", "encoding": "png", **config.request}
    if "body" in config.request and "encoding" not in config.request:
        request["encoding"] = "json"
    return describe(
        path,
        replace(config, request=request, answer=config.answer or {"ranked": "$"}),
        "torchserve",
    )
