"""Results as a person meets them: rows, frames, summary, figures, and the view in a notebook."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing, Distances, InvalidInput, Status
from tests.report.examples import digits


def test_a_number_gives_a_row_with_a_named_status():
    """All columns of the row as plain values; from the end, too; beyond it an IndexError."""
    *_, found = digits()
    row = found[7]
    assert (row.row, row.status, row.home) == (7, Status.CONVERGED, int(found.home[7]))
    assert (row.l1, row.l2, row.linf, row.hi) == tuple(
        float(part[7]) for part in (found.l1, found.l2, found.linf, found.hi)
    )
    assert np.array_equal(row.flip_point, found.flip_points[7])
    assert type(row.l2) is float
    assert repr(found[2]) == "Row(2: no flip, NO_FLIP)"
    assert found[np.int64(-1)].row == 299
    assert len(found[[7]]) == 1
    with pytest.raises(IndexError):
        found[300]


def test_iterating_ends():
    """``for row in distances`` visits each row once."""
    *_, found = digits()
    assert [row.row for row in found] == list(range(300))


def test_repr_is_short():
    """One line that says how many, how far and what became of them."""
    *_, found = digits()
    assert len(repr(found)) < 120
    assert repr(found).startswith("Distances(300 rows, 296 with a flip, median l2 ")
    assert repr(Distances.empty(0)) == "Distances(0 rows, 0 with a flip; none)"


def test_nearest_and_summary():
    """The nearest rows by NumPy's order; the summary's numbers are those of the report."""
    *_, found = digits()
    for norm in ("l1", "linf"):
        rows = [row.row for row in found.nearest(6, norm)]
        assert rows == np.argsort(found.norm(norm), kind="stable")[:6].tolist()
    assert found[:4].nearest(3) == []
    assert f"median {np.median(found.l2[4:]):.4g}" in str(found.summary())
    assert "300 rows: 296 converged, 4 no flip" in str(found.summary())


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_hold_the_table(kind):
    """The columns and values of the CSV; infinite distances are null."""
    frames = pytest.importorskip(kind)
    *_, found = digits()
    frame = found.to_frame(kind)
    assert isinstance(frame, frames.DataFrame)
    assert len(frame) == 300
    assert list(frame["status"])[:5] == ["NO_FLIP"] * 4 + ["CONVERGED"]
    assert np.array_equal(np.asarray(frame["l2"])[4:], found.l2[4:])
    nulls = frame["l2"].isna() if kind == "pandas" else frame["l2"].is_null()
    assert nulls.sum() == 4
    with pytest.raises(InvalidInput, match="kind"):
        found.to_frame("arrow")


def test_a_missing_package_is_named(monkeypatch):
    """The message is the command that installs it; without figures a notebook shows the repr."""
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(CapabilityMissing, match="pip install polars"):
        Distances.empty(1).to_frame("polars")
    assert Distances.empty(1)._repr_html_() is None
    with pytest.raises(CapabilityMissing, match="report"):
        _ = Distances.empty(1).plot


def test_figures_are_the_reports_own():
    """Each figure can be drawn; what a result does not hold is refused."""
    pytest.importorskip("matplotlib")
    x, _, found = digits()
    figures = [
        found.plot.curve("l1"),
        found.plot.histogram(),
        found.plot.entropy(),
        found.plot.pairs([f"digit {k}" for k in range(10)]),
        found.plot.nearest(x, 3, image_shape=(8, 8)),
    ]
    for figure in figures:
        assert figure._repr_png_().startswith(b"\x89PNG")
    assert figures[-1].axes[0].get_title().startswith(f"row {np.argmin(found.l2)}: ")
    with pytest.raises(InvalidInput, match="no entropy"):
        replace(found, entropy=None).plot.entropy()
    with pytest.raises(InvalidInput, match="pictures"):
        found.plot.nearest(x)


@pytest.mark.parametrize("n", [0, 1, 300])
def test_view_in_a_notebook(n):
    """Verdict, tiles, curve and the nearest rows with pictures; no NaN, also of no rows."""
    pytest.importorskip("matplotlib")
    *_, found = digits()
    found = replace(found, flip_points=found.flip_points.reshape(300, 8, 8))[300 - n :]
    html = found._repr_html_()
    assert html.count("<div") == html.count("</div>")
    assert not re.search(r">(nan|inf)", html)
    assert html.count("<img") == min(5, n)
    assert ("<svg" in html) is (n > 0)
    assert not re.search(r"https?://", html.replace("http://www.w3.org", ""))


def test_results_load_without_matplotlib():
    """Distances know their figures by name only."""
    code = (
        "import sys, blackbox_boundary; "
        "print({'matplotlib', 'jinja2', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
