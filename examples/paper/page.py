"""All exhibits on one self-contained HTML page, and each as a file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from blackbox_boundary.errors import CapabilityMissing

from .exhibit import Exhibit

__all__ = ["write_page"]


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
    try:
        import matplotlib  # noqa: F401, ICN001
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise CapabilityMissing(
            "The report of a reproduction needs jinja2 and matplotlib: pip install "
            '"blackbox-boundary[report]".'
        ) from error
    shown = [
        (name, [(exhibit, _encoded(exhibit)) for exhibit in exhibits])
        for name, exhibits in sections
    ]
    for _, exhibits in sections:
        for exhibit in exhibits:
            exhibit.write(folder / "figures")
    style = (
        files("blackbox_boundary.report").joinpath("report.css").read_text(encoding="utf-8")
        + _STYLE
    )
    environment = Environment(
        loader=PackageLoader("blackbox_boundary.reproduction", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    html = environment.get_template("page.html.jinja").render(
        title=title, facts=facts, sections=shown, style=style, style_digest=digest
    )
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8", newline="\n")
    return path


def _encoded(exhibit: Exhibit) -> str:
    picture = exhibit.png()
    return base64.b64encode(picture).decode() if picture else ""
