"""An ONNX export as a predictor, run by ONNX Runtime on the CPU or on CUDA.

What an export does not say is declared, not guessed: above all whether its scores are logits or probabilities. Exports
that fix the batch at one row, as many do, are re-batched where that proves to change nothing.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.chains import Chain
from blackbox_boundary.errors import CapabilityMissing, InvalidInput, PredictorError
from blackbox_boundary.loading import build
from blackbox_boundary.predictor import (
    Access,
    Array,
    Bounds,
    FloatArray,
    IntArray,
    Prediction,
    Predictor,
)

from ..answers import (
    check_bounds,
    check_declared,
    check_n_classes,
    check_rows,
    no_answers,
    read_outputs,
    score_columns,
)
from .batching import Batching, Plan, in_fixed_batches, plan_batching
from .chain import chain_of
from .graph import read_input, read_model, rebatched
from .inputs import Feed
from .outputs import choose_outputs, class_indices
from .session import Runner

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from .recording import Recorder

__all__ = ["OnnxPredictor", "load"]

_N_PROBES = 16
"""Random rows that a new predictor is tried on, one by one and together."""


class OnnxPredictor:
    """Ask an ONNX export.

    Parameters
    ----------
    model : path or bytes
        The file, or its content. Weights stored beside a file are found; the edited graph must stay under 2 GB.
    access : Access or str, optional
        What the export puts out, ``"logits"`` or ``"probabilities"``; or how much of it to reveal, ``"label"`` or ``"top1"``.
        Default: only where the graph itself decides, see Notes.
    input_shape : tuple of int, optional
        Shape of one row. Default: the graph's, where it fixes every axis. May leave out or add axes of length 1: rows of
        (784,) or (28, 28) fit graphs that take (784, 1) or (1, 28, 28). Axes are never reordered.
    n_classes : int, optional
        Default: counted on random rows. Needed where the export puts out labels alone and does not list its classes.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none; for an input of 8 or 16 bit integers, their range.
    output : str or pair of str, optional
        The output to read, of several; or, with access ``"top1"``, the outputs that hold the labels and their scores.
        Default: the only one, or the scores of a pair of labels and scores.
    provider : {"auto", "cpu", "cuda"}
        ``"auto"``: CUDA when present, else the CPU. TensorFloat-32 is off.
    threads : int, optional
        Threads within one operation. Default: ONNX Runtime's, one per physical core.
    gradients : {"auto", "required", "none"}
        ``"auto"``: those of the graph's gradient model, run by ONNX Runtime like the graph itself,
        where the scores are revealed and every op has a rule. ``"required"``: the same, and refused
        where they cannot be had. ``"none"``: what needs gradients estimates them from predictions.
        ``"torch"`` is deprecated and means ``"required"``.

    Attributes
    ----------
    batching : Batching
        ``"dynamic"``, ``"re-batched"``, or ``"fixed"``: run by as many rows as the export demands.
    batching_evidence : str
        What the random rows showed.
    no_gradients : str
        Why there are none; empty where there are.
    straight_through : tuple of str
        Steps (quantisation, rounding) that gradients pass as if they were not there; empty where there are none.
    provider : str
        ``"cpu"`` or ``"cuda"``: where it runs.

    Raises
    ------
    InvalidInput
        The file, or a setting; or something must be declared.
    BadPrediction
        Declaration and data disagree.
    CapabilityMissing
        onnx or onnxruntime is not installed; or gradients are required and cannot be had.

    Notes
    -----
    Making a predictor runs the graph on 16 random rows inside the bounds (standard normal without bounds), one by one and
    together: to count the classes, to hold the access against the answers, and to prove that rows may be given together.
    A re-batched graph is used only if it repeats the row-by-row scores within 1e-4 of the largest score (1e-2 in float16),
    and if at least half of the rows got scores that differ, each from each, by ten times as much. A fixed graph that puts
    out labels alone proves nothing so, and stays fixed. Last bits may vary with the batch size, as in any runtime.

    The graph decides the access where its scores are made by Softmax (probabilities), by LogSoftmax (logits), or by
    scikit-learn's converters next to a label output (probabilities, held against the data at every answer), or where all it
    puts out is labels.

    Integer inputs are fed the nearest whole number. No pickle is opened.

    ``vjp`` is an attribute only where gradients can be had, so that ``isinstance(predictor, Differentiable)``
    is honest. When a predictor is made, the gradients of 16 random rows are compared with differences of
    the scores. Predictions stay those of the graph as it was exported. ``margin_gradient`` is there besides, as of
    :class:`~blackbox_boundary.predictor.MarginGradient`, where the graph has two scores or more and no quantisers.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        access: Access | str | None = None,
        input_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
        bounds: Bounds = None,
        output: str | tuple[str, str] | None = None,
        provider: str = "auto",
        threads: int | None = None,
        gradients: str = "auto",
    ) -> None:
        _require_packages()
        _check_settings(provider, threads, gradients)
        self._source = source = model if isinstance(model, bytes) else Path(model)
        graph, self._sha256 = read_model(source)
        readable, chosen = choose_outputs(
            graph, output, None if access is None else Access.parse(access)
        )
        self._name = "bytes" if isinstance(source, bytes) else source.name
        self._feed = Feed.fitting(read_input(graph), input_shape)
        self._chosen, self.access, self.outputs = chosen, chosen.access, chosen.names
        self.input_shape = self._feed.input_shape
        self.bounds = check_bounds(
            self._feed.natural_bounds if bounds is None else bounds,
            self.input_shape,
            "OnnxPredictor",
        )

        def opened(model: Any) -> Runner:
            return Runner(model, self._feed.name, chosen.names, provider=provider, threads=threads)

        plan = plan_batching(
            self._feed.random_rows(_N_PROBES, self.bounds),
            self._feed.batch,
            original=opened(source if isinstance(source, Path) and readable is graph else readable),
            edited=lambda: opened(rebatched(readable)),
        )
        self.batching, self.batching_evidence, self.provider = (
            plan.batching,
            plan.evidence,
            plan.runner.provider,
        )
        self._runner: Runner | None = plan.runner
        self.n_classes = self._count_classes(
            plan.answers, check_n_classes(n_classes, "OnnxPredictor")
        )
        check_declared(self._read(plan.answers, _N_PROBES, self.n_classes), self.access)
        self.no_gradients = "" if gradients != "none" else "none were asked for"
        self.straight_through: tuple[str, ...] = ()
        self._recorder: Recorder | None = None
        if gradients != "none":
            self._differentiate(readable, plan, threads, required=gradients != "auto")

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape): at once, or in as many runs as ``batching`` says.

        Raises
        ------
        InvalidInput
            A wrong shape or dtype, or numbers that an integer input cannot take; nothing has been run.
        BadPrediction
            The output is not what is declared.
        PredictorError
            ONNX Runtime failed (its exception is the cause), or the predictor is closed.
        """
        if self._runner is None:
            raise PredictorError(f"{self!r} is closed.")
        check_rows(x, self.input_shape, "OnnxPredictor")
        n = x.shape[0]
        if n == 0:
            return no_answers(self.access, self.n_classes)
        rows = self._feed.rows(as_numpy(x))
        if self.batching is Batching.FIXED:
            return self._read(
                in_fixed_batches(self._runner.run, rows, self._feed.batch or 1), n, self.n_classes
            )
        asked = self._runner.run if self._recorder is None else self._recorder.answers
        return self._read(asked(rows), n, self.n_classes)

    def chain(self) -> Chain:
        """What bounds the graph's stretch, as :func:`~adapters.onnx_chain.chain_of` reads it from the file.

        Raises
        ------
        CapabilityMissing
            The graph is no chain of layers through which something can be certified.
        InvalidInput
            As of :meth:`graph`.
        """
        return chain_of(self.graph())

    def graph(self) -> ModelProto:
        """The graph, read again.

        Raises
        ------
        InvalidInput
            The file is no longer what it was when it was opened.
        """
        graph, sha256 = read_model(self._source)
        if sha256 != self._sha256:
            raise InvalidInput(f'"{self._name}" has changed since it was opened.')
        return graph

    def close(self) -> None:
        """Let go of the session; asking afterwards raises :class:`~blackbox_boundary.PredictorError`."""
        self._runner = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file's content and of the settings that change answers."""
        settings = f"{self.access.name} {self.input_shape} {self.n_classes} {self.outputs}"
        return hashlib.sha256(f"{self._sha256} {settings}".encode()).hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        bounds = "none" if self.bounds is None else "given"
        names = ", ".join(self.straight_through)
        passed = f", gradients straight through {names}" if names else ""
        return (
            f"OnnxPredictor({self._name}, input_shape={self.input_shape}, n_classes={self.n_classes}, access={self.access.name.lower()}, "
            f"bounds={bounds}, outputs={self.outputs}, batching={self.batching}, provider={self.provider}{passed})"
        )

    def _differentiate(
        self, graph: ModelProto, plan: Plan, threads: int | None, *, required: bool
    ) -> None:
        from .gradients import gradients_of

        try:
            found = gradients_of(
                graph,
                self.outputs[-1],
                plan.answers[-1],
                plain=plan.runner,
                feed=self._feed,
                access=self.access,
                n_classes=self.n_classes,
                batching=self.batching,
                provider=self.provider,
                threads=threads,
                probes=self._feed.random_rows(_N_PROBES, self.bounds),
            )
        except CapabilityMissing as reason:
            if required:
                raise
            self.no_gradients = str(reason)
        else:
            self._gradients, self.vjp = found, self._vjp
            self.straight_through, self._recorder = found.straight_through, found.recorder
            if found.has_margin:
                self.margin_gradient = self._margin_gradient

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        """As :meth:`ExportGradients.vjp`; a closed predictor answers none."""
        if self._runner is None:
            raise PredictorError(f"{self!r} is closed.")
        return self._gradients.vjp(x, v)

    def _margin_gradient(self, x: Array, home: IntArray) -> tuple[Prediction, Array]:
        """As :meth:`ExportGradients.margin_gradient`, with the scores read; their last bits may differ from those of :meth:`predict`."""
        if self._runner is None:
            raise PredictorError(f"{self!r} is closed.")
        if x.shape[0] == 0:
            return no_answers(self.access, self.n_classes), x
        scores, gradient = self._gradients.margin_gradient(x, home)
        return self._read(scores, x.shape[0], self.n_classes), gradient

    def _read(self, outputs: list[NDArray[Any]], n: int, n_classes: int) -> Prediction:
        if self._chosen.class_values is not None:
            outputs = [class_indices(outputs[0], self._chosen.class_values), *outputs[1:]]
        return read_outputs(outputs, n, self.access, n_classes)

    def _count_classes(self, answers: list[NDArray[Any]], declared: int | None) -> int:
        if not self._chosen.holds_labels:
            counted = int(score_columns(answers[0], len(answers[0]), self.access).shape[1])
        elif self._chosen.class_values is not None:
            counted = len(self._chosen.class_values)
        elif declared is None:
            raise InvalidInput(
                '"n_classes" of OnnxPredictor must be given: the output holds labels, and the graph does not list its classes.'
            )
        else:
            counted = declared
        if declared not in (None, counted):
            raise InvalidInput(
                f'"n_classes" of OnnxPredictor was given as {declared}, but the graph answers {counted}.'
            )
        return counted


