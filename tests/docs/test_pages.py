"""The pages of docs/: code runs and prints what they say, links resolve, lists are complete."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

import blackbox_boundary
from blackbox_boundary import Distances, Measurement, Status, measure
from blackbox_boundary.cli import main

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(
    r"^```python(?: (?P<info>[^\n]*))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?:\]\(|(?:src|srcset|href)=\")([^)\"\s]+)")
NEEDS = {
    "how-to/audit-a-table": "pandas",
    "how-to/choose-an-estimator": "torch",
    "how-to/watch-a-training": "torch",
    "how-to/wrap-a-torch-model": "torch",
    "how-to/wrap-an-onnx-export": "onnxruntime",
}
ELSEWHERE = {"how-to/audit-an-http-endpoint", "how-to/audit-a-fastapi-service"}
"""Pages whose code needs a server; their own test starts one."""
UNWRITTEN: set[str] = set()
"""Pages that others link to and that are still to come."""
OUTPUT = re.compile(r"(?:^# [^\n]*\n)+\Z", re.MULTILINE)


def name_of(page: Path) -> str:
    """``how-to/read-the-report``."""
    return page.relative_to(DOCS).with_suffix("").as_posix()


def text_of(name: str) -> str:
    """What a page says."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as GitHub makes it."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if BLOCK.search(page.read_text()) and name_of(page) not in ELSEWHERE],
    ids=name_of,
)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, capsys):
    """Each block runs after those before it and prints the comment that it ends with.

    ``file=NAME``: the block is written to that file instead. ``needs=A,B``: the block, and what
    follows, needs these packages.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before, names = set(sys.modules), {}
    if (package := NEEDS.get(name_of(page))) is not None:
        pytest.importorskip(package)
    try:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            kind, _, value = (block["info"] or "").partition("=")
            if kind == "file":
                (tmp_path / value).write_text(block["code"], encoding="utf-8")
                continue
            for package in value.split(",") if kind == "needs" else ():
                pytest.importorskip(package)
            exec(compile(block["code"], page.name, "exec"), names)
            printed = capsys.readouterr().out
            if said := OUTPUT.search(block["code"]):
                assert printed == re.sub(r"^# ", "", said[0], flags=re.MULTILINE)
    finally:
        for module in set(sys.modules) - before:
            if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[module]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    """Relative links name files that exist, and headings that those files have."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if target not in {DOCS / page for page in UNWRITTEN}:
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_is_on_the_first_one():
    """docs/README.md lists all others; the paper's folder is named by its own page."""
    linked = set(LINK.findall(text_of("README")))
    missing = {page.relative_to(DOCS).as_posix() for page in PAGES} - linked - {"README.md"}
    assert not {page for page in missing if not page.startswith("paper/")}


def test_the_reference_names_all_that_is_public():
    """Every exported name, parameter of the two ways to measure, and field of their result."""
    page = text_of("reference/api")
    names = [
        *blackbox_boundary.__all__,
        *measure.__kwdefaults__,
        *Measurement.__init__.__kwdefaults__,
        *Distances.__dataclass_fields__,
    ]
    assert not [name for name in names if not re.search(rf"`{name}\b|, {name}\b", page)]


def test_names_in_the_table_of_modules_exist():
    """A module's line names only what the module has."""
    lines = re.findall(
        r"^\| `(blackbox_boundary\.[\w.]+)` \| (.+) \|$", text_of("reference/api"), re.MULTILINE
    )
    assert len(lines) > 10
    for module, text in lines:
        if not module.endswith(".adapters"):
            for name in re.findall(r"`(\w+)`", text):
                assert hasattr(import_module(module), name), (module, name)


def test_every_public_name_of_a_listed_module_is_in_the_reference():
    """What ``__all__`` of a module in the table exports, the page names."""
    page = text_of("reference/api")
    modules = re.findall(r"^\| `(blackbox_boundary\.[\w.]+)` \|", page, re.MULTILINE)
    assert len(modules) > 10
    missing = [
        f"{module}.{name}"
        for module in modules
        for name in getattr(import_module(module), "__all__", ())
        if not re.search(rf"\b{name}\b", page)
    ]
    assert not missing


def test_the_table_of_statuses_is_complete():
    """Names, values, meanings as in the source, and what resume does."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\d+) \| .+ \| (?:yes|no|perhaps) \| (yes|no) \|$",
        text_of("reference/statuses"),
        re.MULTILINE,
    )
    assert rows == [
        (status.name, str(status.value), "no" if status.is_final else "yes") for status in Status
    ]


def test_the_table_of_errors_is_complete():
    """Every exported exception, with its base as written."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text_of("reference/errors"), re.MULTILINE))
    exported = {name: getattr(blackbox_boundary, name) for name in blackbox_boundary.__all__}
    assert set(rows) == {
        name
        for name, kind in exported.items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    for name, base in rows.items():
        assert base in {parent.__name__ for parent in exported[name].__mro__[1:]}


def commands(group: click.Group, prefix: str = "blackbox-boundary"):
    """Every command by what is typed."""
    for name, command in group.commands.items():
        yield from (
            commands(command, f"{prefix} {name}")
            if isinstance(command, click.Group)
            else [(f"{prefix} {name}", command)]
        )


def test_the_command_line_page_lists_every_option():
    """Each command has its section, which lists all of its options and no other."""
    sections = re.split(r"^## ", text_of("reference/command-line"), flags=re.MULTILINE)
    described = {
        title[1]: section
        for section in sections
        if (title := re.match(r"`(blackbox-boundary [\w -]+)`\n", section))
    }
    existing = dict(commands(main))
    assert described.keys() == existing.keys()
    for typed, section in described.items():
        options = {
            o
            for p in existing[typed].params
            if isinstance(p, click.Option)
            for o in (*p.opts, *p.secondary_opts)
        }
        listed = {
            option
            for line in re.findall(r"^\| (`--.+?) \|", section, re.MULTILINE)
            for option in re.findall(r"--[\w-]+", line)
        }
        assert listed == options


def test_advice_for_every_status():
    """The page on reports explains each status under the name that the report prints."""
    words = {status.name.lower().replace("_", " ") for status in Status if status.name != "RUNNING"}
    table = text_of("how-to/read-the-report").split("| status | what to do |")[1]
    named = {
        name.strip()
        for line in re.findall(r"^\| ([a-z ,]+) \|", table, re.MULTILINE)
        for name in line.split(",")
    }
    assert words <= named


def test_every_exit_code_of_a_run_is_documented():
    """The codes that the commands end with stand in the table of exit codes."""
    ending = import_module("blackbox_boundary.cli.ending")
    fail_if = import_module("blackbox_boundary.cli.fail_if")
    table = text_of("reference/command-line").split("## Exit codes")[1].split("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    ends = {ending._INTERRUPTED, ending._LIMIT_REACHED, ending._WITHDRAWN}
    ends |= {fail_if._FAILS, fail_if._INCONCLUSIVE}
    assert ends | {0, 2, 3, 4} == documented
