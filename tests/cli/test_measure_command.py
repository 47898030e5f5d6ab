"""The command line, run as a process."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.datasets import digits, digits_model

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")


def start(*arguments, cwd, **options):
    """Start the command in its own process."""
    # A shell may start background tests with Ctrl-C ignored, which their processes inherit.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from blackbox_boundary.cli import main; main()"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def run(*arguments, cwd, **options):
    """Run the command to its end: exit code, standard output, standard error."""
    process = start(*arguments, cwd=cwd, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def data(tmp_path):
    """Twenty digits in a file."""
    np.save(tmp_path / "x.npy", digits()[0][:20].astype(np.float32))
    return tmp_path / "x.npy"


MODEL = ("--access", "logits", "--bounds", "0,1", "--output", "run")


def test_without_arguments_the_embedded_default_is_measured(tmp_path):
    """One line says so, all files are written, and standard output holds the tables alone."""
    code, out, err = run("measure", "--rows", "40", cwd=tmp_path)
    assert code == 0
    assert "embedded classifier" in err
    assert "converged" in out
    assert "embedded" not in out
    (folder,) = tmp_path.glob("boundary-run-*")
    assert {file.name for file in folder.iterdir()} == {
        "results.csv",
        "results.npz",
        "run.json",
        "report.html",
    }


def test_estimators_are_listed_with_what_they_need(tmp_path):
    """Name, needs, norms, queries and source; one in full, also from the help of measure."""
    code, out, _ = run("estimators", cwd=tmp_path)
    assert code == 0
    for word in (
        "tangent",
        "scores",
        "l1 l2 linf",
        "halfspace",
        "labels",
        "1,000",
        "Elsayed",
        "weights",
    ):
        assert word in out
    described = run("estimators", "tangent", cwd=tmp_path)[1]
    assert "steps=24" in described
    assert described in run("measure", "--estimator", "tangent", "--help", cwd=tmp_path)[1]
    assert "steps=24" not in run("measure", "--help", cwd=tmp_path)[1]


def test_a_result_says_lower_and_upper(tmp_path):
    """The weights of an export certify from below what another estimator finds from above."""
    bounds = (
        "--estimator",
        "lower_bound",
        "--set",
        "upper=tangent",
        "--norm",
        "linf",
        "--rows",
        "5",
        "--output",
        "run",
    )
    code, out, err = run("measure", *bounds, cwd=tmp_path)
    assert code == 0, err
    assert "no flip within, L∞" in out
    found = Distances.load(tmp_path / "run" / "results.npz")
    assert (found.certified > 0).all()
    assert (found.certified < found.linf).all()


def test_gradients_can_be_estimated_by_choice(tmp_path):
    """So many queries each, counted; the dials need a source."""
    few = (
        "--gradients",
        "blocks",
        "--queries-per-gradient",
        "10",
        "--frequencies",
        "16",
        "--rows",
        "5",
    )
    code, _, err = run("measure", *few, "--output", "run", cwd=tmp_path)
    assert code == 0, err
    found = Distances.load(tmp_path / "run" / "results.npz")
    assert (found.n_gradients == 0).all()
    assert found.n_predictions.max() < 10 + 20
    code, out, _ = run("measure", *few, "--dry-run", cwd=tmp_path)
    assert "17 queries a row" in out
    code, _, err = run("measure", "--frequencies", "16", cwd=tmp_path)
    assert code == 2
    assert "--gradients" in err


def test_results_agree_in_every_file(tmp_path, data):
    """The CSV table, the saved arrays and the run's facts tell the same."""
    code, _, err = run("measure", digits_model(), data, *MODEL, "--no-report", cwd=tmp_path)
    assert code == 0, err
    saved = Distances.load(tmp_path / "run" / "results.npz")
    with (tmp_path / "run" / "results.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["l2"]) for row in table] == saved.l2.tolist()
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["n_queries"] == saved.n_predictions.sum() + saved.n_gradients.sum()
    assert facts["data"]["rows"] == len(saved) == 20
    assert saved.flip_points.shape == (20, 8, 8)
    assert (saved.flip_points >= 0).all()
    assert (saved.flip_points <= 1).all()


def test_a_folder_that_holds_a_run_is_refused_unless_told(tmp_path, data):
    """Nothing is overwritten by accident."""
    assert run("measure", digits_model(), data, *MODEL, "--no-report", cwd=tmp_path)[0] == 0
    code, _, err = run("measure", digits_model(), data, *MODEL, "--no-report", cwd=tmp_path)
    assert code == 3
    assert "--resume" in err
    assert "--overwrite" in err
    assert (
        run("measure", digits_model(), data, *MODEL, "--no-report", "--overwrite", cwd=tmp_path)[0]
        == 0
    )


def test_a_query_limit_ends_with_a_partial_result_that_can_be_resumed(tmp_path, data):
    """Exit code 5, statuses per row; --resume completes to what an unlimited run gives."""
    code, _, err = run(
        "measure", digits_model(), data, *MODEL, "--no-report", "--max-queries", "3", cwd=tmp_path
    )
    assert code == 5
    assert "--resume" in err
    partial = Distances.load(tmp_path / "run" / "results.npz")
    assert partial.n_predictions.sum() + partial.n_gradients.sum() == 3
    assert (partial.status == Status.OUT_OF_BUDGET).all()
    assert (
        run("measure", digits_model(), data, *MODEL, "--no-report", "--resume", cwd=tmp_path)[0]
        == 0
    )
    resumed = Distances.load(tmp_path / "run" / "results.npz")
    code, _, _ = run(
        "measure", digits_model(), data, *MODEL[:-1], "whole", "--no-report", cwd=tmp_path
    )
    whole = Distances.load(tmp_path / "whole" / "results.npz")
    assert code == 0
    np.testing.assert_allclose(resumed.hi, whole.hi, rtol=1e-5)
    np.testing.assert_allclose(resumed.flip_points, whole.flip_points, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (["x.npy", "--access", "logits", "--bounds", "none"], '"bounds" was [0.0, 1.0]'),
        (
            ["x.npy", "--access", "logits", "--bounds", "0,1", "--direction", "margin"],
            '"estimator" was name=auto',
        ),
        (["other.npy", "--access", "logits", "--bounds", "0,1"], "other data"),
    ],
)
def test_a_run_is_not_continued_with_other_data_or_settings(tmp_path, data, changed, words):
    """One result never mixes two measurements, and the one that is there stays as it was."""
    np.save(tmp_path / "other.npy", np.load(data)[::-1])
    assert (
        run(
            "measure",
            digits_model(),
            data,
            *MODEL,
            "--no-report",
            "--max-queries",
            "3",
            cwd=tmp_path,
        )[0]
        == 5
    )
    before = (tmp_path / "run" / "results.npz").read_bytes()
    code, _, err = run(
        "measure",
        digits_model(),
        *changed,
        "--output",
        "run",
        "--resume",
        "--no-report",
        cwd=tmp_path,
    )
    assert code == 3
    assert words in err
    assert (tmp_path / "run" / "results.npz").read_bytes() == before


