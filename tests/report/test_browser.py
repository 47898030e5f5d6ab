"""The report in a real browser: quiet, offline, and inside the screen."""

import base64
import re
import shutil

import pytest

from blackbox_boundary.report import write_report

from .chromium import AXE, BINARY, chromium
from .examples import HOSTILE, digits

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Chromium (Debian package chromium)")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of digits with hostile names, open in a browser."""
    x, labels, distances = digits()
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    write_report(
        distances,
        path,
        x=x,
        labels=labels,
        class_names=[HOSTILE] * 10,
        title=HOSTILE,
        image_shape=(8, 8),
    )
    with chromium() as page:
        page.size(1280)
        page.open(path.as_uri())
        yield page
    shutil.rmtree(folder)


def test_browser_has_nothing_to_complain_about(page):
    """No console message, no exception, no blocked style, no request for another file."""
    assert page.told("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    asked = [event["request"]["url"] for event in page.told("Network.requestWillBeSent")]
    assert len([url for url in asked if not url.startswith("data:")]) == 1
    assert page.evaluate("document.scripts.length") == 0


def test_browser_would_have_told():
    """The console and the requests of a page that does misbehave are seen."""
    with chromium() as page:
        page.open(
            "data:text/html,<script>console.error('seen'); throw 1</script><img src='file:///missing.png'>"
        )
        assert page.told("Runtime.consoleAPICalled")
        assert page.told("Runtime.exceptionThrown")
        assert len(page.told("Network.requestWillBeSent")) == 2 or page.told("Log.entryAdded")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_fits_the_screen(page, width):
    """On phones and laptops only tables and maps with scrollbars are wider than the screen."""
    page.size(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "[...document.images].every(image => "
        "image.naturalWidth > 0 && image.getBoundingClientRect().width > 40)"
    )


def test_print_has_four_or_five_pages(tmp_path):
    """On A4 nothing is wider than the sheet, and folds are left out."""
    x, labels, distances = digits()
    write_report(distances, tmp_path / "report.html", x=x, labels=labels, image_shape=(8, 8))
    with chromium() as page:
        page.size(703)  # 186 mm
        page.media(medium="print")
        page.open((tmp_path / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 703
        pdf = base64.b64decode(page.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    nodes = re.findall(rb"/Type\s*/Pages[^>]*?/Count\s+(\d+)", pdf)
    assert 4 <= max(map(int, nodes)) <= 5


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, scheme):
    """Contrast 4.5 to 1 (WCAG 2.2, 1.4.3) for text, links and marks, on page, cards, figures."""
    page.media(scheme=scheme)
    contrast = """(() => {
      const style = getComputedStyle(document.documentElement);
      const value = name => style.getPropertyValue(name).trim();
      const light = hex => {
        const [r, g, b] = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
          .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
      };
      const ratio = (a, b) => Math.max(light(a), light(b)) / Math.min(light(a), light(b));
      return Math.min(...['--ink', '--muted', '--accent', '--contrast'].flatMap(
        text => ['--paper', '--raised'].map(ground => ratio(value(text), value(ground)))));
    })()"""
    assert page.evaluate(contrast) >= 4.5
    fill = page.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert fill == page.evaluate("getComputedStyle(document.querySelector('.question')).color")


def test_every_table_can_be_scrolled_by_keyboard(page):
    """What scrolls can be reached with the tabulator, and so can the folded tables."""
    assert page.evaluate(
        "[...document.querySelectorAll('.scroll')].every("
        "frame => frame.tabIndex === 0 && frame.ariaLabel)"
    )
    assert page.evaluate(
        "[...document.querySelectorAll('details')].every("
        "folded => folded.firstElementChild.tagName === 'SUMMARY')"
    )


@pytest.mark.skipif(not AXE, reason="needs axe-core (npm pack axe-core; AXE=path of axe.min.js)")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_at_any_level(page, scheme, width):
    """Every rule of axe-core, best practices and WCAG AAA included, with all folds open."""
    page.size(width)
    page.media(scheme=scheme)
    assert page.axe() == []
