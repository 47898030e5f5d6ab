"""The interface of a dialect: it converts rows to a request, and an answer to a prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from blackbox_boundary.grid import Grid
from blackbox_boundary.predictor import Prediction

from ..contract import Contract
from ..model_version import ModelVersion
from ..wire import Reply, Request

__all__ = ["Dialect"]


class Dialect(Protocol):
    """One protocol, set up for one model.

    Attributes
    ----------
    name : str
    contract : Contract
    max_rows : int or None
        Rows a request may hold, where that is known.
    facts : mapping
        Facts that identify the model, from its server: JSON types, no secrets.
    plainer : Dialect or None
        The same without features that some servers of this protocol lack.
    columns : tuple of str
        Names of the numbers of a row, where the requests name them; else empty.
    merges_requests : bool
        Whether the server is known to join the requests of several clients into one batch.
    version : ModelVersion
        The version that answers name, where they name one; shared with ``plainer``.
    """

    @property
    def name(self) -> str: ...
    @property
    def contract(self) -> Contract: ...
    @property
    def max_rows(self) -> int | None: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...
    @property
    def plainer(self) -> Dialect | None: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def merges_requests(self) -> bool: ...
    @property
    def version(self) -> ModelVersion: ...

    @property
    def grid(self) -> Grid | None:
        """The inputs that can be sent, where those are whole numbers or levels."""
        ...

    def as_sent(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows as they will arrive: in the type that is sent, rounded where that rounds.

        Raises :class:`~blackbox_boundary.InvalidInput` for rows that cannot be sent.
        """
        ...

    def request(self, sent: NDArray[Any]) -> Request:
        """The request that asks about rows, given as :meth:`as_sent` made them."""
        ...

    def read(self, reply: Reply, n: int) -> Prediction:
        """The answer to ``n`` rows, or :class:`~blackbox_boundary.BadPrediction`."""
        ...
