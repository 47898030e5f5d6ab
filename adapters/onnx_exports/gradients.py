"""Gradients of an ONNX export, computed by its gradient model in ONNX Runtime.

The gradient model (``reverse_mode``) is run in a session of its own. Predictions, and so every flip
point, come from the export itself; gradients only guide the search. They are checked when the
predictor is made (``gradient_check``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.arrays import as_kind, as_numpy
from blackbox_boundary.errors import CapabilityMissing, InvalidInput, PredictorError
from blackbox_boundary.predictor import Access, Array, FloatArray

from ..answers import check_rows
from .batching import Batching, in_fixed_batches
from .device import device_rows
from .gradient_check import Probe, check_gradients, check_rising, check_twin
from .graph import rebatched
from .recording import Recorder
from .reverse_mode import (
    STRAIGHT_THROUGH_KEY,
    CannotDifferentiate,
    float_twin,
    gradient_model,
    split_model,
)
from .session import Runner

if TYPE_CHECKING:
    from onnx import ModelProto

    from .inputs import Feed

__all__ = ["ExportGradients", "gradients_of"]

_OWNER = "OnnxPredictor.vjp"


@dataclass(frozen=True)
class ExportGradients:
    """The gradient model of an export, ready to run.

    Attributes
    ----------
    straight_through : tuple of str
        Ops whose gradient passes straight through; empty where the gradient is that of the graph.
    """

    runner: Runner
    recorder: Recorder | None
    feed: Feed
    access: Access
    n_classes: int
    batch: int | None
    score_shape: tuple[int, ...]
    score_dtype: np.dtype[Any]
    straight_through: tuple[str, ...]

    def vjp(self, x: Array, v: FloatArray) -> Array:
        """Gradient of ``sum_k v_k * score_k(x)`` with respect to ``x``.

        It takes one run for all rows, or one run per batch if the graph has a fixed batch.

        Parameters
        ----------
        x : array (n, *input_shape)
            Of any kind; differentiated in the graph's own precision.
        v : (n, n_classes) NumPy

        Returns
        -------
        array (n, *input_shape)
            Of the kind, device and floating dtype of ``x``; of the graph's dtype where ``x`` holds
            whole numbers.

        Raises
        ------
        InvalidInput
            A wrong shape.
        PredictorError
            ONNX Runtime failed.
        """
        check_rows(x, self.feed.input_shape, _OWNER)
        n = x.shape[0]
        if np.shape(v) != (n, self.n_classes):
            raise InvalidInput(
                f'"v" of {_OWNER} must have shape ({n}, {self.n_classes}); got {np.shape(v)}.'
            )
        if n == 0:
            return x
        if (gradient := self._on_device(x, np.asarray(v))) is not None:
            return gradient
        rows, weights = self.feed.rows(as_numpy(x)), np.asarray(v)
        gradient = self._recorded(rows, weights)
        if gradient is None:
            gradient = self.run(rows, weights)[1]
        return self._like(gradient, x)

    def _on_device(self, x: Array, v: NDArray[Any]) -> Array | None:
        """The gradient of rows on a CUDA device; neither leaves the device.

        None for all other rows.
        """
        if self.runner.provider != "cuda" or self.batch is not None:
            return None
        rows = device_rows(x, self.feed)
        if rows is None:
            return None
        gradient = rows.empty_like()
        self.runner.run_in_place(rows, self._weights(v), into={1: gradient})
        return gradient.owner.reshape(tuple(x.shape)).to(x.dtype)

    def _recorded(self, rows: NDArray[Any], v: NDArray[Any]) -> NDArray[Any] | None:
        return None if self.recorder is None else self.recorder.gradient(rows, self._weights(v))

    def _weights(self, v: NDArray[Any]) -> NDArray[Any]:
        return self._of_outputs(v).astype(self.score_dtype).reshape(-1, *self.score_shape)

    def _like(self, gradient: NDArray[Any], x: Array) -> Array:
        """A gradient in the shape and kind of the rows."""
        shaped = gradient.reshape(tuple(x.shape))
        return as_kind(shaped, x) if _is_floating(x) else shaped

    def run(self, rows: NDArray[Any], v: NDArray[Any]) -> list[NDArray[Any]]:
        """Scores as the graph puts them out, and the gradient, for rows as the graph takes them."""
        weights = self._weights(v)
        if self.batch is None:
            return self.runner.run(rows, weights)
        return in_fixed_batches(
            lambda index: self.runner.run(rows[index], weights[index]),
            np.arange(len(rows)),
            self.batch,
        )

    def _of_outputs(self, v: NDArray[Any]) -> NDArray[Any]:
        """Weights of the columns that the graph puts out.

        If it puts out one score, the score of the other class is derived from it.
        """
        if int(np.prod(self.score_shape)) == v.shape[1]:
            return v
        positive = v[:, 1:] - v[:, :1]
        return positive if self.access is Access.PROBABILITIES else positive / 2


def gradients_of(
    model: ModelProto,
    output: str,
    scores: NDArray[Any],
    *,
    plain: Runner,
    feed: Feed,
    access: Access,
    n_classes: int,
    batching: Batching,
    provider: str,
    threads: int | None,
    probes: NDArray[Any],
) -> ExportGradients:
    """Differentiate an export and check the result.

    Parameters
    ----------
    model : ModelProto
        With the weights that lie beside it; of its ``output``, ``scores`` (n, ...) are the answers
        to the ``probes``.
    plain : Runner
        The export as it is asked.
    batching : Batching
        How the export is given its rows; the gradient model is given them likewise.

    Raises
    ------
    CapabilityMissing
        There is no gradient, or the differences of the scores on the probes contradict it; the
        message says why.
    """
    if not access.has_scores:
        raise CapabilityMissing(
            f'Gradients need the scores of all classes; access is "{access.name.lower()}".'
        )
    batch = (feed.batch or 1) if batching is Batching.FIXED else None
    sized = _with_sizes(rebatched(model) if batching is Batching.REBATCHED else model, feed, batch)

    def opened(differentiated: ModelProto) -> Runner:
        names = [value.name for value in differentiated.graph.input]
        outputs = [value.name for value in differentiated.graph.output]
        return Runner(differentiated, names, outputs, provider=provider, threads=threads)

    def opened_halves() -> tuple[Runner, Runner]:
        forward, backward = (opened(half) for half in split_model(differentiated))
        return forward, backward

    try:
        differentiated = gradient_model(sized, input=feed.name, output=output)
        runner = opened(differentiated)
    except (CannotDifferentiate, InvalidInput) as reason:
        raise CapabilityMissing(str(reason)) from reason
    passed = {entry.key: entry.value for entry in differentiated.metadata_props}[
        STRAIGHT_THROUGH_KEY
    ]
    rounding = [] if feed.dtype.kind == "f" else ["rounding of the input"]
    may_record = batch is None and not passed and plain.provider == "cpu"
    recorder = Recorder(plain, opened_halves) if may_record else None
    found = ExportGradients(
        runner,
        recorder,
        feed,
        access,
        n_classes,
        batch,
        scores.shape[1:],
        scores.dtype,
        tuple(name for name in (*rounding, *passed.split(", ")) if name),
    )

    def opened_twin() -> Runner:
        return opened(float_twin(sized, input=feed.name, output=output))

    _check(found, probes, plain, opened_twin if passed else None)
    return found


def _check(
    found: ExportGradients,
    probes: NDArray[Any],
    plain: Runner,
    opened_twin: Callable[[], Runner] | None,
) -> None:
    """Compare gradients with differences of the scores.

    Gradients passed straight through steps are compared with the float twin; the scores must also
    rise along them.
    """

    def scores_of(runner: Runner) -> Callable[[NDArray[Any]], NDArray[Any]]:
        if found.batch is None:
            return lambda rows: runner.run(rows)[-1]
        return lambda rows: in_fixed_batches(runner.run, rows, found.batch or 1)[-1]

    try:
        probe = Probe.of(found.run, probes, found.access, found.n_classes)
        if opened_twin is None:
            check_gradients(probe, scores_of(plain))
        else:
            check_rising(probe, scores_of(plain))
            check_twin(probe, scores_of(opened_twin()))
    except PredictorError as reason:
        raise CapabilityMissing(f"The gradient model cannot be run: {reason}") from reason
    except (CannotDifferentiate, InvalidInput) as reason:
        raise CapabilityMissing(
            "The graph without its steps, which its gradients are compared with, cannot be run: "
            f"{reason}"
        ) from reason


def _with_sizes(model: ModelProto, feed: Feed, batch: int | None) -> ModelProto:
    """The graph with its input declared as it is used.

    Rows of a known shape, ``batch`` at a time or any number.
    """
    sized = type(model)()
    sized.CopyFrom(model)
    value = next(value for value in sized.graph.input if value.name == feed.name)
    dims = value.type.tensor_type.shape.dim
    for dim, length in zip(dims[1:], feed.graph_shape, strict=True):
        dim.dim_value = length
    if batch is None:
        dims[0].dim_param = "batch"
    else:
        dims[0].dim_value = batch
    del sized.graph.value_info[:]
    return sized


def _is_floating(x: Array) -> bool:
    kind = getattr(x.dtype, "kind", None)
    return kind == "f" if kind else "float" in str(x.dtype)
