"""The examples of training run at their quick size, and go on where they were stopped."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the ``main`` of an example in an empty folder; what it prints."""
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    yield call
    for name in ("at_work", "curriculum", "replay_memory", "watch_training"):
        sys.modules.pop(name, None)


def test_watching_a_training(run):
    """Most of the samples that are nearest or beyond are wrong labels."""
    printed = run("watch_training", "--epochs", "5")
    assert int(printed.split(" are wrong labels")[0].split()[-1].removesuffix("%")) >= 50


def test_a_training_that_was_stopped(run, monkeypatch):
    """It ends as one that was not."""
    sizes = ("--rows", "130", "--epochs", "4")
    whole = run("watch_training", "--out", "whole", *sizes)
    module = importlib.import_module("watch_training")
    save, saves = module.History.save, []

    def stop_after_two(history, path):
        save(history, path)
        saves.append(path)
        if len(saves) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module.History, "save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        run("watch_training", "--out", "stopped", *sizes)
    monkeypatch.setattr(module.History, "save", save)
    again = run("watch_training", "--out", "stopped", *sizes)
    assert again.replace("stopped", "whole") == whole
    parts = [module.History.load(f"{name}/history.npz") for name in ("whole", "stopped")]
    np.testing.assert_array_equal(*(part.distances for part in parts))


@pytest.mark.parametrize("name", ["curriculum", "replay_memory"])
def test_experiments_keep_their_runs(name, run, monkeypatch):
    """Each arm has its line; a second command computes nothing and prints the same."""
    module = importlib.import_module(name)
    small = {"curriculum": {"n_epochs": 2}, "replay_memory": {"n_steps": 3, "chunk": 150}}[name]
    monkeypatch.setitem(module.SETTINGS, "digits", module.SETTINGS["digits"] | small)
    first = run(name, "--out", "runs.jsonl")
    keys = [json.loads(line)[0] for line in Path("runs.jsonl").read_text().splitlines()]
    assert (
        len(keys) == len({str(key) for key in keys}) == {"curriculum": 4, "replay_memory": 6}[name]
    )
    assert len([line for line in first.splitlines() if line.startswith("  ")]) >= len(keys)
    monkeypatch.setattr(module, {"curriculum": "train", "replay_memory": "learn"}[name], None)
    assert (
        run(name, "--out", "runs.jsonl").splitlines()[: len(keys)]
        == first.splitlines()[: len(keys)]
    )
