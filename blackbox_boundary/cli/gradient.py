"""``blackbox-boundary gradient``.

The command writes a model that outputs gradients. The adapter that reads such files creates it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import click

from ..errors import CapabilityMissing, InvalidInput

__all__ = ["gradient"]

_GROUP = "blackbox_boundary.gradient_models"


@click.command(short_help="Write a model that outputs gradients.")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--input", "input_name", help="Differentiate by this input, of several.")
@click.option("--output", "output_name", help="Differentiate this output, of several.")
@click.option(
    "--margin",
    is_flag=True,
    help="Take the label as an input, and output the gradient of its score minus the best other "
    "one.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT where it exists; never MODEL.")
def gradient(
    model: Path,
    out: Path,
    *,
    input_name: str | None,
    output_name: str | None,
    margin: bool,
    overwrite: bool,
) -> None:
    """Differentiate the ONNX file MODEL and write the result to OUT.

    OUT takes the inputs of MODEL and weights v of its scores, and outputs the scores and d(v .
    scores)/dx. It is made of standard ops: any runtime that takes opset 18 runs it. Weights in
    files beside MODEL stay there.

    Exit codes: 0, OUT is written; 3, OUT exists, or MODEL cannot be read or has no gradient, and
    the message says why.
    """
    _check_free(model, out, overwrite=overwrite)
    writer = _writer(model)
    click.echo(writer(model, out, input=input_name, output=output_name, margin=margin))


def _check_free(model: Path, out: Path, *, overwrite: bool) -> None:
    """Refuse to write over MODEL, under whatever name, or over a file without ``--overwrite``."""
    if not out.exists():
        return
    if out.samefile(model):
        raise InvalidInput(f'OUT must be another file than MODEL; got "{out}" for both.')
    if not overwrite:
        raise InvalidInput(
            f'"{out}" exists already. Replace it with --overwrite, or choose another file.'
        )


def _writer(model: Path) -> Callable[..., str]:
    """The installed adapters' writer of gradient models for files with this ending."""
    ending = model.suffix.lstrip(".").lower()
    for entry in entry_points(group=_GROUP):
        if entry.name == ending:
            write: Callable[..., str] = entry.load()
            return write
    known = ", ".join(f".{entry.name}" for entry in entry_points(group=_GROUP)) or "none"
    raise CapabilityMissing(
        f'No adapter writes gradient models of "{model.name}"; the endings known are: {known}.'
    )
