"""A table of the results of ``label_ours.py`` and ``label_peers.py``.

    python tests/quality/label_table.py dense --norm l2 --queries 2000 --file labels.jsonl

For each peer and mark, its median distance, in brackets the share of images on which ``halfspace``
is nearer, then the ratio of our median to the peer's and the median of the images' ratios. Images
that both have count. A peer that makes another norm small is named with it.
"""

from __future__ import annotations

import numpy as np
from label_marks import MARKS, ORDERS, arguments, read


def distances(lines, norm, mark):
    """Distance by image number; infinite without a flip."""
    found = {image: line[norm][str(mark)] for image, line in lines.items()}
    return {image: np.inf if length is None else length for image, length in found.items()}


def cell(ours, theirs):
    """A peer beside ours, over the images that both have."""
    pairs = np.array([(ours[image], theirs[image]) for image in sorted(ours.keys() & theirs)])
    ratio = (pairs[:, 0] / pairs[:, 1])[np.isfinite(pairs[:, 1])]
    middle = np.median(pairs, axis=0)
    return (
        f"{middle[1]:.4f} ({np.mean(pairs[:, 0] < pairs[:, 1]):.0%}) "
        f"{middle[0] / middle[1]:.2f} {np.median(ratio):.2f}"
    )


def main():
    """Print the table."""
    a = arguments(__doc__, tuple(ORDERS)).parse_args()
    groups = {}
    for line in read(a.file):
        same = line["net"] == a.net and line["first"] == a.first and line["queries"] >= a.queries
        if same and line["image"] < a.rows:
            groups.setdefault((line["method"], line["norm"]), {})[line["image"]] = line
    ours = groups.pop(("halfspace", a.norm))
    peers = {key: lines for key, lines in groups.items() if key[0] != "halfspace"}
    marks = [mark for mark in MARKS if mark <= a.queries]
    reach = {mark: distances(ours, a.norm, mark) for mark in marks}

    def row(name, lines, cells):
        seconds, asked = (sum(line[key] for line in lines.values()) for key in ("seconds", "asked"))
        print(f"| {name} | {len(lines)} | {' | '.join(cells)} | {1e3 * seconds / asked:.2f} |")

    print(f"| method | images | {' | '.join(f'{mark:,}' for mark in marks)} | own ms a query |")
    print("|" + "---|" * (len(marks) + 3))
    row("`halfspace`", ours, [f"{np.median(list(reach[mark].values())):.4f}" for mark in marks])
    for (method, norm), lines in peers.items():
        cells = [cell(reach[mark], distances(lines, a.norm, mark)) for mark in marks]
        row(method if norm == a.norm else f"{method} ({norm})", lines, cells)


if __name__ == "__main__":
    main()