def load(spec: Any, **given: Any) -> Predictor | None:
    """A path that ends in ``.onnx``, or the bytes of such a file.

    Raises
    ------
    InvalidInput
        As :class:`OnnxPredictor`; or a setting is unknown.
    """
    is_path = (
        isinstance(spec, str | os.PathLike)
        and "://" not in str(spec)
        and Path(spec).suffix.lower() == ".onnx"
    )
    return build(OnnxPredictor, spec, given=given) if is_path or isinstance(spec, bytes) else None


def _check_settings(provider: str, threads: int | None, gradients: str) -> None:
    if provider not in ("auto", "cpu", "cuda"):
        raise InvalidInput(
            f'"provider" of OnnxPredictor must be one of auto, cpu, cuda; got "{provider}".'
        )
    if threads is not None and threads < 1:
        raise InvalidInput(f'"threads" of OnnxPredictor must be at least 1; got {threads}.')
    if gradients == "torch":
        warnings.warn(
            'gradients="torch" of OnnxPredictor is deprecated: gradients run in ONNX Runtime; use "required".',
            DeprecationWarning,
            stacklevel=3,
        )
    elif gradients not in ("auto", "required", "none"):
        raise InvalidInput(
            f'"gradients" of OnnxPredictor must be one of auto, required, none; got "{gradients}".'
        )


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise CapabilityMissing(
            'An ONNX model needs onnx and onnxruntime: pip install "blackbox-boundary[onnx]".'
        ) from error
