"""A first flip point of a row, when nothing is known but labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..gradients.bases import Basis
from ._box import Box
from ._lockstep import Asking

__all__ = ["first_flip"]

Real = NDArray[np.float64]

_PATIENCE = 4
"""Times ``n_starts`` directions are tried before a row without any flip is given up."""


def first_flip(box: Box, basis: Basis, n_starts: int, stream: np.random.Generator) -> Asking[Real | None]:
    """Try random directions, and keep the nearest boundary point met; None where no direction flips.

    Directions look like gradients do (``basis.variance``) and come in opposite pairs. The first ones are followed to the end of the box
    (without bounds: twice as far each), later ones are asked once, just inside the best distance known, and dropped if that does not
    flip, as RayS does [1]_. Along a direction that does, seven bisections locate the boundary to 1 % of the first flip.

    References
    ----------
    .. [1] J. Chen, Q. Gu, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", KDD 2020. arXiv:2006.12792.
    """
    best, length = None, np.inf
    for attempt in range(_PATIENCE * n_starts):
        if attempt >= n_starts and best is not None:
            break
        if attempt % 2 == 0:
            u = basis.synthesise((stream.standard_normal(basis.size) * np.sqrt(basis.variance))[None])[0]
            u /= np.linalg.norm(u)
        else:
            u = -u
        reach = np.inf if np.isfinite(box.width) else 2.0**attempt
        answers = yield box.along(u, min(0.95 * length, reach))[None]
        if not answers.flipped[0]:
            continue
        best, hi, lo = answers.moved[0], float(np.linalg.norm(answers.moved[0])), 0.0
        for _ in range(7):
            answers = yield box.along(u, 0.5 * (lo + hi))[None]
            if answers.flipped[0]:
                best, hi = answers.moved[0], float(np.linalg.norm(answers.moved[0]))
            else:
                lo = 0.5 * (lo + hi)
        length = hi
    return best
