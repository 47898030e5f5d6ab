"""Run in KServe's environment: ``python kserve_server.py PORT``."""

import sys

import kserve
import numpy as np
import toy_model
import uvicorn


class Toy(kserve.Model):
    """The classifier of ``toy_model``, over both protocols that KServe speaks."""

    def __init__(self, name):
        super().__init__(name)
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        """Answer v1's rows as a list, v2's tensor as one."""
        if isinstance(payload, dict):
            return {
                "predictions": toy_model.probabilities_of(
                    np.array(payload["instances"], np.float32)
                ).tolist()
            }
        scores = toy_model.probabilities_of(payload.inputs[0].as_numpy())
        output = kserve.InferOutput(name="probabilities", shape=list(scores.shape), datatype="FP32")
        output.set_data_from_numpy(scores, binary_data=payload.inputs[0].parameters is not None)
        return kserve.InferResponse(payload.id, self.name, [output])

    async def get_input_types(self):
        """What v2's metadata tell."""
        return [{"name": "image", "datatype": "FP32", "shape": [-1, *toy_model.SHAPE]}]

    async def get_output_types(self):
        """The same of the answer."""
        return [{"name": "probabilities", "datatype": "FP32", "shape": [-1, toy_model.N_CLASSES]}]


def loopback(*given, _config=uvicorn.Config, **settings):
    """KServe listens on all addresses, by a constant."""
    return _config(*given, **{**settings, "host": "127.0.0.1"})


if __name__ == "__main__":
    uvicorn.Config = loopback
    kserve.ModelServer(http_port=int(sys.argv[1]), enable_grpc=False, workers=1).start(
        [Toy("digits")]
    )
