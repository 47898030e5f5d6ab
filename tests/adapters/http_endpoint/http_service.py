"""A FastAPI service to run under uvicorn: one small classifier, said in many ways."""

import asyncio
import base64
import email
import io
import json

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from PIL import Image
from toy_model import LABELS, N_CLASSES, SHAPE, logits_of, mnist_probabilities_of, probabilities_of

app = FastAPI()
NOISE = np.random.default_rng()


@app.get("/v2")
def server():
    """Name and extensions."""
    return {"name": "service", "version": "1", "extensions": ["binary_tensor_data"]}


MODELS = {
    "digits": (SHAPE, N_CLASSES, probabilities_of, 64),
    "liar": (SHAPE, N_CLASSES + 1, probabilities_of, 64),
    "mnist": ((1, 28, 28), 10, mnist_probabilities_of, 1024),
    "segments": (SHAPE, (8, 8), probabilities_of, 64),
    "batched": (SHAPE, N_CLASSES, probabilities_of, 64),
}
"""Shape of a row, number of classes as announced, the model, and its longest batch."""


@app.get("/v2/models/{model}")
def metadata(model: str):
    """Tensors; of the model "liar" with a class too many, of "segments" no classifier's."""
    if model not in MODELS:
        raise HTTPException(404, "unknown model")
    shape, n_classes, *_ = MODELS[model]
    inputs = [{"name": "image", "datatype": "FP32", "shape": [-1, *shape]}]
    outputs = [
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [-1, *np.atleast_1d(n_classes).tolist()],
        }
    ]
    return {"name": model, "versions": ["1"], "inputs": inputs, "outputs": outputs}


@app.get("/v2/models/{model}/config")
def config(model: str):
    """The longest batch, and whether requests are merged, as Triton tells it."""
    merging = {"dynamic_batching": {"max_queue_delay_microseconds": "100"}}
    return {"max_batch_size": MODELS[model][3]} | (merging if model == "batched" else {})


@app.post("/v2/models/{model}/infer")
async def infer(model: str, request: Request):
    """JSON or binary tensors, answered in kind."""
    raw = await request.body()
    if length := request.headers.get("inference-header-content-length"):
        document, tensor = json.loads(raw[: int(length)]), raw[int(length) :]
        given = document["inputs"][0]
        x = np.frombuffer(tensor, "<f4").reshape(given["shape"])
    else:
        document = json.loads(raw)
        given = document["inputs"][0]
        x = np.array(given["data"], np.float32).reshape(given["shape"])
    *_, answer, most_rows = MODELS[model]
    if len(x) > most_rows:
        return Response(json.dumps({"error": f"batch-size must be <= {most_rows}"}), 400)
    scores = answer(x)
    head = {"model_name": model, "model_version": "1", "id": document.get("id")}
    output = {"name": "probabilities", "datatype": "FP32", "shape": list(scores.shape)}
    if length:
        output["parameters"] = {"binary_data_size": scores.nbytes}
        text = json.dumps({**head, "outputs": [output]}).encode()
        return Response(
            text + scores.tobytes(),
            headers={"Inference-Header-Content-Length": str(len(text))},
            media_type="application/octet-stream",
        )
    return {**head, "outputs": [{**output, "data": scores.ravel().tolist()}]}


@app.post("/scores")
async def scores(
    request: Request,
    decimals: int | None = None,
    most: int | None = None,
    kind: str = "probabilities",
    noise: float = 0,
    delay: float = 0,
):
    """Full scores, perhaps rounded, noisy or late; refuses more rows than ``most`` with 413."""
    await asyncio.sleep(delay)
    x = np.array((await request.json())["data"], np.float32)
    if most and len(x) > most:
        return Response("<html>413 Request Entity Too Large</html>", 413)
    values = (logits_of if kind == "logits" else probabilities_of)(x).astype(np.float64)
    values = values * (1 - noise * NOISE.random((len(x), 1))) if noise else values
    return {
        "predictions": [
            {"scores": row.tolist()}
            for row in (values if decimals is None else values.round(decimals))
        ]
    }


@app.post("/top")
async def top(request: Request, k: int = 3):
    """The k best labels with their scores, best first."""
    values = probabilities_of(np.array((await request.json())["data"], np.float32)).astype(
        np.float64
    )
    return [
        [{"label": LABELS[i], "score": row[i]} for i in np.argsort(-row, kind="stable")[:k]]
        for row in values
    ]


@app.post("/label")
async def label(request: Request, names: bool = True):
    """Labels alone, by name or by index."""
    index = probabilities_of(np.array((await request.json())["data"], np.float32)).argmax(axis=-1)
    return {"labels": [LABELS[i] if names else int(i) for i in index]}


