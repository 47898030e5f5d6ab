"""One small graph an op and setting: its text, its shapes, the opsets to try, and torch's function where torch has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper, parser
from torch.nn import functional as F  # noqa: N812

_TYPES = {np.float32: "float", np.float64: "double"}


@dataclass(frozen=True)
class Case:
    """``body`` computes y from x (batch axis first), and from ``weights``: shapes of random arrays, or arrays."""

    name: str
    body: str
    shape: tuple[int, ...]
    weights: dict[str, Any] = field(default_factory=dict)
    torch: Callable[..., torch.Tensor] | None = None
    opsets: tuple[int, ...] = (18,)
    domain: Callable[[np.ndarray], np.ndarray] = staticmethod(lambda x: x)
    """Where the input is drawn: a map of standard normal numbers."""
    in_doubles: bool = True
    """Whether the reference evaluator runs the op, its gradient and its opset rightly in float64."""
    any_batch: bool = True
    """Whether the body holds for any number of rows."""

    def __str__(self) -> str:
        return self.name

    def model(self, dtype: Any = np.float32, opset: int = 18, *, open_batch: bool = False) -> ModelProto:
        """The graph with its weights, of a fixed or an open batch."""
        axes = [*("n" if open_batch else str(self.shape[0]),), *map(str, self.shape[1:])]
        text = f"g ({_TYPES[dtype]}[{', '.join(axes)}] x) => ({_TYPES[dtype]} y) {{ {self.body} }}"
        graph = parser.parse_graph(text.replace("FLOAT", str(TensorProto.FLOAT if dtype is np.float32 else TensorProto.DOUBLE)))
        for name, array in self.arrays(dtype).items():
            graph.initializer.append(numpy_helper.from_array(array, name))
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def arrays(self, dtype: Any) -> dict[str, np.ndarray]:
        """The weights; those given by their shape are drawn, positive where the name begins with "positive"."""
        rng, arrays = np.random.default_rng(5), {}
        for name, given in self.weights.items():
            if isinstance(given, tuple):
                drawn = rng.normal(size=given)
                arrays[name] = (np.abs(drawn) + 0.5 if name.startswith("positive") else drawn).astype(dtype)
            else:
                array = np.asarray(given)
                arrays[name] = array.astype(dtype) if array.dtype == np.float64 else array
        return arrays

    def x(self, dtype: Any) -> np.ndarray:
        """Inputs away from kinks at zero."""
        drawn = np.random.default_rng(3).normal(size=self.shape)
        return np.asarray(self.domain(drawn + 0.05 * np.sign(drawn)), dtype)


def _positive(x: np.ndarray) -> np.ndarray:
    return np.abs(x) + 0.3


def _small(x: np.ndarray) -> np.ndarray:
    return 0.9 * np.tanh(x)


I = lambda *numbers: np.array(numbers, np.int64)  # noqa: E731, E741
ALL = (7, 9, 10, 11, 12, 13, 15, 18, 21, 23, 26)
SINCE_9 = tuple(v for v in ALL if v >= 9)
SINCE_10 = tuple(v for v in ALL if v >= 10)
SINCE_11 = tuple(v for v in ALL if v >= 11)
SINCE_13 = tuple(v for v in ALL if v >= 13)
SINCE_18 = tuple(v for v in ALL if v >= 18)

_M = (3, 4)
_IMAGE = (2, 3, 7, 6)

ELEMENTWISE = [
    Case("Abs", "y = Abs(x)", _M, torch=torch.abs, opsets=ALL),
    Case("Acos", "y = Acos(x)", _M, torch=torch.acos, domain=_small),
    Case("Acosh", "y = Acosh(x)", _M, torch=torch.acosh, domain=lambda x: np.abs(x) + 1.2),
    Case("Asin", "y = Asin(x)", _M, torch=torch.asin, domain=_small),
    Case("Asinh", "y = Asinh(x)", _M, torch=torch.asinh),
    Case("Atan", "y = Atan(x)", _M, torch=torch.atan),
    Case("Atanh", "y = Atanh(x)", _M, torch=torch.atanh, domain=_small),
    Case("Cos", "y = Cos(x)", _M, torch=torch.cos, opsets=(7, 18)),
    Case("Cosh", "y = Cosh(x)", _M, torch=torch.cosh),
    Case("Erf", "y = Erf(x)", _M, torch=torch.erf, opsets=SINCE_9, in_doubles=False),
    Case("Exp", "y = Exp(x)", _M, torch=torch.exp, opsets=ALL),
    Case("Identity", "y = Identity(x)", _M, torch=lambda x: x, opsets=ALL),
    Case("Dropout", "y = Dropout(x)", _M, torch=lambda x: x, opsets=ALL),
    Case("Log", "y = Log(x)", _M, torch=torch.log, domain=_positive, opsets=ALL),
    Case("Neg", "y = Neg(x)", _M, torch=torch.neg, opsets=ALL),
    Case("Reciprocal", "y = Reciprocal(x)", _M, torch=torch.reciprocal, domain=_positive, opsets=ALL),
    Case("Sin", "y = Sin(x)", _M, torch=torch.sin, opsets=ALL),
    Case("Sinh", "y = Sinh(x)", _M, torch=torch.sinh, opsets=SINCE_9),
    Case("Sqrt", "y = Sqrt(x)", _M, torch=torch.sqrt, domain=_positive, opsets=ALL),
    Case("Tan", "y = Tan(x)", _M, torch=torch.tan, domain=_small, opsets=ALL),
    Case("Add broadcast", "y = Add(x, w)", _M, {"w": (2, 1, 4)}, lambda x, w: x + w, ALL),
    Case("Add scalar with itself", "s = Add(x, x) y = Add(s, w)", _M, {"w": ()}, lambda x, w: x + x + w, ALL),
    Case("Sub from", "y = Sub(w, x)", _M, {"w": (3, 1)}, lambda x, w: w - x, ALL),
    Case("Mul square", "y = Mul(x, x)", _M, {}, lambda x: x * x, ALL),
    Case("Mul column", "c = ReduceSum<axes=[1]>(x) y = Mul(c, x)", _M, {}, lambda x: x.sum(1, keepdim=True) * x, (7, 11)),
    Case("Mul column 13", "c = ReduceSum(x, a) y = Mul(c, x)", _M, {"a": I(1)}, lambda x, a: x.sum(1, keepdim=True) * x, SINCE_13),
    Case("Div both", "e = Exp(x) y = Div(x, e)", _M, {}, lambda x: x / x.exp(), ALL),
    Case("Div of constant", "y = Div(w, x)", _M, {"w": (4,)}, lambda x, w: w / x, ALL, _positive),
    Case("Pow square", "y = Pow(x, p)", _M, {"p": np.array(2.0)}, lambda x, p: x**2, ALL),
    Case("Pow 2.5", "y = Pow(x, p)", _M, {"p": np.array(2.5)}, lambda x, p: x**2.5, ALL, _positive),
    Case("Pow exponent", "y = Pow(p, x)", _M, {"p": np.array(2.5)}, lambda x, p: 2.5**x, ALL),
    Case("Pow both", "y = Pow(x, x)", _M, {}, lambda x: x**x, (12, 18), _positive),
    Case("Sum", "y = Sum(x, w, x)", _M, {"w": (1, 4)}, lambda x, w: 2 * x + w, (8, *SINCE_9)),
    Case("Mean", "y = Mean(x, w)", _M, {"w": (1, 4)}, lambda x, w: (x + w) / 2, (8, *SINCE_9)),
    Case("Max", "y = Max(x, w)", _M, {"w": (1, 4)}, torch.maximum, (8, *SINCE_9)),
    Case("Min", "n = Neg(x) y = Min(x, n, w)", _M, {"w": (1, 4)}, lambda x, w: torch.minimum(torch.minimum(x, -x), w), (8, *SINCE_9)),
    Case("Clip", "y = Clip(x, l, h)", _M, {"l": np.array(-0.5), "h": np.array(0.7)}, lambda x, l, h: x.clip(-0.5, 0.7), SINCE_11),
    Case("Clip open", "y = Clip(x, , h)", _M, {"h": np.array(0.7)}, lambda x, h: x.clip(max=0.7), SINCE_11),
    Case("Clip attributes", "y = Clip<min=-0.5, max=0.7>(x)", _M, {}, lambda x: x.clip(-0.5, 0.7), (7, 9, 10)),
    Case("Where", "b = Greater(x, w) n = Neg(x) y = Where(b, x, n)", _M, {"w": np.array(0.2)}, lambda x, w: torch.where(x > 0.2, x, -x), SINCE_9),
    Case("Mod", "y = Mod<fmod=1>(x, w)", _M, {"w": np.array(0.7)}, lambda x, w: torch.fmod(x, w), SINCE_10),
    Case("PRelu", "y = PRelu(x, w)", (2, 3, 5), {"w": (3, 1)}, lambda x, w: torch.where(x > 0, x, x * w), SINCE_9),
    Case("PRelu slope", "e = Exp(x) y = PRelu(w, e)", _M, {"w": (3, 4)}, lambda x, w: torch.where(w > 0, w, w * x.exp()), SINCE_9),
    Case("Expand", "y = Expand(x, s)", (3, 1), {"s": I(2, 3, 4)}, lambda x, s: x.expand(2, 3, 4), (8, *SINCE_9), any_batch=False),
]

ACTIVATIONS = [
    Case("Celu", "y = Celu<alpha=0.7>(x)", _M, {}, lambda x: F.celu(x, 0.7), (12, 18), in_doubles=False),
    Case("Elu", "y = Elu<alpha=0.7>(x)", _M, {}, lambda x: F.elu(x, 0.7), ALL),
    Case("Gelu", "y = Gelu(x)", _M, {}, F.gelu, (20, 26), in_doubles=False),
    Case("Gelu tanh", 'y = Gelu<approximate="tanh">(x)', _M, {}, lambda x: F.gelu(x, approximate="tanh"), (20, 26)),
    Case("HardSigmoid", "y = HardSigmoid<alpha=0.3>(x)", _M, {}, lambda x: (0.3 * x + 0.5).clip(0, 1), ALL),
    Case("HardSwish", "y = HardSwish(x)", _M, {}, F.hardswish, (14, 26), lambda x: 3 * x),
    Case("LeakyRelu", "y = LeakyRelu<alpha=0.2>(x)", _M, {}, lambda x: F.leaky_relu(x, 0.2), ALL),
    Case("Mish", "y = Mish(x)", _M, {}, F.mish, (18, 22)),
    Case("Relu", "y = Relu(x)", _M, {}, torch.relu, ALL),
    Case("Selu", "y = Selu(x)", _M, {}, F.selu, ALL),
    Case("Sigmoid", "y = Sigmoid(x)", _M, {}, torch.sigmoid, ALL),
    Case("Softplus", "y = Softplus(x)", _M, {}, F.softplus, ALL),
    Case("Softsign", "y = Softsign(x)", _M, {}, F.softsign, ALL),
    Case("Tanh", "y = Tanh(x)", _M, {}, torch.tanh, ALL),
    Case("ThresholdedRelu", "y = ThresholdedRelu<alpha=0.4>(x)", _M, {}, lambda x: torch.where(x > 0.4, x, 0 * x), SINCE_10),
    Case("Shrink", "y = Shrink<lambd=0.4, bias=0.1>(x)", _M, {}, lambda x: torch.where(x > 0.4, x - 0.1, torch.where(x < -0.4, x + 0.1, 0 * x)), (18,)),
    Case("Softmax joined axes", "y = Softmax(x)", (2, 3, 4), {}, lambda x: x.reshape(2, 12).softmax(1).reshape(2, 3, 4), (7, 11, 12), in_doubles=False),
    Case("Softmax last", "y = Softmax<axis=-1>(x)", (2, 3, 4), {}, lambda x: x.softmax(-1), SINCE_11),
    Case("Softmax axis 1", "y = Softmax<axis=1>(x)", (2, 3, 4), {}, lambda x: x.softmax(1), SINCE_13),
    Case("LogSoftmax joined axes", "y = LogSoftmax<axis=1>(x)", (2, 3, 4), {}, lambda x: x.reshape(2, 12).log_softmax(1).reshape(2, 3, 4), (7, 12), in_doubles=False),
    Case("LogSoftmax", "y = LogSoftmax(x)", (2, 3, 4), {}, lambda x: x.log_softmax(-1), SINCE_13),
]

PRODUCTS = [
    Case("Gemm", "y = Gemm<alpha=0.5, beta=2.0>(x, w, c)", _M, {"w": (4, 5), "c": (5,)}, lambda x, w, c: 0.5 * x @ w + 2 * c, ALL),
    Case("Gemm transB", "y = Gemm<transB=1>(x, w, c)", _M, {"w": (5, 4), "c": (1,)}, lambda x, w, c: x @ w.T + c, ALL),
    Case("Gemm transA", "y = Gemm<transA=1>(x, w)", _M, {"w": (3, 5)}, lambda x, w: x.T @ w, SINCE_11, any_batch=False),
    Case("Gemm both trans", "y = Gemm<transA=1, transB=1>(x, w)", _M, {"w": (5, 3)}, lambda x, w: x.T @ w.T, SINCE_11, any_batch=False),
    Case("Gemm second", "e = Exp(x) y = Gemm<transB=1, alpha=0.5>(x, e)", _M, {}, lambda x: 0.5 * x @ x.exp().T, SINCE_11, any_batch=False),
    Case("Gemm second and C", "e = Transpose(x) y = Gemm<transA=1, beta=0.5>(w, x, v)", _M, {"w": (3, 2), "v": (2, 1)}, lambda x, w, v: w.T @ x + 0.5 * v, SINCE_11, any_batch=False),
    Case("MatMul", "y = MatMul(x, w)", _M, {"w": (4, 5)}, lambda x, w: x @ w, ALL),
    Case("MatMul left", "y = MatMul(w, x)", (2, 3, 4), {"w": (5, 3)}, lambda x, w: w @ x, ALL),
    Case("MatMul both", "t = Transpose<perm=[0, 2, 1]>(x) y = MatMul(x, t)", (2, 3, 4), {}, lambda x: x @ x.mT, ALL),
    Case("MatMul broadcast", "u = Unsqueeze<axes=[1]>(x) y = MatMul(u, w)", (2, 3, 4), {"w": (5, 4, 2)}, lambda x, w: x[:, None] @ w, (7, 11)),
    Case("MatMul by vector", "y = MatMul(x, w)", (2, 3, 4), {"w": (4,)}, lambda x, w: x @ w, ALL),
    Case("MatMul of vector", "y = MatMul(w, x)", (2, 3, 4), {"w": (3,)}, lambda x, w: w @ x, ALL),
    Case("MatMul vector with matrices", "y = MatMul(x, w)", (4,), {"w": (2, 4, 3)}, lambda x, w: x @ w, ALL),
    Case("MatMul matrices with vector", "y = MatMul(w, x)", (4,), {"w": (2, 3, 4)}, lambda x, w: w @ x, ALL),
    Case("MatMul vectors", "y = MatMul(x, w)", (4,), {"w": (4,)}, lambda x, w: x @ w, ALL),
]

CONVOLUTIONS = [
    Case("Conv", "y = Conv<pads=[1, 1, 1, 1]>(x, w, b)", _IMAGE, {"w": (5, 3, 3, 3), "b": (5,)}, lambda x, w, b: F.conv2d(x, w, b, padding=1), ALL),
    Case("Conv to many", "y = Conv<pads=[1, 1, 1, 1]>(x, w)", (2, 9, 5, 6), {"w": (5, 9, 3, 3)}, lambda x, w: F.conv2d(x, w, padding=1), ALL),
    Case("Conv 1x1", "y = Conv(x, w)", (2, 9, 5, 6), {"w": (5, 9, 1, 1)}, F.conv2d, (18,)),
    Case("Conv stride", "y = Conv<strides=[2, 3]>(x, w)", _IMAGE, {"w": (5, 3, 3, 2)}, lambda x, w: F.conv2d(x, w, stride=(2, 3)), ALL),
    Case("Conv stride pads", "y = Conv<strides=[2, 2], pads=[1, 1, 1, 1]>(x, w)", _IMAGE, {"w": (5, 3, 3, 3)}, lambda x, w: F.conv2d(x, w, stride=2, padding=1), ALL),
    Case("Conv stride 4 of 1", "y = Conv<strides=[4, 4]>(x, w)", (1, 3, 11, 8), {"w": (5, 3, 1, 1)}, lambda x, w: F.conv2d(x, w, stride=4), (18,)),
    Case("Conv uneven pads", "y = Conv<pads=[2, 0, 0, 1]>(x, w)", _IMAGE, {"w": (8, 3, 3, 3)}, lambda x, w: F.conv2d(F.pad(x, (0, 1, 2, 0)), w), (18,)),
    Case("Conv pads beyond", "y = Conv<pads=[3, 3, 3, 3]>(x, w)", (2, 8, 4, 4), {"w": (8, 8, 2, 2)}, lambda x, w: F.conv2d(x, w, padding=3), (18,)),
    Case("Conv dilated", "y = Conv<dilations=[2, 1], pads=[1, 1, 1, 1]>(x, w)", (2, 8, 7, 6), {"w": (5, 8, 3, 3)}, lambda x, w: F.conv2d(x, w, padding=1, dilation=(2, 1)), (18,)),
    Case("Conv dilated stride", "y = Conv<dilations=[2, 2], strides=[2, 2]>(x, w)", (2, 8, 9, 8), {"w": (5, 8, 3, 3)}, lambda x, w: F.conv2d(x, w, stride=2, dilation=2), (18,)),
    Case("Conv groups", "y = Conv<group=2, pads=[1, 1, 1, 1]>(x, w)", (2, 8, 5, 5), {"w": (6, 4, 3, 3)}, lambda x, w: F.conv2d(x, w, padding=1, groups=2), (18,)),
    Case("Conv depthwise", "y = Conv<group=8, pads=[1, 1, 1, 1]>(x, w)", (2, 8, 5, 5), {"w": (8, 1, 3, 3)}, lambda x, w: F.conv2d(x, w, padding=1, groups=8), (18,)),
    Case("Conv depthwise multiplier", "y = Conv<group=8>(x, w)", (2, 8, 5, 5), {"w": (16, 1, 3, 3)}, lambda x, w: F.conv2d(x, w, groups=8), (18,)),
    Case("Conv depthwise stride", "y = Conv<group=8, strides=[2, 2]>(x, w)", (2, 8, 6, 5), {"w": (8, 1, 3, 3)}, lambda x, w: F.conv2d(x, w, groups=8, stride=2), (18,)),
    Case("Conv 1-D", "y = Conv<pads=[1, 1]>(x, w)", (2, 8, 9), {"w": (4, 8, 3)}, lambda x, w: F.conv1d(x, w, padding=1), (18,)),
    Case("Conv 3-D", "y = Conv<strides=[2, 1, 1]>(x, w)", (2, 3, 5, 4, 4), {"w": (4, 3, 2, 2, 3)}, lambda x, w: F.conv3d(x, w, stride=(2, 1, 1)), (18,)),
    Case("Conv same upper", 'y = Conv<auto_pad="SAME_UPPER", strides=[2, 2]>(x, w)', _IMAGE, {"w": (5, 3, 3, 3)}, lambda x, w: F.conv2d(F.pad(x, (0, 1, 1, 1)), w, stride=2), (18,)),
    Case("Conv same lower", 'y = Conv<auto_pad="SAME_LOWER">(x, w)', _IMAGE, {"w": (5, 3, 2, 2)}, lambda x, w: F.conv2d(F.pad(x, (1, 0, 1, 0)), w), (18,)),
    Case("Conv bias only", "b = ReduceSum<keepdims=0>(x, a) y = Conv(w, k, b)", (2, 3), {"a": I(0), "w": (1, 2, 4, 4), "k": (3, 2, 2, 2)}, lambda x, a, w, k: F.conv2d(w, k, x.sum(0)), (18,)),
    Case("ConvTranspose", "y = ConvTranspose<strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]>(x, w, b)", _IMAGE, {"w": (3, 4, 3, 3), "b": (4,)}, lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1), (7, 11, 18)),
    Case("ConvTranspose groups", "y = ConvTranspose<group=2, dilations=[2, 2]>(x, w)", (2, 4, 5, 5), {"w": (4, 3, 2, 2)}, lambda x, w: F.conv_transpose2d(x, w, groups=2, dilation=2), (18,), in_doubles=False),
    Case("ConvTranspose shape", "y = ConvTranspose<strides=[2, 2], output_shape=[13, 12]>(x, w)", _IMAGE, {"w": (3, 4, 3, 3)}, lambda x, w: F.conv_transpose2d(x, w, stride=2)[:, :, 1:-1, 1:], (18,), in_doubles=False),
]

POOLS = [
    Case("MaxPool", "y = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x)", (2, 3, 6, 6), {}, lambda x: F.max_pool2d(x, 2), (8, *SINCE_9)),
    Case("MaxPool overlap", "y = MaxPool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(x)", _IMAGE, {}, lambda x: F.max_pool2d(x, 3, 2, 1), (7, 18)),
    Case("MaxPool ceil dilated", "y = MaxPool<kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, dilations=[2, 2]>(x)", _IMAGE, {}, lambda x: F.max_pool2d(x, 2, 2, 0, 2, ceil_mode=True), (10, 18), in_doubles=False),
    Case("MaxPool 1-D", "y = MaxPool<kernel_shape=[3]>(x)", (2, 3, 7), {}, lambda x: F.max_pool1d(x, 3, 1), (18,), in_doubles=False),
    Case("AveragePool tiles", "y = AveragePool<kernel_shape=[2, 3], strides=[2, 3]>(x)", (2, 3, 6, 6), {}, lambda x: F.avg_pool2d(x, (2, 3)), ALL),
    Case("AveragePool", "y = AveragePool<kernel_shape=[3, 2], strides=[2, 1]>(x)", _IMAGE, {}, lambda x: F.avg_pool2d(x, (3, 2), (2, 1)), ALL),
    Case("AveragePool pads", "y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]>(x)", _IMAGE, {}, lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), ALL),
    Case("AveragePool counts pads", "y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1>(x)", _IMAGE, {}, lambda x: F.avg_pool2d(x, 3, 2, 1), ALL),
    Case("AveragePool ceil", "y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1>(x)", (2, 3, 6, 6), {}, lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (10, 18, 22), in_doubles=False),
    Case("AveragePool ceil counts pads", "y = AveragePool<kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1>(x)", (2, 3, 6, 7), {}, lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), (19, 22), in_doubles=False),
    Case("AveragePool same", 'y = AveragePool<kernel_shape=[3, 3], auto_pad="SAME_UPPER">(x)', _IMAGE, {}, lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), (18,)),
    Case("AveragePool 3-D", "y = AveragePool<kernel_shape=[2, 2, 2]>(x)", (1, 2, 4, 3, 3), {}, lambda x: F.avg_pool3d(x, 2, 1), (18,)),
    Case("GlobalAveragePool", "y = GlobalAveragePool(x)", _IMAGE, {}, lambda x: x.mean((2, 3), keepdim=True), ALL),
    Case("GlobalMaxPool", "y = GlobalMaxPool(x)", _IMAGE, {}, lambda x: x.amax((2, 3), keepdim=True), ALL),
    Case("Resize nearest", 'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s)', (1, 2, 4, 5), {"s": np.array([1, 1, 2, 2], np.float32)}, lambda x, s: F.interpolate(x, scale_factor=2), (13, 18)),
    Case("Resize linear", 'y = Resize<mode="linear">(x, , , s)', (1, 2, 4, 5), {"s": I(1, 2, 7, 8)}, lambda x, s: F.interpolate(x, (7, 8), mode="bilinear"), (13, 18), any_batch=False),
    Case("Resize down", 'y = Resize<mode="linear", coordinate_transformation_mode="pytorch_half_pixel">(x, , , s)', (1, 2, 6, 5), {"s": I(1, 2, 3, 2)}, lambda x, s: F.interpolate(x, (3, 2), mode="bilinear"), (13, 18), any_batch=False),
    Case("Resize corners", 'y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , , s)', (1, 2, 4, 5), {"s": I(1, 2, 7, 8)}, lambda x, s: F.interpolate(x, (7, 8), mode="bilinear", align_corners=True), (13, 18), any_batch=False),
    Case("Upsample", "y = Upsample(x, s)", (1, 2, 3, 4), {"s": np.array([1, 1, 2, 2], np.float32)}, lambda x, s: F.interpolate(x, scale_factor=2), (9,), in_doubles=False),
    Case("Upsample attributes", "y = Upsample<scales=[1.0, 1.0, 2.0, 2.0]>(x)", (1, 2, 3, 4), {}, lambda x: F.interpolate(x, scale_factor=2), (7,), in_doubles=False),
    Case("Resize 10", "y = Resize(x, s)", (1, 2, 3, 4), {"s": np.array([1, 1, 2, 2], np.float32)}, lambda x, s: F.interpolate(x, scale_factor=2), (10,), in_doubles=False),
]

_CHANNELS = {"w": (3,), "b": (3,), "m": (3,), "positive_v": (3,)}
NORMALISATIONS = [
    Case("BatchNormalization", "y = BatchNormalization(x, w, b, m, positive_v)", _IMAGE, _CHANNELS, lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b), ALL),
    Case("BatchNormalization of rows", "y = BatchNormalization(x, w, b, m, positive_v)", (4, 3), _CHANNELS, lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b), ALL),
    Case("InstanceNormalization", "y = InstanceNormalization(x, w, b)", _IMAGE, {"w": (3,), "b": (3,)}, lambda x, w, b: F.instance_norm(x, weight=w, bias=b), ALL),
    Case("LayerNormalization", "y = LayerNormalization(x, w, b)", (2, 3, 5), {"w": (5,), "b": (5,)}, lambda x, w, b: F.layer_norm(x, (5,), w, b), (17, 26)),
    Case("LayerNormalization axis 1", "y = LayerNormalization<axis=1>(x, w)", (2, 3, 5), {"w": (3, 5)}, lambda x, w: F.layer_norm(x, (3, 5), w), (17, 26)),
    Case("RMSNormalization", "y = RMSNormalization(x, w)", (2, 3, 5), {"w": (5,)}, lambda x, w: F.rms_norm(x, (5,), w, 1e-5), (23, 26), in_doubles=False),
    Case("GroupNormalization", "y = GroupNormalization<num_groups=2>(x, w, b)", (2, 4, 3, 3), {"w": (4,), "b": (4,)}, lambda x, w, b: F.group_norm(x, 2, w, b), (21, 26), in_doubles=False),
    Case("MeanVarianceNormalization", "y = MeanVarianceNormalization(x)", _IMAGE, {}, lambda x: (x - x.mean((0, 2, 3), keepdim=True)) / (x.std((0, 2, 3), correction=0, keepdim=True) + 1e-9), (13, 18), in_doubles=False, any_batch=False),
    Case("LpNormalization", "y = LpNormalization<axis=1>(x)", (2, 3, 4), {}, lambda x: F.normalize(x, dim=1), (7, 18, 22)),
    Case("LpNormalization 1", "y = LpNormalization<p=1>(x)", (2, 3, 4), {}, lambda x: F.normalize(x, 1, dim=-1), (7, 18, 22), in_doubles=False),
]

REDUCTIONS = [
    *(
        Case(f"{op} {'kept' if keep else 'cut'}", f"y = {op}<axes=[1, -1], keepdims={keep}>(x)", (2, 3, 4), {}, function(keep), (11, 12))
        for op, function in {
            "ReduceL1": lambda k: lambda x: x.abs().sum((1, -1), keepdim=bool(k)),
            "ReduceMean": lambda k: lambda x: x.mean((1, -1), keepdim=bool(k)),
            "ReduceSum": lambda k: lambda x: x.sum((1, -1), keepdim=bool(k)),
        }.items()
        for keep in (0, 1)
    ),
    *(
        Case(f"{op} 18 {'kept' if keep else 'cut'}", f"y = {op}<keepdims={keep}>(x, a)", (2, 3, 4), {"a": I(1, -1)}, function(keep), SINCE_18)
        for op, function in {
            "ReduceL1": lambda k: lambda x, a: x.abs().sum((1, -1), keepdim=bool(k)),
            "ReduceL2": lambda k: lambda x, a: (x * x).sum((1, -1), keepdim=bool(k)).sqrt(),
            "ReduceLogSumExp": lambda k: lambda x, a: x.logsumexp((1, -1), keepdim=bool(k)),
            "ReduceMax": lambda k: lambda x, a: x.amax((1, -1), keepdim=bool(k)),
            "ReduceMean": lambda k: lambda x, a: x.mean((1, -1), keepdim=bool(k)),
            "ReduceMin": lambda k: lambda x, a: x.amin((1, -1), keepdim=bool(k)),
            "ReduceSum": lambda k: lambda x, a: x.sum((1, -1), keepdim=bool(k)),
            "ReduceSumSquare": lambda k: lambda x, a: (x * x).sum((1, -1), keepdim=bool(k)),
        }.items()
        for keep in (0, 1)
    ),
    Case("ReduceLogSum", "y = ReduceLogSum(x, a)", (2, 3, 4), {"a": I(1)}, lambda x, a: x.sum(1, keepdim=True).log(), (18,), _positive),
    Case("ReduceMean all", "y = ReduceMean<keepdims=0>(x)", (2, 3, 4), {}, lambda x: x.mean(), ALL),
    Case("ReduceSum noop", "y = ReduceSum<noop_with_empty_axes=1>(x)", (2, 3, 4), {}, lambda x: x, SINCE_13),
]

LAYOUT = [
    Case("Reshape", "y = Reshape(x, s)", (2, 3, 4), {"s": I(0, -1, 2)}, lambda x, s: x.reshape(2, 6, 2), ALL, any_batch=False),
    Case("Flatten", "y = Flatten<axis=2>(x)", (2, 3, 4), {}, lambda x: x.reshape(6, 4), ALL),
    Case("Squeeze", "y = Squeeze<axes=[1]>(x)", (2, 1, 4), {}, lambda x: x[:, 0], (7, 11)),
    Case("Squeeze 13", "y = Squeeze(x, a)", (2, 1, 4), {"a": I(1)}, lambda x, a: x[:, 0], SINCE_13),
    Case("Unsqueeze", "y = Unsqueeze<axes=[1, 2]>(x)", (2, 4), {}, lambda x: x[:, None, None], (7, 11)),
    Case("Unsqueeze 13", "y = Unsqueeze(x, a)", (2, 4), {"a": I(1, 2)}, lambda x, a: x[:, None, None], SINCE_13),
    Case("Transpose", "y = Transpose<perm=[1, 2, 0]>(x)", (2, 3, 4), {}, lambda x: x.permute(1, 2, 0), ALL),
    Case("Transpose default", "y = Transpose(x)", (2, 3, 4), {}, lambda x: x.permute(2, 1, 0), ALL),
    Case("Concat", "e = Exp(x) y = Concat<axis=1>(x, w, e)", (2, 3), {"w": (2, 2)}, lambda x, w: torch.cat([x, w, x.exp()], 1), ALL),
    Case("Split", "a, b = Split<axis=1, split=[1, 3]>(x) e = Exp(a) y = Mul(e, b)", (2, 4), {}, lambda x: x[:, :1].exp() * x[:, 1:], (7, 11)),
    Case("Split 13", "a, b = Split<axis=1>(x, s) e = Exp(a) y = Mul(e, b)", (2, 4), {"s": I(1, 3)}, lambda x, s: x[:, :1].exp() * x[:, 1:], SINCE_13),
    Case("Split even", "a, b, c = Split<axis=1>(x) y = Exp(b)", (2, 6), {}, lambda x: x[:, 2:4].exp(), (7, 11, 13)),
    Case("Split 18", "a, b, c = Split<axis=1, num_outputs=3>(x) y = Exp(b)", (2, 6), {}, lambda x: x[:, 2:4].exp(), SINCE_18),
    Case("Tile", "y = Tile(x, r)", (2, 3), {"r": I(2, 3)}, lambda x, r: x.repeat(2, 3), ALL, any_batch=False),
    Case("DepthToSpace", "y = DepthToSpace<blocksize=2>(x)", (1, 8, 2, 3), {}, lambda x: F.pixel_shuffle(x.reshape(1, 2, 2, 2, 2, 3).permute(0, 3, 1, 2, 4, 5).reshape(1, 8, 2, 3), 2), SINCE_11),
    Case("DepthToSpace CRD", 'y = DepthToSpace<blocksize=2, mode="CRD">(x)', (1, 8, 2, 3), {}, lambda x: F.pixel_shuffle(x, 2), SINCE_11),
    Case("SpaceToDepth", "y = SpaceToDepth<blocksize=2>(x)", (1, 2, 4, 6), {}, None, ALL),
    Case("Trilu", "y = Trilu<upper=0>(x, k)", (2, 4, 4), {"k": np.array(1)}, lambda x, k: x.tril(1), (14, 18)),
    Case("CumSum", "y = CumSum(x, a)", (2, 4), {"a": np.array(1)}, lambda x, a: x.cumsum(1), SINCE_11),
    Case("CumSum exclusive", "y = CumSum<exclusive=1, reverse=1>(x, a)", (2, 4), {"a": np.array(1)}, lambda x, a: x.flip(1).cumsum(1).flip(1) - x, (11, 18)),
]

INDEXING = [
    Case("Gather one", "y = Gather<axis=1>(x, i)", (2, 3, 4), {"i": np.array(-1)}, lambda x, i: x[:, -1], ALL),
    Case("Gather list", "y = Gather<axis=1>(x, i)", (2, 3, 4), {"i": I(0, 2, 0)}, lambda x, i: x[:, [0, 2, 0]], ALL),
    Case("Gather table", "y = Gather<axis=1>(x, i)", (2, 3, 4), {"i": np.array([[0, 1], [1, 2]])}, lambda x, i: x[:, [[0, 1], [1, 2]]], ALL),
    Case("Gather one in table", "y = Gather<axis=1>(x, i)", (2, 3, 4), {"i": np.array([[1]])}, lambda x, i: x[:, [[1]]], ALL),
    Case("GatherElements", "y = GatherElements<axis=1>(x, i)", (2, 3), {"i": np.array([[0, 2, 0, 0], [1, 1, 2, 0]])}, lambda x, i: x.gather(1, i), (11, 18)),
    Case("GatherND", "y = GatherND(x, i)", (2, 3), {"i": np.array([[0, 2], [1, 1], [0, 2]])}, lambda x, i: x[[0, 1, 0], [2, 1, 2]], (11, 18), any_batch=False),
    Case("TopK", "y, i = TopK<axis=1>(x, k)", (3, 5), {"k": I(2)}, lambda x, k: x.topk(2, 1).values, SINCE_10),
    Case("TopK attribute", "y, i = TopK<axis=1, k=2>(x)", (3, 5), {}, lambda x: x.topk(2, 1).values, (7, 9)),
    Case("Slice", "y = Slice(x, s, e, a)", (2, 6, 5), {"s": I(1, -4), "e": I(5, 1000), "a": I(1, 2)}, lambda x, s, e, a: x[:, 1:5, -4:], SINCE_10),
    Case("Slice attributes", "y = Slice<starts=[1, 0], ends=[5, -1], axes=[1, 2]>(x)", (2, 6, 5), {}, lambda x: x[:, 1:5, :-1], (7, 9)),
    Case("Slice default axes", "y = Slice<starts=[0, 1], ends=[2, 3]>(x)", (2, 6, 5), {}, lambda x: x[:2, 1:3], (7, 9), any_batch=False),
    Case("Slice steps", "y = Slice(x, s, e, a, t)", (2, 3, 7, 8), {"s": I(0, 1), "e": I(2**62, 2**62), "a": I(2, 3), "t": I(2, 3)}, lambda x, s, e, a, t: x[:, :, ::2, 1::3], SINCE_10),
    Case("Slice back", "y = Slice(x, s, e, a, t)", (2, 7), {"s": I(-2), "e": I(-(2**62)), "a": I(1), "t": I(-2)}, lambda x, s, e, a, t: x[:, [5, 3, 1]], SINCE_10),
    Case("Pad", "y = Pad(x, p)", (2, 3, 4), {"p": I(0, 1, 2, 0, 0, 1)}, lambda x, p: F.pad(x, (2, 1, 1, 0)), SINCE_11),
    Case("Pad attributes", "y = Pad<pads=[0, 1, 2, 0, 0, 1], value=2.0>(x)", (2, 3, 4), {}, lambda x: F.pad(x, (2, 1, 1, 0), value=2.0), (7, 10)),
    Case("Pad negative", "y = Pad(x, p)", (2, 3, 4), {"p": I(0, -1, 2, 0, 0, -1)}, lambda x, p: F.pad(x, (2, -1, -1, 0)), SINCE_11, in_doubles=False),
    Case("Pad edge", 'y = Pad<mode="edge">(x, p)', (2, 3, 4), {"p": I(0, 1, 2, 0, 0, 1)}, None, SINCE_11),
    Case("Pad reflect", 'y = Pad<mode="reflect">(x, p)', (1, 2, 3, 4), {"p": I(0, 0, 2, 1, 0, 0, 1, 3)}, lambda x, p: F.pad(x, (1, 3, 2, 1), mode="reflect"), SINCE_11),
    Case("Pad axes", "y = Pad(x, p, , a)", (2, 3, 4), {"p": I(1, 2), "a": I(-1)}, lambda x, p, a: F.pad(x, (1, 2)), SINCE_18),
]

CASES = [*ELEMENTWISE, *ACTIVATIONS, *PRODUCTS, *CONVOLUTIONS, *POOLS, *NORMALISATIONS, *REDUCTIONS, *LAYOUT, *INDEXING]
