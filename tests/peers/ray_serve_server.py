"""Ray Serve with the small model of ``toy_model``: ``python ray_serve_server.py PORT``."""

import sys
import time

import numpy as np
import ray
import toy_model as model
from ray import serve
from starlette.requests import Request


@serve.deployment
class Digits:
    """Rows in, probabilities out."""

    async def __call__(self, request: Request) -> dict:
        """Answer a request; a GET asks whether this is ready."""
        if request.method == "GET":
            return {}
        rows = np.array((await request.json())["instances"], np.float32)
        return {"predictions": model.probabilities_of(rows).tolist()}


@serve.deployment
class Merged:
    """One row a request; requests that meet are answered together."""

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.01)
    async def classify(self, rows: list) -> list:
        """Answers to a batch of requests."""
        return model.probabilities_of(np.array(rows, np.float32)).tolist()

    async def __call__(self, request: Request) -> dict:
        """Answer a request."""
        return {"probabilities": await self.classify((await request.json())["features"])}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Merged.bind(), name="merged", route_prefix="/merged")
    serve.run(Digits.bind(), name="digits", route_prefix="/digits")
    while True:
        time.sleep(1)
