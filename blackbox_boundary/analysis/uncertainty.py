"""Estimate the uncertainty of a classifier from its scores or from distances.

Scores are used where the classifier reveals them, distances where it does not.

The paper (section 4) observes that softmax entropy falls with the distance to the boundary and
hardly varies beyond some distance. :class:`Softness` turns that into a measure: a monotone map from
distance to expected entropy, fitted by isotonic regression [1]_ on rows whose scores are known,
which then gives rows of a label-only model a softness estimate. ``docs/explanation/uncertainty.md``
argues for the definition.

All entropies are in nats. All kernels are pure and send no query, except :func:`vote_uncertainty`,
whose cost is documented.

References
----------
.. [1] Barlow, Bartholomew, Bremner, Brunk, "Statistical Inference under Order Restrictions", Wiley
   1972.
.. [2] Bang, Kim, Yoo, Ha, Choi, "Rainbow Memory: Continual Learning with a Memory of Diverse
   Samples", CVPR 2021, section 4.1. arXiv:2103.17230.
.. [3] Efron, Tibshirani, "An Introduction to the Bootstrap", Chapman and Hall 1993, chapter 13
   (percentile intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.special import softmax, xlogy
from scipy.stats import rankdata

from ..errors import CapabilityMissing, InvalidInput
from ..predictor import Access, Array, BoolArray, FloatArray, Prediction, Predictor, Real

__all__ = [
    "RankCorrelation",
    "Softness",
    "entropy",
    "margin",
    "probabilities",
    "rank_correlation",
    "top1_probability",
    "vote_uncertainty",
]

_KNEE = 0.1
"""Share of the fall in expected entropy that is left at the knee: a tenth, a convention like the
10-90 % rise time of a step response."""


def probabilities(prediction: Prediction, access: Access) -> Real:
    """Softmax of what was predicted, (n, n_classes).

    Raises
    ------
    CapabilityMissing
        The predictor reveals no score for every class.
    """
    if prediction.scores is None or not access.has_scores:
        raise CapabilityMissing(
            'Softmax needs access "probabilities" or "logits"; this predictor reveals '
            f'"{access.name.lower()}". '
            "A Softness fitted elsewhere estimates the entropy from distances."
        )
    scores = np.asarray(prediction.scores, np.float64)
    return scores if access is Access.PROBABILITIES else np.asarray(softmax(scores, axis=-1))


def entropy(probs: FloatArray) -> Real:
    """Entropy of each row of probabilities (n, n_classes), nats: the paper's output softness.

    Examples
    --------
    >>> entropy(np.array([[1.0, 0.0], [0.5, 0.5]])).round(4).tolist()
    [0.0, 0.6931]
    """
    return np.asarray(-xlogy(probs, probs).sum(axis=-1), np.float64) + 0.0


def margin(probs: FloatArray) -> Real:
    """Largest probability less the second largest, (n,), 0-1."""
    two = np.partition(probs, -2, axis=-1)[..., -2:]
    return np.asarray(two[..., 1] - two[..., 0], np.float64)


def top1_probability(probs: FloatArray) -> Real:
    """Largest probability, (n,), 0-1."""
    return np.asarray(probs.max(axis=-1), np.float64)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation with a bootstrap interval; ``n`` rows went in.

    NaN where one side is constant.
    """

    value: float
    lo: float
    hi: float
    n: int
    level: float = 0.95


