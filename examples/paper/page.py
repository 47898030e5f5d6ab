"""All exhibits on one self-contained HTML page, and each as a file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from blackbox_boundary.report import html

from .exhibit import Exhibit

__all__ = ["write_page"]

_PACKAGE = "blackbox_boundary.reproduction"
_STYLE = """
img { max-width: 100%; }
td { overflow-wrap: normal; }
"""


def write_page(
    folder: Path,
    title: str,
    facts: Sequence[str],
    sections: Sequence[tuple[str, Sequence[Exhibit]]],
) -> Path:
    """Write ``report.html``, and each exhibit's CSV file and picture; return the page's path.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is not installed.
    """
    html.need_packages()
    shown = [
        (name, [(exhibit, _encoded(exhibit)) for exhibit in exhibits])
        for name, exhibits in sections
    ]
    for _, exhibits in sections:
        for exhibit in exhibits:
            exhibit.write(folder / "figures")
    content = {"title": title, "facts": facts, "sections": shown}
    path = folder / "report.html"
    html.write_page(html.render("page.html.jinja", content, _PACKAGE, _STYLE), path)
    return path


def _encoded(exhibit: Exhibit) -> str:
    picture = exhibit.png()
    return base64.b64encode(picture).decode() if picture else ""
