"""Read an ONNX graph as layers that NumPy evaluates, for certified lower bounds.

The graph is walked from the output that is read back to the input. Each node on the way must be an
op of :mod:`.chain_ops`, and all but one of its inputs constant; values that were computed from the
row may be added, subtracted and concatenated. Nodes of other outputs are ignored. The layers are
returned after they have reproduced the scores of ONNX Runtime on probe rows. Everything else is
refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_boundary.chains import Chain, verified
from blackbox_boundary.errors import CapabilityMissing
from blackbox_boundary.graphs import Graph
from blackbox_boundary.layers import Layer, Reshape, Sum
from blackbox_boundary.predictor import Access

from ..answers import certificate_probes, score_columns
from .batching import in_fixed_batches
from .chain_ops import HEADS, PASS_ON, Step, layer_of
from .graph import read_input, read_model
from .inputs import Feed
from .joins import parts_of
from .session import Runner

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["chain_of", "recognised"]

_DTYPES = (np.float32, np.float64, np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64)
"""Inputs that a chain may take: whole numbers are cast by the graph."""

_OLDEST_OPSET = 7
"""In older opsets, Add and Mul broadcast along a named axis, and dropout has modes."""


def chain_of(
    model: str | Path | ModelProto,
    *,
    access: Access | str = Access.LOGITS,
    output: str | None = None,
) -> Chain:
    """The layers of an ONNX graph, and norms of them.

    Parameters
    ----------
    model : path or ModelProto
        Of the ops in :mod:`.chain_ops`; see there.
    access : Access or str
        What the output holds, ``"logits"`` or ``"probabilities"``.
    output : str, optional
        The output to read. Default: the first.

    Raises
    ------
    CapabilityMissing
        The graph holds another op; or the layers do not reproduce its scores.
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
    """The chain of a graph, by its ops alone; :func:`~blackbox_boundary.chains.verified` follows.

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
        The graph is not made of known ops.
    """
    if (kind := read_input(model).dtype) not in _DTYPES:
        raise CapabilityMissing(f"Nothing is certified through a graph that takes {kind}.")
    nodes, constants = _needed(model, output)
    reader = _Reader(constants, _opset(model), read_input(model).name, given or shape, shape)
    tail, rectified = _tail(nodes, output), False
    for node in nodes:
        name = node.output[0]
        if name in tail and node.op_type in (*HEADS, *PASS_ON) and reader.is_head(node):
            rectified = rectified or node.op_type == "Relu"
            reader.rename(node.input[0], name)
        else:
            reader.read(node)
    return Chain.of(reader.graph(output, rectified, _eps(kind, nodes)))


class _Reader:
    """Layers read so far, and the value of a layer for each name of the graph."""

    def __init__(
        self,
        constants: dict[str, Any],
        opset: int,
        start: str,
        given: tuple[int, ...],
        shape: tuple[int, ...],
    ) -> None:
        self._constants, self._opset = constants, opset
        self._layers: list[Layer | Sum] = []
        self._inputs: list[tuple[int, ...]] = []
        self._shapes, self._given = [given], given
        self._values = {start: 0 if given == shape else self._add(Reshape(shape), 0)}

    def read(self, node: NodeProto) -> None:
        """Add what a node computes."""
        names = [name for name in node.input if name and name not in self._constants]
        places = [self._values[name] for name in names]
        if len(names) == 1:
            shape = self._shapes[places[0]]
            layer = layer_of(Step(node, self._constants, shape, self._opset))
            self._values[node.output[0]] = self._add(layer, places[0])
            return
        parts = parts_of(node, [self._shapes[place] for place in places])
        added = [
            place if part is None else self._add(part, place)
            for place, part in zip(places, parts, strict=True)
        ]
        self._values[node.output[0]] = self._add(Sum(node.op_type), *added)

    def rename(self, known: str, name: str) -> None:
        """The same value under another name."""
        self._values[name] = self._values[known]

    def is_head(self, node: NodeProto) -> bool:
        """Whether a last op keeps the order of scores: rectified, softmax, a logit's sigmoid."""
        shape = self._shapes[self._values[node.input[0]]]
        if node.op_type in PASS_ON:
            return True
        if len(shape) != 1:
            return False
        if node.op_type in ("Softmax", "LogSoftmax"):
            axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
            return not axes or axes[0] in (1, -1)
        return node.op_type == "Relu" or shape[0] == 1

    def graph(self, output: str, rectified: bool, eps: float) -> Graph:
        """All layers; the output must be the last one's.

        Raises
        ------
        CapabilityMissing
            The last layer is not linear.
        """
        layers, last = self._layers, self._values[output]
        assert last == len(layers)
        return Graph.of(layers, self._inputs, self._given, rectified=rectified, eps=eps)

    def _add(self, layer: Layer | Sum, *places: int) -> int:
        zeros = (np.zeros((1, *self._shapes[place])) for place in places)
        self._layers.append(layer)
        self._inputs.append(places)
        self._shapes.append(layer(*zeros).shape[1:])
        return len(self._layers)


def _tail(nodes: list[NodeProto], output: str) -> set[str]:
    """Names of the last values: behind them no other op follows than those that pass on."""
    makers = {node.output[0]: node for node in nodes}
    tail = {output}
    while output in makers and makers[output].op_type in PASS_ON:
        output = makers[output].input[0]
        tail.add(output)
    return tail


def _eps(kind: Any, nodes: list[NodeProto]) -> float:
    """The machine epsilon of the graph: that of double precision where nothing is cast."""
    double = kind == np.float64 and all(node.op_type != "Cast" for node in nodes)
    return float(np.finfo(np.float64 if double else np.float32).eps)


def _needed(model: ModelProto, output: str) -> tuple[list[NodeProto], dict[str, Any]]:
    """The nodes between the input and a value, in order, and the constants that they take."""
    if model.functions:
        raise CapabilityMissing("Nothing is certified through a graph with functions of its own.")
    start = read_input(model).name
    makers = {name: node for node in model.graph.node for name in node.output if name}
    constants = _Constants(model, makers)
    wanted, found = [output], set()
    while wanted:
        name = wanted.pop()
        if name == start or name in found:
            continue
        node = makers.get(name)
        if node is None or node.domain not in ("", "ai.onnx") or node.output[0] != name:
            kind = "a constant" if node is None else f'"{node.domain}:{node.op_type}"'
            raise CapabilityMissing(f'Nothing is certified through {kind} at "{name}".')
        found.add(name)
        varying = [each for each in node.input if each and each not in constants]
        if not varying:
            raise CapabilityMissing(f'Nothing is certified through a constant at "{name}".')
        wanted += varying
    nodes = [node for node in model.graph.node if found.intersection(node.output)]
    return nodes, {
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
