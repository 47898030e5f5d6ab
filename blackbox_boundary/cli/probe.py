"""``blackbox-boundary probe``: find out what is spoken at an address. The looking itself is an adapter's."""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from ..errors import CapabilityMissing, PredictorUnavailable
from .messages import say
from .named_values import named_values

__all__ = ["probe"]

_GROUP = "blackbox_boundary.probes"
"""Entry points of this group are callables ``probe(spec, **given)`` whose result has ``toml`` (str) and ``dialect`` (str or None)."""


@click.command(short_help="Find out what is spoken at a URL.")
@click.argument("url")
@click.option(
    "--allow",
    multiple=True,
    metavar="command|file:PATH|env:NAME",
    help="What a .toml file may run, read or send; may be repeated.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the endpoint, such as headers; may be repeated.",
)
def probe(url: str, *, allow: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Find out what is spoken at URL, and print a configuration for it. No query is spent: GET requests only.

    URL is that of a server or of a model; or a .toml file that has it, and the headers that the server wants.
    Save what is printed, fill in what stands in comments, and give the file to `measure` as the model:

        blackbox-boundary probe http://localhost:8000/v2/models/mnist > mnist.toml

        blackbox-boundary measure mnist.toml images.npy

    Exit codes: 0, it was recognised; 3, the URL is none; 4, nothing known answers there, and what is printed is a bare form.
    """
    found = next(iter(entry_points(group=_GROUP)), None)
    if found is None:
        raise CapabilityMissing(
            'Looking at endpoints needs the HTTP adapter: pip install "blackbox-boundary[http]".'
        )
    finding = found.load()(url, **named_values(given), **({"allow": allow} if allow else {}))
    click.echo(finding.toml, nl=False)
    if finding.dialect is None:
        raise PredictorUnavailable(
            f"{finding.says} What was printed is a bare form of a description."
        )
    say(finding.says)
