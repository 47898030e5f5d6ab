"""``blackbox-boundary measure``: the main job, end to end."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from .. import datasets
from ..analysis.account import Account
from ..analysis.distances import Distances
from ..column_file import read_domain
from ..errors import BoundaryError, Interrupted
from ..estimators import CATALOGUE, Automatic, Problem
from ..gradients import SOURCES
from ..loading import load
from ..measuring.aiming import aim_of
from ..measuring.sharded.work import Model
from ..measuring.shards import Part, Shard
from ..measuring.units import mixed_units
from ..parquet import need_parquet
from ..predictor import Access
from .by_workers import check_worker_options, has_workers, measured_by_workers
from .data_rows import DataRows
from .ending import answer_line, end_without_answer, finish, uninterrupted
from .estimator_choice import chosen_estimator
from .estimators import description
from .expectation import announcements, expectation
from .fail_if import exit_code_of, fail_if_option
from .messages import say
from .one_process import measured_by_one_process
from .options import data_options, interactive_option, spending_options, worker_options
from .repeating import repeating_command, without_query
from .report import wants_report, write_report
from .run_folder import ResultsElsewhere, RunFolder
from .settings import aim, bounds_of, given_of
from .summary import summary

__all__ = ["measure"]


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
    default="auto",
    show_default=True,
    is_eager=True,
    help="How to measure; auto: ray, or halfspace if the model gives no gradient. "
    '"blackbox-boundary estimators" lists them and describes one by its name.',
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
    type=click.Choice(["l0", "l1", "l2", "linf"]),
    default="l2",
    show_default=True,
    help="Distance that is minimised, and ranks the rows; ray only ranks. l0: the number of "
    "columns that change.",
)
@click.option(
    "--from-label",
    is_flag=True,
    help="Measure rows that the model labels wrongly back to their true label (--labels).",
)
@click.option(
    "--towards", metavar="CLASS", help="Measure the distance to this class, by number or name."
)
@click.option(
    "--bounds", metavar="LO,HI|none", help="Domain of the inputs.  [default: the model's]"
)
@click.option(
    "--max-queries",
    type=click.IntRange(min=0),
    help="Largest number of rows sent for the output folder, with resumes.  [default: no limit]",
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
    "--resume", is_flag=True, help="Continue the run in --output; finished rows cost nothing."
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
    "--input-shape", metavar="N,N,...", help="Shape of one row, if the model does not declare it."
)
@click.option(
    "--n-classes",
    type=click.IntRange(min=2),
    help="Number of classes, if the model does not declare it.",
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
    metavar="command|aws|file:PATH|env:NAME",
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
    help="Number of times each point is asked.  [default: 5 if answers vary, else 1]",
)
@click.option(
    "--behaviour/--no-behaviour",
    default=None,
    help="Ask 5 rows 6 times first.  [default: endpoints, within --max-queries]",
)
@click.option(
    "--ask-flips-again/--no-ask-flips-again",
    default=None,
    help="Ask each flip point again at the end, in a request of its own.  [default: where the "
    "server merges requests]",
)
@click.option(
    "--shard",
    callback=lambda _, __, text: None if text is None else Shard.parse(text),
    metavar="K/N",
    help="Measure the K-th of N equal ranges of the rows, for merge.",
)
@click.option(
    "--shards",
    "n_shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="Measure all rows, in calls that never cross the edge of one of N shards.  "
    "[default: 1; four a worker]",
)
@worker_options
@click.option(
    "--results",
    type=click.Choice(["tables", "parquet"]),
    default="tables",
    show_default=True,
    help="What to write: results.csv and results.npz, or Parquet files as rows finish, for results "
    "larger than memory.",
)
@data_options
@spending_options
@interactive_option
@fail_if_option
@click.option(
    "--dry-run", is_flag=True, help="Print what the run is expected to send and cost; send nothing."
)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def measure(
    model: str | None,
    data: str | None,
    **options: Any,
) -> None:
    """Measure how far each row of DATA is from the decision boundary of MODEL.

    MODEL is an ONNX file, the address of an endpoint (http://host/v2/models/name, or a .toml file
    that describes one), or package.module:factory, a function that returns a torch module, a fitted
    estimator or a predictor. DATA is a .npy, .npz, .csv, .parquet or IDX file, a folder of Parquet
    files or of images, or the name of a data set (digits, mnist, cifar100). Without both, an
    embedded classifier of handwritten digits is measured.

    \b
    Examples:
      blackbox-boundary measure
      blackbox-boundary measure model.onnx images.npy --access logits --bounds 0,1
      blackbox-boundary measure http://localhost:8000/v2/models/m x.npz \\
        --access probabilities --max-queries 10000
      blackbox-boundary measure mymodels:resnet x.npy --input-shape 3,32,32 \\
        --direction margin --output run1
    """  # noqa: D301  click reads the escape
    if model is not None and data is None:
        raise click.UsageError("MODEL needs DATA: what is to be measured?")
    if options["resume"] and (options["output"] is None or options["overwrite"]):
        raise click.UsageError(
            "--resume needs --output, the folder of the run to go on with, and excludes "
            "--overwrite."
        )
    check_worker_options(options)
    in_parquet = options["results"] == "parquet"
    if in_parquet:
        need_parquet("Results as Parquet need")
    # whatever needs neither model nor data comes first: a model may take long to load
    estimator, bounds, domain = (
        chosen_estimator(options),
        bounds_of(options["bounds"]),
        None if options["columns"] is None else read_domain(options["columns"]),
    )
    folder = RunFolder(
        options["output"],
        resume=options["resume"],
        overwrite=options["overwrite"],
        has_shards=has_workers(options),
        in_parquet=in_parquet,
    )
    click.get_current_context().call_on_close(folder.close)
    wanted = options["interactive"] or options["report"]
    make_report = wants_report(False if in_parquet and wanted is None else wanted)
    if model is None or data is None:
        say(
            "No model given: measuring the embedded classifier on scikit-learn's 1,797 "
            "handwritten digits."
        )
        model, data = "the embedded digits classifier", "digits"
        source = Model(str(datasets.digits_model()), {"access": "logits", "bounds": (0, 1)})
    else:
        datasets.check_source(data, options["labels"])
        source = Model(model, given_of(options) | ({"columns": domain} if domain else {}))
    predictor = load(source.spec, **source.given)
    measured = DataRows.read(data, predictor, options, domain)
    rows, facts = measured.data, measured.facts
    part = Part.of(len(rows), options["shard"], options["n_shards"] or 1)
    measured.part(part.rows).check_inside(predictor, bounds)
    problem = Problem.of(
        predictor,
        bounds=bounds,
        n_rows=len(part.rows),
        domain=measured.domain,
        aim=aim_of(predictor, len(rows), **aim(options, measured)),
    )
    estimator = estimator.chosen(problem) if isinstance(estimator, Automatic) else estimator
    if options["dry_run"]:
        click.echo(expectation(predictor, estimator, problem, options))
        return
    for said in announcements(predictor, estimator, problem, options):
        say(said)
    if said := mixed_units(rows.x, problem, rows.columns or ()):
        say(f"Warning: {said}")
    folder.check_data(facts)
    folder.clear()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    named = {
        "model": without_query(model),
        "data": facts,
        "norm": options["norm"],
        "class_names": measured.class_names,
        "command": repeating_command(click.get_current_context(), model, data),
    }
    if has_workers(options):
        source = replace(source, opened=predictor)
        found = measured_by_workers(source, estimator, problem, measured, folder, options)
    else:
        found = measured_by_one_process(
            predictor, estimator, problem, measured, folder, options, named
        )
    distances, failure = found
    if isinstance(failure, BoundaryError):
        say(f"Error: {failure}")
        end_without_answer(distances, failure, folder, predictor)
    distances.run.update(named)
    _end(distances, failure, measured.part(part.rows), folder, options, make_report=make_report)


def _end(
    distances: Distances,
    failure: BoundaryError | Interrupted | None,
    measured: DataRows,
    folder: RunFolder,
    options: dict[str, Any],
    *,
    make_report: bool,
) -> None:
    """Write the results, print the summary, and exit with the run's code."""
    with uninterrupted():
        try:
            folder.save(distances, measured)
        except ResultsElsewhere as error:
            say(f"Error: {error}")
            failure = failure or error
        if make_report:
            write_report(
                distances,
                folder.report,
                measured.in_memory().data,
                measured.class_names,
                options["norm"],
                interactive=options["interactive"],
            )
    console = Console()
    console.print(summary(distances, width=console.width))
    measured.say_labels(distances)
    if account := Account.of(distances.run):
        say(f"Queries: {account.line()}.")
    say(f"Results in {folder.path}/" + (f"; report: {folder.report}" if make_report else ""))
    judged = exit_code_of(options["fail_if"], distances, options["norm"])
    answer = answer_line(distances, measured, folder, options["norm"], has_report=make_report)
    finish(distances, failure, folder, judged, answer)
