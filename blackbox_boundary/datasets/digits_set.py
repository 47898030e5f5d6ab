"""The embedded default: real handwritten digits, and a small classifier for them.

The images are scikit-learn's copy of the test set of "Optical recognition of handwritten digits"
(Alpaydin and Kaynak, 1998, UCI Machine Learning Repository, CC BY 4.0); they come with
scikit-learn. The classifier comes with this package: ``digits.onnx``, a dense network 64-64-32-10,
trained by ``examples/train_digits_model.py`` on the first 1,437 rows; it is right on 93.1 % of the
360 rows after them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CapabilityMissing

__all__ = ["digits", "digits_model"]


def digits() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Load the digits.

    Returns
    -------
    x : (1797, 8, 8) float32
        Grey levels in [0, 1]: the number of inked pixels, of 16, in each 4x4 block of the scan,
        over 16.
    labels : (1797,) int
        The digit, 0 to 9.

    Raises
    ------
    CapabilityMissing
        scikit-learn, which carries the images, is not installed.
    """
    table = np.loadtxt(_file(), delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 8, 8) / np.float32(16), table[:, -1].astype(np.intp)


def _file() -> Path:
    """The images inside scikit-learn, read without importing it, which takes seconds."""
    spec = find_spec("sklearn")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [Path(folder) / "datasets" / "data" / "digits.csv.gz" for folder in folders]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise CapabilityMissing(
            'The embedded digits come with scikit-learn: pip install "blackbox-boundary[digits]".'
        )
    return found


def digits_model() -> Path:
    """Path of the ONNX classifier for :func:`digits`.

    Input ``x`` (n, 8, 8) float32 in [0, 1], output ``logits`` (n, 10).
    """
    return Path(__file__).with_name("digits.onnx")
