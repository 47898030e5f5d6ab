"""The README's commands and code are what is run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_readmes_test_command_word_for_word():
    """The line under "Test" stands in .ci/run as it is."""
    command = re.search(r"## Test\n\n```sh\n(.+)\n```", README)[1]
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_readmes_code_prints_what_it_says(capsys):
    """The Python block runs, and its last comment is its output."""
    code = re.search(r"```python\n(.+?)```", README, re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip() == code.strip().splitlines()[-1].removeprefix("# ")


def test_every_link_of_the_readme_leads_somewhere():
    """Relative links name files that exist."""
    missing = [
        link
        for link in re.findall(r"\]\(([^)#]+)\)", README)
        if "://" not in link and not (ROOT / link).exists()
    ]
    assert not missing
