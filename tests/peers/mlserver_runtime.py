"""Loaded by MLServer, in its environment."""

import toy_model
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class ToyRuntime(MLModel):
    """The classifiers of ``toy_model``, by the model's name."""

    async def load(self):
        """Nothing to load."""
        return True

    async def predict(self, payload):
        """Answer the one input."""
        image = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        answer = (
            toy_model.mnist_probabilities_of if self.name == "mnist" else toy_model.probabilities_of
        )
        output = NumpyCodec.encode_output("probabilities", answer(image))
        return InferenceResponse(
            id=payload.id, model_name=self.name, model_version=self.version, outputs=[output]
        )
