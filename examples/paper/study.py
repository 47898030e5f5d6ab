"""A study: a data set, its victims and surrogates, and the results on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from blackbox_boundary.adapters.torch_modules.large_margin import LargeMargin
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from numpy.typing import NDArray

from blackbox_boundary import Distances, Predictor, measure
from blackbox_boundary.estimators import Ray
from blackbox_boundary.extraction import TestSet, better_than_chance

from .data import Data
from .inputs import INPUT_SETS, Inputs
from .recall import Recalled
from .scale import Scale
from .store import Store
from .timings import joined, timed
from .victims import Victims

__all__ = ["Study"]

Floats = NDArray[np.float32]

Direction = Literal["top1", "margin"]


@dataclass(frozen=True, eq=False)
class Study:
    """Everything the experiments need; what was computed is kept in ``store``.

    Attributes
    ----------
    victims : Victims
        The networks that are asked.
    surrogates : dict
        Makes a trainable from a number of optimiser steps, by the paper's name for it.
    input_sets : tuple of str
        Which of :data:`INPUT_SETS` the paper looks at here.
    norm : str
        The paper measures L1; L2 and L∞ are in the numbers too.
    clearance : float
        Of strategies that train with one
        (:class:`~blackbox_boundary.adapters.torch_modules.training.TorchTrainable`); 0: not
        compared.
    large_margin : LargeMargin, optional
        Of strategies that train with this loss.
    chunk : int
        Rows measured, and kept, at a time: what an interruption can cost.
    """

    name: str
    data: Data
    victims: Victims
    surrogates: dict[str, Callable[..., TorchTrainable]]
    scale: Scale
    store: Store
    n_classes: int
    input_sets: tuple[str, ...] = INPUT_SETS
    norm: str = "l1"
    clearance: float = 0.0
    large_margin: LargeMargin | None = None
    device: str = "cpu"
    chunk: int = 10_000
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def about(self, victim: str, **more: Any) -> dict[str, Any]:
        """A configuration: everything that a result on this victim depends on."""
        return {
            "data": self.data.name,
            "n_rows": len(self.inputs.natural),
            "victim": victim,
            "weights": self.victims.weights(victim),
            **more,
        }

    def victim_facts(self, name: str) -> dict[str, Any]:
        """Accuracy on the test rows, and whether that is better than chance."""
        truth = self.inputs.test_truth

        def compute() -> dict[str, Any]:
            label = self.victims.labels(name, self.inputs.test)
            return {
                "accuracy": float((label == truth).mean()),
                "n": len(truth),
                "better_than_chance": better_than_chance(label, truth),
            }

        return dict(self.store.numbers("victim", self.about(name, n=len(truth)), compute))

    def recalled(self, name: str) -> Recalled:
        """A victim by its labels alone, which recalls those of the natural rows."""
        if ("recalled", name) not in self._kept:
            self._kept["recalled", name] = Recalled(
                self.victims.predictor(name),
                self.inputs.natural,
                self.distances(name, "natural").home,
            )
        victim: Recalled = self._kept["recalled", name]
        return victim

    @cached_property
    def inputs(self) -> Inputs:
        """The input sets, as large as the scale says."""
        return Inputs(self.data, self.scale)

    def distances(self, victim: str, inputs: str) -> Distances:
        """Distances of a whole input set, without flip points, ``chunk`` rows at a time."""
        if ("distances", victim, inputs) not in self._kept:
            rows: list[Floats] = []

            def chunk(start: int) -> Distances:
                if not rows:
                    rows.append(self.inputs.of(inputs))
                x, model = rows[0][start : start + self.chunk], self.victims.predictor(victim)
                return timed(
                    lambda: self.measured(model, x, flip_points=False), model, x, self.device
                )

            starts = range(0, self.inputs.n_of(inputs), self.chunk)
            parts = [
                self.store.distances(
                    "distances",
                    self.about(victim, inputs=inputs, start=start),
                    partial(chunk, start),
                )
                for start in starts
            ]
            self._kept["distances", victim, inputs] = joined(parts)
        found: Distances = self._kept["distances", victim, inputs]
        return found

    def measured(
        self,
        model: Predictor,
        x: Floats,
        *,
        direction: Direction = "top1",
        flip_points: bool = True,
    ) -> Distances:
        """The paper's measurement, along the gradient of the top-1 logit.

        Scores, where revealed, save most of its queries.
        """
        return measure(model, x, estimator=Ray(direction=direction), flip_points=flip_points)

    def boundary(self, victim: str) -> Distances:
        """The first ``n_transfer`` natural test rows, measured with their flip points."""
        if ("boundary", victim) not in self._kept:
            x = self.inputs.test[: self.scale.n_transfer]
            self._kept["boundary", victim] = self.measured(self.victims.predictor(victim), x)
        found: Distances = self._kept["boundary", victim]
        return found

    def test_sets(self, victim: str) -> list[TestSet]:
        """Natural test rows, the tenth nearest to the victim's boundary, and uniform inputs."""
        if ("tests", victim) not in self._kept:
            x, truth = self.inputs.test, self.inputs.test_truth
            label = self.victims.labels(victim, x)
            distance = self.distances(victim, "natural")[self.inputs.n_pool :].norm(self.norm)
            near = np.argsort(distance, kind="stable")[: len(x) // 10]
            uniform = np.random.default_rng(3).random(
                (min(len(x), 2000), *self.data.input_shape), dtype=np.float32
            )
            self._kept["tests", victim] = [
                TestSet("natural", x, label, truth),
                TestSet("near-boundary", x[near], label[near], truth[near]),
                TestSet("uniform", uniform, self.victims.labels(victim, uniform)),
            ]
        tests: list[TestSet] = self._kept["tests", victim]
        return tests
