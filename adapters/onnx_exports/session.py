"""Run a graph with ONNX Runtime: choose hardware and threads, translate exceptions."""

from __future__ import annotations

import copy
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import InvalidInput, PredictorError

from .device import DeviceBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

__all__ = ["Runner", "has_cuda"]

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

_CUDA_OPTIONS = {
    "use_tf32": "0",  # 10 bits of mantissa would move the boundary; float32 is what the export says
    # the exhaustive search starts anew for each batch size, and batches shrink as rows finish
    "cudnn_conv_algo_search": "HEURISTIC",
}


def has_cuda() -> bool:
    """Whether this build of ONNX Runtime can use CUDA; a driver or library may still be missing."""
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


class Runner:
    """One session over one graph: NumPy rows in, NumPy outputs out.

    Parameters
    ----------
    model : ModelProto or path
        A path where the graph is run as it lies there, which spares a copy.
    inputs, outputs : str or sequence of str
        The inputs that are fed and the outputs that are fetched, in order.
    provider : {"cpu", "cuda", "auto"}
        ``"auto"``: CUDA when it is present and starts, else the CPU.
    threads : int, optional
        Threads within one operation. Default: ``OMP_NUM_THREADS`` of the environment, else one per
        physical core.

    Raises
    ------
    InvalidInput
        ONNX Runtime refuses the graph, or CUDA was asked for and cannot be had.
    """

    def __init__(
        self,
        model: ModelProto | Path,
        inputs: str | Sequence[str],
        outputs: Sequence[str],
        *,
        provider: str,
        threads: int | None,
    ) -> None:
        self._inputs = [inputs] if isinstance(inputs, str) else list(inputs)
        self._outputs = list(outputs)
        self._session: Any = _open(model, provider, threads)
        self.provider = "cuda" if self._session.get_providers()[0] == _CUDA else "cpu"

    def fetching(self, outputs: Sequence[str]) -> Runner:
        """The same session, with other outputs to fetch."""
        other = copy.copy(self)
        other._outputs = list(outputs)  # noqa: SLF001 - one of its own kind
        return other

    def run(self, *feeds: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for inputs of the dtypes and shapes that the graph declares, rows first.

        Raises
        ------
        PredictorError
            ONNX Runtime failed.
        """
        with _translated(len(feeds[0])):
            found = self._session.run(self._outputs, dict(zip(self._inputs, feeds, strict=True)))
            return [np.asarray(output) for output in found]

    def run_in_place(
        self, *feeds: Any, into: Mapping[int, DeviceBuffer] | None = None
    ) -> list[Any]:
        """As :meth:`run`, without copies.

        Parameters
        ----------
        feeds : arrays, device buffers, or values that a run left in ONNX Runtime's memory
        into : mapping of int to DeviceBuffer, optional
            Where outputs are written, by their position. Others stay in ONNX Runtime's memory, on
            the CPU.

        Returns
        -------
        list of onnxruntime.OrtValue

        Raises
        ------
        PredictorError
            ONNX Runtime failed.
        """
        with _translated(_n_rows(feeds[0])):
            binding = self._session.io_binding()
            for name, value in zip(self._inputs, feeds, strict=True):
                if isinstance(value, np.ndarray):
                    binding.bind_cpu_input(name, value)
                elif isinstance(value, DeviceBuffer):
                    binding.bind_input(name, *_place(value))
                else:
                    binding.bind_ortvalue_input(name, value)
            for position, name in enumerate(self._outputs):
                buffer = (into or {}).get(position)
                binding.bind_output(name, *(() if buffer is None else _place(buffer)))
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            return list(binding.get_outputs())


def _place(buffer: DeviceBuffer) -> tuple[Any, ...]:
    return ("cuda", 0, buffer.dtype.type, list(buffer.shape), buffer.pointer)


def _n_rows(feed: Any) -> int:
    shape = feed.shape() if callable(feed.shape) else feed.shape
    return int(shape[0])


@contextmanager
def _translated(n_rows: int) -> Iterator[None]:
    """Translate all exceptions of ONNX Runtime into ours."""
    try:
        yield
    except Exception as error:
        raise PredictorError(
            f"ONNX Runtime failed on {n_rows} rows: {type(error).__name__}: {_one_line(error)}"
        ) from error


def _open(model: ModelProto | Path, provider: str, threads: int | None) -> Any:
    if provider == "cuda" and not has_cuda():
        raise InvalidInput(
            '"provider" was given as "cuda", but this ONNX Runtime is built without it: '
            'install "blackbox-boundary[onnx-gpu]", or ask for "cpu" or "auto".'
        )
    if provider == "auto" and has_cuda():
        try:
            return _session(model, _CUDA, threads)
        except InvalidInput:
            return _session(model, _CPU, threads)
    return _session(model, _CUDA if provider == "cuda" else _CPU, threads)


def _default_threads() -> int:
    """``OMP_NUM_THREADS``, as other libraries read it; 0 means ONNX Runtime's own default."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() else 0


def _session(model: ModelProto | Path, wanted: str, threads: int | None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised; a probe that fails is no news
    options.use_deterministic_compute = True
    options.intra_op_num_threads = _default_threads() if threads is None else threads
    providers = [(_CUDA, _CUDA_OPTIONS), _CPU] if wanted == _CUDA else [_CPU]
    try:
        source = model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)
        session = onnxruntime.InferenceSession(
            source, options, providers=providers, enable_fallback=0
        )
    except Exception as error:
        raise InvalidInput(
            f"ONNX Runtime cannot open the model: {type(error).__name__}: {_one_line(error)}"
        ) from error
    if session.get_providers()[0] != wanted:
        raise InvalidInput(
            '"provider" was given as "cuda", but CUDA did not start: a driver or library is '
            'missing. Ask for "cpu" or "auto".'
        )
    return session


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
