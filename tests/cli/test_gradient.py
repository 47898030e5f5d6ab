"""``blackbox-boundary gradient``: an ONNX file becomes one that puts out gradients."""

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import numpy_helper, parser

from blackbox_boundary.cli import main

_W = np.arange(12, dtype=np.float32).reshape(4, 3) / 7


def _model(body="y = MatMul(x, w)"):
    text = (
        '<ir_version: 8, opset_import: ["" : 17]> '
        f"g (float[n, 4] x) => (float[n, 3] y) {{ {body} }}"
    )
    model = parser.parse_model(text)
    model.graph.initializer.append(numpy_helper.from_array(_W, "w"))
    return model


def _run(*arguments):
    return CliRunner().invoke(main, ["gradient", *map(str, arguments)])


def test_writes_a_model_that_runs(tmp_path):
    """Saliency of a linear model is its weights."""
    onnx.save(_model(), tmp_path / "model.onnx")
    result = _run(tmp_path / "model.onnx", tmp_path / "gradient.onnx")
    assert result.exit_code == 0, result.output
    assert result.output == "inputs: x (n, 4), v (?, 3)\noutputs: y (n, 3), gradient (n, 4)\n"
    session = onnxruntime.InferenceSession(tmp_path / "gradient.onnx")
    x, v = np.ones((2, 4), np.float32), np.eye(3, dtype=np.float32)[[0, 2]]
    scores, gradient = session.run(None, {"x": x, "v": v})
    np.testing.assert_allclose(scores, x @ _W, rtol=1e-6)
    np.testing.assert_allclose(gradient, _W.T[[0, 2]], rtol=1e-6)


def test_margin_takes_a_label(tmp_path):
    """With --margin the weights are chosen in the graph."""
    onnx.save(_model(), tmp_path / "model.onnx")
    result = _run(tmp_path / "model.onnx", tmp_path / "gradient.onnx", "--margin")
    assert "home (?)" in result.output
    session = onnxruntime.InferenceSession(tmp_path / "gradient.onnx")
    feeds = {"x": np.ones((1, 4), np.float32), "home": np.array([0])}
    np.testing.assert_allclose(session.run(None, feeds)[1][0], _W[:, 0] - _W[:, 2], rtol=1e-6)


def test_refusals_are_messages(tmp_path):
    """An op without a rule, a broken file and another ending are told, with exit code 3."""
    onnx.save(_model("d = Det(w) m = MatMul(x, w) y = Hardmax(m)"), tmp_path / "steps.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07broken")
    (tmp_path / "model.pt").write_bytes(b"")
    for name, text in (
        ("steps.onnx", "piecewise constant"),
        ("broken.onnx", "complete ONNX file"),
        ("model.pt", ".onnx"),
    ):
        result = _run(tmp_path / name, tmp_path / "out.onnx")
        assert result.exit_code == 3
        assert text in result.output
    assert not (tmp_path / "out.onnx").exists()


def test_an_existing_file_is_kept(tmp_path):
    """OUT is replaced with --overwrite alone, and MODEL never, under whatever name."""
    model, out, link = (tmp_path / name for name in ("model.onnx", "out.onnx", "link.onnx"))
    onnx.save(_model(), model)
    out.write_bytes(b"kept")
    link.symlink_to(model)
    content = model.read_bytes()
    refusal = _run(model, out)
    assert (refusal.exit_code, out.read_bytes()) == (3, b"kept")
    assert "--overwrite" in refusal.output
    for same in (model, link):
        refusal = _run(model, same, "--overwrite")
        assert (refusal.exit_code, model.read_bytes()) == (3, content)
        assert "another file than MODEL" in refusal.output
    assert _run(model, out, "--overwrite").exit_code == 0
    assert onnx.load(out).graph.output[1].name == "gradient"


@pytest.mark.parametrize("beside", [True, False])
def test_external_weights_stay_beside(tmp_path, beside):
    """A gradient model that shares weights in a file must lie beside them."""
    onnx.save(
        _model(),
        tmp_path / "model.onnx",
        save_as_external_data=True,
        size_threshold=0,
        location="w",
    )
    (tmp_path / "other").mkdir()
    out = (tmp_path if beside else tmp_path / "other") / "gradient.onnx"
    result = _run(tmp_path / "model.onnx", out)
    assert result.exit_code == (0 if beside else 3)
    weights = (tmp_path / "w").read_bytes()
    over = _run(tmp_path / "model.onnx", tmp_path / "w", "--overwrite")
    assert (over.exit_code, (tmp_path / "w").read_bytes()) == (3, weights)
    assert "holds weights of" in over.output
    if beside:
        x = np.ones((1, 4), np.float32)
        v = np.ones((1, 3), np.float32)
        found = onnxruntime.InferenceSession(out).run(None, {"x": x, "v": v})[1]
        np.testing.assert_allclose(found[0], _W.sum(1), rtol=1e-6)
