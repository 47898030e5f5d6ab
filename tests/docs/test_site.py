"""The site: built without a warning, searchable, ten tasks within two clicks of its first page."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TASKS = {
    "measure an ONNX file": ("how-to/wrap-an-onnx-export", "blackbox-boundary measure"),
    "measure an int8 file": ("how-to/measure-an-int8-model", "model-int8.onnx"),
    "measure a scikit-learn pipeline": ("how-to/wrap-an-estimator", "scikit-learn"),
    "an endpoint with a key": ("how-to/audit-an-http-endpoint", "key"),
    "an endpoint with a quota": ("how-to/stay-within-a-quota", "--max-queries"),
    "resume after a crash": ("how-to/resume-and-replay", "--resume"),
    "compare two models": ("how-to/compare-two-models", "blackbox-boundary compare"),
    "choose an estimator": ("how-to/choose-an-estimator", "estimator"),
    "write an adapter": ("how-to/write-an-adapter", "check_predictor"),
    "reproduce the paper": ("how-to/reproduce-the-paper", "reproduce"),
    "read a status": ("reference/statuses", "OUT_OF_BUDGET"),
}


class Article(HTMLParser):
    """Links and text of the article of a page, without the navigation around it."""

    def __init__(self, html):
        super().__init__()
        self.links, self.images, self.text, self._depth = [], [], "", 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._depth += tag == "article"
        if self._depth and tag == "a" and "headerlink" not in dict(attrs).get("class", ""):
            self.links.append(dict(attrs).get("href", ""))
        if self._depth and tag in ("img", "source"):
            self.images.append(dict(attrs).get("src") or dict(attrs)["srcset"])

    def handle_endtag(self, tag):
        self._depth -= tag == "article"

    def handle_data(self, data):
        if self._depth:
            self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built in strict mode: a warning would end it."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr.replace("MKDOCS_2_WARNING", "")
    return folder


def links(page):
    """Pages that the article of a page links to."""
    found = Article(page.read_text(encoding="utf-8")).links
    inside = [link.partition("#")[0] for link in found if "://" not in link]
    return {(page.parent / link / "index.html").resolve() for link in inside if link}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_at_most_two_clicks_away(site, task):
    """Links of articles are followed from the first page; the page reached speaks of the task."""
    name, words = TASKS[task]
    target = site / name / "index.html"
    first = {page for page in links(site / "index.html") if page.exists()}
    second = set().union(*(links(page) for page in first))
    assert target.resolve() in first | second
    assert words in Article(target.read_text(encoding="utf-8")).text


def test_pages_show_their_pictures_and_code_blocks(site):
    """Each image is a file of the site, and no fence of a code block was left as text."""
    n_images = 0
    for page in site.rglob("index.html"):
        article = Article(page.read_text(encoding="utf-8"))
        images = [image.partition("#")[0] for image in article.images if "://" not in image]
        assert [image for image in images if not (page.parent / image).is_file()] == [], page
        assert "```" not in article.text, page
        n_images += len(images)
    assert n_images > 8


def test_the_site_is_searchable_and_loads_nothing_from_elsewhere(site):
    """A search index of every page; scripts and styles are the site's own."""
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for name, _ in TASKS.values():
        assert f'"{name}/' in index
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert not any(f'{kind}="http' in html for kind in ("script src", 'rel="stylesheet" href'))


def test_api_pages_come_from_the_docstrings(site):
    """Signatures with defaults, and the settings of an estimator."""
    core = Article((site / "reference/python/core/index.html").read_text()).text
    assert "max_queries" in core
    assert "Measure how far each row is from the decision boundary." in core
    tangent = Article((site / "reference/python/estimators/index.html").read_text()).text
    assert "direction" in tangent
