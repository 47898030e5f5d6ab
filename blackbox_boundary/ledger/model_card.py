"""Description of the model whose answers a ledger holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from ..arrays import as_numpy
from ..capabilities import fingerprint_of
from ..errors import InvalidInput, LedgerError
from ..grid import Grid, Gridded
from ..predictor import Access, Bounds, Differentiable, Predictor, class_names_of

__all__ = ["ModelCard"]


@dataclass(frozen=True)
class ModelCard:
    """The facts that identify a model and replace it in a replay."""

    fingerprint: str
    access: str
    n_classes: int
    input_shape: tuple[int, ...]
    bounds: tuple[Any, Any] | None
    differentiable: bool
    class_names: tuple[str, ...] | None = None
    """For a replay; names do not identify a model."""
    grid: Grid | None = None

    @classmethod
    def of(cls, predictor: Predictor, fingerprint: str | None = None) -> ModelCard:
        """Describe a predictor; ``fingerprint`` stands in for one that has none.

        Raises
        ------
        InvalidInput
            There is no fingerprint.
        """
        fingerprint = fingerprint or fingerprint_of(predictor)
        if not fingerprint:
            raise InvalidInput(
                'A ledger belongs to one model, and this predictor has no "fingerprint": name the '
                'model with fingerprint="...".'
            )
        bounds = (
            None
            if predictor.bounds is None
            else tuple(as_numpy(bound).tolist() for bound in predictor.bounds)
        )
        shape = tuple(int(side) for side in predictor.input_shape)
        return cls(
            fingerprint,
            predictor.access.name,
            int(predictor.n_classes),
            shape,
            bounds,
            isinstance(predictor, Differentiable),
            class_names_of(predictor),
            predictor.grid if isinstance(predictor, Gridded) else None,
        )

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read what :meth:`to_json` wrote, or a later version of it with more fields.

        Anything else is a ValueError, KeyError or TypeError.
        """
        card = json.loads(text)
        stored = {field.name: card[field.name] for field in fields(cls) if field.name in card}
        bounds = stored.pop("bounds")
        shape = tuple(stored.pop("input_shape"))
        names, grid = stored.pop("class_names", None), stored.pop("grid", None)
        return cls(
            **stored,
            input_shape=shape,
            bounds=None if bounds is None else tuple(bounds),
            class_names=None if names is None else tuple(names),
            grid=None if grid is None else Grid(**grid),
        )

    def to_json(self) -> str:
        """One line of JSON, the same for the same card."""
        stored = asdict(self)
        if self.grid is None:  # as cards were written before there were grids
            del stored["grid"]
        return json.dumps(stored, sort_keys=True)

    def limits(self) -> Bounds:
        """The bounds as numbers or arrays."""
        if self.bounds is None:
            return None
        lowest, highest = (
            np.array(bound) if isinstance(bound, list) else bound for bound in self.bounds
        )
        return lowest, highest

    def level(self) -> Access:
        """The access as such."""
        return Access[self.access]

    def check_same(self, recorded: ModelCard, path: object) -> None:
        """Raise if the ledger is that of another model.

        Raises
        ------
        LedgerError
            Fingerprint, access, number of classes or input shape differ. (Bounds may: they do not
            change what the model answers.)
        """
        for name in ("fingerprint", "access", "n_classes", "input_shape"):
            if (there := getattr(recorded, name)) != (here := getattr(self, name)):
                raise LedgerError(
                    f'The ledger "{path}" belongs to another model: its {name} is {there}, this '
                    f"model has {here}. "
                    "Give each model its own ledger."
                )
