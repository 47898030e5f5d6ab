"""A BentoML service with ``toy_model``: ``python -m bentoml serve bentoml_server:Digits``."""

import bentoml
import numpy as np
import toy_model as model


@bentoml.service
class Digits:
    """Rows in, probabilities out; single rows and named fields beside it."""

    @bentoml.api(batchable=True, max_batch_size=64)
    def classify(self, images: np.ndarray) -> np.ndarray:
        """Probabilities of a batch, which BentoML may put together from several requests."""
        return model.probabilities_of(images)

    @bentoml.api
    def score(self, images: list[list[list[list[float]]]]) -> dict[str, list]:
        """Labels and scores of nested lists."""
        scores = model.probabilities_of(np.array(images, np.float32))
        return {"labels": [model.LABELS[k] for k in scores.argmax(-1)], "scores": scores.tolist()}

    @bentoml.api
    def plane(self, left: float, right: float) -> dict[str, float]:
        """Two named fields, and one score of the second class."""
        return {"probability": float(1 / (1 + np.exp(left - 2 * right)))}
