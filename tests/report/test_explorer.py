"""The interactive file in a real browser: sorts, filters, stays offline, opens 60,000 rows at once."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.report import write_explorer

from .chromium import BINARY, chromium
from .examples import HOSTILE, digits

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Chromium (Debian package chromium)")

COLUMN = "[...document.querySelectorAll('#rows tr')].map(line => line.children[{}].textContent)"
CLICK = "document.querySelector('th[data-key=\"{}\"] button').click()"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The digits, with hostile names, open in a browser."""
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    x, labels, found = digits()
    names = [HOSTILE] * 10
    write_explorer(found, path, x=x, labels=labels, class_names=names, image_shape=(8, 8))
    with chromium() as page:
        page.size(1280)
        page.open(path.as_uri())
        yield page


def test_nothing_is_loaded_and_nothing_is_said(page):
    """No message, no blocked script or style, one request."""
    assert page.evaluate("document.body.dataset.ready") == "yes"
    assert page.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    asked = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    assert len([url for url in asked if not url.startswith("data:")]) == 1


def test_rows_sort_and_unknown_distances_come_last(page):
    """By NumPy's order, both ways."""
    *_, found = digits()
    order = np.argsort(found.l2, kind="stable")
    assert page.evaluate(COLUMN.format(0)) == [str(i) for i in order[:50]]
    page.evaluate(CLICK.format("distance"))
    known = order[np.isfinite(found.l2[order])]
    assert page.evaluate(COLUMN.format(0)) == [str(i) for i in known[::-1][:50]]
    page.evaluate(CLICK.format("distance"))


def test_a_label_pair_lists_its_rows(page):
    """The count on the button is the number of rows listed; "all rows" lists all."""
    *_, found = digits()
    pair = page.evaluate("document.querySelector('[data-pair]').dataset.pair")
    page.evaluate("document.querySelector('[data-pair]').click()")
    home, flipped = map(int, pair.split(","))
    expected = np.flatnonzero((found.home == home) & (found.flipped == flipped))
    assert sorted(map(int, page.evaluate(COLUMN.format(0)))) == expected.tolist()
    page.evaluate("document.getElementById('all').click()")
    assert page.evaluate("document.getElementById('count').textContent").startswith("300 of 300")


def test_a_row_shows_its_pictures_and_the_chart_its_rows(page):
    """Original and flip point of the first row listed; hovering the chart names a row."""
    page.evaluate("document.querySelector('#rows button').click()")
    assert page.evaluate("document.querySelectorAll('#detail img').length") == 2
    box = page.evaluate(
        "(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    assert page.evaluate("document.getElementById('hover').textContent").startswith("row ")


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen(page, width):
    """A phone and a laptop."""
    page.size(width)
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_sixty_thousand_rows_open_and_sort_in_two_seconds(tmp_path):
    """Under 15 MB; opened and sorted by another column in under two seconds, by the browser's own clock."""
    n, generator = 60_000, np.random.default_rng(0)
    l2 = generator.gamma(3, size=n)
    found = replace(
        Distances.empty(n), l2=l2, l1=l2, linf=l2, hi=l2, home=generator.integers(0, 10, n), flipped=generator.integers(0, 10, n),
        status=np.full(n, Status.CONVERGED, np.int8), entropy=generator.random(n),
    )  # fmt: skip
    path = tmp_path / "explorer.html"
    write_explorer(found, path, x=generator.random((n, 28, 28), np.float32))
    assert path.stat().st_size < 15e6
    with chromium() as page:
        started = time.perf_counter()
        page.open(path.as_uri())
        loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1e3
        sorting = page.evaluate(
            f"(() => {{ const t = performance.now(); {CLICK.format('entropy')}; return (performance.now() - t) / 1e3; }})()"
        )
        values = list(map(float, page.evaluate(COLUMN.format(4))))
        total = time.perf_counter() - started
        print(f"loaded {loaded:.2f} s, sorted {sorting:.2f} s, {total:.1f} s in all")
        assert all(a <= b for a, b in pairwise(values))
        assert loaded + sorting < 2
