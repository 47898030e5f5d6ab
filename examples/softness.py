"""Estimate softness for a model that answers labels only.

The map from distance to entropy is fitted where scores are known, and applied where they are not.

    python examples/softness.py

The map is fitted on half of the embedded digits and applied to the other half, whose entropies are
only used to say how good it is.
"""

import numpy as np

import blackbox_boundary as bb
from blackbox_boundary.analysis.uncertainty import (
    Softness,
    entropy,
    probabilities,
    rank_correlation,
)
from blackbox_boundary.datasets import digits, digits_model


def main():
    """Fit the map, apply it, and print its accuracy."""
    x, _ = digits()
    model = bb.load(digits_model(), access="logits")
    distances = bb.measure(model, x, flip_points=False)
    softness = entropy(probabilities(model.predict(x), model.access))
    known, unknown = np.arange(len(x)) % 2 == 0, np.arange(len(x)) % 2 == 1
    fitted = Softness.fit(distances.l2[known], softness[known])
    estimate = fitted(distances.l2[unknown])
    low, high = fitted.interval(distances.l2[unknown])
    inside = np.mean((softness[unknown] >= low) & (softness[unknown] <= high))
    correlation = rank_correlation(estimate, softness[unknown])
    print(
        f"knee at {fitted.knee:.2f} (L2); {np.mean(fitted.is_core(distances.l2[unknown])):.0%} of "
        "the other half lie beyond"
    )
    print(
        f"mean absolute error {np.abs(estimate - softness[unknown]).mean():.3f} nats; of the mean "
        f"alone {fitted.baseline_error:.3f}"
    )
    print(
        f"rank correlation {correlation.value:.2f} [{correlation.lo:.2f}, {correlation.hi:.2f}]; "
        f"{inside:.0%} inside the 10-90 % band"
    )


if __name__ == "__main__":
    main()
