"""A Gradio interface with the small model of ``toy_model``: ``python gradio_server.py PORT``."""

import sys

import gradio
import numpy as np
import toy_model as model


def classify(row):
    """Label and confidences of one row, for the component ``Label``."""
    scores = model.probabilities_of(np.array([row], np.float32))[0]
    return {name: float(score) for name, score in zip(model.LABELS, scores, strict=True)}


def plane(left, right):
    """The probability of the second class, of two numbers."""
    return 1 / (1 + float(np.exp(left - 2 * right)))


if __name__ == "__main__":
    with gradio.Blocks() as page:
        with gradio.Row():
            image, label = gradio.JSON(), gradio.Label()
        numbers, score = [gradio.Number(label=name) for name in ("left", "right")], gradio.Number()
        gradio.Button("1").click(classify, image, label, api_name="classify")
        gradio.Button("2").click(plane, numbers, score, api_name="plane", queue=False)
    page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True)
