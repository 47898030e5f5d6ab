"""The result of probing, and its form as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from blackbox_boundary.printable import printable

from .transport import Transport

__all__ = ["ACCESS", "SHAPES", "Finding", "described"]

ACCESS = ("probabilities", 'or "logits", "top1", "label": what the answers are')
SHAPES = {
    "access": ACCESS,
    "input_shape": ([1, 28, 28], "of one row, without the batch"),
    "n_classes": (10, "number of classes"),
    "bounds": ([0.0, 1.0], "lowest and highest input, where there are any"),
}
"""Settings that a server rarely declares: an example, and what they are."""


@dataclass(frozen=True)
class Finding:
    """The server found at a URL.

    Attributes
    ----------
    dialect : str or None
        None where nothing known was recognised.
    says : str
        The evidence, as text for the user.
    settings : mapping
        The settings that the server declares.
    missing : mapping of str to str
        Settings that must be given, with an example and what they are.
    n_requests : int
        GET requests that were sent.
    """

    dialect: str | None
    says: str
    settings: Mapping[str, Any]
    missing: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    n_requests: int = 0

    def setting(self, **more: Any) -> Finding:
        """The same with further settings."""
        return replace(self, settings={**self.settings, **more})

    def masked_by(self, transport: Transport) -> Finding:
        """The same without the transport's secrets, which a server's metadata may echo."""
        settings = {name: _masked(value, transport) for name, value in self.settings.items()}
        return replace(self, says=transport.masked(self.says), settings=settings)

    @property
    def toml(self) -> str:
        """A configuration to save and to load; missing settings are commented lines to fill in."""
        lines = [f"# {printable(' '.join(self.says.split()))}"]
        lines += [
            f"{name} = {_toml(value)}"
            for name, value in self.settings.items()
            if not isinstance(value, Mapping)
        ]
        lines += [
            f"# {name} = {_toml(example)}  # {what}"
            for name, (example, what) in self.missing.items()
            if "." not in name
        ]
        tables = {
            name: dict(value) for name, value in self.settings.items() if isinstance(value, Mapping)
        }
        nested = {name: value for name, value in self.missing.items() if "." in name}
        for table in dict.fromkeys([*tables, *(name.split(".")[0] for name in nested)]):
            lines += ["", f"[{table}]"]
            lines += [f"{name} = {_toml(value)}" for name, value in tables.get(table, {}).items()]
            own = {
                name.split(".")[1]: value
                for name, value in nested.items()
                if name.startswith(f"{table}.")
            }
            lines += [
                f"# {name} = {_toml(example)}  # {what}" for name, (example, what) in own.items()
            ]
        return "\n".join(lines) + "\n"


def described(url: str) -> dict[str, Any]:
    """A description to begin with."""
    return {
        "url": url,
        "dialect": "described",
        "request": {"body": '{"instances": $rows}'},
        "answer": {"scores": "predictions"},
    }


def _masked(value: Any, transport: Transport) -> Any:
    if isinstance(value, str):
        return transport.masked(value)
    if isinstance(value, list):
        return [_masked(part, transport) for part in value]
    if isinstance(value, Mapping):
        return {name: _masked(part, transport) for name, part in value.items()}
    return value


def _toml(value: Any) -> str:
    """A value in TOML, which writes lists, numbers and truth values as JSON does."""
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def _toml_text(text: str) -> str:
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return '"' + "".join(map(_toml_mark, text)) + '"'


def _toml_mark(mark: str) -> str:
    """A character inside a basic string; a lone surrogate, which TOML cannot hold, as U+FFFD."""
    if mark in '"\\':
        return f"\\{mark}"
    if mark.isprintable():
        return mark
    code = 0xFFFD if 0xD800 <= ord(mark) < 0xE000 else ord(mark)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
