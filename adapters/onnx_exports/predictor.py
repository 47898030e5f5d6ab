"""An ONNX export as a predictor, run by ONNX Runtime on the CPU or on CUDA.

Properties that an export does not state are declared, not guessed: above all whether its scores are
logits or probabilities. Many exports fix the batch at one row; they are re-batched if a test shows
that this changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blackbox_boundary.arrays import as_numpy
from blackbox_boundary.closing import Closing
from blackbox_boundary.domain import Domain
from blackbox_boundary.errors import CapabilityMissing, InvalidInput, PredictorError
from blackbox_boundary.predictor import Access, Array, Bounds, FloatArray, Prediction, class_name
from blackbox_boundary.tree_ensembles import TreeEnsemble

from ..answers import (
    ONE_SCORE,
    certificate_probes,
    check_bounds,
    check_declared,
    check_n_classes,
    check_rows,
    no_answers,
)
from ..labels import check_labels
from ..tree_ensembles import first_checked, has_onnx_trees, onnx_readings
from .batching import Batching, Plan, in_fixed_batches, plan_batching
from .columns import are_columns, joined, texts_of
from .device import device_rows
from .graph import model_source, read_input, read_model, rebatched
from .inputs import Feed
from .outputs import Choice, choose_outputs, settled
from .probing import N_COMPARED, N_PROBES, labels_instead, refuse_probability_as_logit
from .reverse_mode.errors import PiecewiseConstant
from .session import Runner
from .settings import check_settings, require_packages

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

    from blackbox_boundary.chains import Chain

    from .recording import Recorder

__all__ = ["OnnxPredictor"]


class OnnxPredictor(Closing):
    """Query an ONNX export.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The file, or its content. Weights stored beside a file are found; the edited graph must stay
        under 2 GB.
    access : Access or str, optional
        What the export puts out, ``"logits"`` or ``"probabilities"``; or how much of it to reveal,
        ``"label"`` or ``"top1"``. Default: only where the graph itself decides, see Notes.
    input_shape : tuple of int, optional
        Shape of one row. Default: the graph's, where it fixes every axis. May leave out or add axes
        of length 1: rows of (784,) or (28, 28) fit graphs that take (784, 1) or (1, 28, 28). Axes
        are never reordered.
    n_classes : int, optional
        Default: counted on random rows. Needed where the export puts out labels alone and does not
        list its classes.
    bounds : (lowest, highest), optional
        The domain of the inputs. Default: none; for an input of 8 or 16 bit integers, their range.
    output : str or pair of str, optional
        The output to read, of several; or, with access ``"top1"``, the outputs that hold the labels
        and their scores. Default: the only one; of labels and scores, the scores, unless the labels
        contradict them.
    labels : sequence, optional
        What the model calls its classes, in the order of the scores: ``[-1, 1]``, or names.
        Default: the graph's own list; labels without one are indices, or in ascending order.
    provider : {"auto", "cpu", "cuda"}
        ``"auto"``: CUDA when present, else the CPU. TensorFloat-32 is off.
    threads : int, optional
        Threads within one operation. Default: ``OMP_NUM_THREADS`` of the environment, else one per
        physical core.
    gradients : {"auto", "required", "none"}
        ``"auto"``: those of the graph's gradient model, run by ONNX Runtime like the graph itself,
        where the scores are revealed and every op has a rule. ``"required"``: the same, and refused
        where they cannot be had. ``"none"``: what needs gradients estimates them from predictions.
        ``"torch"`` is deprecated and means ``"required"``.
    categories : mapping, optional
        Of a graph with one input a column: what the numbers 0, 1, ... in a column of texts stand
        for, by the name of the input (:mod:`.columns`).
    fixed : mapping, optional
        Values of inputs that are no data, by name.
    columns : Domain, optional
        What the columns of the data hold: gives the categories of a graph with one input a column.

    Attributes
    ----------
    batching : Batching
        ``"dynamic"``, ``"re-batched"``, or ``"fixed"``: run by as many rows as the export demands.
    batching_evidence : str
        What the random rows showed.
    class_names : tuple of str
        What the graph, or ``labels``, calls the classes; not set where neither does.
    no_gradients : str
        Why there are none, as ``repr`` shows too; empty where there are.
    piecewise_constant : bool
        Whether that is because every path passes a step function, as in a tree ensemble.
    straight_through : tuple of str
        Steps (quantisation, rounding) that gradients pass as if they were not there; empty where
        there are none.
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
    Making a predictor runs the graph on 16 random rows inside the bounds (standard normal without
    bounds), one by one and together: to count the classes, to check the access against the answers,
    and to prove that rows may be given together. A re-batched graph is used only if it repeats the
    row-by-row scores within 1e-4 of the largest score (1e-2 in float16), and if at least half of
    the rows got scores that differ, each from each, by ten times as much. For a fixed graph that
    puts out labels alone this test is not conclusive; the graph stays fixed. Last bits may vary
    with the batch size, as in any runtime.

    The graph decides the access where its scores are made by Softmax (probabilities), by LogSoftmax
    (logits), by Sigmoid as one number per row (probabilities), or by scikit-learn's converters next
    to a label output (probabilities, checked at every answer), or where all it puts out is labels.

    One score per row that is declared as a logit is refused where a Sigmoid makes it, or where its
    values on 16 random and 16 extreme rows all lie in [0, 1].

    A label output beside the scores is compared with them on 200 random rows. Where more than 1 %
    differ, ties apart, the predictor warns and reads the labels alone (``access`` is ``LABEL``),
    unless ``output`` names the scores.

    Integer inputs are searched on whole numbers (``grid``); other rows are moved to the nearest
    ones. No pickle is opened.

    ``vjp`` is an attribute only if gradients are available, so that ``isinstance(predictor,
    Differentiable)`` is correct. When a predictor is made, the gradients of 16 random rows are
    compared with differences of the scores. Predictions stay those of the graph as it was exported.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | ModelProto,
        *,
        access: Access | str | None = None,
        input_shape: tuple[int, ...] | None = None,
        n_classes: int | None = None,
        bounds: Bounds = None,
        output: str | tuple[str, str] | None = None,
        labels: Sequence[Any] | None = None,
        provider: str = "auto",
        threads: int | None = None,
        gradients: str = "auto",
        categories: Mapping[str, Sequence[str]] | None = None,
        fixed: Mapping[str, Any] | None = None,
        columns: Domain | None = None,
    ) -> None:
        require_packages()
        check_settings(provider, threads, gradients)
        source = model_source(model)
        graph, self._sha256 = read_model(source)
        if categories is None and columns is not None and are_columns(graph):
            categories = texts_of(graph, columns)
        if categories or fixed or are_columns(graph):
            edited, self.input_names = joined(graph, categories or {}, fixed or {})
            source = edited.SerializeToString()
            graph, self._sha256 = read_model(source)
        self._source = source
        n_classes = check_n_classes(n_classes, "OnnxPredictor")
        readable, chosen = choose_outputs(
            graph,
            output,
            None if access is None else Access.parse(access),
            check_labels(labels, n_classes, "OnnxPredictor"),
        )
        self._name = "bytes" if isinstance(source, bytes) else source.name
        self._feed = Feed.fitting(read_input(graph), input_shape)
        self.input_shape = self._feed.input_shape
        self.bounds = check_bounds(
            self._feed.natural_bounds if bounds is None else bounds,
            self.input_shape,
            "OnnxPredictor",
        )

        self.grid = self._feed.grid

        def opened(model: Any) -> Runner:
            return Runner(model, self._feed.name, chosen.names, provider=provider, threads=threads)

        plan = plan_batching(
            self._feed.random_rows(N_PROBES, self.bounds),
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
        answers = plan.answers
        if chosen.holds_labels and chosen.class_values is None:
            answers = self._run(self._feed.random_rows(N_COMPARED, self.bounds))
        self._read_as(*settled(chosen, answers, n_classes))
        check_declared(self._chosen.read(plan.answers, N_PROBES, self.n_classes), self.access)
        if self.n_classes == 2 and self.access is Access.LOGITS:
            refuse_probability_as_logit(self._run, self._feed, self.bounds, self._chosen.made_by)
        if chosen.beside and not chosen.holds_labels:
            self._compare_labels()
        self.no_gradients = "" if gradients != "none" else "none were asked for"
        self.piecewise_constant = False
        self.straight_through: tuple[str, ...] = ()
        self._recorder: Recorder | None = None
        if gradients != "none":
            self._differentiate(readable, plan, threads, required=gradients != "auto")
        if has_onnx_trees(graph):
            self.tree_ensemble = self._tree_ensemble

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape): at once, or in as many runs as ``batching`` says.

        Raises
        ------
        InvalidInput
            A wrong shape or dtype, or numbers that an integer input cannot take; nothing has been
            run.
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
        if self.provider == "cuda" and self.batching is not Batching.FIXED:
            on_device = device_rows(x, self._feed)
            if on_device is not None:
                found = self._runner.run_in_place(on_device)
                return self._chosen.read([value.numpy() for value in found], n, self.n_classes)
        rows = self._feed.rows(as_numpy(x))
        if self._recorder is not None and self.batching is not Batching.FIXED:
            return self._chosen.read(self._recorder.answers(rows), n, self.n_classes)
        return self._chosen.read(self._run(rows), n, self.n_classes)

    def chain(self) -> Chain:
        """The chain of layers that bounds the Lipschitz constant of the graph.

        :mod:`.chain` reads it from the file. It has reproduced this predictor's scores on 32 probe
        rows, which no wrapper around the predictor counts.

        Raises
        ------
        CapabilityMissing
            The graph is no chain of layers through which something can be certified.
        InvalidInput
            As of :meth:`graph`.
        """
        from blackbox_boundary.chains import verified

        from .chain import recognised  # certificates alone need it, and its imports take time

        probes = self._feed.nearest(certificate_probes(self.input_shape, self.bounds))
        found = recognised(
            self.graph(), self.outputs[0], self._feed.graph_shape, given=self.input_shape
        )

        def scores(rows: NDArray[Any]) -> Any:
            return self.predict(rows).scores

        return verified(found, scores, probes, self.access)

    def _tree_ensemble(self) -> TreeEnsemble:
        """The splits and leaves of the graph's trees, after they have reproduced its answers."""
        return first_checked(onnx_readings(self.graph(), self._feed.name, self._feed.dtype), self)

    def graph(self) -> ModelProto:
        """The graph, read again.

        Raises
        ------
        InvalidInput
            The file has changed since it was opened.
        """
        graph, sha256 = read_model(self._source)
        if sha256 != self._sha256:
            raise InvalidInput(f'"{self._name}" has changed since it was opened.')
        return graph

    def close(self) -> None:
        """Release the session; later queries raise :class:`~blackbox_boundary.PredictorError`."""
        self._runner = self._recorder = None
        self.__dict__.pop("_gradients", None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file's content and of the settings that change answers."""
        settings = f"{self.access.name} {self.input_shape} {self.n_classes} {self.outputs}"
        if self._chosen.holds_labels:
            settings += f" {getattr(self, 'class_names', '')}"
        elif self._chosen.is_one_score:
            settings += f" {ONE_SCORE}"
        return hashlib.sha256(f"{self._sha256} {settings}".encode()).hexdigest()

    def __repr__(self) -> str:
        bounds = "none" if self.bounds is None else "given"
        names = ", ".join(self.straight_through)
        passed = f", gradients straight through {names}" if names else ""
        if self.no_gradients:
            passed = f", no_gradients={self.no_gradients!r}"
        return (
            f"OnnxPredictor({self._name}, input_shape={self.input_shape}, "
            f"n_classes={self.n_classes}, access={self.access.name.lower()}, bounds={bounds}, "
            f"outputs={self.outputs}, batching={self.batching}, provider={self.provider}{passed})"
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
                probes=self._feed.random_rows(N_PROBES, self.bounds),
            )
        except CapabilityMissing as reason:
            if required:
                raise
            self.no_gradients = str(reason)
            self.piecewise_constant = isinstance(reason.__cause__, PiecewiseConstant)
        else:
            self._gradients, self.vjp = found, self._vjp
            self.straight_through, self._recorder = found.straight_through, found.recorder

    def _vjp(self, x: Array, v: FloatArray) -> Array:
        """As :meth:`ExportGradients.vjp`; a closed predictor answers none."""
        if self._runner is None:
            raise PredictorError(f"{self!r} is closed.")
        return self._gradients.vjp(x, v)

    def _run(self, rows: NDArray[Any], runner: Runner | None = None) -> list[NDArray[Any]]:
        """The outputs for rows as the graph takes them."""
        runner = runner or self._runner
        assert runner is not None
        if self.batching is Batching.FIXED:
            return in_fixed_batches(runner.run, rows, self._feed.batch or 1)
        return runner.run(rows)

    def _read_as(self, chosen: Choice, n_classes: int) -> None:
        """Decide which outputs are read."""
        self._chosen, self.n_classes = chosen, n_classes
        self.access, self.outputs = chosen.access, chosen.names
        if chosen.class_values is not None:
            self.class_names = tuple(map(class_name, chosen.class_values))

    def _compare_labels(self) -> None:
        """Read the labels alone where they contradict the scores beside them."""
        assert self._runner is not None
        runner = self._runner.fetching([*self.outputs, self._chosen.beside])
        answers = self._run(self._feed.random_rows(N_COMPARED, self.bounds), runner)
        instead = labels_instead(self._chosen, self.access, *answers)
        if instead is not None:
            self._runner = self._runner.fetching(instead[0].names)
            self._read_as(*instead)
