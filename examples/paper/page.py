"""All exhibits on one self-contained HTML page, and each as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blackbox_boundary.report import html

from .exhibit import Exhibit

__all__ = ["write_page"]

_PACKAGE = "blackbox_boundary.reproduction"
_STYLE = """
td { overflow-wrap: normal; }
#claims + .note + .scroll td, #claims + .note + .scroll th { min-width: 9rem; }
#claims + .note + .scroll td:nth-child(3) { min-width: 18rem; }
details.section > summary {
  padding: .75rem 0; color: var(--ink); border-top: 1px solid var(--line);
}
details.section > summary h2 { display: inline; }
details.section { margin-top: 1.5rem; }
"""


def write_page(
    folder: Path,
    title: str,
    facts: Sequence[str],
    sections: Sequence[tuple[str, Sequence[Exhibit]]],
    *,
    is_quick: bool = False,
) -> Path:
    """Write ``report.html``, and each exhibit's CSV file and picture; return the page's path.

    The first section is on top; the others can be folded. A quick run has a banner.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is not installed.
    """
    html.need_packages()
    shown = [
        (name, [(exhibit, exhibit.svg()) for exhibit in exhibits]) for name, exhibits in sections
    ]
    for _, exhibits in sections:
        for exhibit in exhibits:
            exhibit.write(folder / "figures")
    content = {"title": title, "facts": facts, "sections": shown, "is_quick": is_quick}
    path = folder / "report.html"
    html.write_page(html.render("page.html.jinja", content, _PACKAGE, _STYLE), path)
    return path
