"""``blackbox-boundary measure``: the main job, end to end."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import math
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
import numpy as np
from click.core import ParameterSource
from rich.console import Console

from .. import datasets
from ..analysis.account import Account
from ..analysis.distances import Distances
from ..datasets import Data
from ..errors import BoundaryError, CapabilityMissing, Interrupted, InvalidInput
from ..estimators import CATALOGUE, ESTIMATORS, Estimator, by_name
from ..gradients import SOURCES, source_by_name
from ..loading import load
from ..measuring.driver import measure as measure_distances
from ..predictor import Access, Bounds, Predictor
from ..search.asks import Status
from .estimators import description
from .expectation import expectation
from .messages import say
from .named_values import named_values, without_query
from .reading import Noise, noise_of
from .run_folder import ResultsElsewhere, RunFolder
from .spending import spending, spending_options
from .summary import progress, summary

__all__ = ["measure"]

_LIMIT_REACHED, _INTERRUPTED = 5, 130

_IN_MEMORY = 256 * 2**20
"""Bytes of flip points kept in memory; more of them go straight to a file in the output folder."""


class _Measure(click.Command):
    """Its help describes the estimator, too, where one is named before --help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        name = str(ctx.params.get("estimator"))
        if (
            name in CATALOGUE
            and ctx.get_parameter_source("estimator") is ParameterSource.COMMANDLINE
        ):
            formatter.write_paragraph()
            formatter.write(description(name) + "\n")


@click.command(cls=_Measure)
@click.argument("model", required=False)
@click.argument("data", required=False)
@click.option(
    "--estimator",
    default="ray",
    show_default=True,
    is_eager=True,
    help='How to measure: "blackbox-boundary estimators" lists them; followed by --help, the one named is described.',
)
@click.option(
    "--direction",
    type=click.Choice(["top1", "margin"]),
    help="Gradient that the ray follows.  [default: top1]",
)
@click.option(
    "--gradients",
    type=click.Choice(list(SOURCES)),
    help="Estimate gradients.  [default: the model's own, else central]",
)
@click.option(
    "--queries-per-gradient",
    type=click.IntRange(min=2),
    help="Of blocks, local and spsa.  [default: 100]",
)
@click.option(
    "--frequencies",
    type=click.IntRange(min=1),
    help="Estimate gradients of images in this many low frequencies.  [default: all]",
)
@click.option(
    "--norm",
    type=click.Choice(["l1", "l2", "linf"]),
    default="l2",
    show_default=True,
    help="Distance that ranks the rows.",
)
@click.option(
    "--bounds", metavar="LO,HI|none", help="Domain of the inputs.  [default: the model's]"
)
@click.option(
    "--max-queries",
    type=click.IntRange(min=0),
    help="Rows that may be sent for the output folder, resumes included.  [default: no limit]",
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows a call.  [default: 512]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--rows", metavar="N|A:B", help="Measure the first N rows, or rows A to B-1.  [default: all]"
)
@click.option(
    "--output",
    type=click.Path(file_okay=False),
    help="Folder for the results.  [default: boundary-run-DATE-TIME]",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the run in --output; finished rows cost nothing."
)
@click.option("--overwrite", is_flag=True, help="Replace the run in --output.")
@click.option(
    "--no-flip-points",
    is_flag=True,
    help="Do not keep flip points: a smaller result, and no pictures of them.",
)
@click.option(
    "--report/--no-report",
    default=None,
    help="Write report.html.  [default: where the report extra is installed]",
)
@click.option(
    "--access",
    type=click.Choice([access.name.lower() for access in Access]),
    help="What the model's answers reveal.",
)
@click.option(
    "--input-shape", metavar="N,N,...", help="Shape of one row, where the model does not tell."
)
@click.option(
    "--n-classes",
    type=click.IntRange(min=2),
    help="Number of classes, where the model does not tell.",
)
@click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A further setting of the model's adapter; may be repeated.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="command|file:PATH|env:NAME",
    help="What the description of an endpoint may run, read or send; may be repeated.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the estimator; may be repeated.",
)
@click.option(
    "--votes",
    type=click.IntRange(min=1),
    help="Times each point is asked.  [default: 5 where answers prove to vary, else 1]",
)
@click.option(
    "--behaviour/--no-behaviour",
    default=None,
    help="Ask 5 rows 6 times first.  [default: endpoints, within --max-queries]",
)
@spending_options
@click.option(
    "--dry-run", is_flag=True, help="Say what the run is expected to send and cost; send nothing."
)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def measure(
    model: str | None,
    data: str | None,
    **options: Any,
) -> None:
    """Measure how far each row of DATA is from the decision boundary of MODEL.

    MODEL is an ONNX file, the address of an endpoint (http://host/v2/models/name, or a .toml file that describes one), or
    package.module:factory, a function that returns a torch module or a predictor. DATA is a .npy, .npz, .csv, .parquet or IDX file,
    a folder of images, or the name of a data set (digits, mnist, cifar100). Without both, an embedded classifier of handwritten
    digits is measured.

    \b
    Examples:
      blackbox-boundary measure
      blackbox-boundary measure model.onnx images.npy --access logits --bounds 0,1
      blackbox-boundary measure http://localhost:8000/v2/models/m x.npz --access probabilities --max-queries 10000
      blackbox-boundary measure mymodels:resnet x.npy --input-shape 3,32,32 --direction margin --output run1
    """  # noqa: D301  click reads the escape
    if model is not None and data is None:
        raise click.UsageError("MODEL needs DATA: what is to be measured?")
    if options["resume"] and (options["output"] is None or options["overwrite"]):
        raise click.UsageError(
            "--resume needs --output, the folder of the run to go on with, and excludes --overwrite."
        )
    estimator = by_name(options["estimator"], **_settings(options))
    if model is None or data is None:
        say(
            "No model given: measuring the embedded classifier on scikit-learn's 1,797 handwritten digits."
        )
        model, data = "the embedded digits classifier", "digits"
        predictor = load(datasets.digits_model(), access="logits", bounds=(0, 1))
    else:
        predictor = load(model, **_given(options))
        if reason := getattr(predictor, "no_gradients", ""):
            say(f"Gradients are estimated from predictions: {reason}")
    rows = _chosen_rows(_read(data, predictor), options["rows"])
    if options["dry_run"]:
        click.echo(expectation(predictor, estimator, len(rows), options))
        return
    folder = RunFolder(options["output"], resume=options["resume"], overwrite=options["overwrite"])
    click.get_current_context().call_on_close(folder.discard_if_empty)
    facts = _facts(data, rows)
    folder.check_data(facts)
    make_report = _wants_report(options["report"])

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    distances, failure = _measured(predictor, estimator, rows, folder, options)
    distances.run.update(model=without_query(model), data=facts)
    with _uninterrupted():
        try:
            folder.save(distances)
        except ResultsElsewhere as error:
            failure = failure or error
        if make_report:
            _write_report(folder, distances, rows, options["norm"])
    Console().print(summary(distances))
    if account := Account.of(distances.run):
        say(f"Queries: {account.line()}.")
    say(f"Results in {folder.path}/" + (f"; report: {folder.report}" if make_report else ""))
    _finish(distances, failure, folder)


