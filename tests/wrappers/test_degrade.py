"""Each defence reveals what it says, and a row's answer depends on the row alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from blackbox_boundary import Access, CapabilityMissing, Differentiable, InvalidInput
from blackbox_boundary.wrappers.degrade import InputNoise, LabelOnly, Rounded, ScoreNoise, TopK

from .models import Smooth

X = np.random.default_rng(0).normal(size=(300, 2, 3)).astype(np.float32)
PROBS = Smooth(Access.PROBABILITIES).predict(X).scores


class Nameless(Smooth):
    """A model without a name."""

    fingerprint = None


@pytest.mark.parametrize("access", [Access.LOGITS, Access.PROBABILITIES])
def test_what_is_revealed(access):
    """Labels; top score; k largest, scaled to one; rounded ones. Logits as from probabilities."""
    model = Smooth(access)
    label = model.predict(X).label
    labels = LabelOnly(model)
    assert labels.access is Access.LABEL
    answer = labels.predict(X)
    assert answer.scores is None
    assert answer.top1 is None
    assert (answer.label == label).all()

    top = TopK(model, 1)
    assert top.access is Access.TOP1
    np.testing.assert_allclose(top.predict(X).top1, PROBS.max(axis=-1), rtol=1e-12)
    assert top.predict(X).scores is None

    two = TopK(model, 2).predict(X)
    assert (np.count_nonzero(two.scores, axis=-1) == 2).all()
    largest = np.sort(PROBS, axis=-1)[:, -2:]
    np.testing.assert_allclose(
        np.sort(two.scores, axis=-1)[:, -2:],
        largest / largest.sum(axis=-1, keepdims=True),
        rtol=1e-12,
    )
    assert (two.label == label).all()

    rounded = Rounded(model, 2).predict(X)
    np.testing.assert_allclose(rounded.scores, np.round(PROBS, 2), atol=1e-15)
    assert (rounded.label == rounded.scores.argmax(axis=-1)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ScoreNoise(Smooth(), 0.7, seed=seed),
        lambda seed: InputNoise(Smooth(), 0.3, seed=seed),
    ],
)
def test_noise_belongs_to_the_row(make):
    """Alone, repeated or reordered, a row has the same answer; other seeds and rows differ."""
    noisy = make(4)
    answer = noisy.predict(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(noisy.predict(X[order]).scores, answer.scores[order])
    np.testing.assert_array_equal(make(4).predict(X[7:8]).scores, answer.scores[7:8])
    assert not (make(5).predict(X).scores == answer.scores).any()
    residual = answer.scores - Smooth().predict(X).scores
    assert len(np.unique(residual[:, 0])) == len(X)


def test_score_noise_has_its_size():
    """1,200 draws: mean and deviation within four standard errors (false alarms 1 in 10,000)."""
    noise = ScoreNoise(Smooth(), 0.7).predict(X).scores - Smooth().predict(X).scores
    assert abs(noise.mean()) < 4 * 0.7 / np.sqrt(noise.size)
    assert abs(noise.std() - 0.7) < 4 * 0.7 / np.sqrt(2 * noise.size)


def test_noise_on_probabilities_is_noise_on_their_logarithms():
    """They stay probabilities, and an impossible class stays impossible."""
    answer = ScoreNoise(TopK(Smooth(), 3), 0.5).predict(X)
    np.testing.assert_allclose(answer.scores.sum(axis=-1), 1, rtol=1e-12)
    assert (np.count_nonzero(answer.scores, axis=-1) == 3).all()
    logits = ScoreNoise(Smooth(), 0.5).predict(X).scores
    np.testing.assert_allclose(
        ScoreNoise(Smooth(Access.PROBABILITIES), 0.5).predict(X).scores,
        softmax(logits, axis=-1),
        rtol=1e-9,
    )


def test_input_noise_stays_within_the_bounds():
    """The model gets rows inside, of the same kind and dtype; the caller's rows are unchanged."""
    model, seen = Smooth(), []
    predict = model.predict
    model.predict = lambda x: (seen.append(x), predict(x))[1]
    edge = np.full((50, 2, 3), 5, np.float32)
    edge[:, 0, 0] = np.linspace(-5, 5, 50)
    InputNoise(model, 1.0).predict(edge)
    assert seen[0].dtype == np.float32
    assert seen[0].max() == 5
    assert seen[0].min() == -5
    assert (seen[0][:, 0, 1] < 5).mean() > 0.2
    assert (edge[:, 0, 1:] == 5).all()


@settings(deadline=None)
@given(sigma=st.sampled_from([-1.0, float("nan"), float("inf")]))
def test_bad_settings(sigma):
    """Refused before any query."""
    for noisy in (ScoreNoise, InputNoise):
        with pytest.raises(InvalidInput, match='"sigma"'):
            noisy(Smooth(), sigma)
    for make in (
        lambda: TopK(Smooth(), 0),
        lambda: TopK(Smooth(), 5),
        lambda: Rounded(Smooth(), -1),
        lambda: Rounded(Smooth(), 1.5),
    ):
        with pytest.raises(InvalidInput):
            make()
    for unscored in (
        lambda: TopK(LabelOnly(Smooth()), 1),
        lambda: Rounded(LabelOnly(Smooth()), 1),
        lambda: ScoreNoise(TopK(Smooth(), 1), 1.0),
    ):
        with pytest.raises(CapabilityMissing, match="needs a predictor that reveals scores"):
            unscored()


def test_a_defended_model_is_another_model():
    """It has no gradients, and a name that says what it is."""
    for defended in (LabelOnly(Smooth()), Rounded(Smooth(), 1), ScoreNoise(Smooth(), 0.1, seed=3)):
        assert not isinstance(defended, Differentiable)
    assert Rounded(Nameless(), 1).fingerprint is None
    assert (
        ScoreNoise(Rounded(Smooth(), 1), 0.1, seed=3).fingerprint
        == "smooth behind rounding to 1 decimals behind score noise 0.1, seed 3"
    )


def test_a_row_without_an_answer_stays_without():
    """A non-finite answer is -1 behind every defence."""

    class Broken(Smooth):
        def predict(self, x):
            answer = super().predict(x)
            answer.label[0], answer.scores[0] = -1, np.nan
            return answer

    for make in (
        LabelOnly,
        lambda m: TopK(m, 1),
        lambda m: TopK(m, 2),
        lambda m: Rounded(m, 2),
        lambda m: ScoreNoise(m, 1.0),
    ):
        answer = make(Broken()).predict(X[:3])
        assert answer.label[0] == -1
        assert (answer.label[1:] >= 0).all()
