"""The suite passes what is right, and each of its checks catches the mistake it is there for."""

import numpy as np
import pytest

from blackbox_boundary import Access, InvalidInput, Prediction, PredictorUnavailable
from blackbox_boundary.testing import (
    CHECKS,
    Ball,
    Box,
    Linear,
    Opaque,
    Reference,
    Slab,
    Stripes,
    check_predictor,
)

X = np.random.default_rng(0).uniform(0.1, 0.9, size=(9, 4))
WEIGHTS = Linear(
    np.random.default_rng(1).normal(size=(3, 4)), np.random.default_rng(2).normal(size=3)
)


class Altered(Reference):
    """A good predictor with one thing made wrong."""

    def __init__(self, *, answer=None, gradient=None, access="logits", **declared):
        super().__init__(WEIGHTS, access=access)
        self.answer, self.gradient = (
            answer or (lambda x, prediction: prediction),
            gradient or (lambda x, values: values),
        )
        vars(self).update(declared)

    def predict(self, x):
        return self.answer(x, super().predict(x))

    def vjp(self, x, v):
        return self.gradient(x, super().vjp(x, v))


class Lenient(Altered):
    """Takes rows of any shape."""

    def predict(self, x):
        return super().predict(np.resize(x, (len(x), 4)))


class Closing(Altered):
    """Can be closed."""

    def close(self):
        self.answer = self.after

    @staticmethod
    def after(x, prediction):
        raise PredictorUnavailable("The session is closed.")


def _scores(change):
    """Alter the scores, and read the labels off them."""
    return lambda x, prediction: Prediction.from_scores(change(x, prediction.scores))


def _write(x, values):
    x *= 0.5
    return values


_asked = iter(range(10_000))
MISTAKES = {
    "no classes": ("declares", Altered(n_classes=1)),
    "shape is a list": ("declares", Altered(input_shape=[4])),
    "bounds the wrong way round": ("declares", Altered(bounds=(1, 0))),
    "label past the last class": (
        "reveals",
        Altered(answer=lambda x, p: Prediction(p.label + 3, scores=p.scores)),
    ),
    "a class is missing": ("reveals", Altered(answer=_scores(lambda x, s: s[:, :2]))),
    "scores behind labels": (
        "reveals",
        Altered(
            access="label", answer=lambda x, p: Prediction(p.label, scores=np.zeros((len(x), 3)))
        ),
    ),
    "labels of another score": (
        "reveals",
        Altered(answer=lambda x, p: Prediction((p.label + 1) % 3, scores=p.scores)),
    ),
    "probabilities called logits": (
        "reveals",
        Altered(answer=_scores(lambda x, s: np.exp(s) / np.exp(s).sum(-1, keepdims=True))),
    ),
    "logits called probabilities": (
        "reveals",
        Altered(access="probabilities", answer=_scores(lambda x, p: p * 3 - 1)),
    ),
    "random": ("repeatability", Altered(answer=_scores(lambda x, s: s + 1e-3 * next(_asked)))),
    "batch normalisation left on": (
        "splitting",
        Altered(answer=_scores(lambda x, s: s - (s.mean(axis=0) if len(s) else 0))),
    ),
    "every second row alone": (
        "permuting",
        Altered(answer=_scores(lambda x, s: s + np.arange(len(s))[:, None] % 2)),
    ),
    "duplicates dropped": (
        "repeating",
        Altered(answer=lambda x, p: p[np.sort(np.unique(x, axis=0, return_index=True)[1])]),
    ),
    "no empty batch": ("empty_batch", Altered(answer=_scores(lambda x, s: s - s.max() * 0))),
    "input written": ("input_untouched", Altered(answer=_write)),
    "gradient written over input": ("input_untouched", Altered(gradient=_write)),
    "other weights for float64": (
        "dtypes",
        Altered(answer=_scores(lambda x, s: s * (1 if x.dtype == np.float64 else 1.1))),
    ),
    "reads the buffer": (
        "memory_layout",
        Altered(
            answer=_scores(
                lambda x, s: s + (0 if x.base is None or x.flags.c_contiguous else x.base.sum())
            )
        ),
    ),
    "any shape": ("wrong_shapes", Lenient()),
    "gradient flattened": ("vjp_form", Altered(gradient=lambda x, g: g.reshape(-1))),
    "gradient in double": ("vjp_form", Altered(gradient=lambda x, g: g.astype(np.float32))),
    "gradient averaged over the batch": (
        "vjp_rows",
        Altered(gradient=lambda x, g: g / max(len(g), 1)),
    ),
    "gradient of minus the score": ("vjp_values", Altered(gradient=lambda x, g: -g)),
    "gradient 6 % too long": ("vjp_values", Altered(gradient=lambda x, g: 1.06 * g)),
    "one gradient component lost": ("vjp_values", Altered(gradient=lambda x, g: g * [1, 1, 0, 1])),
    "answers after close": ("closing", type("Open", (Closing,), {"close": lambda self: None})()),
}
MISTAKES["access is a word"] = ("declares", Altered())
MISTAKES["access is a word"][1].access = "logits"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_caught_by_its_check(mistake):
    """The check made for it fails, naming what is wrong."""
    check, predictor = MISTAKES[mistake]
    with pytest.raises(
        AssertionError, match=rf"(?s)(Altered|Lenient|Closing|Open) fails .*  {check}: FAILED\. "
    ):
        check_predictor(predictor, X.copy(), close=True)


