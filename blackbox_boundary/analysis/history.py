"""Distances of training samples over the epochs, by the id of each sample.

Ids are the samples' own: whatever order a loader, a sampler or several processes deliver them in,
a distance lands with its sample. The label of each sample is kept beside it, because a data set
that was re-ordered between two runs has other samples under the same ids; the labels show it.

The map of a training, mean against variability, is that of Swayamdipta et al. [1]_ with the signed
distance in place of the probability of the label.

References
----------
.. [1] Swayamdipta, Schwartz, Lourie, Wang, Hajishirzi, Smith, Choi, "Dataset Cartography: Mapping
   and Diagnosing Datasets with Training Dynamics", EMNLP 2020, section 2. arXiv:2009.10795.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidInput
from ..inputs import is_whole

__all__ = ["Dynamics", "History"]

_FORMAT = 1
"""Version of the saved file."""


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Each sample's course over the recorded epochs, all (n,), in the order of the history's ids.

    Attributes
    ----------
    mean, variability : float
        Mean and standard deviation of the finite distances, input units; NaN without any.
    right : float
        Share of the recorded epochs in which the sample lay on its label's side; NaN without any.
    n_finite, n_recorded : int
        Epochs with a finite distance, and with any.
    """

    mean: NDArray[np.float64]
    variability: NDArray[np.float64]
    right: NDArray[np.float64]
    n_finite: NDArray[np.intp]
    n_recorded: NDArray[np.intp]


