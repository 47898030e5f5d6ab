"""``blackbox-boundary evidence``: a run as documents to hand in."""

from __future__ import annotations

import click

from .messages import say
from .options import norm_option, run_argument
from .stored_run import StoredRun

__all__ = ["evidence"]


@click.command(short_help="Write a run as CycloneDX and as a one-page statement.")
@run_argument
@norm_option
def evidence(run: str, norm: str | None) -> None:
    """Write evidence.cdx.json (CycloneDX 1.7) and statement.md into the run folder RUN.

    The first is a model component with metrics per class and claims tied to the digests of the run
    and of its ledger; the second contains the same on one page, and lists what was not tested.
    Neither claims conformity with a standard. No query is sent.
    """
    from ..report.evidence import cyclonedx, statement

    stored = StoredRun.open(run)
    norm = stored.norm(norm)
    files = {
        "evidence.cdx.json": cyclonedx(stored.distances, norm=norm, class_names=stored.class_names),
        "statement.md": statement(stored.distances, norm=norm),
    }
    for name, text in files.items():
        (stored.path / name).write_text(text, encoding="utf-8", newline="\n")
        say(f"{stored.path / name}")
