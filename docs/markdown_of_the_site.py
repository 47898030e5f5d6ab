"""What GitHub and the tests read in the pages, as the site's generator reads it.

Pictures of two themes become two images, one of which each theme shows: a generator leaves the
paths of a ``<picture>`` as those of the sources. Words after the language of a code block, which
tell the tests what it needs, are taken away; the name of a file becomes its title.
"""

from __future__ import annotations

import re

_PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img src="(?P<light>[^"]+)" width="(?P<width>\d+)" alt="(?P<alt>[^"]+)">\s*</picture>'
)
_FENCE = re.compile(r"^```(?P<language>\w+) (?:file=(?P<file>\S+)|[^\n]+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Rewrite the pictures and the first lines of the code blocks of a page."""
    return _FENCE.sub(_fence, _PICTURE.sub(_images, markdown))


def _images(found: re.Match[str]) -> str:
    return "".join(
        f'![{found["alt"]}]({found[theme]}#only-{theme}){{ width="{found["width"]}" }}\n'
        for theme in ("light", "dark")
    )


def _fence(found: re.Match[str]) -> str:
    title = f' title="{found["file"]}"' if found["file"] else ""
    return f"```{found['language']}{title}"
