"""Gradients from a chosen number of queries.

The sources take differences along random directions, or fit a neighbourhood by least squares.

| source | points asked | estimate |
|---|---|---|
| :class:`AntitheticBlocks` | ``x ± h u_i``, ``u_i`` orthonormal | projection of the gradient |
| :class:`SPSA` [1]_ | ``x ± h u_i``, ``u_i`` of random signs | mean of ``(f+ - f-) / 2h * u_i`` |
| :class:`LocalLinear` [2]_ | ``x + h u_i``, ``u_i`` Gaussian | weighted least squares of a plane |

Of ``m`` random orthonormal directions out of ``k`` the projection has the cosine ``sqrt(m / k)`` to
the gradient, the best that ``m`` differences of unknown slopes can do. SPSA is unbiased, but its
cosine is about ``sqrt(m / (m + k))``. A ``subspace`` in which the gradient mostly lies
(:class:`Cosines` for images) shrinks ``k``. With as many pairs as directions, the projection on the
subspace is exact but for the step.

``h`` is the root mean square step of each coordinate, in units of which displacements are drawn and
fitted. It is chosen as in :mod:`~blackbox_boundary.gradients.differences`, and widened where scores
are rounded. Directions that are no coordinates have one step for all of them. Points are clipped to
the bounds, and the displacements that were asked enter the estimate. With access to the top score
alone, points whose label is not the one that ``v`` asks for are left out. Each row draws from its
own stream.

References
----------
.. [1] J. C. Spall, "Multivariate stochastic approximation using a simultaneous perturbation
   gradient approximation", IEEE Transactions on Automatic Control 37, 1992. doi:10.1109/9.119632.
.. [2] M. T. Ribeiro, S. Singh, C. Guestrin, "Why Should I Trust You?: Explaining the Predictions of
   Any Classifier", KDD 2016. arXiv:1602.04938.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_kind, as_numpy
from ..errors import InvalidInput
from ..predictor import IntArray, Real
from ..search.asks import ANSWERED, Ask, AskGradient, Gradients, Labels, ask_prediction
from ..search.problem import Problem
from ._source import Estimate, require_scores
from ._steps import CHUNK_BYTES, Received, check_step, flat_bounds, with_step
from .bases import Basis, Coordinates, Cosines

__all__ = ["SPSA", "AntitheticBlocks", "LocalLinear"]


Draw: TypeAlias = Callable[[np.random.Generator], Real]
"""Displacements (count, k) in the basis, of about unit root mean square."""
Solve: TypeAlias = Callable[[Real, Real], Real]
"""The gradient (d,) from displacements (m, d) and the functional there (m,), of which NaN is
unknown."""

_DEPENDENT = 1e-3
"""Singular values below this share of the largest are left out: clipping can make directions
nearly dependent."""


@dataclass(frozen=True)
class _Sampled:
    """Settings that all sources share which ask at random points."""

    n_queries: int = 100
    subspace: Basis | int | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        check_step(self.step)
        if self.n_queries < 2:
            raise InvalidInput(
                f'"n_queries" of {type(self).__name__} must be at least 2; got {self.n_queries}.'
            )

    def check(self, problem: Problem) -> None:
        require_scores(problem, type(self).__name__)
        _basis(self.subspace, problem.input_shape)


@dataclass(frozen=True)
class AntitheticBlocks(_Sampled):
    """The projection of the gradient on random orthonormal directions, by central differences.

    Parameters
    ----------
    n_queries : int
        Queries a gradient, two for each direction; never more than two for each direction
        of the subspace.
    subspace : Basis or int, optional
        A number: that many of the lowest frequencies of an image. Default: all coordinates.
    step : float, optional
        Root mean square step of a coordinate, input units.
    """

    def queries(self, input_shape: tuple[int, ...]) -> int:
        return 2 * min(self.n_queries // 2, _basis(self.subspace, input_shape).size)

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        basis, count = _basis(self.subspace, problem.input_shape), self.queries(problem.input_shape)

        def draw(stream: np.random.Generator) -> Real:
            return _both_ways(np.linalg.qr(stream.standard_normal((basis.size, count // 2)))[0].T)

        return _sampled(
            ask,
            problem,
            streams,
            basis=basis,
            step=self.step,
            count=count,
            draw=draw,
            solve=_project,
        )


@dataclass(frozen=True)
class SPSA(_Sampled):
    """Simultaneous perturbation: all coordinates of the basis move at once, by random signs.

    Parameters
    ----------
    n_queries : int
        Queries a gradient, two for each direction.
    subspace, step
        As for :class:`AntitheticBlocks`.
    """

    def queries(self, input_shape: tuple[int, ...]) -> int:  # noqa: ARG002 - the dial alone decides
        return 2 * (self.n_queries // 2)

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        basis = _basis(self.subspace, problem.input_shape)

        def draw(stream: np.random.Generator) -> Real:
            return _both_ways(stream.choice([-1.0, 1.0], (self.n_queries // 2, basis.size)))

        def mean(moved: Real, f: Real) -> Real:
            run, rise = _pairs(moved, f)
            slopes = rise / np.maximum((run * run).sum(axis=-1), np.finfo(np.float64).tiny)
            return np.asarray(basis.size * (slopes[:, None] * run).sum(axis=0) / max(len(run), 1))

        count = self.queries(problem.input_shape)
        return _sampled(
            ask, problem, streams, basis=basis, step=self.step, count=count, draw=draw, solve=mean
        )


@dataclass(frozen=True)
class LocalLinear(_Sampled):
    """The slope of a plane fitted to a neighbourhood, as LIME explains predictions.

    Near points weigh more.

    Parameters
    ----------
    n_queries : int
        Queries a gradient, one for each point.
    subspace, step
        As for :class:`AntitheticBlocks`; ``step`` is the neighbourhood's standard deviation in a
        coordinate.
    kernel_width : float
        Distance at which a point weighs ``exp(-1)``, relative to the neighbourhood's typical
        radius. LIME's default for tables is 0.75.
    """

    kernel_width: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernel_width > 0:
            raise InvalidInput(
                f'"kernel_width" of LocalLinear must be positive; got {self.kernel_width}.'
            )

    def queries(self, input_shape: tuple[int, ...]) -> int:  # noqa: ARG002 - the dial alone decides
        return self.n_queries

    def estimate(
        self, ask: AskGradient, problem: Problem, streams: Sequence[np.random.Generator] = ()
    ) -> Estimate:
        basis = _basis(self.subspace, problem.input_shape)

        def draw(stream: np.random.Generator) -> Real:
            return stream.standard_normal((self.n_queries, basis.size))

        def fit(moved: Real, f: Real) -> Real:
            moved, f = moved[~np.isnan(f)], f[~np.isnan(f)]
            if len(f) < 2:
                return np.zeros(moved.shape[-1])
            square = (moved * moved).sum(axis=-1)
            weight = np.exp(
                -square
                / max(self.kernel_width**2 * float(square.mean()), np.finfo(np.float64).tiny)
            )
            root = np.sqrt(weight)[:, None]
            centred = root * (moved - np.average(moved, axis=0, weights=weight))
            return _least_squares(centred, root[:, 0] * (f - np.average(f, weights=weight)))

        return _sampled(
            ask,
            problem,
            streams,
            basis=basis,
            step=self.step,
            count=self.n_queries,
            draw=draw,
            solve=fit,
        )


def _basis(subspace: Basis | int | None, input_shape: tuple[int, ...]) -> Basis:
    if isinstance(subspace, int):
        return Cosines(input_shape, subspace)
    return subspace or Coordinates(int(np.prod(input_shape)))


def _both_ways(directions: Real) -> Real:
    """Unit directions (m, k) scaled to unit root mean square, and their opposites: (2 m, k)."""
    length = np.linalg.norm(directions, axis=-1, keepdims=True)
    scaled = directions / length * np.sqrt(directions.shape[-1])
    return np.concatenate([scaled, -scaled])


def _pairs(moved: Real, f: Real) -> tuple[Real, Real]:
    """Run (m, d) and rise (m,) of the pairs whose both ends are known."""
    m = len(f) // 2
    run, rise = moved[:m] - moved[m:], f[:m] - f[m:]
    return run[~np.isnan(rise)], rise[~np.isnan(rise)]


def _project(moved: Real, f: Real) -> Real:
    return _least_squares(*_pairs(moved, f))


def _least_squares(run: Real, rise: Real) -> Real:
    """The shortest gradient (d,) that explains all rises."""
    if not run.any():
        return np.zeros(run.shape[-1])
    return np.asarray(np.linalg.lstsq(run, rise, rcond=_DEPENDENT)[0])


def _sampled(
    ask: AskGradient,
    problem: Problem,
    streams: Sequence[np.random.Generator],
    *,
    basis: Basis,
    step: float | None,
    count: int,
    draw: Draw,
    solve: Solve,
) -> Estimate:
    """Draw ``count`` points, ask and solve for each row separately.

    As many rows are asked at a time as fit in memory.
    """
    assert len(streams) == len(ask.rows), (
        "sources that draw need a stream a row; estimate_gradients gives them"
    )
    x = as_numpy(ask.points).reshape(len(ask.rows), int(np.prod(problem.input_shape)))
    own_steps = isinstance(basis, Coordinates)
    fit = max(1, CHUNK_BYTES // max(1, x[:1].nbytes))

    def trial(j: IntArray, h: Real) -> Generator[Ask, Labels | Gradients, tuple[Real, Received]]:
        gradient, received = np.zeros((len(j), x.shape[1])), Received.nothing(len(j))
        h = h if own_steps else _one_step(h)
        for i in _groups(len(j), fit // count):
            points = np.stack(
                [
                    _inside(
                        x[j[one]] + h[one] * basis.synthesise(draw(streams[j[one]])),
                        x.dtype,
                        problem,
                        ask.rows[j[one : one + 1]],
                    )
                    for one in i
                ]
            )
            f = yield from _ask(
                j, np.repeat(i, count), points.reshape(len(i) * count, -1), received
            )
            for one, moved, values in zip(
                i, points.astype(np.float64) - x[j[i], None], f.reshape(len(i), count), strict=True
            ):
                if received.status[one] == ANSWERED:
                    gradient[one] = solve(moved / h[one], values) / h[one]
        return gradient, received

    def _ask(
        j: IntArray, i: IntArray, points: NDArray[Any], received: Received
    ) -> Generator[Ask, Labels | Gradients, Real]:
        """Ask the points of a group.

        A row that does not fit into one ask is asked in parts, until it is no longer answered.
        """
        f = np.full(len(points), np.nan)
        for first in range(
            0, len(points), fit
        ):  # one pass, but for rows that are a group by themselves
            part = slice(first, first + fit)
            batch = as_kind(points[part].reshape(-1, *problem.input_shape), ask.points)
            reply = yield from ask_prediction(ask.rows[j[i[part]]], batch)
            f[part] = received.read(i[part], reply, ask.v[j], problem.access)
            if (received.status[i] != ANSWERED).all():
                break
        return f

    return _unchecked(with_step(ask, problem, step, 3, trial))


def _unchecked(estimate: Estimate) -> Estimate:
    """Drop the steps of an estimate: a partial or noisy gradient does not predict a rise."""
    reply = yield from estimate
    return reply._replace(step=None, resolution=None)


def _one_step(h: Real) -> Real:
    """Return one step (k, d) for directions that are no coordinates.

    Measured in each coordinate's own step, it has unit root mean square.
    """
    return np.repeat(np.mean(h**-2.0, axis=-1, keepdims=True) ** -0.5, h.shape[1], axis=-1)


def _groups(n: int, size: int) -> Iterator[IntArray]:
    """``n`` rows, some at a time."""
    size = max(1, size)
    for first in range(0, n, size):
        yield np.arange(first, min(first + size, n))


def _inside(points: Real, dtype: Any, problem: Problem, row: IntArray) -> NDArray[Any]:
    """Return points (m, d) of one ``row`` (1,) in the inputs' precision, in C order.

    They are inside the bounds.

    A model's last bits may depend on the memory order of its input.
    """
    rounded = points.astype(dtype, order="C")
    bounds = problem.bounds_of(row)
    if bounds is None:
        return rounded
    return np.asarray(np.clip(rounded, *flat_bounds(bounds, problem.input_shape, dtype)))
