"""Small nets of the kinds that people export, and their exports by both of torch's exporters."""

from __future__ import annotations

import io
import warnings
from itertools import pairwise

import torch
from onnx import ModelProto, load_from_string
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Shortcut(nn.Module):
    """Every other pixel, with zeros for the new channels.

    What the residual nets for CIFAR-10 do (He et al., 2016).
    """

    def __init__(self, added):
        super().__init__()
        self.added = added

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


class Residual(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        stride = 1 if before == after else 2
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut = nn.Identity() if stride == 1 else Shortcut(after - before)

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


def resnet(width=8, per_stage=1):
    """A residual net for 32x32 images; width 16 and three blocks a stage make a ResNet-20."""
    widths = [width] + [width * 2**stage for stage in range(3) for _ in range(per_stage)]
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        *(Residual(*pair) for pair in pairwise(widths)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )


class SqueezeExcite(nn.Module):
    def __init__(self, channels, gate, activation):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 4, 1),
            activation(),
            nn.Conv2d(4, channels, 1),
            gate(),
        )

    def forward(self, x):
        return x * self.gate(x)


class Inverted(nn.Module):
    def __init__(self, channels, kernel, stride, activation, gate):
        super().__init__()
        wide = 2 * channels
        self.stride = stride
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            activation(),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            activation(),
            SqueezeExcite(wide, gate, nn.ReLU),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        y = self.body(x)
        return y + x if self.stride == 1 else y


def _mobile(activation, gate):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        activation(),
        Inverted(8, 3, 1, activation, gate),
        Inverted(8, 5, 2, activation, gate),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 16),
        activation(),
        nn.Dropout(),
        nn.Linear(16, 10),
    )


def mobilenet():
    """Inverted residuals with hard swish and hard sigmoid, as in MobileNetV3."""
    return _mobile(nn.Hardswish, nn.Hardsigmoid)


def efficientnet():
    """Inverted residuals with SiLU and sigmoid, as in EfficientNet."""
    return _mobile(nn.SiLU, nn.Sigmoid)


class ConvNextBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        return x + (self.scale * self.mlp(self.norm(y))).permute(0, 3, 1, 2)


def convnext():
    """Depthwise convolutions of width 7 with layer normalisation over channels, as in ConvNeXt."""
    return nn.Sequential(
        nn.Conv2d(3, 12, 4, 4),
        ConvNextBlock(12),
        ConvNextBlock(12),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 10),
    )


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = (
            self.qkv(x)
            .reshape(n, tokens, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        weights = (q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.first, self.second, self.attention = (
            nn.LayerNorm(width),
            nn.LayerNorm(width),
            Attention(width, heads),
        )
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.mlp(self.second(x))


class Vit(nn.Module):
    """A vision transformer with a class token and a learned position table."""

    def __init__(self, width=16, heads=2, depth=2, patch=8, classes=10):
        super().__init__()
        self.embed, tokens = nn.Conv2d(3, width, patch, patch), (32 // patch) ** 2 + 1
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, tokens, width))
        self.blocks, self.norm = (
            nn.Sequential(*(Block(width, heads) for _ in range(depth))),
            nn.LayerNorm(width),
        )
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class SignalEncoder(nn.Module):
    """A transformer encoder of torch's own over a one-dimensional signal (n, channels, length)."""

    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Conv1d(2, width, 5, 2, 2)
        layer = nn.TransformerEncoderLayer(
            width, 2, 32, dropout=0.0, batch_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        x = F.gelu(self.embed(x)).transpose(1, 2)
        return self.head(self.encoder(x).mean(1))


class Mixed(nn.Module):
    """Every op that the quantiser has an operator form for, apart from Where."""

    def __init__(self):
        super().__init__()
        self.stem, self.value = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.gate, self.mix = nn.Conv2d(8, 8, 1), nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        h = F.avg_pool2d(F.leaky_relu(self.stem(x), 0.1), 2)
        gated = self.value(h) * torch.sigmoid(self.gate(h))
        h = torch.cat([gated, h], 1)
        h = h + F.relu(self.mix(h)).softmax(1)
        return self.head(F.adaptive_avg_pool2d(F.max_pool2d(h, 2), 1).flatten(1))


IMAGE, SIGNAL = (3, 32, 32), (2, 24)
NETS = {
    "resnet": (resnet, IMAGE),
    "mobilenet": (mobilenet, IMAGE),
    "efficientnet": (efficientnet, IMAGE),
    "convnext": (convnext, IMAGE),
    "vit": (Vit, IMAGE),
    "signal": (SignalEncoder, SIGNAL),
    "mixed": (Mixed, IMAGE),
}


def made(make):
    """A net with the same weights every time, and batch statistics that are not 0 and 1."""
    torch.manual_seed(0)
    net = make().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.weight, 0.5, 2)
    return net


def exported(net, shape, *, open_batch=True, dynamo=False, opset=17) -> ModelProto:
    """The net as ONNX."""
    x, target = torch.randn(2, *shape), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            axes = ({0: torch.export.Dim("batch")},) if open_batch else None
            program = torch.onnx.export(
                net, (x,), dynamo=True, dynamic_shapes=axes, opset_version=opset, verbose=False
            )
            return program.model_proto
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if open_batch else None
        torch.onnx.export(
            net,
            (x,),
            target,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=axes,
            opset_version=opset,
            dynamo=False,
        )
    return load_from_string(target.getvalue())
