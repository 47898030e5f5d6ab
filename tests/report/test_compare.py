"""Two runs on the same rows: differences by hand, refusals, and the page."""

import re
from dataclasses import replace

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.analysis.paired import PairedRuns, check_comparable, differences_of_method
from blackbox_boundary.report import write_comparison

from .chromium import BINARY, chromium
from .examples import HOSTILE, digits
from .test_page import Parsed, check_self_contained

FACTS = {"data": {"blake2b": "aa", "rows": 300, "divided_by": 1.0}, "estimator": {"name": "ray"}}


def two_runs():
    """Digits, and the same with rows 10 to 19 at half the distance and row 20's flip elsewhere."""
    *_, first = digits()
    first = replace(first, run=first.run | FACTS)
    l2, flipped = first.l2.copy(), first.flipped.copy()
    l2[10:20] /= 2
    flipped[20] = (flipped[20] + 1) % 10 if (flipped[20] + 1) % 10 != first.home[20] else 0
    return first, replace(first, l2=l2, flipped=flipped)


def test_differences_are_row_by_row():
    """Rows that moved, their order, the flip of another class; rows without a flip do not count."""
    first, second = two_runs()
    paired = PairedRuns.of(first, second)
    loss = first.l2[10:20] / 2
    assert paired.nearer().tolist() == (10 + np.argsort(-loss, kind="stable")).tolist()
    assert np.flatnonzero(paired.reclassed).tolist() == [20]
    assert not paired.relabelled.any()
    assert np.allclose(paired.difference[10:20], -loss)
    assert np.isnan(paired.difference[:4]).all()
    back = PairedRuns.of(second, first)
    assert back.nearer().size == 0


def test_a_change_below_a_thousandth_is_none():
    """What brackets and rounding leave: no row came nearer, and the median stayed."""
    first, _ = two_runs()
    paired = PairedRuns.of(first, replace(first, l2=first.l2 * (1 - 1e-6)))
    assert paired.nearer().size == 0
    assert PairedRuns.of(first, replace(first, l2=first.l2 * 0.998)).nearer().size == len(
        np.flatnonzero(first.has_flip)
    )


def test_a_row_that_gains_a_flip_came_nearer():
    """Infinite before and known after is the largest loss; infinite in both is none."""
    first, second = two_runs()
    before = replace(first, l2=np.where(np.arange(300) == 50, np.inf, first.l2))
    assert PairedRuns.of(before, second).nearer()[0] == 50
    assert 0 not in PairedRuns.of(before, second).nearer()


def test_interval_of_the_median_holds_the_change():
    """A shift of all rows is met exactly; no shift is no clear change; false alarms are 5 %."""
    first, _ = two_runs()
    moved = replace(first, l2=first.l2 + 0.25)
    change = PairedRuns.of(first, moved).median_change()
    assert change.lo == pytest.approx(0.25) == change.hi == change.change
    generator, n_covered = np.random.default_rng(0), 0
    for _ in range(60):
        a = generator.gamma(3, size=80)
        b = a * np.exp(0.2 * generator.normal(size=80))
        found = PairedRuns(a, b, a < 0, a < 0).median_change()
        n_covered += found.lo <= 0 <= found.hi
    assert n_covered >= 52  # of 60 at 95 %: fewer come with probability 0.7 %


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"blake2b": "bb", "rows": 9, "divided_by": 1.0}}, "other rows"),
        ({"data": {"blake2b": "aa", "rows": 300, "divided_by": 255.0}}, "scale of the inputs"),
        ({"columns": [{"scale": 2}]}, "columns and their units"),
        ({"estimator": {"name": "tangent", "norm": "linf"}}, "linf distance"),
        ({"data": {}}, "does not say which rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, change, reason):
    """Other rows, units or norm; nothing is written."""
    first, second = two_runs()
    with pytest.raises(InvalidInput, match=reason):
        check_comparable(first.run, second.run | change, names=("a", "b"))
    with pytest.raises(InvalidInput, match=reason):
        write_comparison(
            [("a", first), ("b", replace(second, run=second.run | change))], tmp_path / "c.html"
        )
    assert not list(tmp_path.iterdir())


def test_another_search_is_pointed_out(tmp_path):
    """Estimator, limit and target in the banner; equal runs have none."""
    first, second = two_runs()
    changed = {"estimator": {"name": "tangent"}, "max_queries": 9, "aim": {"towards": 1}}
    other = replace(second, run=second.run | changed)
    assert differences_of_method(first.run, second.run) == []
    for run, banner in ((second, False), (other, True)):
        write_comparison([("a", first), ("b", run)], tmp_path / "c.html")
        html = (tmp_path / "c.html").read_text().partition("</style>")[2]
        assert ('class="banner"' in html) is banner
    assert "other estimators, query limits, target classes" in html


def test_page_is_self_contained_and_says_the_numbers(tmp_path):
    """Hostile names stay text; both medians and the counts are on it."""
    first, second = two_runs()
    write_comparison([(HOSTILE, first), ("b", second), ("c", first)], tmp_path / "c.html")
    page = Parsed((tmp_path / "c.html").read_text())
    check_self_contained(page)
    assert "one curve a run." in page.text
    assert "10 of 300 rows came nearer, 1 flip to another class" in page.text
    assert re.search(r"distance stayed [\d.]+, n = \d+\. 0 of 300 rows came nearer", page.text)


@pytest.mark.skipif(BINARY is None, reason="needs Chromium (Debian package chromium)")
def test_page_in_a_browser(tmp_path):
    """No message on the console, and nothing wider than a phone."""
    first, second = two_runs()
    write_comparison([("float", first), ("int8", second)], tmp_path / "c.html")
    with chromium() as page:
        page.size(390)
        page.open((tmp_path / "c.html").as_uri())
        assert not page.told(
            "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
