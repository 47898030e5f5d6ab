"""Base class of wrappers of a predictor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast, runtime_checkable

from numpy.typing import NDArray

from ..capabilities import fingerprint_of, is_piecewise_constant
from ..chains import Chained
from ..grid import Grid, grid_of
from ..metering import Grouping, Metered
from ..model_checks import Merging, ModelCheck, Rechecked, Versioned
from ..predictor import (
    Access,
    Array,
    Bounds,
    Differentiable,
    FloatArray,
    IntArray,
    Named,
    NamedInputs,
    Prediction,
    Predictor,
    Repeatable,
)
from ..tree_ensembles import TreeBased

__all__ = ["Encoding", "Streaming", "Wrapper"]


@runtime_checkable
class Streaming(Predictor, Protocol):
    """A predictor that can hand out answers as they arrive, so that each is recorded at once."""

    def stream(self, x: Array) -> Iterator[tuple[slice, Prediction]]:
        """Answer ``x`` (n, *input_shape) in parts of consecutive rows, in any order."""
        ...


@runtime_checkable
class Encoding(Predictor, Protocol):
    """A predictor that encodes its rows, so that different rows may be one question."""

    def as_sent(self, x: Array) -> NDArray[Any]:
        """The rows as they are sent, rounded and in the dtype that is sent; nothing is sent."""
        ...


class Around:
    """A predictor around another one, with the same inputs and the same classes."""

    def __init__(self, predictor: Predictor) -> None:
        self._inner = predictor
        if isinstance(predictor, Named):
            self.class_names = predictor.class_names
        if isinstance(predictor, NamedInputs):
            self.input_names = predictor.input_names

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return tuple(self._inner.input_shape)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self._inner.n_classes

    @property
    def bounds(self) -> Bounds:
        """Lowest and highest input, or None."""
        return self._inner.bounds

    @property
    def grid(self) -> Grid | None:
        """Grid of the inputs, where the wrapped predictor has one."""
        return grid_of(self._inner)


class Wrapper(Around):
    """Pass everything on.

    It has ``vjp``, ``chain``, ``class_names``, ``input_names``, ``predict_again``, ``as_sent``, and
    what the protocols of ``metering`` and ``model_checks`` ask for, exactly when the wrapped
    predictor has them.

    A subclass overrides :meth:`predict`, ``_predict_again`` with it, and, where they matter to it,
    ``_vjp``, ``_stream``, ``_recheck`` and ``_ask_alone``.

    Parameters
    ----------
    predictor : Predictor
    streams : bool
        Whether to hand out answers as they arrive, where the wrapped predictor does.
    """

    def __init__(self, predictor: Predictor, *, streams: bool = False) -> None:
        super().__init__(predictor)
        self.piecewise_constant = is_piecewise_constant(predictor)
        if isinstance(predictor, Differentiable):
            self.vjp = self._vjp
        if isinstance(predictor, Repeatable) and not isinstance(self, Repeatable):
            self.predict_again = self._predict_again
        if isinstance(predictor, Rechecked):
            self.sent_row, self.recheck = predictor.sent_row, self._recheck
        if isinstance(predictor, Merging):
            self.merges_requests, self.ask_alone = predictor.merges_requests, self._ask_alone
        if streams and isinstance(predictor, Streaming):
            self.stream = self._stream
        self._pass_on(predictor)

    def _pass_on(self, predictor: Predictor) -> None:
        """Copy the declarations of the wrapped predictor."""
        if isinstance(predictor, Chained):
            self.chain = predictor.chain
        if isinstance(predictor, TreeBased):
            self.tree_ensemble = predictor.tree_ensemble
        if isinstance(predictor, Encoding):
            self.as_sent = predictor.as_sent
        if isinstance(predictor, Metered):
            self.metered = predictor.metered
        if isinstance(predictor, Grouping):
            self.neighbours_known = predictor.neighbours_known
            self.note_neighbours = predictor.note_neighbours
        if isinstance(predictor, Versioned):
            self.model_version = predictor.model_version
            self.expect_version = predictor.expect_version

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inner!r})"

    @property
    def access(self) -> Access:
        """Access of every answer."""
        return self._inner.access

    @property
    def fingerprint(self) -> str | None:
        """Name of the model's content, where the wrapped predictor has one."""
        return fingerprint_of(self._inner)

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        self._before(x)
        return self._inner.predict(x)

    def _before(self, x: Array, *, of_gradients: bool = False) -> None:
        """Called with the rows of each call, votes included, before they are sent."""

    def _predict_again(self, x: Array, votes: IntArray) -> Prediction:
        self._before(x)
        return cast("Repeatable", self._inner).predict_again(x, votes)

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        self._before(x, of_gradients=True)
        return cast("Differentiable", self._inner).vjp(x, v)

    def _recheck(self) -> ModelCheck:
        return cast("Rechecked", self._inner).recheck()

    def _ask_alone(self, x: Array) -> Prediction:
        return cast("Merging", self._inner).ask_alone(x)

    def _stream(self, x: Array) -> Iterator[tuple[slice, Prediction]]:
        self._before(x)
        yield from cast("Streaming", self._inner).stream(x)
