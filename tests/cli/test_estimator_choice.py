"""What the options say of the estimator, and what a run says of itself before it sends anything."""

import numpy as np
import pytest
from click.testing import CliRunner

from blackbox_boundary import Distances
from blackbox_boundary.cli import main
from blackbox_boundary.cli.settings import named_values

MODELS = """
import numpy as np
from blackbox_boundary import Access, Prediction

class Plane:
    access, input_shape, n_classes, bounds = Access.LOGITS, (6,), 2, (-9.0, 9.0)
    def predict(self, x):
        side = np.asarray(x, float) @ [9, 1, 1, 1, 1, 1] - 2
        return Prediction.from_scores(np.stack([-side, side], -1))

class Labels(Plane):
    access = Access.LABEL
    def predict(self, x):
        return Prediction(super().predict(x).label)

class Wide(Plane):
    input_shape, n_calls = (2000,), 0
    def predict(self, x):
        Wide.n_calls += 1
        side = np.asarray(x, float).sum(-1)
        return Prediction.from_scores(np.stack([-side, side], -1))

class Steps(Plane):
    def predict(self, x):
        p = np.where(np.asarray(x)[:, 0] > 0, 0.9213, 0.1384)
        return Prediction.from_scores(np.stack([1 - p, p], axis=-1))
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run ``measure`` on a model of this module: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "choice_models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(tmp_path))
    np.save("x.npy", np.random.default_rng(0).normal(size=(8, 6)))
    np.save("wide.npy", np.random.default_rng(0).normal(size=(1, 2000)))

    def measure(model, *options, data="x.npy"):
        command = ["measure", f"choice_models:{model}", data, "--no-report", "--no-progress"]
        done = CliRunner().invoke(main, [*command, *options, "--output", "out", "--overwrite"])
        return done.exit_code, done.stdout, done.stderr

    return measure


@pytest.mark.parametrize(
    ("estimator", "norm"),
    [("broyden", "l1"), ("flip_point", "l1"), ("flip_point", "linf"), ("homotopy", "linf")],
)
def test_a_norm_that_is_not_minimised_is_refused(run, estimator, norm):
    """Exit code 2, before anything is sent; the message names estimators that do."""
    code, _, err = run("Plane", "--estimator", estimator, "--norm", norm)
    assert code == 2
    assert "tangent" in err
    assert norm in err


@pytest.mark.parametrize("estimator", ["ray", "directions"])
def test_along_rays_a_norm_only_sorts(run, estimator):
    """It is said, and the run goes on."""
    code, _, err = run("Plane", "--estimator", estimator, "--norm", "linf")
    assert code == 0
    assert "only sorts" in err
    assert "only sorts" not in run("Plane", "--estimator", "tangent", "--norm", "linf")[2]


def test_labels_alone_are_measured_by_default(run):
    """No estimator named, no gradients said to be estimated, and the reason told."""
    code, _, err = run("Labels", "--max-queries", "4000")
    assert code in (0, 5)
    assert "halfspace" in err
    assert "Gradients are estimated" not in err
    assert Distances.load("out/results.npz").run["estimator"]["name"] == "halfspace"


def test_many_queries_a_row_are_announced_first(run):
    """The number comes before anything is sent; few are not announced."""
    code, _, err = run("Wide", "--max-queries", "10", data="wide.npy")
    assert code == 5
    assert "4,007 queries a row" in err
    assert "queries a row" not in run("Plane")[2]


@pytest.mark.parametrize("rows", ["wide.npy", "x.npy"])
def test_a_dry_run_counts_requests_as_they_will_be(run, rows):
    """Points of a gradient are sent together: within a factor of two of the run's calls."""
    import choice_models  # made by the fixture

    choice_models.Wide.n_calls = choice_models.Wide.input_shape = 0
    choice_models.Wide.input_shape = np.load(rows).shape[1:]
    _, said, _ = run("Wide", "--dry-run", data=rows)
    expected = int(said.split("in about ")[1].split(" requests")[0].replace(",", ""))
    assert run("Wide", data=rows)[0] == 0
    assert expected / 2 <= choice_models.Wide.n_calls <= 2 * expected


def test_a_model_of_steps_is_measured_and_said(run):
    """Flip points in every row, and one line on how."""
    code, _, err = run("Steps")
    assert code == 0
    assert "8 rows measured by labels (halfspace)" in err
    code, _, err = run("Steps", "--estimator", "ray")
    assert "--estimator halfspace" in err


def test_the_same_setting_twice_must_agree(run):
    """--given and the option: one of them is enough, two that differ are refused."""
    code, _, err = run("Plane", "--access", "logits", "--given", "access=label")
    assert code == 2
    assert "contradict" in err


def test_truth_values_are_read_as_python_and_as_toml_write_them():
    """``true`` was a text once, and a setting that is on stayed off."""
    given = ("a=true", "b=False", "c=1.5", "d=truest", "e=[1, 2]")
    values = {"a": True, "b": False, "c": 1.5, "d": "truest", "e": [1, 2]}
    assert named_values(given) == values
