"""One facet of the boundary, learnt from labels: its hyperplane and its nearest known point."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..predictor import Real
from ..search.box import Box
from ._belief import prior_through
from ._directions import Blocks
from ._starts import Start

__all__ = ["Facet"]


@dataclass(eq=False)
class Facet:
    """One facet of one row's boundary, as known so far.

    Attributes
    ----------
    best : (d,)
        The nearest boundary point of this facet, of ``length`` and ``label``.
    centre : (d,)
        The boundary point next to it, half way to the nearest point seen to be at home; ``gap`` is
        the relative width of that bracket.
    mean, cov, prior : (k,), (blocks, b, b), (k,)
        The belief about its hyperplane, see :mod:`._belief`.
    octaves, octaves_cov : (blocks,), (blocks, blocks)
        The belief about amplitudes, see :mod:`._amplitudes`.
    trust : float
        Share of the turn that the belief expected at the last walks which the boundary allowed.
    others : collection of int
        Labels that do not count as flips here.
    asked : int
        Questions asked about this facet.
    rounds : list of (int, float)
        ``asked`` and ``length`` at the beginning, and after each round.
    """

    box: Box
    stream: np.random.Generator
    best: Real
    length: float
    label: int
    mean: Real
    cov: NDArray[np.float32]
    prior: Real
    octaves: Real
    octaves_cov: Real
    others: Collection[int] = ()
    trust: float = 0.7
    gap: float = 0.01
    asked: int = 0
    centre: Real = field(init=False)
    rounds: list[tuple[int, float]] = field(init=False)

    def __post_init__(self) -> None:
        self.centre = self.best
        self.rounds = [(0, self.length)]

    @classmethod
    def at(
        cls, start: Start, box: Box, blocks: Blocks, stream: np.random.Generator, length: float
    ) -> Facet:
        """The facet through a boundary point, of which nothing else is known."""
        nothing = np.zeros(blocks.size)
        octaves = blocks.octaves(start.spectrum)
        spread = blocks.covariance(start.spectrum)
        return cls._with(start, box, blocks, stream, length, nothing, octaves, spread)

    @classmethod
    def beside(
        cls,
        known: Collection[Facet],
        nearest: Facet,
        start: Start,
        blocks: Blocks,
        length: float,
    ) -> Facet:
        """The facet through a boundary point that the known facets do not account for.

        A facet's slope is a class's slope less home's. With classes alike and independent, two
        facets share half of their variance, and the slope to be expected beside ``m`` known ones is
        their sum over ``m + 1`` (on the MNIST nets, slopes of the nearest classes have a cosine of
        .5 in the median). Amplitudes are taken to be those of the nearest facet.
        """
        expected = np.sum([facet.mean for facet in known], axis=0) / (len(known) + 1)
        made = cls._with(
            start,
            nearest.box,
            blocks,
            nearest.stream,
            length,
            expected,
            nearest.octaves.copy(),
            nearest.octaves_cov.copy(),
        )
        made.others = {facet.label for facet in known}
        return made

    @classmethod
    def _with(
        cls,
        start: Start,
        box: Box,
        blocks: Blocks,
        stream: np.random.Generator,
        length: float,
        mean: Real,
        octaves: Real,
        octaves_cov: Real,
    ) -> Facet:
        relative = blocks.variance * np.repeat(4.0**octaves, blocks.width)
        prior = prior_through(blocks.analyse(start.point[None])[0], relative, mean)
        cov = np.zeros((blocks.count, blocks.width, blocks.width), np.float32)
        np.einsum("bii->bi", cov)[...] = prior.reshape(blocks.count, blocks.width)
        return cls(
            box, stream, start.point, length, start.label, mean, cov, prior, octaves, octaves_cov
        )  # fmt: skip

    @property
    def has_moved(self) -> bool:
        """Whether any point nearer than the first was found."""
        return self.length < self.rounds[0][1]

    def length_after(self, asked: int) -> float:
        """The length when so many questions had been asked about this facet."""
        return next(length for spent, length in reversed(self.rounds) if spent <= asked)
