"""Results on disk, keyed by their configuration, so that an interrupted reproduction can go on."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blackbox_boundary import Distances

__all__ = ["Store"]


@dataclass(frozen=True)
class Store:
    """A folder of results.

    A key is a step's name and its whole configuration (JSON types); a result of another
    configuration is never returned. ``say`` receives a message for each result: what was computed,
    and how long it took.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None

    def numbers(self, step: str, configuration: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """A JSON result, computed once."""
        path = self._path(step, configuration, "json")
        if not path.is_file():
            started = time.perf_counter()
            result = compute()
            seconds = time.perf_counter() - started
            self._write(
                path,
                json.dumps(
                    {"configuration": configuration, "seconds": seconds, "result": result}
                ).encode(),
            )
            shutil.rmtree(path.with_suffix(".parts"), ignore_errors=True)
            self.say(f"{step} {_brief(configuration)}: {seconds:.1f} s")
        return json.loads(path.read_bytes())["result"]

    def distances(
        self, step: str, configuration: dict[str, Any], compute: Callable[[], Distances]
    ) -> Distances:
        """A measurement, made once."""
        path = self._path(step, configuration, "npz")
        if not path.is_file():
            started = time.perf_counter()
            found = compute()
            temporary = path.with_suffix(".part")
            found.save(temporary)
            temporary.replace(path)
            self.say(
                f"{step} {_brief(configuration)}: {len(found):,} rows, "
                f"{time.perf_counter() - started:.1f} s"
            )
        return Distances.load(path)

    def arrays(
        self, step: str, configuration: dict[str, Any], compute: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Arrays by name, computed once; kept without pickle."""
        path = self._path(step, configuration, "npz")
        if not path.is_file():
            started = time.perf_counter()
            found = compute()
            temporary = path.with_suffix(".part")
            with temporary.open("wb") as file:
                np.savez(file, **found)
            temporary.replace(path)
            self.say(f"{step} {_brief(configuration)}: {time.perf_counter() - started:.1f} s")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    def parts(self, step: str, configuration: dict[str, Any]) -> Store:
        """A store for parts of one of the :meth:`numbers`; they are removed once that is written."""
        return Store(self._path(step, configuration, "parts"), self.say)

    def seconds(self) -> float:
        """Wall time of all JSON results here, seconds; measurements hold their own."""
        return float(
            sum(json.loads(path.read_bytes())["seconds"] for path in self.folder.glob("*.json"))
        )

    def _path(self, step: str, configuration: dict[str, Any], ending: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = hashlib.sha256(
            json.dumps([step, configuration], sort_keys=True).encode()
        ).hexdigest()[:16]
        return self.folder / f"{step}-{key}.{ending}"

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        """Whole or not at all, whenever the process ends."""
        temporary = path.with_suffix(".part")
        temporary.write_bytes(content)
        temporary.replace(path)


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
