"""Read what bounds an ONNX graph's stretch, where the graph is a chain: for certified lower bounds.

The graph is walked from the output that is read back to the input. Each node on the way must be an
op of the list below, and all but one of its inputs constant; then nothing branches, and what other
outputs are made of does not matter. The chain is handed out after it has reproduced the scores of
ONNX Runtime on probe rows. Everything else is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.chains import Chain, verified
from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.layers import Layer, Reshape
from blackbox_boundary.predictor import Access

from ..answers import certificate_probes, score_columns
from .batching import in_fixed_batches
from .chain_ops import HEADS, PASS_ON, Step, layer_of
from .graph import read_input, read_model
from .inputs import Feed
from .session import Runner

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["chain_of", "recognised"]

_DTYPES = (np.float32, np.float64, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64)
"""Inputs that a chain may take: whole numbers are cast by the graph."""

_OLDEST_OPSET = 9
"""Before it, Add and Mul broadcast along a named axis, and batch norm and dropout have modes."""


def chain_of(
    model: str | Path | ModelProto,
    *,
    access: Access | str = Access.LOGITS,
    output: str | None = None,
) -> Chain:
    """Norms of the layers of an ONNX chain and the weights of its last, linear one.

    Parameters
    ----------
    model : path or ModelProto
        Of the ops in :mod:`.chain_ops`, in one line; see there.
    access : Access or str
        What the output holds, ``"logits"`` or ``"probabilities"``.
    output : str, optional
        The output to read. Default: the first.

    Raises
    ------
    CapabilityMissing
        The graph branches or holds another op; or the chain does not reproduce its scores.
    InvalidInput
        The file cannot be read.
    """
    proto = read_model(Path(model))[0] if isinstance(model, str | Path) else model
    access, name = Access.parse(access), output or proto.graph.output[0].name
    feed = Feed.fitting(read_input(proto), None)
    runner = Runner(proto, feed.name, [name], provider="cpu", threads=None)
    probes = feed.nearest(certificate_probes(feed.input_shape, None))

    def answer(rows: Any) -> Any:
        (scores,) = in_fixed_batches(runner.run, feed.rows(rows), feed.batch or len(rows))
        return score_columns(scores, len(rows), access)

    return verified(recognised(proto, name, feed.input_shape), answer, probes, access)


def recognised(
    model: ModelProto, output: str, shape: tuple[int, ...], *, given: tuple[int, ...] | None = None
) -> Chain:
    """The chain that a graph is, by its ops alone; :func:`~blackbox_boundary.chains.verified` follows.

    Parameters
    ----------
    model : ModelProto
    output : str
        The value that is read.
    shape : tuple of int
        Of one row as the graph takes it.
    given : tuple of int, optional
        Of one row as the caller has it, where that differs.

    Raises
    ------
    CapabilityMissing
        The graph is no chain of known ops.
    """
    if (kind := read_input(model).dtype) not in _DTYPES:
        raise CapabilityMissing(f"Nothing is certified through a graph that takes {kind}.")
    nodes, constants = _line(model, output)
    layers: list[Layer] = [] if given in (None, shape) else [Reshape(shape)]
    opset = _opset(model)
    values = np.zeros((1, *shape))
    rectified = False
    for place, node in enumerate(nodes):
        if node.op_type in PASS_ON:
            continue
        rest = [later.op_type for later in nodes[place + 1 :] if later.op_type not in PASS_ON]
        if node.op_type in HEADS and not rest and _is_head(node, values):
            rectified = node.op_type == "Relu"
            continue
        layer = layer_of(Step(node, constants, values.shape[1:], opset))
        layers.append(layer)
        values = layer(values)
    return Chain.of(layers, given or shape, rectified=rectified, eps=_eps(kind, nodes))


def _eps(kind: Any, nodes: list[NodeProto]) -> float:
    """The machine epsilon of the graph: that of double precision where nothing is cast."""
    double = kind == np.float64 and all(node.op_type != "Cast" for node in nodes)
    return float(np.finfo(np.float64 if double else np.float32).eps)


def _is_head(node: NodeProto, values: Any) -> bool:
    """Whether a last op leaves the order of scores: rectified, softmax, the sigmoid of one logit."""
    if values.ndim != 2:
        return False
    if node.op_type in ("Softmax", "LogSoftmax"):
        axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
        return not axes or axes[0] in (1, -1)
    return node.op_type == "Relu" or values.shape[1] == 1


def _line(model: ModelProto, output: str) -> tuple[list[NodeProto], dict[str, Any]]:
    """The nodes between the input and a value, in order, and all constants of the graph."""
    if model.functions:
        raise CapabilityMissing("Nothing is certified through a graph with functions of its own.")
    start = read_input(model).name
    makers = {name: node for node in model.graph.node for name in node.output if name}
    constants = _Constants(model, makers)
    nodes: list[NodeProto] = []
    current = output
    while current != start:
        node = makers.get(current)
        if node is None or node.domain not in ("", "ai.onnx") or node.output[0] != current:
            kind = "a constant" if node is None else f'"{node.domain}:{node.op_type}"'
            raise CapabilityMissing(f'Nothing is certified through {kind} at "{current}".')
        varying = [name for name in node.input if name and name not in constants]
        if len(varying) != 1:
            raise CapabilityMissing(
                f'The graph branches at "{node.name or node.op_type}"; only a chain can be certified.'
            )
        nodes.append(node)
        (current,) = varying
    return nodes[::-1], {
        name: constants[name] for node in nodes for name in node.input if name in constants
    }


class _Constants:
    """Values of a graph that do not depend on its input, computed when they are asked for."""

    def __init__(self, model: ModelProto, makers: dict[str, NodeProto]) -> None:
        import onnx

        self._model, self._makers = model, makers
        self._known: dict[str, Any] = {
            weight.name: onnx.numpy_helper.to_array(weight) for weight in model.graph.initializer
        }
        self._varies = {read_input(model).name}
        for node in model.graph.node:  # stored in the order of computation
            if self._varies.intersection(node.input) or node.op_type in _NO_CONSTANTS:
                self._varies.update(node.output)

    def __contains__(self, name: str) -> bool:
        return name not in self._varies and (name in self._known or name in self._makers)

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            node = self._makers[name]
            given = {each: self[each] for each in node.input if each}
            self._known.update(zip(node.output, _computed(node, given, self._model), strict=False))
        return self._known[name]


_NO_CONSTANTS = frozenset(
    ["If", "Loop", "Scan", "SequenceMap", "Bernoulli", "Multinomial"]
    + [f"Random{kind}{like}" for kind in ("Normal", "Uniform") for like in ("", "Like")]
)
"""Ops that may read values of the graph around them, or answer anew each time."""


def _computed(node: NodeProto, given: dict[str, Any], model: ModelProto) -> list[Any]:
    """The outputs of one node of constants, by the reference implementation of ONNX."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    graph = onnx.helper.make_graph(
        [node],
        "constant",
        [],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()],
    )
    single = onnx.helper.make_model(graph, opset_imports=model.opset_import)
    single.ir_version = model.ir_version
    try:
        computed: Any = ReferenceEvaluator(single).run(None, {})
    except Exception as error:
        raise CapabilityMissing(
            f'Nothing is certified: the constant "{node.name or node.op_type}" cannot be computed '
            f"({type(error).__name__}: {error})."
        ) from error
    return list(computed)


def _opset(model: ModelProto) -> int:
    """Version of the standard ops.

    Raises
    ------
    CapabilityMissing
        Older than 9, where some ops mean something else.
    """
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    version = max(versions, default=1)
    if version < _OLDEST_OPSET:
        raise CapabilityMissing(
            f"Nothing is certified through ops of opset {version}: {_OLDEST_OPSET} is the oldest "
            "that is read. Convert the file with onnx.version_converter."
        )
    return version
