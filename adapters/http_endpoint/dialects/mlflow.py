"""MLflow's scoring server: ``POST /invocations``. It declares no shapes, so they must be given.

References
----------
.. [1] MLflow, "Deploy MLflow Model as a Local Inference Server".
"""

from __future__ import annotations

import json
from dataclasses import replace

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.predictor import Access

from ..configuration import Configuration
from .answer_path import quoted
from .described import Described, describe

__all__ = ["discover"]

_FORMATS = ("inputs", "instances", "dataframe_split")


def discover(path: str, config: Configuration) -> Described:
    """Set the dialect up from the configuration; nothing is sent.

    ``request.format`` is one of ``inputs`` (tensors), ``instances`` (the same by another name) and
    ``dataframe_split`` (tables, whose ``columns`` must be given); ``request.input`` and
    ``answer.output`` name tensors where the model's have names.

    Raises
    ------
    InvalidInput
        Something is missing or unknown.
    """
    if config.request.get("format") in ("csv", "jsonlines"):  # another container at /invocations
        return describe(path, config)
    request, answer = dict(config.request), dict(config.answer)
    form, name, columns = (
        request.pop("format", "inputs"),
        request.pop("input", None),
        request.get("columns"),
    )
    output = answer.pop("output", None)
    if form not in _FORMATS:
        raise InvalidInput(
            f'"format" of an MLflow request must be one of {", ".join(_FORMATS)}; got {form!r}.'
        )
    if form == "dataframe_split":
        if not isinstance(columns, list) or config.input_shape != (len(columns),):
            raise InvalidInput(
                'A table needs "columns" in [request], one for each number of a row of shape '
                f"{config.input_shape}; got {columns!r}."
            )
        rows = f'{{"columns": {json.dumps(columns)}, "data": $rows}}'
    else:
        rows = f"{{{json.dumps(name)}: $rows}}" if name else "$rows"
    request.setdefault("body", f'{{"{form}": {rows}}}')
    if not answer:
        answer["labels" if config.access is Access.LABEL else "scores"] = (
            f"predictions{quoted(output)}"
        )
    return describe(path, replace(config, request=request, answer=answer), "mlflow")