def test_every_check_has_a_mistake():
    """No check is untested."""
    assert {check for check, _ in MISTAKES.values()} == set(CHECKS)


@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape",
    [
        WEIGHTS,
        Ball(np.full(4, 0.4), 0.4),
        Box(np.zeros(4), np.ones(4)),
        Slab(np.ones(4), -2, 0.2),
        Stripes(np.ones(4)),
    ],
)
def test_references_pass(shape, access, dtype):
    """All of ours conform, at any access, in both precisions."""
    outcome = check_predictor(Reference(shape, access=access, bounds=(0, 1)), X.astype(dtype))
    assert list(outcome) == list(CHECKS)
    assert outcome["vjp_values"].startswith("passed" if access.has_scores else "not applicable")
    assert (
        check_predictor(Opaque(Reference(shape, access=access)), X.astype(dtype))["vjp_rows"]
        == "not applicable: no vjp"
    )


def test_torch_tensors_are_checked_as_such():
    """Rows may be of any kind that the predictor takes."""
    torch = pytest.importorskip("torch")
    assert "passed" in check_predictor(Reference(WEIGHTS), torch.from_numpy(X))["vjp_form"]


def test_closing_is_clean():
    """A predictor that refuses after close passes; it is closed only on request."""
    predictor = Closing()
    assert check_predictor(predictor, X)["closing"] == "not applicable: not asked for"
    assert check_predictor(predictor, X, close=True)["closing"] == "passed"


def test_known_failures_are_tolerated_until_they_pass():
    """A reason excuses a failing check, and is asked back from one that passes."""
    random = Altered(gradient=lambda x, g: 1.06 * g)
    assert (
        check_predictor(random, X, known={"vjp_values": "rounded weights"})["vjp_values"]
        == "known: rounded weights"
    )
    with pytest.raises(
        AssertionError,
        match=r"splitting: FAILED. It passes now; it no longer needs to be known \(fused kernels\)",
    ):
        check_predictor(Altered(), X, known={"splitting": "fused kernels"})


def test_tolerance_is_a_share_of_the_largest_score():
    """A wobble within it passes, one beyond it does not."""
    wobbly = Altered(answer=_scores(lambda x, s: s * (1 + 1e-4 * (len(s) % 2))))
    check_predictor(wobbly, X, tolerance=1e-3)
    with pytest.raises(AssertionError, match="splitting"):
        check_predictor(wobbly, X)


def test_misuse_is_refused():
    """Too few rows, or a known failure of no check."""
    with pytest.raises(InvalidInput, match="at least 3 rows; got 2"):
        check_predictor(Reference(WEIGHTS), X[:2])
    with pytest.raises(InvalidInput, match="got shuffling"):
        check_predictor(Reference(WEIGHTS), X, known={"shuffling": "?"})
