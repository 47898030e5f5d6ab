"""TensorFlow Serving and its descendant KServe v1: ``POST /v1/models/NAME:predict``.

TensorFlow Serving lists inputs and outputs at ``/metadata``. KServe v1 lists none, so shapes and
classes must be given.

References
----------
.. [1] TensorFlow, "RESTful API", tensorflow/serving, tensorflow_serving/g3doc/api_rest.md.
.. [2] KServe, "Data Plane (V1)", V1 inference protocol.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access

from ..configuration import Configuration
from ..declared import declared_access
from ..discovery import get_if_there
from ..strict_json import shown
from ..transport import Transport
from .answer_path import quoted
from .described import Described, describe

__all__ = ["discover"]

_DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16",
    "DT_UINT8": "uint8", "DT_INT8": "int8", "DT_INT32": "int32", "DT_INT64": "int64",
}  # fmt: skip


def discover(transport: Transport, path: str, config: Configuration) -> Described:
    """Set the dialect up, with the signature's shapes if the server lists them. No query is sent.

    Raises
    ------
    InvalidInput
        A setting is neither given nor discovered, or the model takes several inputs.
    """
    model = path.rstrip("/").removesuffix(":predict")
    if "/v1/models/" not in model:
        raise InvalidInput(
            f'The URL of this endpoint must end in "/v1/models/NAME:predict"; got "{path}".'
        )
    request, answer = dict(config.request), dict(config.answer)
    signature = request.pop("signature", "serving_default")
    output = answer.pop("output", None)
    inputs, outputs = _signature(get_if_there(transport, f"{model}/metadata"), signature)
    if len(inputs) > 1:
        raise InvalidInput(
            f"The model must take one input; its signature lists {shown(', '.join(inputs), 200)}."
        )
    for tensor in inputs.values():
        config = replace(config, input_shape=config.input_shape or _row_shape(tensor))
        if (dtype := _DTYPES.get(str(tensor.get("dtype")))) is not None:
            request.setdefault("dtype", dtype)
    if len(outputs) > 1 and output not in outputs and not answer:
        raise InvalidInput(
            "One output must be chosen (output in [answer]) among "
            f"{shown(', '.join(outputs), 200)}."
        )
    for name, tensor in outputs.items():
        if name == (output or name):
            shape = _row_shape(tensor) or ()
            config = replace(
                config,
                access=declared_access(config.access, name),
                n_classes=config.n_classes or (shape[-1] if shape else None),
            )
    opening = (
        f'"signature_name": {json.dumps(signature)}, ' if "signature" in config.request else ""
    )
    request.setdefault("body", f'{{{opening}"instances": $rows}}')
    found = f"predictions[*]{quoted(output)}" if output and len(outputs) != 1 else "predictions"
    if not answer:
        answer["labels" if config.access is Access.LABEL else "scores"] = found
    return describe(
        f"{model}:predict", replace(config, request=request, answer=answer), "tf_serving"
    )


def _signature(metadata: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs of a signature, or nothing if unlisted.  # [1] "Model Metadata API"."""
    part: Any = metadata
    for key in ("metadata", "signature_def", "signature_def", name):
        part = part.get(key) if isinstance(part, Mapping) else None
    if not isinstance(part, Mapping):
        return {}, {}
    sides = (part.get("inputs"), part.get("outputs"))
    inputs, outputs = (
        {name: each for name, each in side.items() if isinstance(each, dict)}
        if isinstance(side, dict)
        else {}
        for side in sides
    )
    return inputs, outputs


def _row_shape(tensor: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Shape of one row; None if a length is open or a row is a single value.

    An encoded image is such a value.
    """
    try:
        dims = [int(dim["size"]) for dim in tensor["tensor_shape"]["dim"]]
    except (KeyError, TypeError, ValueError):
        return None
    return (
        tuple(dims[1:])
        if len(dims) > 1 and dims[0] in (-1, 1) and all(dim > 0 for dim in dims[1:])
        else None
    )
