"""Weights of training samples by how far they are from the boundary.

Only the order of the distances counts. So the weights keep their meaning while training moves all
distances, and any score that orders samples (margins, minus the loss) can take their place. With
rank r from 0, the nearest sample, to 1, the farthest,

    weight ~ ratio ** (lean * (1/2 - r))

``lean`` runs from 1 (near samples) over 0 (all alike) to -1 (far samples). Samples on the wrong
side of the boundary have negative distances and are the nearest of all. Far first is the curriculum
of Bengio et al. [1]_, from easy to hard; near first is its reverse.

References
----------
.. [1] Bengio, Louradour, Collobert, Weston, "Curriculum Learning", ICML 2009, section 5.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from ..errors import InvalidInput

__all__ = ["Order", "lean", "weights"]

Order = Literal["near first", "far first", "annealed"]


def lean(order: Order, progress: float) -> float:
    """Where a schedule leans at a share ``progress`` (0 to 1) of the training.

    =================  =================================
    order              from the start to the end
    =================  =================================
    ``"near first"``   from near samples to all alike
    ``"far first"``    from far samples to all alike
    ``"annealed"``     from far samples to near ones
    =================  =================================

    Examples
    --------
    >>> lean("near first", 0.0), lean("far first", 0.5), lean("annealed", 1.0)
    (1.0, -0.5, 1.0)
    """
    if not 0 <= progress <= 1:
        raise InvalidInput(f'"progress" of lean must lie in [0, 1]; got {progress}.')
    leans = {"near first": 1 - progress, "far first": progress - 1, "annealed": 2 * progress - 1}
    if order not in leans:
        raise InvalidInput(f'"order" of lean must be one of {", ".join(leans)}; got "{order}".')
    return float(leans[order])


def weights(distances: ArrayLike, lean: float, *, ratio: float = 10.0) -> NDArray[np.float64]:
    """Weights (n,) of samples, mean 1.

    Parameters
    ----------
    distances : (n,) float
        Signed or not, input units; infinite: farther than all others. NaN: unknown, weight 1. Equal
        ones get equal weights.
    lean : float
        From 1, near samples weigh most, to -1, far samples do.
    ratio : float
        Weight of the first sample over that of the last one at a lean of 1. With 10, and many
        samples, none falls below a quarter of the mean.

    Raises
    ------
    InvalidInput
        A lean outside [-1, 1], a ratio below 1, distances that are no column.

    Examples
    --------
    >>> weights([0.2, 3.0, np.nan, -0.1], 1.0).round(2)
    array([0.67, 0.21, 1.  , 2.12])
    """
    d = np.asarray(distances, np.float64)
    if d.ndim != 1:
        raise InvalidInput(f'"distances" of weights must have shape (n,); got {d.shape}.')
    if not -1 <= lean <= 1 or not 1 <= ratio < np.inf:
        raise InvalidInput(
            f'"lean" of weights must lie in [-1, 1] and "ratio" from 1 on; got {lean} and {ratio}.'
        )
    found, known = np.ones(len(d)), ~np.isnan(d)
    if known.any():
        rank = (rankdata(d[known]) - 1) / max(int(known.sum()) - 1, 1)
        raw = ratio ** (lean * (0.5 - rank))
        found[known] = raw / raw.mean()
    return found
