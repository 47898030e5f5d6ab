"""A measurement in progress, for people who run the model themselves.

:class:`Measurement` checks the rows and the settings, and begins their search. You answer its
questions, by hand and at any later time; :func:`~blackbox_boundary.measure` has a predictor answer
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..chains import Chain
from ..errors import InvalidInput
from ..estimators import Estimator, Problem
from ..frames import as_floating
from ..inputs import checked_ids, checked_limit, is_whole
from ..predictor import Access, Array, Bounds, IntArray
from .blocks import Block
from .course import settled
from .running_block import RunningBlock

__all__ = ["Measurement"]


class Measurement(RunningBlock):
    """A measurement in progress, for people who run the model themselves.

    ``ask`` hands out the next rows to predict (or to differentiate), ``tell`` takes the answers,
    ``distances`` returns the results so far at any moment. Any time may pass between the two.

    Parameters
    ----------
    x : array (n, *input_shape)
        Floating-point inputs of any array kind (NumPy, torch, ...).
    problem : Problem, optional
        Access of the model and the domain of its inputs. Default: built from the keywords
        ``access`` to ``chain``.
    estimator : str or Estimator, optional
        As of :func:`~blackbox_boundary.measure`.
    max_queries : int, optional
        Rows that ``ask`` may hand out in all, predictions and gradients together.
    row_ids : (n,) int, optional
        The rows' identities, which name their random streams. Default: their positions.
    access : Access or str
        What your answers reveal.
    n_classes : int
    bounds : (lowest, highest), optional
    differentiable : bool
        Whether you can also answer gradients; otherwise they are estimated from predictions.
    seed : int
    votes : int
        Times each question for a prediction is asked; ``votes`` of an ask is the zero-based
        repetition index. See :mod:`blackbox_boundary.measuring.voting`.
    score_resolution : float
        Differences between scores below this are rounding or noise.
    chain : callable, optional
        Returns what bounds the model's stretch, for estimators that certify.
    scale : float or array (*input_shape), optional
        How far each input typically varies, as of :func:`~blackbox_boundary.measure`; where ``x``
        is a part of the data, give that of all of them
        (:func:`~blackbox_boundary.gradients.data_scale`).

    Raises
    ------
    InvalidInput
        Empty, mis-shaped or non-floating ``x``, inputs outside ``bounds``, no votes. Rows with NaN
        or infinity get a status instead.
    CapabilityMissing
        The estimator needs more than the answers reveal.

    Examples
    --------
    >>> import numpy as np
    >>> from blackbox_boundary import Prediction
    >>> x = np.array([[1.0, 2.0]])
    >>> running = Measurement(x, access="logits", n_classes=2)
    >>> while (ask := running.ask()) is not None:
    ...     total = ask.points.sum(axis=-1)  # your model, at your leisure
    ...     scores = np.stack([total, np.zeros(len(total))], axis=-1)
    ...     running.tell(Prediction.from_scores(scores))
    >>> running.distances().l2.round(3)
    array([2.121])
    """

    def __init__(
        self,
        x: Array,
        problem: Problem | None = None,
        estimator: str | Estimator | None = None,
        *,
        max_queries: int | None = None,
        row_ids: IntArray | None = None,
        access: Access | str | None = None,
        n_classes: int | None = None,
        bounds: Bounds = None,
        differentiable: bool = False,
        seed: int = 0,
        votes: int = 1,
        score_resolution: float = 0.0,
        chain: Callable[[], Chain] | None = None,
        scale: Any = None,
    ) -> None:
        x = as_floating(x, None if problem is None else problem.grid)
        ids = checked_ids(row_ids, int(x.shape[0]))
        checked_limit(max_queries)
        if problem is None:
            if access is None or n_classes is None:
                raise InvalidInput(
                    'Measurement needs a "problem", or "access" and "n_classes" of the model.'
                )
            if not is_whole(n_classes) or n_classes < 2:
                raise InvalidInput(
                    f'"n_classes" must be a whole number, at least 2; got {n_classes!r}.'
                )
            problem = Problem(
                Access.parse(access),
                n_classes,
                tuple(x.shape[1:]),
                bounds,
                differentiable,
                seed,
                votes,
                score_resolution,
                int(ids.max()) + 1,
                chain,
                scale,
            )
        estimator, problem = settled(estimator, problem, x)
        super().__init__(Block.of(x, problem, ids), estimator, max_queries)
