"""The package as a whole: the cost of importing it, and what its modules export."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import blackbox_boundary

HEAVY = (
    "hypothesis",
    "jinja2",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "PIL",
    "pyarrow",
    "requests",
    "sklearn",
    "tenacity",
    "torch",
)
OPTIONAL = {"blackbox_boundary.testing.strategies": "hypothesis"}
"""Modules that need more than the default install, on purpose."""


FORMER = {
    f"blackbox_boundary.{name}"
    for name in ("asks", "behaviour", "distributions", "selection", "uncertainty")
}
"""Former names that only re-export, with a warning (``tests/test_old_names.py``)."""


def modules():
    """Names of all modules of the engine, found without importing them, former names aside."""
    found = pkgutil.walk_packages(blackbox_boundary.__path__, "blackbox_boundary.")
    elsewhere = ("blackbox_boundary.adapters", "blackbox_boundary.reproduction")
    return [
        module.name
        for module in found
        if not module.name.startswith(elsewhere) and module.name not in FORMER
    ]


def fresh(code):
    """What a new interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()


def test_import_is_light():
    """No optional package is loaded; 0.3 s of processor time is promised, 0.9 s fails here."""
    measured = (
        "import sys, time; import blackbox_boundary; print(time.process_time(), *sys.modules)"
    )
    runs = [fresh(measured) for _ in range(3)]
    seconds = min(float(run[0]) for run in runs)
    print(
        f"python -c 'import blackbox_boundary': {seconds:.3f} s of processor time, the "
        "interpreter's start included"
    )
    assert not set(HEAVY) & set(runs[0][1:])
    assert seconds < 0.9


def test_no_module_of_the_engine_loads_an_optional_package():
    """Each loads where it is used: the command line, the readers and the report start without."""
    wanted = [
        name
        for name in modules()
        if name not in OPTIONAL and not name.startswith("blackbox_boundary.report")
    ]
    loaded = fresh(
        f"import importlib, sys; [importlib.import_module(name) for name in {wanted}]; "
        "print(*sys.modules)"
    )
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("name", ["blackbox_boundary", *modules()])
def test_exports_are_sorted_and_there(name):
    """``__all__`` is in order, without repeats, and every name in it can be imported."""
    if name in OPTIONAL:
        pytest.importorskip(OPTIONAL[name])
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        assert not {
            part
            for part, value in vars(module).items()
            if not part.startswith("_") and getattr(value, "__module__", "") == name
        }
        return
    assert list(exported) == sorted(
        set(exported), key=lambda part: (not part.isupper(), not part[0].isupper(), part)
    )
    assert all(hasattr(module, part) for part in exported)


def test_rooms_and_the_version_are_attributes_of_the_package():
    """After ``import blackbox_boundary`` the rooms are attributes, loaded at their first use."""
    code = (
        "import sys, blackbox_boundary as b; before = 'blackbox_boundary.report' in sys.modules; "
        "print(before, b.estimators.Ray.__name__, b.wrappers.LedgerPredictor.__name__, "
        "b.__version__)"
    )
    assert fresh(code) == ["False", "Ray", "LedgerPredictor", blackbox_boundary.__version__]
    with pytest.raises(AttributeError, match="no attribute"):
        blackbox_boundary.nowhere  # noqa: B018  the attribute is looked up, which raises
