"""Results of a measurement, row by row, and their files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_numpy
from ..errors import CapabilityMissing, InvalidInput
from ..parquet import need_parquet
from ..predictor import Array, IntArray
from ..search.asks import Status
from .row import Row

if TYPE_CHECKING:
    from .overview import Overview

__all__ = ["COLUMNS", "Distances"]

COLUMNS = (
    "l1",
    "l2",
    "linf",
    "lo",
    "hi",
    "home",
    "flipped",
    "status",
    "n_predictions",
    "n_gradients",
    "top1",
    "entropy",
    "estimate",
    "certified",
    "note",
    "l0",
    "flip_top1",
)
"""Values of a result for each row, in the order of its table, without flip points."""

_NOTEBOOK = "blackbox_boundary.report.notebook"
"""Named, not imported: figures are a layer above, and need packages that few installations have."""


@dataclass(frozen=True, eq=False, repr=False)
class Distances:
    """Distance of each row to the nearest known flip point.

    A row without a known flip point has infinite ``l1``, ``l2``, ``linf`` and ``hi``, ``flipped``
    -1, and NaN in ``flip_points``; its ``status`` says why. All distances are upper bounds on the
    distance to the boundary: a flip was *seen* there.

    Attributes
    ----------
    l1, l2, linf : (n,) float
        Distance from the row to its flip point, input units.
    lo, hi : (n,) float
        Bracket along the searched path, as L2 length along the unclipped ray: label kept at ``lo``,
        flipped at ``hi``.
    home, flipped : (n,) int
        Label at the row, and at its flip point; -1 where unknown.
    status : (n,) int8
        A :class:`Status` each.
    n_predictions, n_gradients : (n,) int
        Rows sent to the predictor on behalf of this row.
    flip_points : (n, *input_shape) array, or None
        In the kind of the inputs; None where they were not kept.
    top1, entropy : (n,) float, or None
        Score of the home label and entropy of the softmax (nats) at the row, where the predictor
        reveals them.
    flip_top1 : (n,) float, or None
        Score of the flipped label at the flip point, from the answer that confirmed it; NaN where a
        row did not converge.
    estimate : (n,) float, or None
        A first-order estimate of the distance, from estimators that make one: neither an upper nor
        a lower bound.
    certified : (n,) float, or None
        A distance within which no flip can lie, from estimators that prove one.
    note : (n,) str, or None
        Remark of an estimator on a row: which classes tie, why no flip was found.
    l0 : (n,) float, or None
        Columns that the flip point changes, a one-hot group counting once; where the measurement
        has a domain, or its estimator minimises them.
    trace : (n, k) float, or None
        Distances at the stages of an estimator that has stages: for ``homotopy``, of the flip point
        at each stage.
    run : dict
        Facts of the run: versions, seed, settings, model fingerprint, seconds. JSON types only.
    """

    l1: NDArray[np.float64]
    l2: NDArray[np.float64]
    linf: NDArray[np.float64]
    lo: NDArray[np.float64]
    hi: NDArray[np.float64]
    home: NDArray[np.intp]
    flipped: NDArray[np.intp]
    status: NDArray[np.int8]
    n_predictions: NDArray[np.int64]
    n_gradients: NDArray[np.int64]
    flip_points: Array | None = None
    top1: NDArray[np.float64] | None = None
    entropy: NDArray[np.float64] | None = None
    estimate: NDArray[np.float64] | None = None
    certified: NDArray[np.float64] | None = None
    note: NDArray[np.str_] | None = None
    l0: NDArray[np.float64] | None = None
    flip_top1: NDArray[np.float64] | None = None
    trace: NDArray[np.float64] | None = None
    run: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def empty(cls, n: int) -> Distances:
        """Return ``n`` rows without any result yet."""
        l1, l2, linf, hi = (np.full(n, np.inf) for _ in range(4))
        home, flipped = np.full(n, -1, np.intp), np.full(n, -1, np.intp)
        status = np.full(n, Status.NOT_MEASURED, np.int8)
        return cls(
            l1,
            l2,
            linf,
            np.zeros(n),
            hi,
            home,
            flipped,
            status,
            np.zeros(n, np.int64),
            np.zeros(n, np.int64),
        )

    def __len__(self) -> int:
        return len(self.l2)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> Row: ...

    @overload
    def __getitem__(self, rows: Any) -> Distances: ...

    def __getitem__(self, rows: Any) -> Distances | Row:
        """Return one row for a number, some rows for a slice, a mask or an array of indices."""
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            return self._row(range(len(self))[int(rows)])
        taken = {name: part[rows] for name, part in self._arrays() if part is not None}
        return replace(self, **taken)

    def _row(self, i: int) -> Row:
        columns: dict[str, Any] = {
            name: None if (part := getattr(self, name)) is None else part[i].item()
            for name in COLUMNS
        }
        columns["status"] = Status(columns["status"])
        point = None if self.flip_points is None else self.flip_points[i]
        return Row(row=i, flip_point=point, **columns)

    def parts(self) -> Iterator[Distances]:
        """The result in parts of consecutive rows that fit in memory; here, in one."""
        yield self

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {name}" for name, n in self.count_by_status().items())
        known = self.l2[self.has_flip]
        median = f", median l2 {np.median(known):.4g}" if known.size else ""
        return f"Distances({len(self)} rows, {known.size} with a flip{median}; {counts or 'none'})"

    def nearest(self, n: int = 5, norm: str = "l2") -> list[Row]:
        """Return the ``n`` rows with the smallest distances, nearest first.

        Rows without a flip are left out.
        """
        return [self._row(int(i)) for i in self.nearest_first(norm)[:n]]

    def nearest_first(self, norm: str = "l2") -> IntArray:
        """The rows with a finite distance, the nearest first; ties, as of L0, by L2 distance."""
        distance = self.norm(norm)
        order = np.lexsort((self.l2, distance))
        return order[np.isfinite(distance[order])]

    def summary(self) -> Overview:
        """Headline numbers; ``print`` shows them as text."""
        from .overview import overview  # it knows this class

        return overview(self)

    def to_frame(self, kind: Literal["pandas", "polars"] = "pandas") -> Any:
        """Return the table of :meth:`to_csv` as a data frame with one line per row.

        It holds everything but the flip points. Unknown distances are null. pandas numbers the
        lines as the result does; Polars has a column ``row``.

        Raises
        ------
        CapabilityMissing
            The package is not installed.
        InvalidInput
            Another ``kind``.
        """
        if kind not in ("pandas", "polars"):
            raise InvalidInput(f'"kind" of to_frame must be "pandas" or "polars"; got {kind!r}.')
        try:
            frames = import_module(kind)
        except ImportError as error:
            raise CapabilityMissing(f"A frame of {kind} needs it: pip install {kind}.") from error
        table = dict(self._columns())
        if kind == "pandas":
            return frames.DataFrame(table).rename_axis("row")
        return frames.DataFrame({"row": range(len(self)), **table})

    @property
    def plot(self) -> Any:
        """Figures of the report.

        The methods are ``curve()``, ``histogram()``, ``entropy()``, ``pairs()`` and ``nearest(x)``.
        See :class:`blackbox_boundary.report.notebook.Plots`; needs the ``report`` extra.
        """
        return import_module(_NOTEBOOK).Plots(self)

    def _repr_html_(self) -> str | None:
        """Return verdict, numbers, curve and nearest rows as HTML for a notebook.

        None if the packages of the report are missing.
        """
        try:
            html: str = import_module(_NOTEBOOK).view(self)
        except CapabilityMissing:
            return None
        return html

    def norm(self, name: str) -> NDArray[np.float64]:
        """Distances under ``"l1"``, ``"l2"`` or ``"linf"``; ``"l0"``: the columns that change.

        Raises
        ------
        InvalidInput
            Another name, or ``"l0"`` of a run that did not count columns.
        """
        if name not in ("l0", "l1", "l2", "linf"):
            raise InvalidInput(f'"norm" must be one of l0, l1, l2, linf; got "{name}".')
        if name == "l0" and self.l0 is None:
            raise InvalidInput(
                "This run did not count the columns that change: l0 is known of runs with a domain "
                "of columns (--columns), or of an estimator that minimises l0."
            )
        return np.asarray(getattr(self, name))

    @property
    def has_flip(self) -> NDArray[np.bool_]:
        """(n,) whether a flip point is known."""
        return np.isfinite(self.hi)

    def count_by_status(self) -> dict[str, int]:
        """Number of rows of each status that occurs, by name."""
        counts = sum(
            (np.bincount(part.status, minlength=128) for part in self.parts()), np.zeros(128, int)
        )
        return {Status(int(value)).name: int(counts[value]) for value in np.flatnonzero(counts)}

    def save(self, path: str | Path) -> None:
        """Write everything to one ``.npz`` file, without pickle."""
        parts = {name: as_numpy(part) for name, part in self._arrays() if part is not None}
        with Path(path).open("wb") as file:
            np.savez(file, run=np.array(json.dumps(self.run)), **parts)

    @classmethod
    def load(cls, path: str | Path) -> Distances:
        """Read what :meth:`save` wrote; columns unknown to this version are left out.

        Of a run folder with results as Parquet, each column is read when it is used.

        Raises
        ------
        InvalidInput
            The file is missing, is not an ``.npz`` file, or holds something else.
        """
        from ..datasets.numpy_files import read_arrays  # readers are needed by few who import this

        if Path(path).is_dir():
            from .stored_distances import StoredDistances  # it knows this class

            return StoredDistances.open(path)
        try:
            parts = read_arrays(Path(path))
            run = json.loads(str(parts["run"]))
            names = (*COLUMNS, "flip_points", "trace")
            found = cls(run=run, **{name: parts[name] for name in names if name in parts})
            _check_columns(found)
        except (InvalidInput, ValueError, KeyError, TypeError, RecursionError) as error:
            raise InvalidInput(f'"{path}" does not hold saved distances: {error}') from error
        return found

    @property
    def first_row(self) -> int:
        """Number of the first row as tables and reports count; not 0 in a shard."""
        return int(self.run.get("shard", {}).get("first_row", 0))

    def to_csv(self, path: str | Path, beside: Mapping[str, Sequence[Any]] | None = None) -> None:
        """Write one line a row, everything but the flip points; unknown distances are empty fields.

        Columns ``beside``, of one value a row, are appended on the right. Rows of a shard are
        numbered as in the whole data set.
        """
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            table = dict(self._columns()) | dict(beside or {})
            writer.writerow(("row", *table))
            for row, values in enumerate(zip(*table.values(), strict=True), start=self.first_row):
                writer.writerow((row, *("" if value is None else value for value in values)))

    def to_parquet(self, path: str | Path) -> None:
        """Write one line a row, everything but the flip points.

        Raises
        ------
        CapabilityMissing
            pyarrow is not installed.
        """
        parquet = need_parquet("Writing Parquet needs")
        import pyarrow as pa

        table = pa.table({"row": self.first_row + np.arange(len(self)), **dict(self._columns())})
        parquet.write_table(table, path)

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        for name in (*COLUMNS, "flip_points", "trace"):
            yield name, getattr(self, name)

    def _columns(self) -> Iterator[tuple[str, list[Any]]]:
        """Plain Python values: infinite becomes None, a status its name."""
        for name in COLUMNS:
            if (part := getattr(self, name)) is None:
                continue
            if name == "status":
                yield name, [Status(value).name for value in part]
            elif part.dtype.kind == "f":
                yield name, [value if np.isfinite(value) else None for value in part.tolist()]
            else:
                yield name, part.tolist()


def _check_columns(stored: Distances) -> None:
    """Raise if columns do not fit together; a crafted file may hold any arrays."""
    if not isinstance(stored.run, dict):
        raise TypeError("its facts are no object")
    n = stored.l2.shape
    for name in (*COLUMNS, "flip_points", "trace"):
        if (part := getattr(stored, name)) is None:
            continue
        kinds = {"note": "U", "home": "iu", "flipped": "iu", "status": "iu"}.get(name, "iuf")
        whole = name in ("flip_points", "trace")
        if part.shape[: 1 if whole else None] != n or len(n) != 1 or part.dtype.kind not in kinds:
            raise ValueError(f'its column "{name}" is {part.dtype} of shape {part.shape}')
    for status in np.unique(stored.status):
        Status(int(status))
