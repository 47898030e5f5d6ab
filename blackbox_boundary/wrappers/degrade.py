"""Defences: predictors that reveal less than the one they wrap, or answer with noise.

Any run can be repeated with a defence and compared with the run without it. Defended models are
deployed models, so these predictors pass no gradients on. Noise is drawn from a stream named by the
seed and the content of the row, so that a row's answer does not depend on its batch, and asking
again gives the same answer; noise drawn afresh each time could be averaged away.

References
----------
.. [1] F. Tramèr et al., "Stealing Machine Learning Models via Prediction APIs", USENIX Security
   2016, section 7: rounding, labels only.
.. [2] Z. Qin et al., "Random Noise Defense Against Query-Based Black-Box Attacks", NeurIPS 2021:
   noise on the input.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ..arrays import as_kind, as_numpy
from ..capabilities import fingerprint_of
from ..errors import CapabilityMissing, InvalidInput
from ..inputs import check_shape, is_whole
from ..ledger.records import content_keys
from ..predictor import Access, Array, FloatArray, Prediction, Predictor, Real
from ._base import Around

__all__ = ["InputNoise", "LabelOnly", "Rounded", "ScoreNoise", "TopK"]


class _Defence(Around):
    """A predictor with the domain of another, and its answers as changed by the defence."""

    def __init__(self, predictor: Predictor, access: Access, name: str) -> None:
        super().__init__(predictor)
        self.access = access
        self._name = name

    def __repr__(self) -> str:
        return f"{self._inner!r} behind {self._name}"

    @property
    def fingerprint(self) -> str | None:
        """Name of the defended model: the name of the model inside, and the defence."""
        inner = fingerprint_of(self._inner)
        return inner and f"{inner} behind {self._name}"


class LabelOnly(_Defence):
    """Reveal the label, and nothing else [1]_."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__(predictor, Access.LABEL, "labels only")

    def predict(self, x: Array) -> Prediction:
        """The labels of ``x`` (n, *input_shape)."""
        return Prediction(self._inner.predict(x).label)


class TopK(_Defence):
    """Reveal the ``k`` largest probabilities.

    With ``k = 1``, these are the label and its probability (access ``TOP1``). With a larger ``k``,
    all other probabilities are set to zero and the rest is scaled to a sum of one (access
    ``PROBABILITIES``). Of equal probabilities the lower index is kept.

    Raises
    ------
    InvalidInput
        ``k`` below 1 or above the number of classes.
    CapabilityMissing
        The predictor reveals no scores.
    """

    def __init__(self, predictor: Predictor, k: int) -> None:
        _require_scores(predictor, "TopK")
        if not 1 <= k <= predictor.n_classes:
            raise InvalidInput(f'"k" of TopK must lie in [1, {predictor.n_classes}]; got {k}.')
        super().__init__(predictor, Access.TOP1 if k == 1 else Access.PROBABILITIES, f"top {k}")
        self._k = k

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        prediction = self._inner.predict(x)
        probs = _probabilities(prediction, self._inner.access)
        if self._k == 1:
            return Prediction(prediction.label, top1=probs.max(axis=-1))
        hidden = np.argsort(-probs, axis=-1, kind="stable")[:, self._k :]
        np.put_along_axis(probs, hidden, 0, axis=-1)
        return _relabelled(probs / probs.sum(axis=-1, keepdims=True), prediction)


class Rounded(_Defence):
    """Reveal probabilities rounded to some decimals [1]_; the label is the first of the largest.

    Raises
    ------
    InvalidInput
        The number of decimals is negative, or not whole.
    CapabilityMissing
        The predictor reveals no scores.
    """

    def __init__(self, predictor: Predictor, decimals: int) -> None:
        _require_scores(predictor, "Rounded")
        if not is_whole(decimals) or decimals < 0:
            raise InvalidInput(
                f'"decimals" of Rounded must be a whole number, not negative; got {decimals}.'
            )
        super().__init__(predictor, Access.PROBABILITIES, f"rounding to {decimals} decimals")
        self._decimals = decimals

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        prediction = self._inner.predict(x)
        return _relabelled(
            np.round(_probabilities(prediction, self._inner.access), self._decimals), prediction
        )