class History:
    """Signed distances, sample by epoch: positive on the side of the sample's label.

    Four bytes a sample and epoch. A sample without a record in an epoch is NaN there; ``inf`` is a
    distance that was too large to resolve.

    Parameters
    ----------
    ids : int or (n,) int
        The samples' ids, each once; a number ``n`` stands for 0 to n - 1.

    Raises
    ------
    InvalidInput
        No ids, negative ones, or one that repeats.

    Examples
    --------
    >>> history = History(3)
    >>> history.record(0, ids=[2, 0], labels=[1, 1], distances=[0.5, -0.1])
    >>> history.latest()
    array([-0.1,  nan,  0.5], dtype=float32)
    """

    def __init__(self, ids: int | ArrayLike) -> None:
        own: NDArray[Any] = np.asarray(ids)
        own = np.arange(max(int(own), 0)) if is_whole(ids) else own
        if own.ndim != 1 or not own.size or own.dtype.kind not in "iu" or own.min() < 0:
            raise InvalidInput(
                '"ids" of History must be a number of samples, or their ids (n,), whole numbers '
                f"from 0 on; got {own.dtype} of shape {own.shape}."
            )
        self.ids: NDArray[np.int64] = own.astype(np.int64)
        self._order = np.argsort(self.ids, kind="stable")
        self._sorted = self.ids[self._order]
        repeated = self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]
        if repeated.size:
            raise InvalidInput(
                f'"ids" of History must name each sample once; {repeated[0]} repeats, '
                f"{len(np.unique(repeated))} ids in all."
            )
        self.labels: NDArray[np.int32] = np.full(len(own), -1, np.int32)
        self._columns: dict[int, NDArray[np.float32]] = {}

    @property
    def epochs(self) -> NDArray[np.intp]:
        """The recorded epochs, ascending."""
        return np.array(sorted(self._columns), np.intp)

    @property
    def distances(self) -> NDArray[np.float32]:
        """Distances (n_epochs, n): a copy, one row for each of :attr:`epochs`."""
        rows = [self._columns[epoch] for epoch in self.epochs]
        return np.array(rows, np.float32).reshape(len(rows), len(self.ids))

    def places(self, ids: ArrayLike) -> NDArray[np.intp]:
        """Positions (k,) of ids in :attr:`ids`.

        Raises
        ------
        InvalidInput
            An id is not one of the samples'.
        """
        wanted = np.asarray(ids)
        if wanted.ndim != 1 or wanted.dtype.kind not in "iu":
            raise InvalidInput(
                f"Ids of samples must be whole numbers (k,); got {wanted.dtype} of {wanted.shape}."
            )
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        unknown = wanted[self._sorted[at] != wanted]
        if unknown.size:
            raise InvalidInput(
                f"{unknown.size} ids are not in this history of {len(self.ids)} samples; "
                f"the first is {unknown[0]}."
            )
        return self._order[at]

    def record(self, epoch: int, ids: ArrayLike, labels: ArrayLike, distances: ArrayLike) -> None:
        """Write the distances (k,) of samples in an epoch; of a repeated id the last one stays.

        Raises
        ------
        InvalidInput
            An unknown id, parts of different lengths, or a label that differs from the sample's
            earlier one. Nothing was written.
        """
        if not is_whole(epoch) or epoch < 0:
            raise InvalidInput(f'"epoch" must be a whole number from 0 on; got {epoch}.')
        places = self.places(ids)
        given, values = np.asarray(labels), np.asarray(distances, np.float32)
        if given.shape != places.shape or values.shape != places.shape:
            raise InvalidInput(
                f'"labels" and "distances" must have one entry for each of the {len(places)} ids; '
                f"got shapes {given.shape} and {values.shape}."
            )
        new = self.labels.copy()
        new[places] = given
        known = self.labels[places]
        wrong = np.flatnonzero(((known >= 0) & (known != given)) | (new[places] != given))
        if wrong.size:
            first = wrong[0]
            raise InvalidInput(
                f"{wrong.size} of {len(places)} samples have another label than before; the first "
                f"has id {np.asarray(ids)[first]}, label {known[first]} before and {given[first]} "
                "now. Were the data re-ordered, or are these ids places in a shuffled order?"
            )
        self.labels = new
        column = self._columns.setdefault(
            int(epoch), np.full(len(self.ids), np.nan, dtype=np.float32)
        )
        column[places] = values

    def latest(self, before: int | None = None) -> NDArray[np.float32]:
        """The last recorded distance (n,) of each sample, NaN without any.

        ``before`` leaves out that epoch and later ones: in a loop that resumes within an epoch, it
        gives what was known when the epoch began.
        """
        found = np.full(len(self.ids), np.nan, np.float32)
        for epoch in self.epochs:
            if before is None or epoch < before:
                column = self._columns[int(epoch)]
                found = np.where(np.isnan(column), found, column)
        return found

    def unseen(self, epoch: int) -> NDArray[np.int64]:
        """Ids of the samples without a record in an epoch."""
        column = self._columns.get(epoch)
        return self.ids if column is None else self.ids[np.isnan(column)]

    def dynamics(self, *, since: int = 0) -> Dynamics:
        """Mean, variability and share of right epochs of each sample, from epoch ``since`` on.

        An untrained module has hardly any slope, and distances of the first epochs may be larger
        than the data by any factor: a mean is that of later epochs.
        """
        d = self.distances[self.epochs >= since].astype(np.float64)
        finite, seen = np.isfinite(d), ~np.isnan(d)
        n_finite, n_seen = finite.sum(axis=0), seen.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(finite, d, 0).sum(axis=0) / n_finite
            spread = np.where(finite, d - mean, 0)
            variability = np.sqrt((spread**2).sum(axis=0) / n_finite)
            right = (d > 0).sum(axis=0) / n_seen
        return Dynamics(mean, variability, right, n_finite, n_seen)

    def merged(self, other: History) -> History:
        """A history with the gaps of this one filled from another one of the same samples.

        Processes of a distributed training see a part of the samples each. Where both hold a
        value (samplers repeat some samples to make parts equal), this one's stays.

        Raises
        ------
        InvalidInput
            Other ids, or labels that contradict.
        """
        if not np.array_equal(self.ids, other.ids):
            raise InvalidInput("Histories that are merged must hold the same ids in one order.")
        both = (self.labels >= 0) & (other.labels >= 0)
        if (self.labels != other.labels)[both].any():
            raise InvalidInput("Histories that are merged must agree on the samples' labels.")
        whole = History(self.ids)
        whole.labels = np.where(self.labels >= 0, self.labels, other.labels)
        known = (self._columns, other._columns)
        for epoch in known[0].keys() | known[1].keys():
            parts = [columns[epoch] for columns in known if epoch in columns]
            whole._columns[epoch] = np.where(np.isnan(parts[0]), parts[-1], parts[0])
        return whole

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` file without pickle; an older file is replaced at the end."""
        path = Path(path)
        draft = path.with_name(f"{path.name}.draft")
        with draft.open("wb") as file:
            np.savez(
                file,
                format=np.array(_FORMAT),
                ids=self.ids,
                labels=self.labels,
                epochs=self.epochs,
                distances=self.distances,
            )
        draft.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InvalidInput
            The file is missing, damaged, or holds something else.
        """
        from ..datasets.numpy_files import read_arrays  # readers are needed by few who import this

        try:
            parts = read_arrays(Path(path))
            found = cls(parts["ids"])
            found._fill(parts)
        except (InvalidInput, KeyError, ValueError) as error:
            raise InvalidInput(f'"{path}" does not hold a saved history: {error}') from error
        return found

    def _fill(self, parts: dict[str, NDArray[Any]]) -> None:
        """Take labels and epochs from the arrays of a file."""
        labels, epochs, distances = (parts[name] for name in ("labels", "epochs", "distances"))
        n, n_epochs = len(self.ids), len(epochs)
        if int(parts["format"]) != _FORMAT:
            raise ValueError(f"its format is {parts['format']}, this version reads {_FORMAT}")
        fits = labels.shape == (n,) and distances.shape == (n_epochs, n)
        if not fits or labels.dtype.kind != "i" or distances.dtype.kind != "f":
            raise ValueError("its arrays do not belong together")
        if epochs.dtype.kind not in "iu" or len(set(epochs.tolist())) < n_epochs:
            raise ValueError("its epochs are no distinct whole numbers")
        self.labels = labels.astype(np.int32)
        self._columns = {
            int(epoch): np.array(column, np.float32)
            for epoch, column in zip(epochs, distances, strict=True)
        }
