"""``blackbox-boundary probe``: recognise the server at an address.

An adapter sends the requests.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from ..errors import CapabilityMissing, PredictorUnavailable
from .messages import say
from .settings import named_values

__all__ = ["probe"]

_GROUP = "blackbox_boundary.probes"
"""Entry points of this group are callables ``probe(spec, **given)``.

Their result has ``toml`` (str) and ``dialect`` (str or None).
"""


@click.command(short_help="Recognise the server at a URL.")
@click.argument("url")
@click.option(
    "--allow",
    multiple=True,
    metavar="command|aws|file:PATH|env:NAME",
    help="What a .toml file may run, read or send; may be repeated.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the endpoint, such as headers; may be repeated.",
)
def probe(url: str, *, allow: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Recognise the server at URL and print a configuration for it.

    Only GET requests are sent, and no query. URL is the address of a server or of a model, or a
    .toml file that holds the address and the headers that the server requires. Save the printed
    configuration, fill in the commented lines, and give the file to `measure` as the model:

        blackbox-boundary probe http://localhost:8000/v2/models/mnist > mnist.toml

        blackbox-boundary measure mnist.toml images.npy

    Exit codes: 0: server recognised. 3: not a valid URL. 4: server not recognised; a template is
    printed.
    """
    found = next(iter(entry_points(group=_GROUP)), None)
    if found is None:
        raise CapabilityMissing(
            '"probe" needs the HTTP adapter: pip install "blackbox-boundary[http]".'
        )
    finding = found.load()(url, **named_values(given), **({"allow": allow} if allow else {}))
    click.echo(finding.toml, nl=False)
    if finding.dialect is None:
        raise PredictorUnavailable(f"{finding.says} The printed configuration is a template.")
    say(finding.says)