class ScoreNoise(_Defence):
    """Add normal noise to the logits or log-probabilities; the label follows the noisy scores.

    Parameters
    ----------
    predictor : Predictor
    sigma : float
        Standard deviation of the noise, nats.
    seed : int

    Raises
    ------
    InvalidInput
        A negative or infinite ``sigma``.
    CapabilityMissing
        The predictor reveals no scores.
    """

    def __init__(self, predictor: Predictor, sigma: float, *, seed: int = 0) -> None:
        _require_scores(predictor, "ScoreNoise")
        super().__init__(
            predictor,
            predictor.access,
            f"score noise {_checked_sigma(sigma, 'ScoreNoise'):g}, seed {seed}",
        )
        self._sigma, self._seed = sigma, seed

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        prediction = self._inner.predict(x)
        noise = self._sigma * _noise(x, (self.n_classes,), self._seed)
        if self.access is Access.LOGITS:
            return _relabelled(prediction.known_scores + noise, prediction)
        with np.errstate(divide="ignore"):  # a probability of zero stays zero
            return _relabelled(_softmax(np.log(prediction.known_scores) + noise), prediction)


class InputNoise(_Defence):
    """Add normal noise to the input, clip it to the bounds, and answer the result [2]_.

    Parameters
    ----------
    predictor : Predictor
    sigma : float
        Standard deviation of the noise, input units.
    seed : int

    Raises
    ------
    InvalidInput
        A negative or infinite ``sigma``.
    """

    def __init__(self, predictor: Predictor, sigma: float, *, seed: int = 0) -> None:
        super().__init__(
            predictor,
            predictor.access,
            f"input noise {_checked_sigma(sigma, 'InputNoise'):g}, seed {seed}",
        )
        self._sigma, self._seed = sigma, seed

    def predict(self, x: Array) -> Prediction:
        """Answer ``x`` (n, *input_shape)."""
        check_shape(x, self.input_shape)
        noisy = as_numpy(x) + self._sigma * _noise(x, self.input_shape, self._seed)
        if self.bounds is not None:
            noisy = np.clip(noisy, *(as_numpy(bound) for bound in self.bounds))
        return self._inner.predict(as_kind(noisy, x))


def _require_scores(predictor: Predictor, who: str) -> None:
    if not predictor.access.has_scores:
        raise CapabilityMissing(
            f"{who} needs a predictor that reveals scores; this one reveals "
            f"{predictor.access.name.lower()}."
        )


def _checked_sigma(sigma: float, who: str) -> float:
    if not 0 <= sigma < np.inf:
        raise InvalidInput(f'"sigma" of {who} must be a finite number, not negative; got {sigma}.')
    return sigma


def _probabilities(prediction: Prediction, access: Access) -> FloatArray:
    """A fresh array (n, n_classes) of probabilities."""
    return (
        _softmax(prediction.known_scores)
        if access is Access.LOGITS
        else prediction.known_scores.copy()
    )


def _softmax(scores: FloatArray) -> FloatArray:
    from scipy.special import softmax  # a quarter of a second of imports that only defences need

    return np.asarray(softmax(scores, axis=-1))


def _relabelled(scores: FloatArray, known: Prediction) -> Prediction:
    """The prediction of changed scores; a row that had no usable answer still has none."""
    prediction = Prediction.from_scores(scores)
    prediction.label[known.label < 0] = -1
    return prediction


def _noise(x: Array, shape: tuple[int, ...], seed: int) -> Real:
    r"""Standard normal numbers (n, \*shape), the same for the same row and seed."""
    noise = np.empty((len(x), *shape))
    for i, key in enumerate(content_keys(x)):
        digest = hashlib.sha256(key.tobytes() + str(seed).encode()).digest()
        noise[i] = np.random.Generator(
            np.random.Philox(key=int.from_bytes(digest[:16], "little"))
        ).standard_normal(shape)
    return noise
