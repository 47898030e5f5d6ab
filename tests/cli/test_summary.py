"""The tables and the progress bar of the command line."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from blackbox_boundary import Distances, Status
from blackbox_boundary.analysis.overview import overview, spread
from blackbox_boundary.cli import main
from blackbox_boundary.cli.progress import progress
from blackbox_boundary.cli.summary import summary
from blackbox_boundary.estimators import CATALOGUE


def measured(l2, status=Status.CONVERGED):
    """Distances of rows with these L2 distances, three predictions and one gradient each."""
    l2 = np.asarray(l2, dtype=float)
    n = len(l2)
    return replace(
        Distances.empty(n), l1=3 * l2, l2=l2, linf=l2 / 2, hi=l2,
        status=np.where(np.isfinite(l2), status, Status.NO_FLIP).astype(np.int8),
        n_predictions=np.full(n, 3), n_gradients=np.ones(n, np.int64),
    )  # fmt: skip


def shown(renderable, width=80):
    """What a terminal of this width shows, without colours."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return console.file.getvalue()


def test_quartiles_are_those_of_numpy_over_the_rows_with_a_flip():
    """Rows without a flip point are in no quartile, and are counted by the status that says why."""
    l2 = np.random.default_rng(0).gamma(3, size=101)
    numbers = overview(measured([*l2, np.inf, np.inf]))
    assert numbers.distances["l2"][1:-1] == tuple(np.quantile(l2, [0, 0.25, 0.5, 0.75, 1]))
    assert numbers.distances["l2"].n == numbers.n_flips == 101
    assert numbers.without_flip == {Status.NO_FLIP: 2}
    assert numbers.by_status == {Status.CONVERGED: 101, Status.NO_FLIP: 2}
    assert (numbers.n_predictions, numbers.n_gradients) == (309, 103)


def test_spread_of_nothing_is_nan_and_not_a_warning():
    """No finite value: a count of zero and no number that could be mistaken for one."""
    assert spread([np.inf]).n == 0
    assert np.isnan(spread([])[1:]).all()


def test_summary_shows_counts_quartiles_and_queries():
    """Each number stands beside its unit and the number of rows it is about."""
    text = shown(summary(measured([1.0, 2.0, 3.0, np.inf])))
    assert "4 rows by status" in text
    assert "Distance to the flip point of 3 rows, input units" in text
    assert "12 predictions, 4 gradients in all" in text
    line = next(line for line in text.splitlines() if line.startswith("L2"))
    assert line.split() == ["L2", "1", "1.5", "2", "2.5", "3", "2"]
    assert next(line for line in text.splitlines() if line.startswith("no flip")).split()[2:] == [
        "1",
        "25.0%",
    ]


def test_summary_fits_a_terminal():
    """Nothing is cut off at 80 columns, however long the numbers."""
    assert "…" not in shown(summary(measured([1.23456e-5, 2.34567e-5, 3.4567e17])), width=80)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_summary_without_any_flip(n):
    """No row, or no row with a flip point: said in words, no NaN shown."""
    text = shown(summary(Distances.empty(n)))
    assert "No flip point is known" in text
    assert "nan" not in text


def test_progress_is_silent_unless_on_a_terminal():
    """A log file or a pipe gets no bar, and neither does a terminal whose user asked for none."""
    for terminal, enabled in ((False, True), (True, False)):
        file = io.StringIO()
        with progress(
            10, console=Console(file=file, force_terminal=terminal), enabled=enabled
        ) as update:
            update(5, 20)
        assert not file.getvalue().strip()


def drawn(*calls, width=80, **options):
    """The last line that a terminal shows after these updates."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, color_system=None)
    with progress(1000, console=console, **options) as update:
        for call in calls:
            update(*call)
    return file.getvalue().split("\r")[-2].replace("\x1b[2K", "")


def test_progress_shows_rows_queries_price_and_time_left_on_a_terminal():
    """On a terminal of 80 columns the bar is one line that holds it all."""
    last = drawn((500, 12345), expected=24321.0, price=lambda: 1.25)
    assert "500/1,000 rows, 12,345/~24,000 queries, price 1.25" in last
    assert "left" in last
    assert len(last.rstrip("\n")) <= 80


@pytest.mark.parametrize(("queries", "filled"), [(0, 0), (50_000, 4), (200_000, 7)])
def test_progress_moves_by_queries_where_no_row_is_finished(queries, filled):
    """Half of the expected queries fill half of the bar; only finished rows complete it."""
    assert drawn((0, queries), expected=100_000.0).count("━") == filled
    assert "0/1,000 rows" in drawn((0, queries), expected=100_000.0)


@pytest.mark.parametrize("width", [30, 59])
def test_narrow_terminals_get_lines_and_whole_numbers(width):
    """Each value on a line of its own, and no digit is cut."""
    text = shown(summary(measured([1.23456e-5, 2.34567e-5, 3.4567e17]), width=width), width=width)
    assert "  median 2.346e-05" in text.splitlines()
    assert "  max 3.457e+17" in text.splitlines()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_estimators_can_be_read_at_80_columns(monkeypatch):
    """Every name begins a line with its number of queries at the end; nothing is wider or cut."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(main, ["estimators"]).output.splitlines()
    assert max(map(len, lines)) <= 80
    for name in CATALOGUE:
        assert any(re.fullmatch(rf"{name} .* [\d,]+", line) for line in lines), name
