"""The examples on label issues and boundary points run at a quick size, and continue a run."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")
EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments):
    """The example's main function with these arguments."""
    runpy.run_path(str(EXAMPLES / name))["main"](list(map(str, arguments)))


def test_label_issues(tmp_path, capsys):
    """Most flipped labels come first; a second run prints the same and computes nothing."""
    arguments = ("--out", tmp_path, "--rows", 300, "--steps", 100, "--noises", "10 %")
    run("label_issues.py", *arguments)
    first = capsys.readouterr().out
    (line,) = (line for line in first.splitlines() if "signed distance  " in line)
    assert float(line.split()[2]) > 80
    run("label_issues.py", *arguments)
    assert set(capsys.readouterr().out.splitlines()) < set(first.splitlines())


def test_augment_near_the_boundary(tmp_path, capsys):
    """Each way to augment has its numbers; a second run prints the same."""
    sizes = ("--rows", 30, "--steps", 2, "--vae-steps", 9, "--distances", 10)
    arguments = ("--out", tmp_path, *sizes)
    run("augment_near_the_boundary.py", *arguments)
    first = capsys.readouterr().out
    for way in ("before", "none", "noise", "mixup", "boundary, soft", "latent boundary, hard"):
        assert f"digits, {way}" in first
    assert first.count("ECE (%)") == 9
    run("augment_near_the_boundary.py", *arguments)
    assert set(capsys.readouterr().out.splitlines()) < set(first.splitlines())
