"""Fill a page template: escaped, with one style sheet and a policy that allows only that."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..analysis.overview import status_words
from ..errors import CapabilityMissing, InvalidInput

__all__ = ["need_packages", "render", "write_page"]


def need_packages() -> None:
    """Raise if the packages of a page are not installed.

    Raises
    ------
    CapabilityMissing
        jinja2 or matplotlib is missing; the message is the command that installs it.
    """
    for module in ("jinja2", "matplotlib"):
        try:
            import_module(module)
        except ImportError as error:
            raise CapabilityMissing(
                f'Writing a report needs {module}: pip install "blackbox-boundary[report]".'
            ) from error


def render(
    template: str, content: dict[str, Any], package: str = "blackbox_boundary.report", css: str = ""
) -> str:
    """Fill a template of a package; equal content gives equal text.

    ``css`` is added to the style sheet of all pages.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8") + css
    environment = Environment(
        loader=PackageLoader(package, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["digest"] = lambda text: f"'sha256-{digest_of(text)}'"
    return environment.get_template(template).render(
        content, words=status_words, style=style, style_digest=digest_of(style)
    )


def digest_of(text: str) -> str:
    """SHA-256 of a style or script, as a content security policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def write_page(html: str, path: str | os.PathLike[str]) -> None:
    """Write a page.

    Raises
    ------
    InvalidInput
        The file cannot be written.
    """
    try:
        Path(path).write_text(html, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InvalidInput(
            f'The report cannot be written to "{path}": {error.strerror}.'
        ) from error