def _measured(
    predictor: Predictor,
    estimator: Estimator,
    rows: Data,
    folder: RunFolder,
    options: dict[str, Any],
) -> tuple[Distances, BoundaryError | Interrupted | None]:
    """Measure within the limits of the folder; the result, with its account, and what ended it."""
    failure: BoundaryError | Interrupted | None = None
    noise, limit, before = Noise(), options["max_queries"], folder.account
    left = None if limit is None else max(0, limit - before.sent)
    with spending(predictor, options, folder.note_sent) as spent:
        ask = partial(
            measure_distances,
            spent.predictor,
            rows.x,
            estimator=estimator,
            bounds=_bounds(options["bounds"]),
            batch_size=options["batch_size"],
            seed=options["seed"],
        )
        try:
            noise = noise_of(
                spent.predictor,
                predictor,
                rows.x,
                {**options, "max_queries": left},
                earlier=folder.earlier,
                check=partial(ask, max_queries=0, flip_points=False),
            )
            in_memory = rows.x.nbytes <= _IN_MEMORY or folder.flip_points
            with progress(len(rows), enabled=not options["no_progress"]) as update:
                distances = ask(
                    max_queries=None if left is None else max(0, left - spent.allowance.n_queries),
                    progress=update,
                    flip_points=not options["no_flip_points"] and in_memory,
                    resume=folder.earlier,
                    votes=noise.votes,
                    score_resolution=noise.score_resolution,
                )
        except (BoundaryError, Interrupted) as error:
            if error.partial is None:
                raise
            failure, distances = error, error.partial
        asked = distances.run["n_queries"] - _n_queries(folder.earlier) + noise.n_queries
        account = before.plus(spent.account(asked))
        distances.run.update(spent.facts(), max_queries=limit, account=account.facts())
    if noise.behaviour is not None:
        distances.run["behaviour"] = noise.behaviour
    return distances, failure


