"""Imports between packages point one way, and each module can be imported first."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    (
        "errors",
        "rounding",
        "predictor",
        "prediction_checks",
        "metering",
        "model_checks",
        "printable",
        "arrays",
        "inputs",
        "layers",
        "image_layers",
        "activations",
        "graphs",
        "balls",
        "linear_bounds",
        "chain_rounding",
        "capabilities",
        "chains",
        "closing",
        "column",
        "column_file",
        "column_inference",
        "domain",
        "frames",
        "tree_ensembles",
        "grid",
        "loading",
        "parquet",
        "processes",
        "settings",
        "stored_rows",
    ),
    ("search", "ledger", "datasets"),
    ("gradients", "wrappers", "testing"),
    ("estimators", "analysis"),
    ("measuring",),
    ("extraction", "report"),
    ("cli",),
)
"""The rooms of the engine, from the lowest floor up; a room imports from lower floors only."""
SHIMS = {
    path.stem
    for path in (ROOT / "blackbox_boundary").glob("*.py")
    if "DeprecationWarning" in path.read_text()
}


def floor_of(room):
    """Which floor a room is on."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def below(other, room):
    """Whether a room may import from another: itself, a lower floor, or both the ground floor."""
    return other == room or floor_of(other) < max(floor_of(room), 1)


def imports(path):
    """The rooms of the engine that a file imports from, by reading it."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split(".")) if node.module else base
            for name in node.names:
                full = (*target, name.name)
                if len(full) > 1 and full[0] == "blackbox_boundary":
                    yield full[1]


def files():
    """The files of the engine's rooms; the front door and the old names are on no floor."""
    for path in sorted((ROOT / "blackbox_boundary").rglob("*.py")):
        room = path.relative_to(ROOT / "blackbox_boundary").with_suffix("").parts[0]
        if room not in {"__init__", *SHIMS}:
            yield room, path


def test_no_arrow_points_up():
    """A room imports from lower floors; only the command line uses the front door."""
    rooms = {room for floor in FLOORS for room in floor}
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for room, path in files()
        for other in imports(path)
        if (not below(other, room) if other in rooms else room not in ("cli", other))
    ]
    assert not wrong


def modules():
    """Dotted names of all modules of the engine, the adapters and the paper."""
    for folder, package in (
        ("blackbox_boundary", ()),
        ("adapters", ("adapters",)),
        ("examples/paper", ("reproduction",)),
    ):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join(
                ("blackbox_boundary", *package, *(parts[:-1] if parts[-1] == "__init__" else parts))
            )


FIRST_ONE_BY_ONE = """
import os, sys, warnings
from importlib.util import find_spec, module_from_spec

warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*moved to.*")


def import_first(names, alone):
    for name in names:
        child = os.fork()
        if not child:
            try:
                if alone:  # the package is there, but nothing of it has been imported
                    package = module_from_spec(find_spec("blackbox_boundary"))
                    sys.modules["blackbox_boundary"] = package
                __import__(name)
            except BaseException as error:
                print(f"{name}: {type(error).__name__}: {error}", flush=True)
                os._exit(1)
            os._exit(0)
        os.waitpid(child, 0)


paper = [name for name in sys.argv[1:] if name.startswith("blackbox_boundary.reproduction")]
adapters = [name for name in sys.argv[1:] if name.startswith("blackbox_boundary.adapters")]
engine = [name for name in sys.argv[1:] if name not in {*paper, *adapters, "blackbox_boundary"}]
import numpy, scipy.optimize, array_api_compat.numpy
import_first(["blackbox_boundary"], alone=False)
import_first(engine, alone=True)
import onnx, onnxruntime, requests, torch
import_first(adapters, alone=True)
import blackbox_boundary, matplotlib.figure
import_first(paper, alone=False)
"""
"""Imports each module first, in a process of its own; what they all need is loaded before, once.

The engine and the adapters start without the package's own list of imports.
The paper's code uses that list, as any user does.
"""


def test_every_module_can_be_imported_first():
    """No circle: each module is the first of the package that a process imports."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    command = [sys.executable, "-c", FIRST_ONE_BY_ONE, *modules()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert not done.stdout, done.stdout
