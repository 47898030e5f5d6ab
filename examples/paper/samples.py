"""The sample sets that surrogates are trained on: the paper's six, and those it lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary import measure
from blackbox_boundary.analysis import selection
from blackbox_boundary.analysis.selection import Pool, class_balanced
from blackbox_boundary.estimators import Ray

if TYPE_CHECKING:
    from collections.abc import Callable

    from blackbox_boundary import Distances
    from blackbox_boundary.analysis.selection import Selector

    from .study import Study

__all__ = ["EXTRA_SETS", "PAPER_SETS", "Sample", "Samples"]

PAPER_SETS = ("natural", "uniform distance", "high", "uniform random", "flip points", "low")
"""As in tables 1 and 2; all but the first are a tenth of the natural set's size."""

EXTRA_SETS = (
    "random",
    "random, balanced",
    "uniform distance, balanced",
    "high, balanced",
    "low, balanced",
    "random half + flip points half",
    "random + flip points",
    "first flips, not bisected",
)
"""The equal-budget baseline; class-balanced variants; flip points added, within the same size
and on top of it; and what Algorithm 2 finds before Algorithm 1 narrows it."""

_N_FEATURES = 32
"""Principal components for k-centre; on MNIST they hold three quarters of the variance and make
it 25 times faster."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows with the victim's labels; ``n_queries`` counts the answers and the searches."""

    x: Any
    label: NDArray[np.intp]
    n_queries: int


@dataclass(frozen=True, eq=False)
class Samples:
    """Draws the sample sets of one victim; the last one drawn is kept."""

    study: Study
    victim: str
    _last: dict[tuple[str, int], Sample] = field(default_factory=dict)

    @cached_property
    def pool(self) -> Pool:
        """The training images: their distances, and the labels the victim gives them."""
        found = self._distances
        spent = int((found.n_predictions + found.n_gradients).sum())
        return Pool(
            len(found),
            distance=found.norm(self.study.norm),
            label=found.home,
            distance_queries=spent,
            label_queries=len(found),
        )

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Principal components (n, d) of the pool's images."""
        flat = self.x.reshape(len(self.x), -1)
        centred = flat - flat.mean(axis=0)
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return np.asarray(centred @ vectors[:, -_N_FEATURES:], np.float32)

    @property
    def x(self) -> NDArray[np.float32]:
        """The pool's images."""
        return self.study.inputs.natural[: self.study.inputs.n_pool]

    def draw(self, name: str, seed: int) -> Sample:
        """One of :data:`PAPER_SETS` or :data:`EXTRA_SETS`."""
        if (name, seed) not in self._last:
            self._last.clear()
            self._last[name, seed] = self._drawn(name, seed)
        return self._last[name, seed]

    def _drawn(self, name: str, seed: int) -> Sample:
        k = len(self.x) // 10
        made: dict[str, Callable[[], Sample]] = {
            "natural": lambda: Sample(self.x, self.pool_labels, len(self.x)),
            "uniform random": lambda: self._uniform_random(k, seed),
            "flip points": lambda: self._flip_points(k, seed),
            "first flips, not bisected": lambda: self._flip_points(
                k, seed, Ray(search_by="paper", num_steps=0)
            ),
            "random half + flip points half": lambda: _together(
                self._chosen(selection.random, k - k // 2, seed), self._flip_points(k // 2, seed)
            ),
            "random + flip points": lambda: _together(
                self._chosen(selection.random, k, seed), self._flip_points(k, seed)
            ),
        }
        rules: dict[str, Selector] = {
            "random": selection.random, "uniform distance": selection.uniform_distance,
            "high": selection.highest, "low": selection.lowest,
        }  # fmt: skip
        if name in made:
            return made[name]()
        rule = rules[name.removesuffix(", balanced")]
        return self._chosen(class_balanced(rule) if name.endswith(", balanced") else rule, k, seed)

    @property
    def pool_labels(self) -> NDArray[np.intp]:
        """The victim's labels of the pool."""
        return self._distances.home

    @cached_property
    def _distances(self) -> Distances:
        return self.study.distances(self.victim, "natural")[: len(self.x)]

    def _chosen(self, rule: Selector, k: int, seed: int) -> Sample:
        chosen = rule(self.pool, k, seed=seed)
        return Sample(self.x[chosen.rows], self.pool_labels[chosen.rows], chosen.n_queries + k)

    def _uniform_random(self, k: int, seed: int) -> Sample:
        x = selection.uniform_inputs(k, self.study.data.input_shape, seed=seed)
        return Sample(x, self.study.victims.labels(self.victim, x), k)

    def _flip_points(self, k: int, seed: int, search: Ray = Ray()) -> Sample:  # noqa: B008 (it is frozen)
        """Flip points of random rows of the pool, at most as many as are found."""
        rows = np.random.default_rng([seed, 1]).permutation(len(self.x))[:k]
        found = measure(self.study.victims.predictor(self.victim), self.x[rows], estimator=search)
        points, label, chosen = selection.flip_points(found, int(found.has_flip.sum()), seed=seed)
        return Sample(points, label, chosen.n_queries)


def _together(first: Sample, second: Sample) -> Sample:
    return Sample(
        np.concatenate([first.x, second.x]),
        np.concatenate([first.label, second.label]),
        first.n_queries + second.n_queries,
    )
