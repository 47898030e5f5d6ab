"""The report as a file: what it says, what it never contains, and that it is always the same."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from blackbox_boundary import CapabilityMissing, Distances, InvalidInput, Status
from blackbox_boundary.analysis.account import Account
from blackbox_boundary.analysis.uncertainty import Softness
from blackbox_boundary.report import write_report
from blackbox_boundary.search.asks import BY_LABELS

from .examples import HOSTILE, digits

_VOID = {"meta", "link", "img", "br"}


class Parsed(HTMLParser):
    """Elements with attributes, and their text; fails on an element closed out of order."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), "an attribute is given twice"
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(tmp_path, distances, **options):
    """Write a report and read it back."""
    path = tmp_path / "report.html"
    write_report(distances, path, **options)
    return path.read_text(encoding="utf-8")


def images(page):
    """The attributes of all pictures of a page."""
    return [attributes for tag, attributes in page.elements if tag == "img"]


def check_self_contained(page):
    """Nothing is loaded or run, names are unique, every reference in the page has its target."""
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in {"href", "src", "xlink:href", "clip-path"} & attributes.keys():
            target = attributes[name]
            assert target.startswith("data:") or target.removeprefix("url(").rstrip(")")[1:] in ids


def test_first_screen_has_the_headline_numbers(tmp_path):
    """Rows, rows with a flip point, median with unit, queries and limits precede any figure."""
    x, labels, distances = digits()
    html = report(tmp_path, distances, x=x, labels=labels, image_shape=(8, 8), title="Digits")
    first = Parsed(html).text.partition("On this page")[0].partition("Distances Entropy Labels")[0]
    assert "How far are 300 inputs" in first
    assert "296 converged · 4 no flip" in first
    assert f"Median L2 distance {np.median(distances.l2[4:]):.4g}"[:-1] in first
    assert "input units, n = 296" in first
    assert "6 + 1 predictions + gradients, n = 300" in first
    assert "Each distance is an upper bound." in first
    assert "Left out of the distances, because no flip was found: 4 no flip." in first


def test_first_screen_answers_in_words_with_the_curve(tmp_path):
    """Verdict with relative unit, misread and nearest rows come before the robustness curve."""
    x, labels, distances = digits()
    html = report(tmp_path, distances, x=x, labels=labels, image_shape=(8, 8))
    first = Parsed(html.partition("<main")[0] + "</body></html>").text
    nearest = ", ".join(map(str, np.argsort(distances.l2, kind="stable")[:3]))
    assert re.search(r"Half of the 300 images change their label when moved by \S+ \(L2\)", first)
    assert "of the norm of a typical image" in first
    assert f"{(distances.home != labels).sum()} were misread by the model and lie" in first
    assert f"Look first at images {nearest}." in first
    assert html.index("<svg") < html.index('class="tiles"')
    assert "banner" not in html.partition("</style>")[2]


@pytest.mark.parametrize("n_converged", [0, 200])
def test_a_run_that_did_not_converge_has_a_banner_and_no_bold_median(tmp_path, n_converged):
    """If under 90 % converged, a banner comes first; if none did, the median is not known."""
    *_, distances = digits()
    status = distances.status.copy()
    status[n_converged:] = Status.OUT_OF_BUDGET
    html = report(tmp_path, replace(distances, status=status)).partition("</style>")[2]
    text = Parsed("<html>" + html.partition("</head>")[2]).text
    assert html.index('class="banner"') < html.index('class="lede"')
    tile = html.partition("Median L2 distance</dt>")[2].partition("</div>")[0]
    assert 'class="unknown"' in tile
    assert ("not known" in tile) is (n_converged == 0)
    assert ("None of the 300 rows converged" in text) is (n_converged == 0)


def test_gallery_has_three_strips_of_different_rows(tmp_path):
    """Nearest, typical around the median, confident ones of the nearest quarter; none twice."""
    x, _, distances = digits()
    html = report(tmp_path, distances, x=x, image_shape=(8, 8))
    strips = re.split(r'<h3 class="strip">', html)[1:]
    assert [strip.partition("<")[0] for strip in strips] == [
        "Nearest",
        "Typical",
        "Confident yet near",
    ]
    rows = [[int(n) for n in re.findall(r'class="row">row (\d+)', strip)] for strip in strips]
    order = np.argsort(distances.l2, kind="stable")[:296].tolist()
    assert rows[0] == order[:6]
    assert rows[1] == order[145:151]
    near = [row for row in order[:74] if row not in rows[0]]
    assert rows[2] == sorted(near, key=lambda row: (distances.entropy[row], order.index(row)))[:6]


