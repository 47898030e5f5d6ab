"""The embedded default."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing
from blackbox_boundary.datasets import digits, digits_model

TRAINING = Path(__file__).parents[2] / "examples" / "train_digits_model.py"


def test_digits_are_what_they_are_said_to_be():
    """1,797 images in [0, 1] with a label each."""
    pytest.importorskip("sklearn")
    x, labels = digits()
    assert (x.shape, x.dtype, labels.shape) == ((1797, 8, 8), np.float32, (1797,))
    assert (x.min(), x.max(), set(labels.tolist())) == (0, 1, set(range(10)))


def test_digits_are_those_of_scikit_learn_which_is_not_imported():
    """Reading them takes a tenth of the time that importing scikit-learn takes."""
    datasets = pytest.importorskip("sklearn.datasets")
    levels, labels = datasets.load_digits(return_X_y=True)
    x, own = digits()
    np.testing.assert_array_equal(x, (levels / 16).astype(np.float32).reshape(-1, 8, 8))
    np.testing.assert_array_equal(own, labels)
    code = (
        "import sys; from blackbox_boundary.datasets import digits; "
        "digits(); assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_model_is_as_accurate_as_stated():
    """93.1 % of the held-out rows; one row alone is answered as in the batch."""
    pytest.importorskip("sklearn")
    runtime = pytest.importorskip("onnxruntime")
    x, labels = digits()
    session = runtime.InferenceSession(digits_model())
    logits = session.run(["logits"], {"x": x})[0]
    assert logits.shape == (1797, 10)
    assert round((logits.argmax(axis=-1) == labels)[1437:].mean() * 100, 1) == 93.1
    np.testing.assert_allclose(
        session.run(None, {"x": x[5:6]})[0], logits[5:6], rtol=1e-5, atol=1e-5
    )


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(CapabilityMissing, match=r"blackbox-boundary\[digits\]"):
        digits()


@pytest.mark.slow
def test_training_again_writes_the_shipped_bytes(tmp_path):
    """The script reproduces the model that ships."""
    pytest.importorskip("sklearn")
    pytest.importorskip("onnx")
    subprocess.run([sys.executable, TRAINING, tmp_path / "digits.onnx"], check=True)
    assert (tmp_path / "digits.onnx").read_bytes() == digits_model().read_bytes()