def rank_correlation(
    a: FloatArray, b: FloatArray, *, n_resamples: int = 200, level: float = 0.95, seed: int = 0
) -> RankCorrelation:
    """Compute Spearman's correlation of two vectors (n,), with a percentile interval [3]_.

    Rows with a non-finite number are left out.

    ``n_resamples`` of 200 settles a 95 % interval's ends to about a tenth of its width; ranks are
    taken once and resampled with their rows.

    Raises
    ------
    InvalidInput
        Different lengths, or fewer than three finite rows.

    Examples
    --------
    >>> rank_correlation(np.arange(9.0), -np.arange(9.0) ** 3).value
    -1.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise InvalidInput(
            f'"a" and "b" of rank_correlation must be (n,) each; got {a.shape} and {b.shape}.'
        )
    finite = np.isfinite(a) & np.isfinite(b)
    n = int(finite.sum())
    if n < 3:
        raise InvalidInput(
            f"A rank correlation needs at least three rows with finite numbers; got {n}."
        )
    ranks = np.stack([rankdata(a[finite]), rankdata(b[finite])])
    draws = np.random.default_rng(seed).integers(0, n, (n_resamples, n))
    resampled = np.array([_pearson(ranks[:, rows]) for rows in draws])
    resampled = resampled[np.isfinite(resampled)]
    tail = (1 - level) / 2
    lo, hi = np.quantile(resampled, [tail, 1 - tail]) if len(resampled) else (np.nan, np.nan)
    return RankCorrelation(_pearson(ranks), float(lo), float(hi), n, level)


def _pearson(pair: Real) -> float:
    """Correlation of two rows of numbers (2, n)."""
    centred = pair - pair.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1).prod())
    return (
        float(np.clip((centred[0] * centred[1]).sum() / length, -1, 1))
        if length > 0
        else float("nan")
    )


@dataclass(frozen=True, eq=False)
class Softness:
    """Expected entropy as a falling function of distance, with its spread.

    This is the distance-based uncertainty. Between the fitted distances the function is linear;
    below the first and beyond the last it is constant.

    Attributes
    ----------
    distance : (k,) float
        Rising distances, in the unit and the norm of the fit.
    expected, lower, upper : (k,) float
        Expected entropy, nats, never rising; and the 10 % and 90 % quantiles of the entropy of the
        rows around.
    knee : float
        Distance beyond which at most a tenth of the whole fall in expected entropy is left: the
        paper's "core regions". Infinite where the fit is flat: distance then carries no information
        on softness.
    held_out_error, baseline_error : float
        Mean absolute error on rows not fitted on, nats; and that of always answering the fitted
        rows' mean.
    correlation : RankCorrelation
        Of distance and entropy, on all rows.
    norm : str
        Which distance it was fitted on.
    """

    distance: Real
    expected: Real
    lower: Real
    upper: Real
    knee: float
    held_out_error: float
    baseline_error: float
    correlation: RankCorrelation
    norm: str = "l2"

    @classmethod
    def fit(
        cls,
        distance: FloatArray,
        softness: FloatArray,
        *,
        norm: str = "l2",
        held_out: float = 0.2,
        seed: int = 0,
    ) -> Softness:
        """Fit on rows whose distance and entropy (n,) are both known.

        Rows with a non-finite number are left out.

        The error is that of a first fit on ``1 - held_out`` of the rows (a fifth held out by
        default); the map kept is fitted on all of them.

        Raises
        ------
        InvalidInput
            Different lengths, negative distances, fewer than ten finite rows, or ``held_out``
            outside (0, 1).
        """
        distance, softness = np.asarray(distance, np.float64), np.asarray(softness, np.float64)
        if distance.shape != softness.shape or distance.ndim != 1:
            raise InvalidInput(
                f'"distance" and "softness" of fit must be (n,) each; got {distance.shape} and '
                f"{softness.shape}."
            )
        if not 0 < held_out < 1:
            raise InvalidInput(f'"held_out" of fit must lie in (0, 1); got {held_out}.')
        finite = np.isfinite(distance) & np.isfinite(softness)
        if (n := int(finite.sum())) < 10:
            raise InvalidInput(
                "A softness fit needs at least ten rows with a finite distance and entropy; got "
                f"{n}."
            )
        if distance[finite].min() < 0:
            raise InvalidInput(
                f'"distance" of fit must not be negative; got {distance[finite].min()}.'
            )
        d, e = distance[finite], softness[finite]
        shuffled = np.random.default_rng(seed).permutation(n)
        n_held = min(max(1, round(held_out * n)), n - 1)
        held, used = shuffled[:n_held], shuffled[n_held:]
        guess = np.interp(d[held], *_falling(d[used], e[used]))
        at, expected = _falling(d, e)
        lower, upper = _spread(d, e, at)
        return cls(
            at, expected, lower, upper, _knee(at, expected),
            float(np.abs(guess - e[held]).mean()), float(np.abs(e[used].mean() - e[held]).mean()),
            rank_correlation(d, e, seed=seed), norm,
        )  # fmt: skip

    def __call__(self, distance: FloatArray) -> Real:
        """Return the expected entropy (n,) at these distances, nats.

        An unknown (infinite) distance counts as far; NaN stays NaN.
        """
        return np.asarray(np.interp(distance, self.distance, self.expected), np.float64)

    def interval(self, distance: FloatArray) -> tuple[Real, Real]:
        """10 % and 90 % quantile of the entropy (n,) each, of fitted rows at such distances."""
        lower: Real = np.interp(distance, self.distance, self.lower).astype(np.float64)
        upper: Real = np.interp(distance, self.distance, self.upper).astype(np.float64)
        return lower, upper

    def is_core(self, distance: FloatArray) -> BoolArray:
        """Whether rows (n,) lie beyond the knee, in the core of their class."""
        return np.asarray(distance) > self.knee

    def save(self, path: str | Path) -> None:
        """Write the map to one ``.npz`` file, without pickle."""
        scalars = {
            name: value for name, value in asdict(self).items() if not isinstance(value, np.ndarray)
        }
        correlation = scalars.pop("correlation")
        scalars |= {f"correlation_{name}": value for name, value in correlation.items()}
        arrays: dict[str, Any] = {name: np.array(value) for name, value in scalars.items()}
        with Path(path).open("wb") as file:
            np.savez(
                file,
                distance=self.distance,
                expected=self.expected,
                lower=self.lower,
                upper=self.upper,
                **arrays,
            )

    @classmethod
    def load(cls, path: str | Path) -> Softness:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InvalidInput
            The file is missing, or holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                parts: dict[str, Any] = {
                    name: stored[name] if stored[name].ndim else stored[name].item()
                    for name in stored.files
                }
            names = [name for name in parts if name.startswith("correlation_")]
            correlation = RankCorrelation(
                **{name.removeprefix("correlation_"): parts.pop(name) for name in names}
            )
            return cls(correlation=correlation, **parts)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise InvalidInput(f'"{path}" does not hold a saved softness map: {error}') from error


def _falling(distance: FloatArray, softness: FloatArray) -> tuple[Real, Real]:
    """Fit the non-increasing function of distance that is nearest in squares [1]_.

    Returns distinct rising distances (k,), and the fitted values there (isotonic regression).

    Rows of equal distance enter as their mean, weighted by their number: a function has one value
    there. Only the ends of constant stretches are kept, so that the map is small.
    """
    at, place, n_tied = np.unique(distance, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=softness) / n_tied
    fitted = isotonic_regression(mean, weights=n_tied, increasing=False).x
    ends = np.ones(len(at), bool)
    ends[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return np.asarray(at[ends], np.float64), np.asarray(fitted[ends], np.float64)


def _spread(distance: FloatArray, softness: FloatArray, at: Real) -> tuple[Real, Real]:
    """10 % and 90 % quantiles of softness around each distance ``at`` (k,).

    Around means the nearest in rank: a window of a twentieth of the rows, at least 20 and at most
    500 (the standard error of a 10 % quantile is then below 1.4 % of the rows).
    """
    order = np.argsort(distance, kind="stable")
    ranked, n = softness[order], len(order)
    width = min(n, max(20, min(500, n // 20)))
    centre = np.searchsorted(distance[order], at)
    start = np.clip(centre - width // 2, 0, n - width)
    places, back = np.unique(start, return_inverse=True)
    quantiles = np.stack(
        [np.quantile(ranked[place : place + width], (0.1, 0.9)) for place in places], axis=1
    )
    return quantiles[0][back], quantiles[1][back]


def _knee(at: Real, expected: Real) -> float:
    """The first distance at which no more than a tenth of the fall in expected entropy is left."""
    fall = expected[0] - expected[-1]
    return (
        float(at[np.flatnonzero(expected - expected[-1] <= _KNEE * fall)[0]])
        if fall > 0
        else float("inf")
    )


def vote_uncertainty(
    predict: Predictor, x: Array, augmentations: Sequence[Callable[[Array], Array]]
) -> Real:
    r"""Compute Rainbow Memory's uncertainty (n,): 1 minus the vote share of the top label [2]_.

    Augmented copies of each row vote for the label.

    Parameters
    ----------
    predict : Predictor
        Label-only is enough.
    x : array (n, *input_shape)
    augmentations : sequence of callable
        Each maps a batch to a batch of the same shape. The paper's rule needs several; any number
        above zero is accepted.

    Raises
    ------
    InvalidInput
        No augmentation, or one that changes the shape; nothing has been sent by then.

    Notes
    -----
    Queries per row: ``len(augmentations)``. A copy without a label counts for no class; a row
    without any vote gets NaN.
    """
    if not augmentations:
        raise InvalidInput(
            '"augmentations" of vote_uncertainty must hold at least one function; got none.'
        )
    copies = [augment(x) for augment in augmentations]
    for number, augmented in enumerate(copies):
        if tuple(augmented.shape) != tuple(x.shape):
            raise InvalidInput(
                f"Augmentation {number} must keep the shape {tuple(x.shape)}; it made "
                f"{tuple(augmented.shape)}."
            )
    votes = np.zeros((len(x), predict.n_classes))
    for augmented in copies:
        label = predict.predict(augmented).label
        np.add.at(votes, (np.flatnonzero(label >= 0), label[label >= 0]), 1)
    total = votes.sum(axis=-1)
    return np.where(total > 0, 1 - votes.max(axis=-1) / np.maximum(total, 1), np.nan)
