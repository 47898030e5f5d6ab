"""How many threads a session has."""

import pytest
from blackbox_boundary.adapters.onnx_exports import session

from blackbox_boundary import datasets


@pytest.mark.parametrize(
    ("stated", "given", "expected"), [("3", None, 3), ("", None, 0), ("4,2", None, 0), ("3", 2, 2)]
)
def test_threads(monkeypatch, stated, given, expected):
    """As given, else as the environment states, else ONNX Runtime's own number."""
    monkeypatch.setenv("OMP_NUM_THREADS", stated)
    opened = session._session(datasets.digits_model(), "CPUExecutionProvider", given)
    assert opened.get_session_options().intra_op_num_threads == expected
