"""Open Inference Protocol v2 over REST, as JSON or with binary tensors.

Triton, KServe, MLServer and others implement it.

References
----------
.. [1] KServe, "Open Inference Protocol", specification/protocol/inference_rest.md.
.. [2] NVIDIA, "Binary Tensor Data Extension", triton-inference-server,
   docs/protocol/extension_binary_data.md.
.. [3] NVIDIA, "Classification Extension", triton-inference-server,
   docs/protocol/extension_classification.md.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import BadPrediction, InvalidInput
from blackbox_boundary.grid import Grid
from blackbox_boundary.predictor import Access, Prediction

from ..answers import read_labels, read_ranked, read_scores
from ..configuration import Configuration, whole
from ..contract import Contract
from ..declared import declared_access, declared_classes
from ..discovery import get, get_if_there
from ..model_version import ModelVersion
from ..strict_json import CutShort, read_json, shown
from ..transport import Transport
from ..wire import JSON, Reply, Request, as_dtype, bounds_within, flat_json
from .tensors import DTYPES, read_texts, read_values

__all__ = ["OpenInference", "discover"]

_BINARY_HEADER = "Inference-Header-Content-Length"
_MERGING = "mlserver"
"""The server that may merge the requests of several clients and declares nowhere whether it
does."""


@dataclass(frozen=True)
class OpenInference:
    """One model of a v2 server.

    Attributes
    ----------
    path : str
        Of the model: ``/v2/models/NAME``, perhaps with a version, perhaps behind a prefix.
    input, output : str
        Names of the tensors.
    datatype : str
        Of the input, as the protocol names it.
    is_binary : bool
        Whether tensors travel as raw bytes, in both directions.
    top_k : int
        Where positive, the server is asked for the best classes only (Triton's classification
        extension).
    """

    contract: Contract
    path: str
    input: str
    output: str
    datatype: str
    is_binary: bool
    max_rows: int | None
    facts: Mapping[str, Any]
    top_k: int = 0
    name: str = "oip_v2"
    merges_requests: bool = False
    columns: tuple[str, ...] = ()
    version: ModelVersion = field(default_factory=ModelVersion)

    @property
    def plainer(self) -> OpenInference | None:
        """The same dialect in JSON.

        Some servers do not support binary tensors and do not report it.
        """
        return (
            replace(self, is_binary=False) if self.is_binary and self.datatype != "FP16" else None
        )

    @property
    def grid(self) -> Grid | None:
        """The whole numbers of the input's datatype."""
        return Grid.of_dtype(np.dtype(DTYPES[self.datatype]))

    def as_sent(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows in the input's datatype."""
        return as_dtype(rows, np.dtype(DTYPES[self.datatype]))

    def request(self, sent: NDArray[Any]) -> Request:
        """Build the request for one output.

        The ``id`` is derived from the first row, since some servers fail without an ``id``.
        """
        tensor: dict[str, Any] = {
            "name": self.input,
            "shape": list(sent.shape),
            "datatype": self.datatype,
        }
        output: dict[str, Any] = {"name": self.output}
        if self.top_k:
            output["parameters"] = {"classification": self.top_k}
        elif self.is_binary:
            output["parameters"] = {"binary_data": True}
        head = {"id": f"{zlib.crc32(sent[:1].data):08x}", "inputs": [tensor], "outputs": [output]}
        if self.is_binary:
            tensor["parameters"] = {"binary_data_size": sent.nbytes}
            text = json.dumps(head).encode()
            headers = {"Content-Type": "application/octet-stream", _BINARY_HEADER: str(len(text))}
            return Request("POST", f"{self.path}/infer", b"".join((text, sent.data)), headers)
        tensor["data"] = "$"
        before, after = json.dumps(head).encode().split(b'"data": "$"', 1)
        return Request(
            "POST",
            f"{self.path}/infer",
            before + b'"data": ' + flat_json(sent) + after,
            {"Content-Type": JSON},
        )

    def read(self, reply: Reply, n: int) -> Prediction:
        """Find the output asked for, in whichever of the two forms the server chose to answer."""
        header = reply.headers.get(_BINARY_HEADER.lower())
        if header is None:
            document, raw = read_json(reply.body), memoryview(b"")
        else:
            length = (
                int(header) if header.isascii() and header.isdigit() and len(header) < 20 else -1
            )  # int refuses thousands of digits
            if not 0 <= length <= len(reply.body):
                raise BadPrediction(
                    f"The header {_BINARY_HEADER} must be a length within the answer; got "
                    f"{shown(header, 40)}."
                )
            document, raw = read_json(reply.body[:length]), memoryview(reply.body)[length:]
        self.version.saw_headers(reply.headers)
        if isinstance(document, dict) and isinstance(named := document.get("model_version"), str):
            self.version.saw(named)
        tensor, data = self._output(document, raw)
        shape = tensor.get("shape")
        is_shape = isinstance(shape, list) and all(
            type(length) is int and 0 <= length < 2**31 for length in shape
        )
        if not is_shape or not shape or shape[0] != n:
            raise BadPrediction(
                f'Output "{self.output}" must have a shape that begins with {n} rows; got '
                f"{shown(shape, 80)}."
            )
        return self._prediction(tensor.get("datatype"), tuple(shape), data, n)

    def _output(self, document: Any, raw: memoryview) -> tuple[dict[str, Any], Any]:
        """The output asked for: its description, and its data as nested lists or as bytes."""
        outputs = document.get("outputs") if isinstance(document, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
            raise BadPrediction(f'The answer must hold a list of "outputs"; got {shown(document)}.')
        found, start = [], 0
        for output in outputs:
            parameters = output.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            if size is None:
                data = output.get("data")
            elif type(size) is int and 0 <= size <= len(raw) - start:
                data, start = raw[start : start + size], start + size
            else:
                raise CutShort(
                    f"The answer must hold all bytes it announces; got {shown(size, 40)}, "
                    f"{len(raw) - start} left."
                )
            if output.get("name") == self.output:
                found.append((output, data))
        if len(found) != 1 or start != len(raw):
            names = ", ".join(str(output.get("name")) for output in outputs)
            raise BadPrediction(
                f'The answer must hold output "{self.output}" once and nothing unannounced; got '
                f"{shown(names, 120)}."
            )
        return found[0]

    def _prediction(self, datatype: Any, shape: tuple[int, ...], data: Any, n: int) -> Prediction:
        if datatype == "BYTES":
            texts = read_texts(data, prod(shape))
            width = prod(shape[1:])
            if self.top_k:
                ranked = [_classification(text) for text in texts]
                names, scores = (
                    [
                        [part[i] for part in ranked[row * width : (row + 1) * width]]
                        for row in range(n)
                    ]
                    for i in (0, 1)
                )
                return read_ranked(names, scores, n, self.contract)
            return read_labels(texts, n, self.contract)
        if not isinstance(datatype, str) or datatype not in DTYPES:
            raise BadPrediction(
                f'Output "{self.output}" must have a numeric datatype; got {shown(datatype, 40)}.'
            )
        values = read_values(data, np.dtype(DTYPES[datatype]), prod(shape))
        if values.dtype.kind in "iub" and self.contract.access is Access.LABEL and values.size == n:
            return read_labels(values.astype(np.int64).tolist(), n, self.contract)
        k = values.size // n if n else 0
        return read_scores(values.reshape((n, k) if len(shape) > 1 else (n,)), n, self.contract)


def discover(transport: Transport, path: str, config: Configuration) -> OpenInference:
    """Set the dialect up from the server's metadata, completed by ``config``. No query is sent.

    Raises
    ------
    InvalidInput
        A setting is missing in the metadata and in ``config``, or the two contradict each other.
    PredictorError
        The server cannot be reached, has no such model, or returns no metadata.
    """
    config.tables_only(request=("input", "datatype", "binary"), answer=("output", "top_k"))
    base, _, rest = path.rstrip("/").removesuffix("/infer").partition("/v2/models/")
    if not rest:
        raise InvalidInput(f'The URL of a v2 endpoint must end in "/v2/models/NAME"; got "{path}".')
    path = f"{base}/v2/models/{rest}"
    metadata = get(transport, path)
    if not isinstance(metadata, dict):
        raise BadPrediction(f"The metadata of {path} must be a JSON object; got {shown(metadata)}.")
    given = _tensor(metadata.get("inputs"), config.request.get("input"), "input")
    answered = _tensor(metadata.get("outputs"), config.answer.get("output"), "output")
    datatype = str(config.request.get("datatype") or given.get("datatype") or "FP32")
    if datatype not in DTYPES:
        raise InvalidInput(
            f'The input "{given["name"]}" must be numeric; its datatype is {shown(datatype, 40)}.'
        )
    rows, input_shape = _input_shape(given, config)
    top_k = config.answer.get("top_k", 0) and whole(config.answer["top_k"], "top_k")
    contract = Contract(
        access=declared_access(
            Access.TOP1 if config.access is None and top_k else config.access,
            answered["name"],
            whole_numbers=_is_label(answered),
        ),
        input_shape=input_shape,
        n_classes=declared_classes(config, (answered.get("shape") or [-1])[-1]),
        bounds=bounds_within(config.bounds, np.dtype(DTYPES[datatype])),
        labels=config.labels,
    )
    if (
        isinstance(shape := answered.get("shape"), list)
        and sum(length != 1 for length in shape[1:]) > 1
    ):
        raise InvalidInput(
            f'The output "{answered["name"]}" must hold one score for each class; its shape is '
            f"{shape}: no classifier's."
        )
    facts = {
        "path": path,
        "version": _version(metadata),
        "input": dict(given),
        "output": dict(answered),
        "datatype": datatype,
        "top_k": top_k,
    }
    server = get_if_there(transport, f"{base}/v2")
    is_binary = _is_binary(server, config, datatype)
    own = get_if_there(transport, f"{path}/config")  # Triton alone tells it
    return OpenInference(
        contract,
        path,
        given["name"],
        answered["name"],
        datatype,
        is_binary,
        rows or _max_batch(own),
        facts,
        top_k,
        merges_requests=server.get("name") == _MERGING or "dynamic_batching" in own,
    )


def _tensor(listed: Any, name: Any, noun: str) -> dict[str, Any]:
    """The one tensor to use: the named one, else the only one."""
    listed = listed if isinstance(listed, list) else []
    tensors = [
        tensor
        for tensor in listed
        if isinstance(tensor, dict) and isinstance(tensor.get("name"), str)
    ]
    table = "request" if noun == "input" else "answer"
    if not tensors:
        if isinstance(name, str):
            return {"name": name}
        raise InvalidInput(
            f"The server's metadata names no {noun}: give its name as {noun} in [{table}]."
        )
    names = ", ".join(tensor["name"] for tensor in tensors)
    if noun == "input" and len(tensors) > 1:
        raise InvalidInput(
            f"The model must take one input; its server lists {len(tensors)}: {shown(names, 200)}."
        )
    if name is not None:
        tensors = [tensor for tensor in tensors if tensor["name"] == name]
    if len(tensors) != 1:
        raise InvalidInput(
            f"One {noun} must be chosen ({noun} in [{table}]) among {shown(names, 200)}; got "
            f"{shown(name, 80)}."
        )
    return tensors[0]


def _input_shape(
    given: Mapping[str, Any], config: Configuration
) -> tuple[int | None, tuple[int, ...]]:
    """The number of rows a request must hold, if fixed, and the shape of one row."""
    shape = given.get("shape")
    if shape is None and config.input_shape:
        return None, config.input_shape
    if not isinstance(shape, list) or not shape or not all(type(length) is int for length in shape):
        raise InvalidInput(
            f'The server tells no shape of input "{given["name"]}" (it says {shown(shape, 80)}): '
            'give "input_shape".'
        )
    batch, row = shape[0], tuple(shape[1:])
    if batch not in (-1, 1):
        raise InvalidInput(
            f'The input "{given["name"]}" must have a free number of rows, or one; its server '
            f"says shape {shape}."
        )
    if config.input_shape is None and any(length < 1 for length in row):
        raise InvalidInput(
            f'The server leaves lengths of input "{given["name"]}" open, shape {shape}: give '
            '"input_shape".'
        )
    chosen = config.input_shape or row
    if len(chosen) != len(row) or any(
        theirs not in (-1, ours) for ours, theirs in zip(chosen, row, strict=True)
    ):
        raise InvalidInput(
            f'"input_shape" must fit the server\'s {shape} without the first; got {list(chosen)}.'
        )
    return (1 if batch == 1 else None), chosen


def _is_label(answered: Mapping[str, Any]) -> bool:
    return str(answered.get("datatype", "")).startswith(("INT", "UINT", "BYTES"))


def _is_binary(server: Mapping[str, Any], config: Configuration, datatype: str) -> bool:
    """As in ``config``; else if the server declares it. FP16 has no JSON form."""
    asked = config.request.get("binary")
    if asked is not None and not isinstance(asked, bool):
        raise InvalidInput(f'"binary" in [request] must be true or false; got {asked!r}.')
    if datatype == "FP16":
        return True
    extensions = server.get("extensions") if asked is None else None
    return bool(asked) or (isinstance(extensions, list) and "binary_tensor_data" in extensions)


def _max_batch(config: Mapping[str, Any]) -> int | None:
    """The largest batch that Triton declares; None if it declares none.

    In Triton, 0 means that the server forms no batches for the model.
    """
    limit = config.get("max_batch_size")
    return limit if type(limit) is int and limit > 0 else None


def _version(metadata: Mapping[str, Any]) -> str:
    versions = metadata.get("versions")
    return ",".join(map(str, versions)) if isinstance(versions, list) else ""


def _classification(text: str) -> tuple[str, float]:
    """Read ``value:index[:label]`` into index and value.  # [3]."""
    value, _, rest = text.partition(":")
    try:
        return rest.partition(":")[0], float(value)
    except ValueError as error:
        raise BadPrediction(
            f'A class must be given as "value:index"; got {shown(text, 80)}.'
        ) from error
