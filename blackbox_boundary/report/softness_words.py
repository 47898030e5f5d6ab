"""The relation of entropy and distance, as the paper reads it, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..analysis.uncertainty import Softness
from .tables import number

__all__ = ["softness_words"]


def softness_words(softness: Softness, distance: NDArray[np.float64]) -> str:
    """Describe a softness fit: expected entropy near and far from the boundary, knee and error."""
    near, far = softness.expected[0], softness.expected[-1]
    if not np.isfinite(softness.knee):
        return (
            "Expected entropy does not fall with distance: distance says nothing of softness here."
        )
    core = float(np.mean(softness.is_core(distance)))
    return (
        f"Expected entropy falls from {number(near)} nats at the boundary to {number(far)}; "
        "beyond the knee "
        f"at {number(softness.knee)} at most a tenth of the fall is left, and {core:.0%} of the "
        "rows lie there, "
        "in the core of their class. On rows held out the map errs by "
        f"{number(softness.held_out_error)} nats, "
        f"the mean of all rows by {number(softness.baseline_error)}."
    )
