"""Run in Triton's environment: ``python triton_server.py PORT``."""

import sys

import numpy as np
import toy_model
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


@batch
def digits(image):
    """The small classifier."""
    return {"probabilities": toy_model.probabilities_of(image)}


@batch
def mnist(image):
    """The one for measuring speed."""
    return {"probabilities": toy_model.mnist_probabilities_of(image)}


config = TritonConfig(
    http_address="127.0.0.1", http_port=int(sys.argv[1]), allow_grpc=False, allow_metrics=False
)
with Triton(config=config) as server:
    for function, shape, n_classes in (
        (digits, toy_model.SHAPE, toy_model.N_CLASSES),
        (mnist, (1, 28, 28), 10),
    ):
        server.bind(
            model_name=function.__name__,
            infer_func=function,
            inputs=[Tensor(name="image", dtype=np.float32, shape=shape)],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(n_classes,))],
            config=ModelConfig(max_batch_size=256),
            strict=True,
        )
    server.serve()
