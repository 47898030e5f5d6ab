"""Account of what a run asked, sent and paid.

The terminal and the report use the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

__all__ = ["Account"]


@dataclass(frozen=True)
class Account:
    """The account of one output folder: its first run and all that resumed it.

    Attributes
    ----------
    asked : int
        Rows that searches asked about, and probes of a server's behaviour.
    recorded : int
        Of these, answered from the ledger; they cost nothing.
    sent : int
        Rows sent to the model. A row that was sent twice counts twice.
    again : int
        Of these, rows in requests that a transport repeated, and rows of its own checks.
    requests : int
        Round trips that carried rows.
    cost : float
        Price of what was sent, in the currency of the prices given.
    seconds : float
        From the first request of each run to its end.
    """

    asked: int = 0
    recorded: int = 0
    sent: int = 0
    again: int = 0
    requests: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, run: Mapping[str, Any]) -> Self | None:
        """The account in the facts of a run; None where it has none, or one of another form."""
        found = run.get("account")
        names = {field.name for field in fields(cls)}
        if not isinstance(found, Mapping) or not names <= set(found):
            return None
        return cls(**{name: found[name] for name in names})

    def facts(self) -> dict[str, Any]:
        """The account as JSON types."""
        return asdict(self)

    def plus(self, other: Account) -> Account:
        """The sum of two accounts."""
        return Account(*(a + b for a, b in zip(_values(self), _values(other), strict=True)))

    def line(self) -> str:
        """The account in one line.

        Examples
        --------
        >>> Account(asked=700, recorded=200, sent=512, again=12, requests=9, seconds=3.21).line()
        '700 asked, 200 from the ledger, 512 sent (12 of them again) in 9 requests, 3.2 s'
        """
        recorded = f", {self.recorded:,} from the ledger" if self.recorded else ""
        again = f" ({self.again:,} of them again)" if self.again else ""
        price = f", price {self.cost:,.2f}" if self.cost else ""
        return (
            f"{self.asked:,} asked{recorded}, {self.sent:,} sent{again} "
            f"in {self.requests:,} request{'s' * (self.requests != 1)}, {self.seconds:.1f} s{price}"
        )


def _values(account: Account) -> list[Any]:
    return [getattr(account, field.name) for field in fields(Account)]
