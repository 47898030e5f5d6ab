"""The mixins for two trainers, by the hooks and methods that these call, in their order."""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.training import (
    LightningSteps,
    TrainingMonitor,
    TransformersSteps,
)
from torch import nn

from blackbox_boundary.analysis.history import History
from blackbox_boundary.errors import InvalidInput


class Epoch:
    """A trainer, or its state, that is in an epoch."""

    current_epoch = 3
    epoch = 3.25


def batch_of(net, n=6):
    """Rows, labels and ids, and the signed distances to the hyperplane of a linear module."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 2, generator=generator)
    labels = torch.arange(n) % 2
    ids = torch.arange(n).flip(0)
    w, b = net.weight.detach(), net.bias.detach()
    lead = (x @ (w[1] - w[0]) + b[1] - b[0]) / (w[1] - w[0]).norm()
    return x, labels, ids, torch.where(labels == 1, lead, -lead).numpy()


@pytest.fixture
def net():
    """Two logits of two numbers."""
    torch.manual_seed(0)
    return nn.Linear(2, 2)


@pytest.mark.parametrize("kind", [list, dict])
def test_the_hooks_of_lightning(net, kind):
    """A batch that is a list or a dict; between the hooks, the step calls the module."""
    x, labels, ids, wanted = batch_of(net)
    history = History(6)
    parts = (0, 1, 2) if kind is list else ("image", "label", "id")
    batch = [x, labels, ids] if kind is list else dict(zip(parts, (x, labels, ids), strict=True))
    hooks = LightningSteps(TrainingMonitor(net, history), parts=parts)
    hooks.on_train_batch_start(Epoch, net, batch, 0)
    nn.functional.cross_entropy(net(batch[parts[0]]), batch[parts[1]]).backward()
    hooks.on_after_backward(Epoch, net)
    assert history.epochs.tolist() == [3]
    np.testing.assert_allclose(history.latest()[ids], wanted, rtol=1e-4)


def test_a_step_of_lightning_that_fails(net):
    """The hook on the module is gone, nothing was recorded, and the next step is watched."""
    x, labels, ids, wanted = batch_of(net)
    history = History(6)
    hooks = LightningSteps(TrainingMonitor(net, history))
    with pytest.raises(InvalidInput, match="must be a list or a dict"):
        hooks.on_train_batch_start(Epoch, net, (x, labels, ids), 0)
    batch = [x, labels, ids]
    hooks.on_train_batch_start(Epoch, net, batch, 0)
    hooks.on_exception(Epoch, net, KeyError("in the step"))
    assert not net._forward_hooks
    assert not len(history.epochs)
    batch = [x, labels, ids]
    hooks.on_train_batch_start(Epoch, net, batch, 1)
    nn.functional.cross_entropy(net(batch[0]), labels).backward()
    hooks.on_after_backward(Epoch, net)
    np.testing.assert_allclose(history.latest()[ids], wanted, rtol=1e-4)


class Model(nn.Module):
    """A model that is called by keyword and returns a mapping, as those of transformers."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, pixel_values, labels):
        logits = self.net(pixel_values)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Trainer:
    """What the Trainer does in a step."""

    state = Epoch

    def _prepare_inputs(self, inputs):
        return {name: part.to("cpu") for name, part in inputs.items()}

    def training_step(self, model, inputs, num_items_in_batch=None):
        assert num_items_in_batch == 6
        loss = model(**self._prepare_inputs(inputs))["loss"]
        loss.backward()
        return loss.detach()


def test_a_step_of_transformers(net):
    """The ids are not handed to the model; without a monitor the step is the trainer's own."""
    x, labels, ids, wanted = batch_of(net)
    history, model = History(6), Model(net)

    class Watched(TransformersSteps, Trainer):
        pass

    trainer = Watched()
    inputs = {"pixel_values": x, "labels": labels}
    given = inputs | {"ids": ids}
    plain = trainer.training_step(model, given, num_items_in_batch=6)
    trainer.monitor = TrainingMonitor(model, history)
    with pytest.raises(InvalidInput, match=r"lack \['ids'\]; .*remove_unused_columns=False"):
        trainer.training_step(model, inputs, num_items_in_batch=6)
    assert trainer.training_step(model, given, num_items_in_batch=6) == plain
    assert given.keys() == {"pixel_values", "labels", "ids"}
    assert history.epochs.tolist() == [3]
    np.testing.assert_allclose(history.latest()[ids], wanted, rtol=1e-4)
