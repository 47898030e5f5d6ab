"""LitServe with ``toy_model``: ``python litserve_server.py PORT [BATCH [typed]]``."""

import sys

import litserve
import numpy as np
import pydantic
import toy_model as model


class Digits(litserve.LitAPI):
    """One row a request; LitServe stacks the rows of several requests where it batches."""

    def setup(self, device):
        """Nothing to load."""

    def decode_request(self, request):
        """The row of a request."""
        return np.asarray(request["input"], np.float32)

    def batch(self, inputs):
        """Rows of one batch."""
        return np.stack(inputs)

    def predict(self, x):
        """Probabilities, of one row or of a batch."""
        rows = x if x.ndim == 4 else x[None]
        scores = model.probabilities_of(rows)
        return scores if x.ndim == 4 else scores[0]

    def unbatch(self, output):
        """Answers of one batch."""
        return list(output)

    def encode_response(self, output):
        """The answer to a request."""
        return {"output": output.tolist()}


class Flower(pydantic.BaseModel):
    """The body of a request, which LitServe puts into its OpenAPI document."""

    petal_length: float
    petal_width: float


class Flowers(litserve.LitAPI):
    """Two named fields; a label and its probability."""

    def setup(self, device):
        """Nothing to load."""

    def decode_request(self, request: Flower):
        """The row of a request."""
        return request.petal_length - 2 * request.petal_width

    def predict(self, side):
        """The probability of the second class."""
        return 1 / (1 + float(np.exp(side)))

    def encode_response(self, output):
        """The answer to a request."""
        return {"species": "virginica" if output > 0.5 else "setosa", "probability": output}


if __name__ == "__main__":
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    typed = sys.argv[3:] == ["typed"]
    api = Flowers() if typed else Digits(max_batch_size=size, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