@app.post("/positive")
async def positive(request: Request):
    """One number a row: the probability of the second of two classes."""
    values = logits_of(np.array((await request.json())["data"], np.float32))
    return {"p": (1 / (1 + np.exp(values[:, 0].astype(np.float64) - values[:, 1]))).tolist()}


@app.post("/bytes")
async def bytes_(request: Request):
    """Rows as base64 of uint8 pixels."""
    rows = [
        np.frombuffer(base64.b64decode(row["b64"]), np.uint8)
        for row in (await request.json())["instances"]
    ]
    return {"predictions": probabilities_of(np.array(rows, np.float32) / np.float32(255)).tolist()}


@app.post("/upload")
async def upload(request: Request):
    """One PNG as a file of a form, one answer."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    (part,) = email.message_from_bytes(head + await request.body()).get_payload()
    assert part.get_param("name", header="content-disposition") == "picture"
    assert (part.get_filename(), part.get_content_type()) == ("row.png", "image/png")
    pixels = np.asarray(Image.open(io.BytesIO(part.get_payload(decode=True))), np.float32)
    return {"scores": probabilities_of(pixels[None] / np.float32(255))[0].tolist()}


@app.post("/image")
async def image(request: Request):
    """One PNG as the body, one answer."""
    pixels = np.asarray(Image.open(io.BytesIO(await request.body())), np.float32)
    return {"scores": probabilities_of(pixels[None] / np.float32(255))[0].tolist()}


@app.post("/keyed")
async def keyed(request: Request):
    """Wants a key, and says back what it got."""
    key = request.headers.get("authorization", "none")
    if key != "Bearer open-sesame":
        return Response(f'{{"error": "wrong key: {key}"}}', 401)
    return {"p": probabilities_of(np.array((await request.json())["data"], np.float32)).tolist()}


SIGNATURE = {
    "inputs": {
        "image": {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "-1"}, *({"size": str(length)} for length in SHAPE)]},
        }
    },
    "outputs": {
        "probabilities": {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "-1"}, {"size": str(N_CLASSES)}]},
        }
    },
}


@app.get("/tf/v1/models/{model}")
def tf_status(model: str):
    """TensorFlow Serving's word on a model."""
    return {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


@app.get("/tf/v1/models/{model}/metadata")
def tf_metadata(model: str):
    """TensorFlow Serving's signature."""
    return {
        "model_spec": {"name": model},
        "metadata": {"signature_def": {"signature_def": {"serving_default": SIGNATURE}}},
    }


@app.get("/kserve/v1/models")
def kserve_models():
    """KServe v1's list."""
    return {"models": ["digits"]}


@app.get("/kserve/v1/models/{model}")
def kserve_status(model: str):
    """KServe v1's word on a model."""
    return {"name": model, "ready": True}


@app.post("/{server}/v1/models/{model}:predict")
async def predict_v1(server: str, model: str, request: Request):
    """Rows as nested lists, as TensorFlow Serving and KServe v1 take them."""
    return {
        "predictions": probabilities_of(
            np.array((await request.json())["instances"], np.float32)
        ).tolist()
    }


@app.get("/mlflow/ping")
def mlflow_ping():
    """An empty line."""
    return Response("\n")


@app.get("/mlflow/version")
def mlflow_version():
    """Plain text."""
    return Response("3.17.2", media_type="text/plain")


@app.post("/mlflow/invocations")
async def invocations(request: Request):
    """Tensors by name, or a table; named outputs come in an object."""
    document = await request.json()
    if "dataframe_split" in document:
        table = document["dataframe_split"]
        assert table["columns"] == [f"p{i}" for i in range(16)]
        return {
            "predictions": probabilities_of(np.array(table["data"], np.float32))
            .argmax(axis=-1)
            .tolist()
        }
    rows = document["inputs"]["image"]
    return {"predictions": {"probabilities": probabilities_of(np.array(rows, np.float32)).tolist()}}


@app.get("/torch/ping")
def torch_ping():
    """TorchServe's health."""
    return {"status": "Healthy"}


@app.post("/torch/predictions/{model}")
async def torch_predict(model: str, request: Request, k: int = 3):
    """An image in, the best labels out."""
    pixels = np.asarray(Image.open(io.BytesIO(await request.body())), np.float32)
    row = probabilities_of(pixels[None] / np.float32(255))[0].astype(float)
    return {LABELS[i]: row[i] for i in np.argsort(-row, kind="stable")[:k]}
