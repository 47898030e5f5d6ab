"""Settings of requests to a server, and counts of what was sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from blackbox_boundary.errors import InvalidInput

__all__ = ["Counters", "TransportSettings", "truth"]


@dataclass(frozen=True)
class TransportSettings:
    """Settings of requests to a server.

    Attributes
    ----------
    connections : int
        Requests under way at once, at most; fewer while the server is overwhelmed.
    connect_timeout_s, read_timeout_s, total_timeout_s : float
        For the connection, for the next byte, and for one whole attempt.
    attempts : int
        How often one request may be sent in all. Eight wait about half a minute: longer than a
        restart.
    first_wait_s, longest_wait_s : float
        The pause after the first failure is at most ``first_wait_s``, drawn at random; each further
        one at most twice as long, and never longer than ``longest_wait_s``, whatever
        ``Retry-After`` says.
    requests_per_s : float, optional
        Requests a second at most. Default: no limit.
    ca_file, client_cert, client_key : str, optional
        PEM files: the authority that signed the server's certificate, and the client's own
        certificate and key.
    trust_env : bool
        Whether proxies and credentials from the environment and ``~/.netrc`` are used.
    """

    connections: int = 8
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    total_timeout_s: float = 60.0
    attempts: int = 8
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    requests_per_s: float | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    trust_env: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "trust_env", truth(self.trust_env, "trust_env"))
        files = {"ca_file", "client_cert", "client_key", "trust_env"}
        for name, value in asdict(self).items():
            if name in files or (value is None and name == "requests_per_s"):
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not 0 < value < 1e6
            ):
                raise InvalidInput(f'"{name}" must be a positive number; got {value!r}.')
        for name in ("ca_file", "client_cert", "client_key"):
            if (path := getattr(self, name)) is not None and not Path(path).is_file():
                raise InvalidInput(f'"{name}" must be a PEM file; there is none at "{path}".')
        if not isinstance(self.connections, int) or not isinstance(self.attempts, int):
            raise InvalidInput('"connections" and "attempts" must be whole numbers.')

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(problem.name for problem in fields(cls))


def truth(value: object, name: str) -> bool:
    """A truth value, given as such or as a word.

    Any other text is refused, since a non-empty text would otherwise count as true.
    """
    if isinstance(value, str):
        value = {
            "yes": True,
            "true": True,
            "on": True,
            "no": False,
            "false": False,
            "off": False,
        }.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise InvalidInput(f'"{name}" must be true or false; got {value!r}.')
    return value


@dataclass
class Counters:
    """Counts of requests so far, retries included, and of their answers.

    Attributes
    ----------
    queries : int
        Rows sent. A row that was sent twice counts twice: the server may have billed it twice.
    queries_again : int
        Of these, rows of requests that were sent again, canaries and checks.
    requests : int
        HTTP requests sent that carried rows.
    retries, resends : int
        Of these, sent again after a failure, and at once on a fresh connection.
    canaries : int
        Of these, sent to find out whether the server or the input is at fault.
    checks : int
        Of these, sent to see whether the model is still the same.
    discoveries : int
        HTTP requests that carried no row (GET).
    bytes_sent, bytes_received : int
        Bodies alone.
    """

    queries: int = 0
    queries_again: int = 0
    requests: int = 0
    retries: int = 0
    resends: int = 0
    canaries: int = 0
    checks: int = 0
    discoveries: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