def test_softness_and_settings_are_in_words(tmp_path):
    """The knee of the fitted map; six lines of settings, command, linked files, no private path."""
    *_, distances = digits()
    run = distances.run | {
        "model": "/home/me/secret/net.onnx",
        "data": {"path": "/home/me/secret/x.npy", "rows": 300, "shape": [64]},
        "ledger": {"path": "/home/me/secret/l.db"},
        "command": "blackbox-boundary measure net.onnx x.npy",
        "behaviour": {
            "latency_s": [0.07346, 0.1, 2.5], "rows_per_s": 12.0, "n_rows": 5, "n_repeats": 6,
        },
    }  # fmt: skip
    html = report(tmp_path, replace(distances, run=run), beside=["results.csv"])
    text = Parsed(html).text
    known = distances.l2[4:], distances.entropy[4:]
    assert f"knee at {Softness.fit(*known).knee:.4g}"[:-1] in text
    assert "secret" not in html
    assert "73 ms, 100 ms, 2.5 s" in text
    assert "To repeat it blackbox-boundary measure net.onnx x.npy" in text
    assert 'href="results.csv"' in html


def test_a_certified_distance_is_shown_and_named(tmp_path):
    """Beside the flip points, with its norm; what is proved is said, only where something is."""
    *_, distances = digits()
    assert "is proved" not in Parsed(report(tmp_path, distances)).text
    run = distances.run | {"estimator": {"name": "lower_bound", "norm": "linf"}}
    page = Parsed(report(tmp_path, replace(distances, certified=0.1 * distances.linf, run=run)))
    assert "no flip within, L∞" in page.text
    assert "is proved" in page.text


def test_every_figure_has_its_numbers(tmp_path):
    """Curves, three histograms, entropy and label map each have an alternative text and a table."""
    x, labels, distances = digits()
    html = report(tmp_path, distances, x=x, labels=labels, image_shape=(8, 8))
    page = Parsed(html)
    figures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(figures) == 7  # the curve, its classes, three histograms, entropy, label map
    assert all(
        attributes["role"] == "img" and re.search(r"\d", attributes["aria-label"])
        for attributes in figures
    )
    captions = {attributes["aria-label"] for tag, attributes in page.elements if tag == "table"}
    for expected in (
        "Rows by L1 distance",
        "Rows by L2 distance",
        "Rows by L∞ distance",
        "Softmax entropy",
        "Label pairs, 296 rows",
    ):
        assert any(caption.startswith(expected) for caption in captions)
    assert len(images(page)) == 54


def test_what_was_measured_and_every_fact_of_the_run_are_shown(tmp_path):
    """Model, access and estimator at the top; below, all facts by dotted names, long ones cut."""
    text = Parsed(report(tmp_path, digits()[2])).text
    top, _, facts = text.partition("Facts of the run")
    assert (
        "model Linear() model reveals logits and gradients estimator ray, direction margin"
        in " ".join(top.split())
    )
    assert "estimator.direction margin" in facts
    assert "seed 0" in facts
    assert "… (" in facts


@pytest.mark.parametrize("image", [True, False])
def test_page_is_self_contained(tmp_path, image):
    """No script, no style attribute, no outside address; the policy allows one style sheet only."""
    x, labels, distances = digits()
    html = report(tmp_path, distances, x=x, labels=labels, image_shape=(8, 8) if image else None)
    check_self_contained(Parsed(html))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'" in html
    )
    assert "@import" not in style
    assert "url(" not in style
    assert not re.search(r"#[0-9a-f]{6}", html.partition("</style>")[2]), (
        "a figure has a colour of its own"
    )


def test_everything_shown_is_escaped(tmp_path):
    """Class names, title, and keys and values of the run stay text, whatever they hold."""
    x, labels, distances = digits()
    distances = replace(
        distances,
        run={HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}, "file": "/data/\udcff.npy"},
    )
    html = report(
        tmp_path,
        distances,
        x=x,
        labels=labels,
        class_names=[HOSTILE] * 10,
        title=HOSTILE,
        image_shape=(8, 8),
    )
    page = Parsed(html)
    check_self_contained(page)
    assert len(images(page)) == 54
    assert "\x00" not in html
    assert "\u202e" not in html
    assert page.text.count("<script>alert('x')</script>") > 20


