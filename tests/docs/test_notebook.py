"""The notebook tour: it was executed, its code runs, and it names no place on a machine."""

import json
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"


def cells():
    """The cells of the notebook."""
    return json.loads(TOUR.read_text(encoding="utf-8"))["cells"]


def test_every_code_cell_was_executed_in_order():
    """Each has a count and an output, and none is an error."""
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert all(cell["outputs"] for cell in code)
    assert not any(o["output_type"] == "error" for cell in code for o in cell["outputs"])
    assert "/home/" not in TOUR.read_text()
    assert "/tmp/" not in TOUR.read_text()
    assert TOUR.stat().st_size < 600_000


def test_its_code_runs():
    """Cell by cell in one namespace, as the notebook would."""
    for package in ("onnxruntime", "sklearn", "matplotlib", "jinja2", "pandas"):
        pytest.importorskip(package)
    names = {}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "tour.ipynb", "exec"), names)
    assert names["report"].exists()
