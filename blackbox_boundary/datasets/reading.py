"""One function that reads inputs from any supported source."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from ..errors import InvalidInput
from ..inputs import is_whole
from .cifar100_set import read_cifar100
from .columns import Choice
from .csv_files import read_csv
from .data import Data, Raw, finish
from .digits_set import digits
from .idx import read_idx
from .images import read_images
from .label_files import is_label_file, read_label_file
from .mnist_set import read_mnist
from .numpy_files import read_npy, read_npz
from .parquet_files import read_parquet
from .parquet_rows import parquet_paths

__all__ = ["check_source", "read"]

_FORMATS = (
    "digits, mnist[:train|:test], cifar100[:train|:test], .npy, .npz[:ARRAY], .csv, .tsv, "
    ".parquet, IDX (-ubyte, .idx, also .gz), a folder of Parquet files or images"
)


_SETS = ("digits", "mnist", "cifar100")
_SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".parquet", ".pq")
_IDX = re.compile(r"(-ubyte|\.idx\d?)(\.gz)?$")


def read(
    spec: str | Path,
    *,
    array: str | None = None,
    labels: str | Path | None = None,
    divide_by: float | None = None,
    shape: tuple[int, ...] | None = None,
    channels_last: bool = False,
    ids: str | None = None,
    drop: Sequence[str] = (),
    use: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    texts: Mapping[str, Sequence[str]] | Literal["found"] | None = None,
) -> Data:
    """Read inputs, with their labels where the source has them.

    Parameters
    ----------
    spec : str or path
        A named data set, or a file or folder. The named sets are ``"digits"``, ``"mnist"`` and
        ``"cifar100"``; the last two read the test rows unless ``":train"`` follows. The name of a
        file gives its format: ``.npy``, ``.npz`` (``"file.npz:x_test"`` picks an array), ``.csv``,
        ``.tsv``, ``.parquet``, IDX (``-ubyte`` or ``.idx``, also ``.gz``). A folder holds Parquet
        files of one table, or images; write ``./mnist`` for a folder with the name of a data set.
    array : str, optional
        Array of an ``.npz`` file, or column of lists of a Parquet file, that holds the inputs.
    labels : str or path, optional
        Where the labels are: an array of the ``.npz`` file, a column of the table, or a second file
        beside data of any kind (``.npy``, ``.npz``, ``.csv``, ``.tsv``, ``.txt``, ``.parquet``,
        IDX), or a column of the index of a folder of images; ``"none"`` leaves them out.
        Default: an array ``labels`` or ``y``, a column ``label``,
        an IDX file ``labels-idx1`` beside ``images-idx3``, subfolders.
    divide_by : float, optional
        Divide all values by this. Default: 255 for unsigned bytes and images, else 1.
    shape : tuple of int, optional
        Shape of one row, as the model takes it. Default: as stored.
    channels_last : bool
        Images as (height, width, channels), for a folder of images.
    ids : str, optional
        The column of a table that names the rows. Default: the index, where pandas stored one.
    drop : sequence of str
        Columns of a table to leave out.
    use : sequence of str, optional
        The columns of a table that are the inputs, in this order. Default: all others.
    class_names : sequence of str, optional
        Names of the model's classes, in the order of its scores: labels are matched by value.
        Default: whole numbers from 0 number the classes, words are numbered by the alphabet.
    texts : mapping, or "found", optional
        The categories of columns of texts in a table, by name (``Domain.texts``): their numbers,
        from 0, are the inputs. ``"found"``: those that occur, in alphabetical order. Default:
        columns of texts are refused.

    Raises
    ------
    InvalidInput
        What is named does not exist, is empty, damaged, or of no known kind; the message says which
        file and why.
    CapabilityMissing
        A package for this format is not installed; the message names it.

    Notes
    -----
    ``.npy`` files of floats are mapped into memory, not loaded; bytes become float32, four times
    their size. Parquet, images and ``.npy`` files of other numbers that take more than 64 MB in
    memory are not loaded either: ``x``, ``labels`` and ``ids`` are read when they are used.

    Examples
    --------
    >>> data = read("digits")
    >>> data.x.shape, data.labels[:4]
    ((1797, 8, 8), array([0, 1, 2, 3]))
    """
    if divide_by is not None and not (isinstance(divide_by, Real) and 0 < divide_by < math.inf):
        raise InvalidInput(f'"divide_by" of read must be a positive number; got {divide_by!r}.')
    choice = Choice(
        None if labels is None else str(_text(labels, "labels")),
        None if ids is None else str(_text(ids, "ids")),
        _names(drop, "drop") or (),
        _names(use, "use"),
        {} if texts is None or texts == "found" else texts,
        finds_texts=texts == "found",
    )
    class_names = _names(class_names, "class_names")
    if shape is not None and not (
        isinstance(shape, Sequence) and all(is_whole(length) and length > 0 for length in shape)
    ):
        raise InvalidInput(f'"shape" of read must be whole numbers from 1; got {shape!r}.')
    spec = _text(spec, "spec")
    if (raw := _named(str(spec))) is not None:
        path: str | Path = str(spec)
    else:
        path, array = _located(spec, array)
        raw = _with_labels(path, array, choice, channels_last=channels_last)
    if choice.needs_table and "columns" not in raw.source:
        raise InvalidInput(f'"ids", "drop" and "use" of read name columns; "{path}" is no table.')
    if choice.labels == "none":
        raw = raw._replace(labels=None)
    return finish(raw, path, divide_by=divide_by, shape=shape, class_names=class_names)


def check_source(spec: str | Path, labels: str | Path | None = None) -> None:
    """Check that the data and their labels exist and are of a known kind; nothing is read.

    Raises
    ------
    InvalidInput
        As :func:`read`, which also checks the content.
    """
    if str(spec).partition(":")[0] not in _SETS:
        path, _ = _located(spec, None)
        if not path.is_dir() and not _is_known(path):
            raise InvalidInput(
                f'"{path}" is of no kind that is known by its name. Known are {_FORMATS}.'
            )
    if labels is not None and is_label_file(str(labels)) and not Path(labels).is_file():
        raise InvalidInput(f'The file of labels "{labels}" does not exist.')


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES or bool(_IDX.search(path.name))


def _text(value: Any, name: str) -> str | Path:
    if not isinstance(value, str | Path):
        raise InvalidInput(f'"{name}" of read must be text; got {value!r}.')
    return value


def _names(value: Any, name: str) -> tuple[str, ...] | None:
    """Several names; a single one may stand alone."""
    names = (value,) if isinstance(value, str) else value
    if names is not None and (
        not isinstance(names, Sequence) or not all(isinstance(part, str) for part in names)
    ):
        raise InvalidInput(f'"{name}" of read must be a list of names; got {value!r}.')
    return None if names is None else tuple(names)


def _located(spec: str | Path, array: str | None) -> tuple[Path, str | None]:
    """The file, and the array where the name of an ``.npz`` file is followed by one."""
    path, split = Path(spec), re.fullmatch(r"(.+\.npz):([^/\\]+)", str(spec))
    try:
        if not path.exists() and split and array is None:
            path, array = Path(split[1]), split[2]
        exists = path.exists()
    except (OSError, ValueError):  # a name that no file can have
        exists = False
    if not exists:
        raise InvalidInput(f'"{spec}" does not exist. Known are {_FORMATS}.')
    return path, array


def _named(spec: str) -> Raw | None:
    name, _, split = spec.partition(":")
    if spec == "digits":
        x, labels = digits()
        return Raw(x, labels, tuple("0123456789"), {"format": "scikit-learn digits"})
    if name == "mnist":
        return read_mnist(split or "test")
    if name == "cifar100":
        return read_cifar100(split or "test")
    return None


def _with_labels(path: Path, array: str | None, choice: Choice, *, channels_last: bool) -> Raw:
    """The inputs, and their labels where these have a file of their own."""
    beside = choice.labels
    if beside is None or not is_label_file(beside):
        return _read_raw(path, array, choice, channels_last=channels_last)
    raw = _read_raw(path, array, replace(choice, labels="none"), channels_last=channels_last)
    source = {**raw.source, "labels": beside}
    return raw._replace(labels=read_label_file(Path(beside)), names=None, source=source)


def _read_raw(path: Path, array: str | None, choice: Choice, *, channels_last: bool) -> Raw:
    suffix = path.suffix.lower()
    labels = None if choice.labels == "none" else choice.labels
    is_table = suffix in (".parquet", ".pq") or (path.is_dir() and bool(parquet_paths(path)))
    if path.is_dir() and not is_table:
        return _of("images", read_images(path, channels_last=channels_last, labels=labels))
    if suffix == ".npz":
        return _of("npz", read_npz(path, array, labels))
    if suffix in (".csv", ".tsv"):
        return _table("csv", read_csv(path, choice))
    if is_table:
        return _table("parquet", read_parquet(path, array, choice))
    if suffix == ".npy":
        return _of("npy", _alone(path, read_npy(path), labels))
    if _IDX.search(path.name):
        raw, beside = _alone(path, read_idx(path), labels), _sibling(path)
        if beside is not None and choice.labels is None:
            raw = raw._replace(labels=read_idx(beside), source={"labels": str(beside)})
        return _of("idx", raw)
    raise InvalidInput(f'"{path}" is of no kind that is known by its name. Known are {_FORMATS}.')


def _of(kind: str, raw: Raw) -> Raw:
    return raw._replace(source={"format": kind, **raw.source})


def _table(kind: str, raw: Raw) -> Raw:
    columns = None if raw.columns is None else list(raw.columns)
    return raw._replace(source={"format": kind, "columns": columns, **raw.source})


def _alone(path: Path, x: Any, labels: str | None) -> Raw:
    """The inputs of a file that holds nothing else."""
    if labels is not None:
        raise InvalidInput(
            f'"labels" of read must name a file of labels (.npy, .npz, .csv, .parquet, IDX), as '
            f'"{path.name}" holds one array alone; got "{labels}".'
        )
    return Raw(x)


def _sibling(path: Path) -> Path | None:
    """``t10k-labels-idx1-ubyte`` beside ``t10k-images-idx3-ubyte``."""
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    return beside if beside != path and beside.exists() else None
