"""Types and shapes that ops of ``ai.onnx.ml`` put out.

The standard's own inference says little or nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import NodeProto, TensorProto, helper

__all__ = ["ml_outputs"]

Shape = tuple[int, ...]


def ml_outputs(node: NodeProto, shapes: Sequence[Shape | None]) -> list[tuple[int, Shape]]:
    """(element type, shape) of each output; an empty list where nothing is known.

    Parameters
    ----------
    node : NodeProto
        Of the domain ``ai.onnx.ml``.
    shapes : sequence of shape or None
        Of its inputs.
    """
    infer = _OUTPUTS.get(node.op_type)
    if infer is None or any(shape is None for shape in shapes):
        return []
    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    return infer(attributes, [shape for shape in shapes if shape is not None])


def _same(_attributes: dict[str, Any], shapes: list[Shape]) -> list[tuple[int, Shape]]:
    return [(TensorProto.FLOAT, shapes[0])]


def _classifier(attributes: dict[str, Any], shapes: list[Shape]) -> list[tuple[int, Shape]]:
    strings = attributes.get("classlabels_strings", [])
    n_labels = len(strings) or len(attributes.get("classlabels_ints", []))
    label = TensorProto.STRING if strings else TensorProto.INT64
    return [(label, shapes[0][:1]), (TensorProto.FLOAT, (*shapes[0][:1], n_labels))]


def _svm_classifier(attributes: dict[str, Any], shapes: list[Shape]) -> list[tuple[int, Shape]]:
    """Probabilities, two scores, or the scores of all pairs of classes."""
    labels, (_, (*rows, n)) = _classifier(attributes, shapes)
    n_columns = n if n == 2 or "prob_a" in attributes else n * (n - 1) // 2
    return [labels, (TensorProto.FLOAT, (*rows, n_columns))]


def _regressor(attributes: dict[str, Any], shapes: list[Shape]) -> list[tuple[int, Shape]]:
    return [
        (
            TensorProto.FLOAT,
            (*shapes[0][:1], attributes.get("targets", attributes.get("n_targets", 1))),
        )
    ]


def _vectorizer(attributes: dict[str, Any], shapes: list[Shape]) -> list[tuple[int, Shape]]:
    return [(TensorProto.FLOAT, (*shapes[0][:1], sum(attributes["inputdimensions"])))]


_OUTPUTS: dict[str, Callable[[dict[str, Any], list[Shape]], list[tuple[int, Shape]]]] = {
    "FeatureVectorizer": _vectorizer,
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "Normalizer": _same,
    "SVMClassifier": _svm_classifier,
    "Scaler": _same,
    "TreeEnsembleClassifier": _classifier,
    "TreeEnsembleRegressor": _regressor,
}
