#!/usr/bin/env bash
# Guess: adaptive batching in MLServer joins the rows of several requests; each row is decoded as
#   its own request declares it.
# Seen: the joined request takes the datatype of the FIRST request. Whole-number rows declared
#   INT64, followed by a FP32 request in the same batch, turn the second caller's 0.4 into 0. The
#   answer looks normal.
# Why it matters: near a boundary the label of a row then depends on who asked just before.
#   Declare one datatype for all probes (integers written as floats too), ask the same row twice,
#   and treat a disagreement as noise of the server, not of the model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q numpy==2.4.6 mlserver==1.7.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import asyncio

import mlserver
import numpy as np
from mlserver import MLModel, ModelSettings
from mlserver.batching.adaptive import AdaptiveBatcher
from mlserver.codecs import NumpyCodec
from mlserver.context import model_context
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput


class SumAboveHalf(MLModel):
    """Label 1 where the features sum to more than 0.5."""

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        labels = (rows.sum(axis=1) > 0.5).astype(np.int64)
        print("  rows at the model:", rows.dtype, rows.round(3).tolist())
        return InferenceResponse(
            model_name="m", outputs=[NumpyCodec.encode_output("label", labels)]
        )


def request(datatype, rows):
    data = [value for row in rows for value in row]
    return InferenceRequest(
        inputs=[RequestInput(name="x", datatype=datatype, shape=[len(rows), 2], data=data)]
    )


async def ask(*requests):
    settings = ModelSettings(
        name="m", implementation=SumAboveHalf, max_batch_size=8, max_batch_time=0.5
    )
    with model_context(settings):
        batcher = AdaptiveBatcher(SumAboveHalf(settings))
        answers = await asyncio.gather(*[batcher.predict(r) for r in requests])
    return [int(NumpyCodec.decode_output(answer.outputs[0]).ravel()[0]) for answer in answers]


print("mlserver", mlserver.__version__)
probe = request("FP32", [[0.4, 0.4]])
neighbour = request("INT64", [[1, 2]])
(alone,) = asyncio.run(ask(probe))
_, second = asyncio.run(ask(neighbour, probe))
first, _ = asyncio.run(ask(probe, neighbour))
print(
    f"label of (0.4, 0.4): alone {alone}; after an INT64 request expected {alone}, "
    f"seen {second}; before it {first}"
)
assert (alone, second, first) == (1, 0, 1)
PYTHON
