"""Shapes of the paper's networks; published weights give published logits if the data is there."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from blackbox_boundary.reproduction import cifar_nets, mnist_nets

from blackbox_boundary.errors import InvalidInput

DATA = Path(os.environ.get("BLACKBOX_BOUNDARY_DATA", "")) / "cifar100"
needs_data = pytest.mark.skipif(
    not (DATA / "test.npz").is_file(),
    reason="BLACKBOX_BOUNDARY_DATA does not name a folder with CIFAR-100",
)


def n_parameters(net):
    """Trainable numbers."""
    return sum(p.numel() for p in net.parameters())


def test_models_1_to_4():
    """Parameters counted by hand: widths as stated."""
    shape = (1, 28, 28)
    assert n_parameters(mnist_nets.dense(shape, 10, width=128)) == 784 * 128 + 128 + 128 * 10 + 10
    assert n_parameters(mnist_nets.linear(shape, 10)) == 7850
    assert n_parameters(mnist_nets.shallow_cnn(shape, 10)) == 32 * 9 + 32 + 32 * 26 * 26 * 10 + 10
    for net in (
        mnist_nets.dense(shape, 10, width=3),
        mnist_nets.linear(shape, 10),
        mnist_nets.shallow_cnn(shape, 10),
    ):
        assert net(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(
    ("build", "n"), [(cifar_nets.mobilenet_v2, 2_351_972), (cifar_nets.vgg16, 14_770_212)]
)
def test_surrogates_for_cifar(build, n):
    """The usual CIFAR-100 sizes: 2.35 and 14.8 million parameters; 100 logits a row."""
    net = build().eval()
    assert n_parameters(net) == n
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 100)


def test_small_surrogates():
    """Half width with a strided stem; a quarter width. Channels are multiples of eight."""
    small = cifar_nets.mobilenet_v2(width=0.5, stem_stride=2).eval()
    assert [
        n
        for n, module in small.named_modules()
        if isinstance(module, torch.nn.Conv2d) and module.out_channels % 8
    ] == []
    assert small[-1].in_features == 1280
    quarter = cifar_nets.vgg16(width=0.25).eval()
    assert [m.out_channels for m in quarter if isinstance(m, torch.nn.Conv2d)] == [16] * 2 + [
        32
    ] * 2 + [64] * 3 + [128] * 6
    with torch.no_grad():
        stem = small[:2](torch.zeros(1, 3, 32, 32))
        assert stem.shape == (1, 16, 16, 16)
        for net in (small, quarter):
            assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 100)


@needs_data
@pytest.mark.parametrize("name", ["resnet20w64", "resnet8w64", "resnet32"])
def test_published_logits(name):
    """The stored reference logits of sixteen images, to half precision."""
    net = cifar_nets.load_resnet(DATA / f"{name}.npz")
    with np.load(DATA / "test.npz") as data, np.load(DATA / "reference-outputs.npz") as reference:
        x = torch.from_numpy(data["images"][:16].transpose(0, 3, 1, 2) / np.float32(255))
        wanted = reference[f"{name}_logits16"]
    with torch.no_grad():
        assert np.abs(net(x).numpy() - wanted).max() < 0.02


def test_other_files_are_refused(tmp_path):
    """A missing file, and one with something else in it, are named."""
    with pytest.raises(InvalidInput, match=r"none\.npz"):
        cifar_nets.load_resnet(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(InvalidInput, match=r"other\.npz"):
        cifar_nets.load_resnet(tmp_path / "other.npz")
    whole = (tmp_path / "other.npz").read_bytes()
    np.save(tmp_path / "lone.npy", np.ones(3))
    for content in (
        whole[:100],
        whole[:60] + b"?" + whole[61:],
        b"",
        (tmp_path / "lone.npy").read_bytes(),
    ):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(InvalidInput, match=r"broken\.npz"):
            cifar_nets.load_resnet(tmp_path / "broken.npz")
