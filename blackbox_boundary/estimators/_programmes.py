"""The quadratic programme of one step towards a closest tie, solved by SciPy."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy

from ..predictor import IntArray, Real

__all__ = ["closest_step"]

_MET = 1e-6
"""How far from its constraints a step may end and be taken, relative to the reach."""


def closest_step(
    x: Real, z: Real, lead: Real, jacobian: Real, rival: int, reach: float, bounds: tuple[Any, Any]
) -> tuple[Real, str]:
    r"""Find the step p to the nearest tie of the linearised rival with no linearised class above.

    It minimises :math:`\tfrac12\|z + p - x\|^2`.

    Parameters
    ----------
    x, z : (d,)
        The row and the iterate.
    lead : (n_classes,)
        Lead of the home label at ``z``, infinite for itself.
    jacobian : (n_classes, d)
        Gradients of the leads; zero for the home label.
    rival : int
        The class that is to tie.
    reach : float
        No entry of the step is larger; widened to the whole box where the tie is not within it.
    bounds : (lowest, highest)
        Numbers or (d,).

    Returns
    -------
    step : (d,)
    why : str
        Empty, or why there is no step.
    """
    scale = reach if 0 < reach < np.inf else 1.0  # the programme is solved in units of the reach
    others = np.flatnonzero(np.isfinite(lead) & (np.arange(len(lead)) != rival))
    steepness = max(float(np.linalg.norm(jacobian[rival])), 1e-300)
    lead = lead / (steepness * scale)
    jacobian = jacobian / steepness
    offset = (z - x) / scale
    constraints: list[Any] = [
        {
            "type": "eq",
            "fun": lambda p: lead[rival] + jacobian[rival] @ p,
            "jac": lambda _: jacobian[rival],
        },
        {
            "type": "ineq",
            "fun": lambda p: lead[others] + jacobian[others] @ p,
            "jac": lambda _: jacobian[others],
        },
    ]
    lowest, highest = (
        (np.broadcast_to(np.asarray(bound, np.float64), x.shape) - z) / scale for bound in bounds
    )
    minimize: Any = (
        scipy.optimize.minimize
    )  # its stubs, where they are installed, know no plain lists of bounds
    options: Any = {"maxiter": 100, "ftol": 1e-12}
    why = ""
    for radius in (reach / scale, np.inf):
        with warnings.catch_warnings():  # SciPy before 1.14 clips its iterates, and says so
            warnings.filterwarnings("ignore", "Values in x were outside bounds", RuntimeWarning)
            solved = minimize(
                lambda p: float(0.5 * np.sum((p + offset) ** 2)),
                np.zeros_like(x),
                jac=lambda p: p + offset,
                method="SLSQP",
                bounds=list(
                    zip(np.maximum(lowest, -radius), np.minimum(highest, radius), strict=True)
                ),
                constraints=constraints if others.size else constraints[:1],
                options=options,
            )
        step = np.clip(solved.x, lowest, highest)
        if solved.success or _is_met(lead, jacobian, rival, others, step):
            return scale * step, ""
        why = f"no tie in the linearised programme ({solved.message.lower().rstrip('.')})"
    return np.zeros_like(x), why


def _is_met(lead: Real, jacobian: Real, rival: int, others: IntArray, step: Real) -> bool:
    """Whether a step meets the constraints, whatever the solver says of its own tolerance.

    The last bits of a dot product decide whether SLSQP sees its last step as progress; where it
    does not, it reports a failure and returns a good point.
    """
    if not np.isfinite(step).all():
        return False
    after = lead + jacobian @ step
    return bool(abs(after[rival]) <= _MET and (after[others] >= -_MET).all())
