"""The how-to pages: their code runs, in order, on one page each."""

import re
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
BLOCK = re.compile(r"^```python(?: (?P<info>[^\n]*))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["resume-and-replay", "wrap-a-torch-model", "wrap-an-onnx-export"])
def test_the_code_of_a_page_runs(name, tmp_path, monkeypatch):
    """Each block runs after those before it; a block marked ``file=NAME`` is written to that file instead."""
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = list(BLOCK.finditer((PAGES / f"{name}.md").read_text()))
    assert blocks
    for block in blocks:
        if (info := block["info"] or "").startswith("file="):
            (tmp_path / info.removeprefix("file=")).write_text(block["code"])
        else:
            exec(compile(block["code"], f"{name}.md", "exec"), names)
    sys.modules.pop("my_models", None)