def test_same_input_gives_the_same_bytes(tmp_path):
    """Also in another process with another hash seed."""
    code = (
        "import sys; from tests.report.examples import digits; "
        "from blackbox_boundary.report import write_report\n"
        "x, labels, distances = digits(); "
        "write_report(distances, sys.argv[1], x=x, labels=labels, image_shape=(8, 8))"
    )
    written = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.html"
        root = __file__.partition("/tests/report/")[0]
        subprocess.run(
            [sys.executable, "-c", code, str(path)],
            check=True,
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
        )
        written.append(path.read_bytes())
    x, labels, distances = digits()
    assert (
        written[0]
        == written[1]
        == report(tmp_path, distances, x=x, labels=labels, image_shape=(8, 8)).encode()
    )


@pytest.mark.parametrize("n", [0, 1, 5])
def test_rows_of_which_nothing_is_known(tmp_path, n):
    """No flip anywhere: no figure, no picture, no NaN, and said so in the first sentence."""
    html = report(tmp_path, Distances.empty(n), x=np.zeros((n, 8, 8)), labels=np.zeros(n, int))
    page = Parsed(html)
    check_self_contained(page)
    assert "no point where the model changes its answer is known for any of them" in page.text
    assert not re.search(r"\b(nan|inf)\b", page.text)
    assert "<svg" not in html
    assert "<img" not in html


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_explained(tmp_path, status):
    """A status without an explanation would fail here."""
    distances = replace(Distances.empty(2), status=np.full(2, status, np.int8))
    text = Parsed(report(tmp_path, distances)).text
    assert f"{status.name.lower().replace('_', ' ')} 2 rows, 100.0% 0 with a flip point" in text


def test_a_single_row(tmp_path):
    """One row with a flip point has every section, in the singular."""
    x, _, distances = digits()
    text = Parsed(report(tmp_path, distances[9:10], x=x[9:10], image_shape=(8, 8))).text
    assert "How far is one input from" in text
    assert "The rows with the smallest distance." in text


def test_without_flip_points_only_the_original_is_shown(tmp_path):
    """Results that did not keep their flip points still show the rows."""
    x, _, distances = digits()
    page = Parsed(report(tmp_path, replace(distances, flip_points=None), x=x, image_shape=(8, 8)))
    assert len(images(page)) == 18


def test_rows_that_are_no_pictures_name_their_largest_changes(tmp_path):
    """The five inputs that change most, with the values before and after, and the change."""
    x, _, distances = digits()
    text = Parsed(report(tmp_path, distances, x=x)).text
    row = int(np.argmin(distances.l2))
    change = np.abs(distances.flip_points[row] - x[row])
    cells = re.search(rf"input \[{change.argmax()}\]\s+{x[row, change.argmax()]:.0f}\s", text)
    assert cells
    assert len(re.findall(r"input \[\d+\]", text.split("Rows to look at")[1])) == 90


def test_inputs_are_named_as_the_data_name_them(tmp_path):
    """The columns of a table on the cards, with their control characters escaped."""
    x, _, distances = digits()
    names = [f"column\x1b {k}" for k in range(64)]
    text = Parsed(report(tmp_path, distances, x=x, input_names=names)).text
    row = int(np.argmin(distances.l2))
    change = np.abs(distances.flip_points[row] - x[row])
    assert re.search(rf"column\\x1b {change.argmax()}\s+{x[row, change.argmax()]:.0f}\s", text)
    assert "input [" not in text


def test_labels_in_another_order_are_pointed_out(tmp_path):
    """How words were numbered, and that the labels agree less often than chance."""
    _, _, distances = digits()
    run = {"data": {"labels_numbered": "by the alphabet"}}
    moved = (distances.home + 1) % 10
    names = ["zero", "one"]
    html = report(tmp_path, replace(distances, run=run), labels=moved, class_names=names)
    text = Parsed(html).text
    assert (
        "numbered in alphabetical order, which may differ from the model’s order: zero = 0, one = 1"
        in text
    )
    assert "agree with the model less often than chance would" in text
    right = Parsed(report(tmp_path, distances, labels=distances.home)).text
    assert "alphabetical" not in right
    assert "chance" not in right


