"""Results on disk, keyed by configuration, so that an interrupted reproduction can continue."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_boundary import Distances

__all__ = ["Store"]


@dataclass
class Store:
    """A folder of results.

    A key is a step's name and its whole configuration (JSON types); a result of another
    configuration is never returned.

    Attributes
    ----------
    folder : path
    say : callable
        Receives a message for each result that was computed: its number, what it is, how long it
        took.
    n_steps : int, optional
        How many results there will be, for the messages.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None
    n_steps: int | None = None
    _known: set[Path] = field(default_factory=set)

    def numbers(self, step: str, configuration: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """A JSON result, computed once."""

        def write(path: Path) -> str:
            started = time.perf_counter()
            result = compute()
            seconds = time.perf_counter() - started
            known = {"configuration": configuration, "seconds": seconds, "result": result}
            path.write_text(json.dumps(known), encoding="utf-8")
            shutil.rmtree(path.with_suffix(".parts"), ignore_errors=True)
            return ""

        path = self._kept(step, configuration, "json", write)
        return json.loads(path.read_bytes())["result"]

    def distances(
        self, step: str, configuration: dict[str, Any], compute: Callable[[], Distances]
    ) -> Distances:
        """A measurement, made once."""

        def write(path: Path) -> str:
            found = compute()
            found.save(path)
            return f"{len(found):,} rows, "

        return Distances.load(self._kept(step, configuration, "npz", write))

    def arrays(
        self, step: str, configuration: dict[str, Any], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Arrays by name, computed once; kept without pickle."""

        def write(path: Path) -> str:
            with path.open("wb") as file:
                np.savez(file, **compute())
            return ""

        path = self._kept(step, configuration, "npz", write)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def parts(self, step: str, configuration: dict[str, Any]) -> Store:
        """A store for parts of one of the :meth:`numbers`, which replaces them once written."""
        return Store(self._path(step, configuration, "parts"), self.say)

    def seconds(self) -> float:
        """Wall time of all JSON results here, seconds; measurements hold their own."""
        return float(
            sum(json.loads(path.read_bytes())["seconds"] for path in self.folder.glob("*.json"))
        )

    def _kept(
        self, step: str, configuration: dict[str, Any], ending: str, write: Callable[[Path], str]
    ) -> Path:
        """The file of a result, written whole or not at all, whenever the process ends."""
        path = self._path(step, configuration, ending)
        if path.is_file():
            self._known.add(path)
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        temporary = path.with_suffix(".part")
        what = write(temporary)
        temporary.replace(path)
        self._known.add(path)
        place = "" if self.n_steps is None else f"{len(self._known)} of {self.n_steps}: "
        seconds = time.perf_counter() - started
        self.say(f"{place}{step} {_brief(configuration)}: {what}{seconds:.1f} s")
        return path

    def _path(self, step: str, configuration: dict[str, Any], ending: str) -> Path:
        key = hashlib.sha256(
            json.dumps([step, configuration], sort_keys=True).encode()
        ).hexdigest()[:16]
        return self.folder / f"{step}-{key}.{ending}"


def _brief(configuration: dict[str, Any]) -> str:
    """The part of a configuration that distinguishes it from others, as text."""
    named = (
        "network",
        "victim",
        "surrogate",
        "inputs",
        "set",
        "strategy",
        "units",
        "seed",
        "start",
    )
    return " ".join(f"{name}={configuration[name]}" for name in named if name in configuration)
