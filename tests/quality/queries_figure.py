"""Distance against queries for all methods that were run: a figure, a CSV of numbers, tables.

    python tests/quality/queries_figure.py runs.jsonl docs/images/queries
    python tests/quality/queries_figure.py runs.jsonl docs/images/queries --known FILE

``--known`` names an earlier CSV, from which methods without a run keep their numbers.

``runs.jsonl`` holds lines of ``our_queries.py`` and ``peers_queries.py``; at least one of ours for
each net. Of two runs of a method the later line counts. Writes ``.png`` and ``.csv``, and prints a
Markdown table a net.

Every image is compared with the nearest flip that anything in the file found for it, 300 white-box
steps included (*best known*). *Excess* is the area between the robustness curve (share of images
whose distance exceeds a radius, over the radius) and that of the best known distances: the mean of
the distances minus the mean of the best known, infinite where an image has no flip.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

METHODS = {
    "tangent": ("tangent (gradients)", "#38006b", "-", 2.5),
    "broyden": ("broyden (scores)", "#0b5394", "-", 2.5),
    "halfspace": ("halfspace (labels)", "#a61c00", "-", 2.5),
    "signopt-art": ("Sign-OPT (labels)", "#7f6000", "-.", 1.2),
    "hopskipjump-foolbox": ("HopSkipJump, Foolbox (labels)", "#555555", "--", 1.2),
    "hopskipjump-art": ("HopSkipJump, ART (labels)", "#999999", "--", 1.2),
    "geoda-art-1000": ("GeoDA planned for 1,000 (labels)", "#38761d", ":", 1.6),
    "geoda-art-5000": ("GeoDA planned for 5,000 (labels)", "#6aa84f", ":", 1.2),
    "zoo-art": ("ZOO (scores)", "#3d85c6", "-.", 1.2),
}
"""Name, colour, line and width; ours first. Lines differ in greyscale, too."""

COLUMNS = (
    "net",
    "method",
    "images",
    "queries",
    "median_l2",
    "mean_l2",
    "p95_ratio",
    "excess",
    "no_flip",
    "seconds_per_image",
)


def read(file, images):
    """Runs by net and method with distances (marks, images), and best known (images,) by net."""
    runs, best = {}, {}
    for line in file.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        l2 = {
            int(mark): np.array([np.inf if v is None else v for v in values[:images]])
            for mark, values in run["l2"].items()
        }
        runs[run["net"], run["method"]] = l2, run["seconds_per_row"]
        known = best.setdefault(run["net"], np.full(images, np.inf))
        for values in (*l2.values(), np.array(run.get("white_box", [np.inf])[:images])):
            known[: len(values)] = np.minimum(known[: len(values)], values)
        if "white_box" in run:
            best[run["net"], "white-box"] = np.array(run["white_box"][:images])
    return runs, best


def kept(file, runs):
    """The rows of an earlier CSV whose methods were not run now."""
    with file.open(encoding="utf-8", newline="") as known:
        for row in csv.DictReader(known):
            if (row["net"], row["method"]) not in runs:
                numbers = {name: float(row[name]) for name in COLUMNS[4:]}
                counts = {name: int(float(row[name])) for name in ("images", "queries", "no_flip")}
                yield {**row, **numbers, **counts}


def summarise(runs, best):
    """One dictionary of :data:`COLUMNS` for each run and number of queries."""
    for (net, method), (l2, seconds) in runs.items():
        for mark, values in l2.items():
            known = best[net][: len(values)]
            p95 = np.quantile(values / known, 0.95, method="higher")
            row = (
                net,
                method,
                len(values),
                mark,
                np.median(values),
                values.mean(),
                p95,
                values.mean() - known.mean(),
            )
            yield dict(zip(COLUMNS, (*row, int(np.isinf(values).sum()), seconds), strict=True))


def draw(rows, best, file):
    """Median distance against queries, one panel a net."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    for panel, (net, title) in zip(
        panels, (("dense", "dense net"), ("cnn", "convolutional net")), strict=True
    ):
        for method, (name, colour, style, width) in METHODS.items():
            points = [
                (row["queries"], row["median_l2"])
                for row in rows
                if (row["net"], row["method"]) == (net, method)
            ]
            if points:
                panel.plot(
                    *zip(*points, strict=True), style, color=colour, linewidth=width, label=name
                )
        if (net, "white-box") in best:
            panel.axhline(
                np.median(best[net, "white-box"]),
                color="black",
                linewidth=0.8,
                label="300 steps of DDN (gradients)",
            )
        panel.set(xscale="log", yscale="log", xlabel="queries an image", title=title)
        ticks = [
            tick
            for tick in (0.6, 0.8, 1, 1.2, 1.5, 2, 3, 4, 5, 6)
            if panel.get_ylim()[0] <= tick <= panel.get_ylim()[1]
        ]
        panel.set_yticks(ticks, [str(tick) for tick in ticks])
        panel.set_xticks([10, 100, 1000, 10_000], ["10", "100", "1,000", "10,000"])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("median L2 distance of the nearest flip asked")
    named = {
        label: line
        for panel in panels
        for line, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        named.values(), named.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9
    )
    figure.savefig(file, dpi=130, metadata={"Software": None})


def main():
    """Read the runs, write figure and numbers, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("out", type=Path, help="without the suffix")
    parser.add_argument("--images", type=int, default=50, help="the first ones of each run")
    parser.add_argument(
        "--marks",
        type=int,
        nargs="+",
        default=[250, 1000, 5000],
        help="numbers of queries in the tables",
    )
    parser.add_argument("--known", type=Path, help="an earlier CSV, for methods without a run")
    arguments = parser.parse_args()
    runs, best = read(arguments.runs, arguments.images)
    order = list(METHODS)
    rows = sorted(
        [*summarise(runs, best), *(kept(arguments.known, runs) if arguments.known else ())],
        key=lambda row: (row["net"], order.index(row["method"]), row["queries"]),
    )
    draw(rows, best, arguments.out.with_suffix(".png"))
    with arguments.out.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            [
                f"{row[column]:.4f}" if isinstance(row[column], float) else row[column]
                for column in COLUMNS
            ]
            for row in rows
        )
    for net in (net for net in ("dense", "cnn") if (net, "white-box") in best):
        print(
            f"\n{net}: best known median {np.median(best[net]):.3f}, "
            f"white-box {np.median(best[net, 'white-box']):.3f}\n"
        )
        print(
            "| method | images | queries | median | mean | p95 of ratio | excess | no flip | s |\n"
            "|---|---|---|---|---|---|---|---|---|"
        )
        for row in rows:
            if row["net"] == net and row["queries"] in arguments.marks:
                print(
                    "| {method} | {images} | {queries:,} | {median_l2:.3f} | {mean_l2:.3f} | "
                    "{p95_ratio:.3f} | {excess:.3f} | {no_flip} | {seconds_per_image} |".format(
                        **row
                    )
                )


if __name__ == "__main__":
    main()
