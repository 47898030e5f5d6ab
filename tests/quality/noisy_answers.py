"""The effect of rounding and noise on distances, and the queries that votes cost.

Run: ``python tests/quality/noisy_answers.py``. A linear model of four classes and eight inputs,
300 rows; the exact distance along each row's ray is that of the model without rounding or noise.
"""

import numpy as np

from blackbox_boundary import Access, Prediction, Status, measure
from blackbox_boundary.testing import Linear, Reference

STREAM = np.random.default_rng(0)
SHAPE = Linear(2 * STREAM.normal(size=(4, 8)), STREAM.normal(size=4))
X = STREAM.normal(size=(300, 8))


class Noisy:
    """The model with fresh normal noise on its logits at every answer, and its exact gradients."""

    input_shape, n_classes, bounds = (8,), 4, None

    def __init__(self, sigma, access):
        self.inner, self.sigma, self.access = Reference(SHAPE, access="logits"), sigma, access
        self.stream = np.random.default_rng(1)

    def predict(self, x):
        logits = self.inner.predict(x).scores + self.sigma * self.stream.normal(size=(len(x), 4))
        return (
            Prediction(logits.argmax(axis=-1))
            if self.access is Access.LABEL
            else Prediction.from_scores(logits)
        )

    def vjp(self, x, v):
        return self.inner.vjp(x, v)


def report(name, got, exact):
    """Statuses, cost, and how far converged rows are off."""
    done = got.status == Status.CONVERGED
    off = np.abs(got.hi / exact.hi - 1)[done]
    undecided = int((got.status == Status.UNDECIDED).sum())
    print(
        f"{name:44} queries a row {got.n_predictions.mean():6.1f}  converged {done.sum():3}  "
        f"undecided {undecided:3}  off by {np.median(off):.1e} in the median, "
        f"{np.quantile(off, 0.9):.1e} at most in nine of ten, {off.max():.1e} at most"
    )


def main():
    """Rounding declared and not declared; noise with one answer and with votes."""
    exact = measure(Reference(SHAPE, access="probabilities"), X)
    report("not rounded", exact, exact)
    for decimals in (4, 3, 2):
        model = Reference(SHAPE, access="probabilities", decimals=decimals)
        report(f"{decimals} decimals", measure(model, X), exact)
        report(
            f"{decimals} decimals, declared",
            measure(model, X, score_resolution=10.0**-decimals),
            exact,
        )
    exact = measure(Reference(SHAPE, access="logits"), X)
    for access in (Access.LABEL, Access.LOGITS):
        for sigma in (0.02, 0.1):
            for votes in (1, 5, 15):
                got = measure(Noisy(sigma, access), X, votes=votes)
                report(
                    f"{access.name.lower()}, noise {sigma}, {votes} vote{'s' * (votes > 1)}",
                    got,
                    exact,
                )


if __name__ == "__main__":
    main()
