"""Links of the pages to files of the repository become names: the site holds the pages alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\((\.\.?/[^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, config: dict[str, Any], **_: object) -> str:
    """Replace links that leave the folder of the pages by their text and the name of the file."""
    root = Path(config["docs_dir"]).resolve()
    folder = Path(page.file.abs_src_path).parent

    def replaced(link: re.Match[str]) -> str:
        target = (folder / link[2].partition("#")[0]).resolve()
        if target.is_relative_to(root):
            return link[0]
        return f"{link[1]} (`{target.relative_to(root.parent)}`)"

    return _LINK.sub(replaced, markdown)
