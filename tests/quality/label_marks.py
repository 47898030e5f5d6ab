"""What a run of the label tables records, the same for our estimator and for peers.

A file of results has one JSON line an image: the nearest flip in each norm after each number of
queries of ``MARKS``. Lines are appended as they come, so that a run that was stopped goes on where
it was, and ``label_table.py`` makes a table of the file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from label_nets import NETS

__all__ = ["LIMIT", "MARKS", "Reached", "append", "arguments", "known", "read"]

MARKS = (100, 250, 500, 1000, 2000, 5000)
"""Numbers of queries after which distances are noted."""

LIMIT = 2000
"""Queries an image of a table's ordinary runs."""

ORDERS = {"l1": 1, "l2": 2, "linf": np.inf}


class Reached:
    """The nearest flip of ``n`` images among all points asked so far, by norm and mark."""

    def __init__(self, n):
        self.asked = np.zeros(n, int)
        self.best = {norm: np.full(n, np.inf) for norm in ORDERS}
        self.at = {norm: {mark: np.full(n, np.inf) for mark in MARKS} for norm in ORDERS}

    def note(self, rows, away, flipped):
        """Note points (m, d) relative to their images ``rows`` (m,), and which flipped."""
        length = {norm: np.linalg.norm(away, ord=order, axis=-1) for norm, order in ORDERS.items()}
        for j, row in enumerate(rows):
            self.asked[row] += 1
            for norm, best in self.best.items():
                if flipped[j]:
                    best[row] = min(best[row], length[norm][j])
                for mark in MARKS:
                    if self.asked[row] <= mark:
                        self.at[norm][mark][row] = best[row]


def read(path):
    """The lines of a file of results; none where there is no such file."""
    path = Path(path)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def known(path, run):
    """Numbers of the images that the file has of ``run``, a dictionary of what the lines share.

    A search with more queries counts, too: its first ones are the same.
    """
    limit, rest = run["queries"], {key: run[key] for key in run if key != "queries"}
    lines = [line for line in read(path) if rest.items() <= line.items()]
    return {line["image"] for line in lines if line["queries"] >= limit}


def append(path, run, image, reached, seconds):
    """Append the images of ``reached``, the first of them number ``image`` of the run.

    ``seconds`` is the processor time an image that is not the net's.
    """
    with Path(path).open("a") as file:
        for row, asked in enumerate(reached.asked):
            at = {
                norm: {mark: _number(reach[row]) for mark, reach in marks.items()}
                for norm, marks in reached.at.items()
            }
            line = {"image": image + row, "asked": int(asked), "seconds": round(seconds, 3), **at}
            file.write(json.dumps({**run, **line}) + "\n")


def _number(distance):
    return round(float(distance), 5) if np.isfinite(distance) else None


def arguments(description, norms, peers=()):
    """The parser of what all runs take, of peers their name first."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if peers:
        parser.add_argument("peer", choices=peers)
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--file", default="labels.jsonl", help="what the results are appended to")
    parser.add_argument("--queries", type=int, default=LIMIT)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--first", type=int, default=5000)
    parser.add_argument("--norm", choices=norms, default="l2")
    return parser
