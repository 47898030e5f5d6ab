"""One column of a table: its values, how far they may change, and its unit of distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from .errors import InvalidInput
from .printable import printable

__all__ = ["Column", "Kind", "Only"]


class Kind(StrEnum):
    """Kind of the values of a column."""

    CONTINUOUS = "continuous"
    """Any number between the bounds."""
    INTEGER = "integer"
    """Whole numbers between the bounds."""
    ORDINAL = "ordinal"
    """The listed numbers, in their order; differences count."""
    BINARY = "binary"
    """Two numbers, 0 and 1 by default."""
    ONE_HOT = "one_hot"
    """0 or 1; of the columns of one group exactly one is 1."""
    CATEGORICAL = "categorical"
    """The listed values, without order: numbers as the model takes them, or texts."""


class Only(StrEnum):
    """The only direction in which a column may change."""

    RISE = "rise"
    FALL = "fall"


@dataclass(frozen=True)
class Column:
    """Values that one column of a table may hold, and how its changes are measured.

    Attributes
    ----------
    name : str
    kind : Kind or str
    lowest, highest : float
        Bounds, input units. Of kinds with ``values`` they follow from these.
    values : tuple, optional
        Of ``ordinal``, ``binary`` and ``categorical`` columns: what they may hold. Texts are
        categories; the search numbers them from 0.
    group : str, optional
        Of ``one_hot`` columns: the group in which exactly one column is 1.
    scale : float
        The unit of distance, input units: distances count changes divided by it.
    frozen : bool
        Whether the column must not change.
    only : Only or str, optional
        ``"rise"``: no value below the row's own; ``"fall"``: none above.
    missing : bool
        Whether the value may be missing, NaN: in rows, and in what is tried. A change from or to a
        missing number counts as 1; a number that was missing counts from the middle of its bounds.

    Raises
    ------
    InvalidInput
        A setting that is out of range, or that columns of this kind do not have.
    """

    name: str
    kind: Kind = Kind.CONTINUOUS
    lowest: float = -math.inf
    highest: float = math.inf
    values: tuple[Any, ...] = ()
    group: str | None = None
    scale: float = 1.0
    frozen: bool = False
    only: Only | None = None
    missing: bool = False

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "kind", self._one_of(Kind, "kind", self.kind))
        if self.only is not None:
            set_(self, "only", self._one_of(Only, "only", self.only))
        if self.kind is Kind.BINARY and not self.values:
            set_(self, "values", (0, 1))
        set_(self, "values", tuple(self.values))
        if self.kind is Kind.ONE_HOT:
            set_(self, "lowest", 0.0)
            set_(self, "highest", 1.0)
        self._check_values()
        self._check_bounds()
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise self._wrong("scale", "be positive and finite", self.scale)
        if (self.kind is Kind.ONE_HOT) != (self.group is not None):
            raise self._wrong(
                "group", "be given for one_hot columns, and for no others", self.group
            )
        if self.only is not None and self.kind in (Kind.ONE_HOT, Kind.CATEGORICAL):
            raise self._wrong("only", "not be given: its values have no order", self.only)
        if self.missing and self.kind is Kind.ONE_HOT:
            raise self._wrong("missing", "not be given: exactly one of its group is 1", True)

    @property
    def has_text(self) -> bool:
        """Whether its values are texts, which the search numbers from 0."""
        return any(isinstance(value, str) for value in self.values)

    @property
    def numbers(self) -> Sequence[float]:
        """The listed values as the search has them: numbers as they are, texts by their place."""
        if self.has_text:
            return range(len(self.values))
        return [float(value) for value in self.values]

    def facts(self) -> dict[str, Any]:
        """The settings as JSON and TOML types; those that say nothing are left out."""
        said: dict[str, Any] = {"name": self.name, "kind": str(self.kind)}
        if self.values:
            said["values"] = list(self.values)
        elif self.kind is not Kind.ONE_HOT:
            bounds = {"lowest": self.lowest, "highest": self.highest}
            said |= {name: bound for name, bound in bounds.items() if math.isfinite(bound)}
        said |= {} if self.group is None else {"group": self.group}
        said["scale"] = float(self.scale)
        said |= {"frozen": True} if self.frozen else {}
        said |= {"missing": True} if self.missing else {}
        return said | ({} if self.only is None else {"only": str(self.only)})

    def _one_of(self, kinds: type[StrEnum], name: str, value: Any) -> Any:
        try:
            return kinds(value)
        except ValueError:
            raise self._wrong(name, f"be one of {', '.join(kinds)}", value) from None

    def _check_values(self) -> None:
        listed = self.kind in (Kind.ORDINAL, Kind.BINARY, Kind.CATEGORICAL)
        if listed != bool(self.values):
            raise self._wrong(
                "values", "be given for ordinal, binary and categorical columns", self.values
            )
        if not listed:
            return
        if self.has_text and not (
            self.kind is Kind.CATEGORICAL and all(isinstance(v, str) for v in self.values)
        ):
            raise self._wrong("values", "be numbers, or the texts of categories", self.values)
        numbers = np.asarray(self.numbers, np.float64)
        if len(set(self.values)) < len(self.values) or not np.isfinite(numbers).all():
            raise self._wrong("values", "be finite and differ", self.values)
        if self.kind is not Kind.CATEGORICAL and not (np.diff(numbers) > 0).all():
            raise self._wrong("values", "ascend", self.values)
        if self.kind is Kind.BINARY and len(numbers) != 2:
            raise self._wrong("values", "be two", self.values)
        if len(numbers) < 2 and not self.frozen:
            raise self._wrong("values", "be two at least, where it is not frozen", self.values)
        object.__setattr__(self, "lowest", float(numbers.min()))
        object.__setattr__(self, "highest", float(numbers.max()))

    def _check_bounds(self) -> None:
        lowest, highest = float(self.lowest), float(self.highest)
        if self.kind is Kind.INTEGER:
            lowest = math.ceil(lowest) if math.isfinite(lowest) else lowest
            highest = math.floor(highest) if math.isfinite(highest) else highest
        if not (lowest <= highest and lowest < math.inf and highest > -math.inf):
            raise self._wrong("lowest", 'not be above "highest"', (self.lowest, self.highest))
        object.__setattr__(self, "lowest", float(lowest))
        object.__setattr__(self, "highest", float(highest))

    def _wrong(self, setting: str, rule: str, value: Any) -> InvalidInput:
        return InvalidInput(
            f'"{setting}" of column "{printable(self.name)}" ({printable(str(self.kind))}) '
            f"must {rule}; got {printable(str(value))}."
        )
