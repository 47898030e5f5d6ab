"""Read what bounds an ONNX graph's stretch, where the graph is a chain: for certified lower bounds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.chains import Chain, convolution_norm, spectral_norm
from blackbox_boundary.errors import CapabilityMissing

from .graph import read_model

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["chain_of"]

_NEVER_STRETCH = frozenset(
    {
        "Relu",
        "Tanh",
        "Sigmoid",
        "Identity",
        "Flatten",
        "Reshape",
        "Dropout",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
    }
)
_SHIFTS = frozenset({"Add", "Sub"})
_LINEAR = frozenset({"Gemm", "MatMul"})


def chain_of(model: str | Path | ModelProto) -> Chain:
    """Spectral norms of the layers of an ONNX chain and the weights of its last, linear one.

    Parameters
    ----------
    model : path or ModelProto
        Gemm, MatMul, Conv, constant Add, Sub, Mul and Div, activations that never stretch, reshaping and pooling, in one line.

    Raises
    ------
    CapabilityMissing
        The graph branches, or holds another op: nothing can be certified through it.
    InvalidInput
        The file cannot be read.
    """
    import onnx

    proto = model if isinstance(model, onnx.ModelProto) else read_model(Path(model))[0]
    proto = onnx.shape_inference.infer_shapes(proto)
    constants = {init.name: onnx.numpy_helper.to_array(init) for init in proto.graph.initializer}
    sizes = {value.name: _size(value) for value in (*proto.graph.input, *proto.graph.value_info)}
    (current,) = (value.name for value in proto.graph.input if value.name not in constants)
    norms: list[float] = []
    names: list[str] = []
    last = None
    for node in proto.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
        elif _reads_constants_only(node, constants):
            continue  # shape arithmetic
        elif current not in node.input or any(
            name and name != current and name not in constants for name in node.input
        ):
            raise CapabilityMissing(
                f'The graph branches at "{node.name or node.op_type}"; only a chain can be certified.'
            )
        else:
            if last is not None and node.op_type not in _SHIFTS:
                norms.append(spectral_norm(last))
                last = None
            if node.op_type in _LINEAR:
                last = _matrix(node, constants)
                names.append(node.op_type)
            elif node.op_type not in _SHIFTS:
                norms.append(_norm(node, constants, sizes.get(current, ())))
                names.append(node.op_type)
            current = node.output[0]
    if last is None:
        raise CapabilityMissing(
            "A chain must end in a Gemm or MatMul whose outputs are the logits."
        )
    return Chain(tuple(norms), last.astype(np.float64), tuple(names))


def _matrix(node: NodeProto, constants: dict[str, Any]) -> Any:
    """Weights of a linear layer, (out, in)."""
    weight = next(constants[name] for name in node.input[:2] if name in constants)
    options = {a.name: a for a in node.attribute}
    if node.op_type == "MatMul":
        return weight.T if node.input[1] in constants else weight
    scale = options["alpha"].f if "alpha" in options else 1.0
    return scale * (weight if "transB" in options and options["transB"].i else weight.T)


def _norm(node: NodeProto, constants: dict[str, Any], size: tuple[int, ...]) -> float:
    """Upper bound of how much one op can stretch a distance."""
    options = {a.name: a for a in node.attribute}
    if node.op_type in _NEVER_STRETCH:
        return 1.0
    if node.op_type in ("Mul", "Div"):
        factor = next(constants[name] for name in node.input if name in constants)
        if node.op_type == "Div" and node.input[0] in constants:
            raise CapabilityMissing("Nothing is certified through a division by the input.")
        return (
            float(np.abs(factor).max())
            if node.op_type == "Mul"
            else float(1 / np.abs(factor).min())
        )
    if (
        node.op_type == "Conv"
        and len(size) == constants[node.input[1]].ndim - 1
        and not _dilated(options)
    ):
        kernel, groups = constants[node.input[1]], options["group"].i if "group" in options else 1
        pads = list(options["pads"].ints) if "pads" in options else [0] * 2 * (kernel.ndim - 2)
        if "auto_pad" in options and options["auto_pad"].s not in (b"NOTSET", b"VALID"):
            pads = [taps - 1 for taps in kernel.shape[2:]] + [0] * (kernel.ndim - 2)
        half = len(pads) // 2
        padded = tuple(
            n + before + after
            for n, before, after in zip(size[1:], pads[:half], pads[half:], strict=True)
        )
        return max(convolution_norm(part, padded) for part in np.split(kernel, groups))
    if node.op_type in ("MaxPool", "AveragePool") and not _dilated(options):
        taps = list(options["kernel_shape"].ints)
        strides = list(options["strides"].ints) if "strides" in options else [1] * len(taps)
        return math.sqrt(math.prod(math.ceil(k / s) for k, s in zip(taps, strides, strict=True)))
    raise CapabilityMissing(
        f'Nothing is certified through "{node.op_type}" with input size {size}; see chain_of for what a chain may hold.'
    )


def _reads_constants_only(node: NodeProto, constants: dict[str, Any]) -> bool:
    return bool(node.input) and all(name in constants for name in node.input if name)


def _dilated(options: dict[str, Any]) -> bool:
    return "dilations" in options and set(options["dilations"].ints) != {1}


def _size(value: Any) -> tuple[int, ...]:
    """Extents behind the batch axis."""
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)[1:]
