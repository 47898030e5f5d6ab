"""A figure as SVG that belongs to the page: its colours, its font, its security policy.

matplotlib writes a document of its own: style attributes (which a strict content security policy
blocks), fixed colours (which do not follow a dark theme), names that repeat from figure to figure.
Here they become presentation attributes, custom properties of the page, and names that begin with
the figure's own. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from .axes import TITLED
from .figures import Colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

__all__ = ["PAGE_COLOURS", "inline_svg"]

PAGE_COLOURS = Colours(ink="#000001", muted="#000002", accent="#000003", contrast="#000004")
"""Draw a figure for the page in these; no other figure has them, and each becomes a custom
property of the style sheet."""

_PROPERTIES = {
    PAGE_COLOURS.ink: "--ink",
    PAGE_COLOURS.muted: "--muted",
    PAGE_COLOURS.accent: "--accent",
    PAGE_COLOURS.contrast: "--contrast",
}
_COLOUR = re.compile(r"#00000[1-4]\b")
_REFERENCE = re.compile(r"#([\w.-]+)")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_MEASURES = {"d", "x", "y", "width", "height", "transform"}
_DROPPED = ("font-family", "stroke-linecap", "stroke-linejoin")  # the style sheet's

_SCALE = 1.6
"""CSS pixels a point: letters of 9 points come out a little smaller than the text around, where
the page has the room."""


def inline_svg(figure: Figure, name: str, *, text: str, titles: Sequence[str] = ()) -> str:
    """Write a figure as an ``<svg>`` element to stand in an HTML page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn in :data:`PAGE_COLOURS`.
    name : str
        Of the figure on its page; letters and digits.
    text : str
        Text for readers who do not see the figure.
    titles : sequence of str, optional
        One for each shape of the artist whose id is :data:`TITLED`, shown by a browser while the
        mouse rests on the shape.
    """
    root = ET.fromstring(_draw(figure))  # noqa: S314  matplotlib has just written it
    for parent in root.iter():
        parent.tag = _local(parent.tag)
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    if titles:
        _entitle(root, titles)
    _rename(root, name)
    for element in root.iter():
        _present(element)
    _slim(root)
    width = round(_SCALE * figure.get_figwidth() * 72)
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "width": f"{width}",
        "role": "img",
        "aria-label": text,
    }
    return ET.tostring(root, encoding="unicode")


def _draw(figure: Figure) -> bytes:
    from matplotlib import rc_context

    file = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "blackbox_boundary"}):
        figure.savefig(file, format="svg", transparent=True)
    return file.getvalue()


def _entitle(root: ET.Element, titles: Sequence[str]) -> None:
    """Give each shape of the titled artist its title."""
    (group,) = (element for element in root.iter() if element.get("id") == TITLED)
    shapes = [element for element in group.iter() if element.tag == "path"]
    for shape, title in zip(shapes, titles, strict=True):
        ET.SubElement(shape, "title").text = title


def _slim(root: ET.Element) -> None:
    """Shorten numbers to hundredths of a point; drop indentation, and groups that do nothing."""
    for element in root.iter():
        for key in element.attrib.keys() & _MEASURES:
            element.attrib[key] = " ".join(_NUMBER.sub(_shortened, element.attrib[key]).split())
        if element.text is not None and not element.text.strip():
            element.text = None
        element.tail = None
        children: list[ET.Element] = []
        for child in element:
            while child.tag == "g" and not child.attrib and len(child) == 1:
                child = child[0]  # noqa: PLW2901
            if child.tag != "g" or len(child):
                children.append(child)
        element[:] = children


def _shortened(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), 2):g}"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _rename(root: ET.Element, name: str) -> None:
    """Keep only the names that are referred to, and make them unique to the figure."""
    used = {
        match
        for element in root.iter()
        for value in element.attrib.values()
        for match in _REFERENCE.findall(value)
    }
    for element in root.iter():
        attributes = {_local(key): value for key, value in element.attrib.items()}
        if "id" in attributes and attributes["id"] not in used:
            del attributes["id"]
        for key in attributes.keys() & {"id"}:
            attributes[key] = f"{name}-{attributes[key]}"
        for key in attributes.keys() & {"href", "clip-path"}:
            attributes[key] = _REFERENCE.sub(rf"#{name}-\1", attributes[key])
        element.attrib = attributes


def _present(element: ET.Element) -> None:
    """Replace the style attribute by presentation attributes.

    The colours of the page are replaced by its custom properties.
    """
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = declaration.partition(":")
        if key.strip() and key.strip() not in _DROPPED:
            element.set(
                key.strip(),
                _COLOUR.sub(lambda match: f"var({_PROPERTIES[match[0]]})", value.strip()),
            )
