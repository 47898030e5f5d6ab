"""One reverse rule an op, by domain and name, and the ops through which no gradient goes."""

from __future__ import annotations

from ..context import Rule
from ..quantised_forms import FORMS, VENDOR
from . import (
    activations,
    convolutions,
    elementwise,
    indexing,
    layout,
    normalization,
    pooling,
    products,
    quantization,
    reductions,
    support_vectors,
    tables,
    vendor,
)
from .quantization import QUANTISERS, STRAIGHT_THROUGH

__all__ = [
    "CONTROL_FLOW",
    "RULES",
    "STEPS",
    "STRAIGHT_THROUGH",
    "TAKES_INTEGERS",
    "differentiable_inputs",
]

_ML = "ai.onnx.ml"

_STANDARD = (
    activations,
    convolutions,
    elementwise,
    indexing,
    layout,
    normalization,
    pooling,
    products,
    quantization,
    reductions,
)

RULES: dict[tuple[str, str], Rule] = {
    **{("", op): rule for module in _STANDARD for op, rule in module.RULES.items()},
    **{
        (_ML, op): rule for module in (support_vectors, tables) for op, rule in module.RULES.items()
    },
    **{(VENDOR, op): rule for op, rule in vendor.RULES.items()},
    **QUANTISERS,
}

STEPS = frozenset(
    {
        *(
            ("", op)
            for op in (
                "And",
                "ArgMax",
                "ArgMin",
                "BitwiseAnd",
                "BitwiseNot",
                "BitwiseOr",
                "BitwiseXor",
                "Equal",
                "Greater",
            )
        ),
        *(
            ("", op)
            for op in (
                "GreaterOrEqual",
                "Hardmax",
                "IsInf",
                "IsNaN",
                "Less",
                "LessOrEqual",
                "NonZero",
                "Not",
                "OneHot",
                "Or",
            )
        ),
        *(
            ("", op)
            for op in (
                "Shape",
                "Size",
                "Xor",
                "ConstantOfShape",
                "EyeLike",
                "NonMaxSuppression",
                "Unique",
            )
        ),
        *(
            (_ML, op)
            for op in (
                "Binarizer",
                "CategoryMapper",
                "DictVectorizer",
                "LabelEncoder",
                "OneHotEncoder",
            )
        ),
        *((_ML, op) for op in ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor")),
    }
)
"""Ops that are constant, or not there, almost everywhere: nothing passes back through them."""

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

TAKES_INTEGERS = frozenset(
    [
        "Add",
        "Cast",
        "CastLike",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "Identity",
        "MaxPool",
        "Mul",
        "Neg",
        "Pad",
        "Reshape",
        "Resize",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
        "ArrayFeatureExtractor",
        "FeatureVectorizer",
        "LinearClassifier",
        "LinearRegressor",
        "Normalizer",
        "Scaler",
        "SVMClassifier",
    ]
) | {op for _, op in FORMS}
"""Ops whose rule holds for whole numbers, which carry cotangents in floating point."""

_BY_FIRST_INPUT = frozenset(
    {
        "ArrayFeatureExtractor",
        "CastLike",
        "CumSum",
        "Dropout",
        "Expand",
        "Gather",
        "GatherElements",
        "GatherND",
        "Reshape",
        "Resize",
    }
    | {"ReverseSequence", "Slice", "Split", "Squeeze", "Tile", "TopK", "Trilu", "Unsqueeze"}
    | set(reductions.RULES)
)
_BY_LATER_INPUTS = frozenset({"QLinearWhere", "Where"})


def differentiable_inputs(op_type: str, inputs: list[str]) -> list[str]:
    """The inputs of a node on whose values its output depends smoothly.

    Indices, shapes, axes and conditions are left out.
    """
    if op_type in _BY_FIRST_INPUT:
        return inputs[:1]
    return inputs[1:] if op_type in _BY_LATER_INPUTS else inputs