def test_a_limit_on_requests_leaves_what_was_measured(tmp_path, data):
    """Exit code 5, and a folder to go on with."""
    code, _, err = run(
        "measure", digits_model(), data, *MODEL, "--no-report", "--max-requests", "2", cwd=tmp_path
    )
    assert code == 5, err
    assert "--resume" in err
    assert (Distances.load(tmp_path / "run" / "results.npz").n_predictions > 0).all()


SLOW_MODEL = """
import time
import numpy as np
from blackbox_boundary import Access, Prediction

class Slow:
    access, input_shape, n_classes, bounds = Access.LOGITS, (4,), 2, None
    def predict(self, x):
        open("asked", "w").close()
        time.sleep(0.2)
        side = x.sum(axis=-1)
        return Prediction.from_scores(np.stack([side, -side], axis=-1))

def make():
    return Slow()
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_valid_partial_result(tmp_path, how):
    """Ctrl-C, or a polite kill, exits 130, says how to go on, and the folder resumes."""
    (tmp_path / "slow_model.py").write_text(SLOW_MODEL)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)) + 1)
    arguments = (
        "measure",
        "slow_model:make",
        "x.npy",
        "--output",
        "run",
        "--batch-size",
        "10",
        "--no-report",
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = start(*arguments, cwd=tmp_path, env=environment)
    while not (tmp_path / "asked").exists():
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(0.5)  # into the second or third question of a dozen
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--resume" in err
    partial = Distances.load(tmp_path / "run" / "results.npz")
    assert (partial.lo < partial.hi).all()
    fast = (tmp_path / "slow_model.py").read_text().replace("time.sleep(0.2)", "pass")
    (tmp_path / "slow_model.py").write_text(fast)
    assert run(*arguments, "--resume", cwd=tmp_path, env=environment)[0] == 0
    assert (Distances.load(tmp_path / "run" / "results.npz").status == Status.CONVERGED).all()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.onnx", "x.npy", "--access", "logits"], 3, "missing.onnx"),
        (["broken.onnx", "x.npy", "--access", "logits"], 3, "broken.onnx"),
        ([digits_model(), "missing.npy", "--access", "logits"], 3, "missing.npy"),
        ([digits_model(), "empty.npy", "--access", "logits"], 3, "empty.npy"),
        ([digits_model(), "wide.npy", "--access", "logits"], 3, "(n, 8, 8)"),
        ([digits_model(), "x.npy"], 3, "access"),
        ([digits_model(), "x.npy", "--access", "probabilities"], 4, "logits"),
        ([digits_model(), "x.npy", "--access", "logits", "--bounds", "0.2,1"], 3, "bounds"),
        ([digits_model(), "x.npy", "--access", "logits", "--estimator", "magic"], 3, "ray"),
        ([digits_model(), "x.npy", "--access", "logits", "--set", "colour=red"], 3, "rtol"),
        ([digits_model(), "x.npy", "--access", "logits", "--rows", "none"], 2, "--rows"),
        (
            [digits_model(), "x.npy", "--access", "logits", "--output", "x.npy/run"],
            3,
            "output folder",
        ),
        (["http://127.0.0.1:9/v2/models/m", "x.npy"], 4, "127.0.0.1:9"),
        ([digits_model()], 2, "DATA"),
        ([digits_model(), "x.npy", "--access", "logits", "--input-shape", "x"], 2, "--input-shape"),
        (
            [digits_model(), "x.npy", "--access", "logits", "--input-shape", "8,8.5"],
            2,
            "--input-shape",
        ),
        ([digits_model(), "x.npy", "--access", "logits", "--bounds", "0,1,2"], 2, "--bounds"),
        ([digits_model(), "x.npy", "--access", "logits", "--resume"], 2, "--output"),
        (["torch.nn:ReLU", "x.npy"], 3, "--input-shape"),
    ],
)
def test_bad_input_gets_one_clear_message_and_its_exit_code(tmp_path, data, arguments, code, words):
    """No traceback, nothing sent, nothing written."""
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    np.save(tmp_path / "empty.npy", np.zeros((0, 8, 8)))
    np.save(tmp_path / "wide.npy", np.zeros((3, 9, 9), np.float32))
    found, out, err = run("measure", *arguments, "--no-report", cwd=tmp_path)
    assert found == code, err
    assert words in err
    assert "Traceback" not in err
    assert out == ""
    assert not list(tmp_path.glob("boundary-run-*"))


def test_rows_with_nan_get_a_status_and_the_others_go_on(tmp_path):
    """A broken row is a row with a reason."""
    x = digits()[0][:5].astype(np.float32)
    x[2, 0, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    assert run("measure", digits_model(), "x.npy", *MODEL, cwd=tmp_path)[0] == 0
    status = Distances.load(tmp_path / "run" / "results.npz").status
    assert (
        status.tolist() == [Status.CONVERGED] * 2 + [Status.INVALID_INPUT] + [Status.CONVERGED] * 2
    )


def test_help_shows_examples_and_exit_codes(tmp_path):
    """--help is enough to start with."""
    assert "blackbox-boundary measure model.onnx" in run("measure", "--help", cwd=tmp_path)[1]
    assert "130 interrupted" in run("--help", cwd=tmp_path)[1]
    assert "ray" in run("estimators", cwd=tmp_path)[1]


WALL = '''
import numpy as np
from blackbox_boundary import Access, Prediction
from blackbox_boundary.chains import Chain


class Wall:
    """A second class begins at a wall that no weight shows."""

    access, input_shape, n_classes, bounds = Access.LOGITS, (2,), 2, None

    def predict(self, x):
        z = np.where(x[:, 0] > 1.7, 1 + (x[:, 0] - 1.7) / 2, x[:, 0] - 10)
        return Prediction.from_scores(np.stack([-z / 2, z / 2], axis=-1))

    def chain(self):
        return Chain((), np.array([[-0.5, 0.0], [0.5, 0.0]]), ("Gemm", "Relu"))
'''


def test_contradicted_certificates_end_with_their_own_exit_code(tmp_path):
    """Code 6, one message that asks for a bug report and names the ops; a report is written."""
    (tmp_path / "walls.py").write_text(WALL)
    np.save(tmp_path / "x.npy", np.array([[1.0, 0.0], [5.0, 0.0]]))
    settings = ("--estimator", "lower_bound", "--set", "upper=halfspace", "--output", "run")
    code, out, err = run("measure", "walls:Wall", "x.npy", *settings, cwd=tmp_path)
    assert code == 6, err
    assert err.count("withdrawn") == 1
    assert "report it, with the layers of the model: Gemm, Relu" in err.replace("\n", " ")
    assert "Distance to the flip point of 2 rows" in out
    found = Distances.load(tmp_path / "run" / "results.npz")
    assert np.isnan(found.certified).all()
    assert found.has_flip.all()
    assert "withdrawn" in (tmp_path / "run" / "report.html").read_text()


def test_bytes_are_inputs_of_a_graph_of_bytes(tmp_path):
    """A uint8 file is not divided by 255 for a graph that takes uint8; flip points are bytes."""
    helper, types = pytest.importorskip("onnx").helper, pytest.importorskip("onnx").TensorProto
    weight, bias = np.float32([[-1, 1], [0, 0]]), np.float32([200.4, 0])
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["f"], to=types.FLOAT),
            helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
        ],
        "bytes",
        [helper.make_tensor_value_info("x", types.UINT8, ["n", 2])],
        [helper.make_tensor_value_info("y", types.FLOAT, ["n", 2])],
        [
            helper.make_tensor("w", types.FLOAT, weight.shape, weight.ravel().tolist()),
            helper.make_tensor("b", types.FLOAT, bias.shape, bias.tolist()),
        ],
    )
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    (tmp_path / "bytes.onnx").write_bytes(model.SerializeToString())
    np.save(tmp_path / "x.npy", np.array([[90, 5], [130, 7]], np.uint8))
    settings = ("--access", "logits", "--estimator", "ray", "--no-behaviour")
    code, _, err = run(
        "measure", "bytes.onnx", "x.npy", *settings, "--output", "run", "--no-report", cwd=tmp_path
    )
    assert code in (0, 5), err
    found = Distances.load(tmp_path / "run" / "results.npz")
    assert found.l2.tolist() == [11.0, 30.0]
    assert np.array_equal(found.flip_points, np.rint(found.flip_points))


def test_exhausted_memory_is_a_message(tmp_path, data):
    """It names what needs less memory; answers that were paid for stay in the ledger."""
    model = tmp_path / "greedy.py"
    model.write_text(
        "import numpy as np\n"
        "from blackbox_boundary import Distances\n"
        "from blackbox_boundary.testing import Linear, Reference\n"
        "Distances.save = lambda *_, **__: np.empty(2**50)\n"
        "def model():\n"
        "    answers = Reference(Linear.hyperplane(np.ones(64), 20.0), access='logits')\n"
        "    answers.fingerprint = 'one'\n"
        "    return answers\n"
    )
    code, _, err = run(
        "measure", "greedy:model", data, "--ledger", "paid.db", "--output", "run", cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert code == 3
    assert "no more memory (Unable to allocate 8.00 PiB" in err
    assert "--results parquet" in err
    assert "Traceback" not in err
    code, out, _ = run("ledger", "show", "paid.db", cwd=tmp_path)
    assert code == 0
    assert "20 rows" in out
