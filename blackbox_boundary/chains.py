r"""Bound on the stretch of a model: its certificate where linear bounds are not known.

A net that is a chain of layers maps two inputs at distance δ to hidden values at a distance of at
most :math:`\delta \prod_l \|W_l\|_2`, where the norm of a layer is the most that it stretches. Its
scores i and j can then come closer by at most :math:`\|w_i - w_j\|_2 \prod_l \|W_l\|_2` per unit of
input, where ``w`` are the rows of the last layer. Where values are added up, so are stretches.

Adapters read a :class:`~.graphs.Graph` from a model, make a :class:`Chain` of it, and return it
only after :func:`verified`. The chain holds the graph, from which :mod:`.linear_bounds` certifies
more.

References
----------
.. [1] C. Szegedy et al., "Intriguing properties of neural networks", ICLR 2014, section 4.3.
   arXiv 1312.6199. The product of norms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, Self, runtime_checkable

import numpy as np

from .chain_rounding import Rounding
from .errors import CapabilityMissing, InvalidInput
from .graphs import Graph
from .image_layers import Convolution, convolution_norm
from .layers import Affine, Dense, Layer, Reshape, Sum, spectral_norm
from .predictor import Access, FloatArray, IntArray, Real

__all__ = [
    "Chain",
    "Chained",
    "convolution_norm",
    "largest_score",
    "lead_interval",
    "outside",
    "spectral_norm",
    "verified",
]

_ROUNDING = 1 + 1e-6
"""Singular values in double precision are good to 1e-12 or so; norms are rounded up by far more."""

TOLERANCE = 1e-4
"""Share of the largest score by which answers in single precision may differ from the chain's."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Bounds of the stretch of a chain.

    Attributes
    ----------
    norms : tuple of float
        Spectral norm, or an upper bound of it, of every layer but the last.
    last : (n_classes, h) float
        Weights of the last, linear layer.
    layers : tuple of str
        What each norm is of, for reports.
    rectified : bool
        Whether the scores are the positive parts of the last layer's outputs.
    scores : callable, optional
        Logits (n, n_classes) float64 of rows (n, *input_shape) float64, as the chain computes them.
        Without it nothing but the answers themselves can be compared with the chain.
    deviation : float
        Largest difference between the model's leads and the chain's on probe rows, as a share of
        the row's largest score.
    difference : float
        The same difference itself.
    rounding : Rounding, optional
        Bounds how far the model's scores are off the chain's, because its layers are computed in
        floating point. Without it, ``deviation`` and ``difference`` are used instead.
    graph : Graph, optional
        The layers themselves.
    """

    norms: tuple[float, ...]
    last: Real
    layers: tuple[str, ...] = field(default=())
    rectified: bool = False
    scores: Callable[[Real], Real] | None = field(default=None, repr=False)
    deviation: float = 0.0
    difference: float = 0.0
    rounding: Rounding | None = field(default=None, repr=False)
    graph: Graph | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (
            np.ndim(self.last) != 2
            or not np.isfinite(self.last).all()
            or not np.isfinite(self.norms).all()
        ):
            raise InvalidInput(
                '"last" of Chain must be a finite matrix and "norms" finite; '
                f"got shape {np.shape(self.last)}, {self.norms}."
            )

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """The stretch of a graph up to its last layer, and that layer's weights.

        In a line, neighbours that are one linear map are multiplied out.
        """
        if graph.is_line:
            norms, last = _norms_of_line(graph)
        else:
            norms, last = (_stretches(graph)[-1],), _identity(graph).weight
        return cls(
            norms,
            last,
            graph.names,
            graph.rectified,
            graph.scores,
            rounding=Rounding(graph),
            graph=graph,
        )

    def steepness(self) -> Real:
        """The most that the lead of class i over class j can fall per unit of L2 distance.

        (n_classes, n_classes). A positive lead of rectified scores is the smaller one of the lead
        before and the score itself, so that it falls as fast as the faster of the two.
        """
        apart = np.linalg.norm(self.last[:, None] - self.last[None], axis=-1)
        if self.rectified:
            apart = np.maximum(apart, np.linalg.norm(self.last, axis=-1)[:, None])
        return np.asarray(apart * float(np.prod(self.norms)) * _ROUNDING)


@runtime_checkable
class Chained(Protocol):
    """A predictor that reveals a bound on the stretch of its model."""

    def chain(self) -> Chain:
        """Read it from the weights, and compare it with the model's answers to probe rows.

        The probes ask the local model, not this predictor: no wrapper counts them.

        Raises
        ------
        CapabilityMissing
            The model is no chain of layers through which something can be certified.
        """
        ...


def lead_interval(
    scores: FloatArray, home: IntArray, access: Access, resolution: Real
) -> tuple[Real, Real]:
    """Least and largest lead (n, n_classes) of the home label that scores prove; 0 over itself.

    Differences of logits, or of logarithms of probabilities.

    Parameters
    ----------
    scores : (n, n_classes)
        Logits or probabilities, as ``access`` says.
    home : (n,) int
    access : Access
    resolution : (n,) float
        How far each score may be off because it is rounded. Of two probabilities one may be the
        other's complement, which is off by the machine epsilon at least.
    """
    kind = np.finfo(scores.dtype if scores.dtype.kind == "f" else np.float64)
    values, off = scores.astype(np.float64), resolution[:, None]
    rows = np.arange(len(home))
    own = values[rows, home][:, None]
    if access is not Access.PROBABILITIES:
        low, high = own - values - 2 * off, own - values + 2 * off
    else:
        least = float(kind.tiny)
        off = np.maximum(off, float(kind.eps)) if values.shape[1] == 2 else off
        low = np.log(np.maximum(own - off, least)) - np.log(np.maximum(values + off, least))
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.log(own + off) - np.log(values - off)
        high[values - off <= least] = np.inf
    low[rows, home] = high[rows, home] = 0.0
    return low, high


def outside(lead: Real, interval: tuple[Real, Real]) -> Real:
    """How far leads lie outside their intervals."""
    low, high = interval
    return np.maximum(np.maximum(low - lead, lead - high), 0.0)


def largest_score(scores: FloatArray, access: Access) -> Real:
    """Largest absolute logit, or logarithm of a probability that is a normal number, (n,)."""
    values = scores.astype(np.float64)
    if access is Access.PROBABILITIES:
        values = np.log(np.maximum(values, float(np.finfo(np.float32).tiny)))
    return np.asarray(np.abs(values).max(axis=-1))


def verified(
    chain: Chain, answer: Callable[[Real], FloatArray], rows: Real, access: Access
) -> Chain:
    """The chain, after it has reproduced the model's scores on rows.

    Parameters
    ----------
    chain : Chain
        One that has ``scores``.
    answer : callable
        The model's scores (n, n_classes) of rows, logits or probabilities as ``access`` says.
    rows : (n, *input_shape) float64
    access : Access

    Returns
    -------
    Chain
        With the deviation that was seen.

    Raises
    ------
    CapabilityMissing
        The scores are not the chain's, or are not reproduced to a share of 1e-4 of the largest.
    """
    assert chain.scores is not None
    given = np.asarray(answer(rows))
    own = chain.scores(rows)
    if own.shape != given.shape:
        raise CapabilityMissing(
            f"Nothing is certified: the chain of {_listed(chain)} has {own.shape[1]} classes, "
            f"the model {given.shape[1]}."
        )
    home = given.argmax(axis=-1)
    interval = lead_interval(given, home, access, np.zeros(len(rows)))
    off = outside(own[np.arange(len(rows)), home][:, None] - own, interval).max(axis=-1)
    least = float(np.finfo(np.float32).tiny)
    share = float((off / np.maximum(largest_score(given, access), least)).max())
    if not share <= TOLERANCE:  # NaN, too
        raise CapabilityMissing(
            f"Nothing is certified: on {len(rows)} probe rows the chain of {_listed(chain)} does "
            f"not reproduce the model's scores (off by {share:.2g} of the largest)."
        )
    return replace(chain, deviation=share, difference=float(off.max()))


def _listed(chain: Chain) -> str:
    return ", ".join(chain.layers) or "one layer"


def _norms_of_line(graph: Graph) -> tuple[tuple[float, ...], Real]:
    """Norms of the layers but the last, and its weights; fewer layers where they are multiplied."""
    parts = _multiplied_out(graph)
    final = parts[-1]
    last = final if isinstance(final, Dense) else _identity(graph)
    parts = parts[:-1] if last is final else parts
    norms, values = [], np.zeros((1, *graph.input_shape))
    for layer in parts:
        norms.append(layer.norm(values.shape[1:]))
        values = layer(values)
    return tuple(norms), last.weight


def _identity(graph: Graph) -> Dense:
    """A last layer that gives the logits as they are."""
    (n_classes,) = graph.shapes[-1]
    return Dense(np.eye(n_classes), np.zeros(n_classes))


def _stretches(graph: Graph) -> list[float]:
    """The most that each value of a graph moves per unit of L2 distance of the row."""
    stretches = [1.0]
    for layer, taken in zip(graph.layers, graph.inputs, strict=True):
        norm = layer.norm(graph.shapes[taken[0]])
        stretches.append(norm * sum(stretches[k] for k in taken))
    return stretches


def _multiplied_out(graph: Graph) -> list[Layer]:
    """Layers of the same map, fewer of them, with smaller norms."""
    parts: list[Layer] = []
    for layer, shape in zip(graph.layers, graph.shapes[:-1], strict=True):
        assert not isinstance(layer, Sum)
        product = _product(parts[-1], layer, shape) if parts else None
        if product is None:
            parts.append(layer)
        else:
            parts[-1] = product
    return parts


def _product(first: Layer, then: Layer, shape: tuple[int, ...]) -> Layer | None:
    """One layer in place of two; ``shape`` is that of the rows between them.

    None: there is none.
    """
    if isinstance(then, Reshape):
        return first if then.shape == shape else then if isinstance(first, Reshape) else None
    if isinstance(then, Affine):
        return _scaled(first, then, shape)
    if isinstance(then, Dense) and len(shape) == 1 and isinstance(first, Affine | Dense):
        weight = (
            then.weight * first.scale if isinstance(first, Affine) else then.weight @ first.weight
        )
        offset = then.weight @ np.broadcast_to(first.offset, shape)
        return Dense(weight, offset + then.offset, then.name)
    return None


def _scaled(first: Layer, then: Affine, shape: tuple[int, ...]) -> Layer | None:
    """A linear layer with its outputs scaled and shifted."""
    scale, offset = (np.broadcast_to(part, shape) for part in (then.scale, then.offset))
    if isinstance(first, Affine):
        return Affine(scale * first.scale, scale * first.offset + offset, then.name)
    if isinstance(first, Dense) and len(shape) == 1:
        return Dense(scale[:, None] * first.weight, scale * first.offset + offset, first.name)
    if isinstance(first, Convolution) and _is_per_channel(scale) and _is_per_channel(offset):
        each, shift = (part.reshape(shape[0], -1)[:, 0] for part in (scale, offset))
        kernel = first.kernel * each.reshape(-1, *(1,) * (first.kernel.ndim - 1))
        return replace(first, kernel=kernel, offset=each * first.offset + shift)
    return None


def _is_per_channel(values: Real) -> bool:
    flat = values.reshape(len(values), -1)
    return bool((flat == flat[:, :1]).all())