def _n_queries(earlier: Distances | None) -> int:
    """Queries of an earlier run: predictions, gradients and checks of the model."""
    if earlier is None:
        return 0
    return int(earlier.run.get("n_queries", 0))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and termination while results are written: a second one would lose them."""
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, handlers, strict=True):
            signal.signal(number, handler)


def _finish(distances: Distances, failure: BaseException | None, folder: RunFolder) -> None:
    """Say what may have been paid for twice, and how to go on with an incomplete run; exit accordingly."""
    if lost := distances.run.get("ledger", {}).get("rows_lost"):
        say(
            f"{lost:,} rows were in flight when an earlier run with this ledger died; they may be on the bill without an answer."
        )
    left = int(sum(not Status(status).is_final for status in distances.status))
    if left:
        say(
            f"{left:,} of {len(distances):,} rows are not finished; go on with the same command and --resume --output {folder.path}"
        )
    if isinstance(failure, BoundaryError):
        raise failure
    if failure is not None:
        sys.exit(_INTERRUPTED)
    if left:
        sys.exit(_LIMIT_REACHED)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Settings of the estimator: those given by name, and the options that are settings of it."""
    settings = named_values(options["settings"])
    name = options["estimator"]
    fields = inspect.signature(ESTIMATORS[name]).parameters if name in ESTIMATORS else {}
    if options["direction"] is not None:
        settings.setdefault("direction", options["direction"])
    if options["gradients"] is not None:
        named = {"n_queries": options["queries_per_gradient"], "subspace": options["frequencies"]}
        given = {name: value for name, value in named.items() if value is not None}
        settings["gradients"] = source_by_name(options["gradients"], **given)
    elif options["queries_per_gradient"] is not None or options["frequencies"] is not None:
        raise click.UsageError(
            "--queries-per-gradient and --frequencies need --gradients, blocks for example."
        )
    if "norm" in fields:
        settings.setdefault("norm", options["norm"])
    return settings


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What is told about the model, for :func:`load`."""
    given = named_values(options["given"])
    if options["allow"]:
        given["allow"] = options["allow"]
    shape = options["input_shape"]
    given.update(
        access=options["access"],
        n_classes=options["n_classes"],
        input_shape=None if shape is None else _shape(shape),
    )
    return given


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(length) for length in text.replace("x", ",").strip(",").split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise click.UsageError(
            f'--input-shape must be whole numbers with commas between them, such as 3,32,32; got "{text}".'
        )
    return shape


def _bounds(text: str | None) -> Bounds:
    if text is None:
        return None
    if text == "none":
        return (-math.inf, math.inf)
    try:
        lowest, highest = map(float, text.split(","))
    except ValueError:
        raise click.UsageError(f'--bounds must be LO,HI or none; got "{text}".') from None
    return lowest, highest


def _read(data: str, predictor: Predictor) -> Data:
    """Read the data; rows that have the model's number of values in another shape are reshaped."""
    rows = datasets.read(data)
    shape = tuple(predictor.input_shape)
    if rows.x.shape[1:] != shape and math.prod(rows.x.shape[1:]) == math.prod(shape):
        rows = dataclasses.replace(rows, x=rows.x.reshape(-1, *shape))
    return rows


def _chosen_rows(rows: Data, text: str | None) -> Data:
    if text is None:
        return rows
    first, colon, last = text.partition(":")
    try:
        chosen = slice(int(first or 0), int(last) if last else None) if colon else slice(int(first))
    except ValueError:
        raise click.UsageError(f'--rows must be N or A:B; got "{text}".') from None
    x = rows.x[chosen]
    if not len(x):
        raise InvalidInput(f'--rows "{text}" leaves none of the {len(rows)} rows.')
    return dataclasses.replace(
        rows, x=x, labels=None if rows.labels is None else rows.labels[chosen]
    )


def _facts(data: str, rows: Data) -> dict[str, Any]:
    digest = hashlib.blake2b(digest_size=16)
    for first in range(0, len(rows), 4096):
        digest.update(np.ascontiguousarray(rows.x[first : first + 4096]).tobytes())
    return {
        "name": data,
        "rows": len(rows),
        "shape": list(rows.x.shape[1:]),
        "dtype": str(rows.x.dtype),
        "blake2b": digest.hexdigest(),
        **rows.source,
    }


def _wants_report(asked: bool | None) -> bool:
    """Whether to write the report; known before anything is measured."""
    if asked is False:
        return False
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        if asked:
            raise CapabilityMissing(
                'The report needs jinja2 and matplotlib: pip install "blackbox-boundary[report]".'
            ) from None
        say("No report: its packages are not installed (pip install blackbox-boundary[report]).")
        return False
    return True


def _write_report(folder: RunFolder, distances: Distances, rows: Data, norm: str) -> None:
    from ..report import write_report

    write_report(
        distances, folder.report, x=rows.x, labels=rows.labels, class_names=rows.names, norm=norm
    )
