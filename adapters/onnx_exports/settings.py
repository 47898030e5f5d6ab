"""Settings of an ONNX predictor, and the packages that it needs."""

from __future__ import annotations

import warnings

from blackbox_boundary.errors import CapabilityMissing, InvalidInput

__all__ = ["check_settings", "require_packages"]


def check_settings(provider: str, threads: int | None, gradients: str) -> None:
    """Refuse a provider, a number of threads or a kind of gradients that there is not.

    Raises
    ------
    InvalidInput
        Names the setting and what is allowed.
    """
    if provider not in ("auto", "cpu", "cuda"):
        raise InvalidInput(
            f'"provider" of OnnxPredictor must be one of auto, cpu, cuda; got "{provider}".'
        )
    if threads is not None and threads < 1:
        raise InvalidInput(f'"threads" of OnnxPredictor must be at least 1; got {threads}.')
    if gradients == "torch":
        warnings.warn(
            'gradients="torch" of OnnxPredictor is deprecated: gradients run in ONNX Runtime; '
            'use "required".',
            DeprecationWarning,
            stacklevel=3,
        )
    elif gradients not in ("auto", "required", "none"):
        raise InvalidInput(
            f'"gradients" of OnnxPredictor must be one of auto, required, none; got "{gradients}".'
        )


def require_packages() -> None:
    """Refuse where onnx or onnxruntime is missing.

    Raises
    ------
    CapabilityMissing
        Says what to install.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise CapabilityMissing(
            'An ONNX model needs onnx and onnxruntime: pip install "blackbox-boundary[onnx]".'
        ) from error