def test_many_label_pairs_are_cut_and_counted(tmp_path):
    """Ten thousand pairs: a page of the usual size that says how many are not listed."""
    n = 12_000
    rows = np.arange(n)
    distances = replace(
        Distances.empty(n), l1=1.0 + rows, l2=1.0 + rows, linf=1.0 + rows, hi=1.0 + rows,
        home=rows % 120, flipped=(rows // 120) + 120,
        status=np.full(n, Status.CONVERGED, np.int8),
    )  # fmt: skip
    html = report(tmp_path, distances)
    assert len(html) < 300_000
    text = Parsed(html).text
    assert "The 200 most frequent of 12,000 label pairs" in text
    assert "11,970 less frequent pairs hold the other 11,970 rows." in text
    assert "all others share the line and column" in text


def test_distances_that_did_not_converge_are_named(tmp_path):
    """They are in the quartiles, so the first screen says how many they are."""
    _, _, distances = digits()
    status = distances.status.copy()
    status[10:17] = Status.OUT_OF_BUDGET
    text = Parsed(report(tmp_path, replace(distances, status=status))).text
    assert "Included although the search did not converge: 7 out of budget." in text


def test_true_labels_set_right_and_wrong_side_by_side(tmp_path):
    """Accuracy on the first screen, distances apart, and a mark on fragile misread rows."""
    x, labels, distances = digits()
    wrong = labels.copy()
    nearest = int(np.argmin(distances.l2))
    wrong[nearest] = (distances.home[nearest] + 1) % 10
    text = Parsed(report(tmp_path, distances, x=x, labels=wrong, image_shape=(8, 8))).text
    assert f"Home label right {np.mean(distances.home == wrong):.1%} of 300 rows" in text
    assert f"home label wrong, true {wrong[nearest]}" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"x": np.zeros((3, 64))},
            '"x" of write_report must have one row for each of the 300 distances',
        ),
        ({"labels": np.zeros((300, 2))}, '"labels" of write_report must have shape'),
        ({"norm": "l3"}, '"norm" must be one of'),
        (
            {"x": np.zeros((300, 64)), "image_shape": (9, 9)},
            '"image_shape" must hold as many values as a row, 64',
        ),
        ({"x": np.zeros((300, 64)), "image_shape": (2, 2, 16)}, '"image_shape" must be'),
        (
            {"x": np.zeros((300, 64)), "input_names": ["a"]},
            '"input_names" of write_report must name the 64 inputs of a row; got 1',
        ),
    ],
)
def test_bad_input_is_named(tmp_path, options, message):
    """What, whose, what is allowed; nothing is written."""
    with pytest.raises(InvalidInput, match=re.escape(message)):
        write_report(digits()[2], tmp_path / "report.html", **options)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(tmp_path):
    """The path and the system's reason."""
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_report(Distances.empty(1), tmp_path / "missing" / "report.html")


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_extra_is_named(tmp_path, monkeypatch, module):
    """The message is the command that installs what is missing."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        CapabilityMissing, match=re.escape('pip install "blackbox-boundary[report]"')
    ):
        write_report(Distances.empty(1), tmp_path / "report.html")


def test_import_loads_nothing_heavy():
    """The package's report can be imported without jinja2, matplotlib or torch being loaded."""
    code = (
        "import sys, blackbox_boundary.report; "
        "print({'jinja2', 'matplotlib', 'torch'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        == "set()"
    )


def test_rows_measured_by_labels_are_counted(tmp_path):
    """The first screen says how many rows were measured by labels, and nothing where none was."""
    _, _, distances = digits()
    note = np.full(len(distances), "", "<U120")
    write_report(replace(distances, note=note), tmp_path / "none.html")
    assert "measured by labels" not in (tmp_path / "none.html").read_text(encoding="utf-8")
    note[:3] = BY_LABELS
    write_report(replace(distances, note=note), tmp_path / "some.html")
    page = (tmp_path / "some.html").read_text(encoding="utf-8")
    assert "3 rows measured by labels (halfspace)" in page


def test_what_was_asked_and_what_was_sent_are_told_apart(tmp_path):
    """The first screen counts queries asked, and says how many the ledger answered or were sent."""
    _, _, distances = digits()
    account = Account(asked=700, recorded=200, sent=512, again=12, requests=9, seconds=3.21)
    run = {**distances.run, "account": account.facts()}
    write_report(replace(distances, run=run), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Queries asked per row" in page
    assert page.index(account.line()) < page.index("Facts of the run")
