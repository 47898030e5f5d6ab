"""The interactive file in a real browser: sorts, filters, stays offline, opens 60,000 rows."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.report import write_explorer

from .chromium import AXE, BINARY, chromium
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


@pytest.mark.skipif(not AXE, reason="needs axe-core (npm pack axe-core; AXE=path of axe.min.js)")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_explorer(page, scheme):
    """The numbers on the fullest cells of the label map included."""
    page.media(scheme=scheme)
    assert page.axe() == []


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


def test_a_cell_of_the_label_map_lists_its_rows(page):
    """A click with the mouse on the fullest cell; its title names both labels and the rows."""
    *_, found = digits()
    cells = "document.querySelectorAll('table.cells [data-pair]')"
    assert page.evaluate(f"{cells}.length") == len(
        {(h, f) for h, f in zip(found.home, found.flipped, strict=True) if f >= 0}
    )
    page.click("table.cells [data-pair]")
    pair = page.evaluate(f"{cells}[0].dataset.pair")
    home, flipped = map(int, pair.split(","))
    expected = np.flatnonzero((found.home == home) & (found.flipped == flipped))
    assert sorted(map(int, page.evaluate(COLUMN.format(0)))) == expected.tolist()
    assert page.evaluate(f"{cells}[0].title").endswith(f": {len(expected)} rows")
    page.evaluate("document.getElementById('all').click()")


def test_a_pixel_of_a_large_label_map_lists_its_rows(tmp_path):
    """With a hundred classes the map is a picture; a click on a pixel lists that pair."""
    n, generator = 400, np.random.default_rng(0)
    l2, home = generator.gamma(3, size=n), generator.integers(0, 100, n)
    home[0], flipped = 99, (home + 1) % 100
    flipped[0] = 98
    found = replace(
        Distances.empty(n), l2=l2, l1=l2, linf=l2, hi=l2, home=home, flipped=flipped,
        status=np.full(n, Status.CONVERGED, np.int8),
    )  # fmt: skip
    write_explorer(found, tmp_path / "explorer.html")
    with chromium() as page:
        page.size(1280)
        page.open((tmp_path / "explorer.html").as_uri())
        page.click("#map", (98.5 / 100, 99.5 / 100))
        assert page.evaluate(COLUMN.format(0)) == ["0"]
        assert page.evaluate("document.getElementById('count').textContent").endswith("99 → 98")


def test_a_row_shows_its_pictures_and_the_chart_its_rows(page):
    """Original and flip point of the first row listed; hovering the chart names a row."""
    page.evaluate("document.querySelector('#rows button').click()")
    assert page.evaluate("document.querySelectorAll('#detail img').length") == 2
    box = page.evaluate(
        "(() => { const e = document.querySelector('.u-over'); "
        "e.scrollIntoView({block: 'center'}); "
        "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
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
    """Under 15 MB; opens and sorts by a column in under 2 s of the browser's processor time.

    Processor time does not depend on what else the machine does.
    """
    n, generator = 60_000, np.random.default_rng(0)
    l2 = generator.gamma(3, size=n)
    found = replace(
        Distances.empty(n), l2=l2, l1=l2, linf=l2, hi=l2,
        home=generator.integers(0, 10, n), flipped=generator.integers(0, 10, n),
        status=np.full(n, Status.CONVERGED, np.int8), entropy=generator.random(n),
    )  # fmt: skip
    path = tmp_path / "explorer.html"
    write_explorer(found, path, x=generator.random((n, 28, 28), np.float32))
    assert path.stat().st_size < 15e6
    with chromium() as page:
        page.call("Performance.enable")
        page.open(path.as_uri())
        opened = page.processor_seconds()
        page.evaluate(CLICK.format("entropy"))
        sorted_by = page.processor_seconds()
        values = list(map(float, page.evaluate(COLUMN.format(4))))
        print(f"opened in {opened:.2f} s, sorted in {sorted_by - opened:.2f} s")
        assert all(a <= b for a, b in pairwise(values))
        assert sorted_by < 2
