"""The mixins in the trainers of Lightning and of Hugging Face: every sample, in closed form.

They need ``pip install lightning transformers accelerate`` beside torch: ``.ci/full trainers``.
"""

import numpy as np
import pytest
import torch
from blackbox_boundary.adapters.training import (
    LightningSteps,
    TrainingMonitor,
    TransformersSteps,
    WithIds,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from blackbox_boundary.analysis.history import History

N, N_EPOCHS = 22, 2
pytestmark = pytest.mark.filterwarnings("default")  # warnings of the libraries are their own


@pytest.fixture
def task():
    """A linear module, rows and labels, and their signed distances; nothing is learned."""
    torch.manual_seed(0)
    net, x, labels = nn.Linear(2, 2), torch.randn(N, 2), torch.arange(N) % 2
    w, b = net.weight.detach(), net.bias.detach()
    lead = (x @ (w[1] - w[0]) + b[1] - b[0]) / (w[1] - w[0]).norm()
    return net, x, labels, torch.where(labels == 1, lead, -lead).numpy()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("level", ["first order", "bracketed"])
def test_lightning(task, tmp_path, level, accumulate):
    """Two shuffled epochs; gradients accumulated over two batches, too."""
    pytorch = pytest.importorskip("lightning.pytorch")
    net, x, labels, wanted = task

    class Classifier(pytorch.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch):
            x, labels, _ = batch
            return nn.functional.cross_entropy(self(x), labels)

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    class Watch(LightningSteps, pytorch.Callback):
        pass

    module, history = Classifier(), History(N)
    trainer = pytorch.Trainer(
        max_epochs=N_EPOCHS,
        accumulate_grad_batches=accumulate,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[Watch(TrainingMonitor(module, history, level=level))],
    )
    data = WithIds(TensorDataset(x, labels))
    trainer.fit(module, DataLoader(data, batch_size=5, shuffle=True))
    assert history.epochs.tolist() == list(range(N_EPOCHS))
    np.testing.assert_allclose(history.distances, np.tile(wanted, (N_EPOCHS, 1)), rtol=0.01)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_transformers(task, tmp_path, accumulate):
    """Two shuffled epochs, evaluation on rows without ids."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    net, x, labels, wanted = task

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, pixel_values, labels):
            logits = self.net(pixel_values)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    class Watched(TransformersSteps, transformers.Trainer):
        pass

    model, history = Model(), History(N)
    held_out = [{"pixel_values": x[i], "labels": int(labels[i])} for i in range(N)]
    trainer = Watched(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path),
            num_train_epochs=N_EPOCHS,
            learning_rate=0.0,
            per_device_train_batch_size=5,
            gradient_accumulation_steps=accumulate,
            remove_unused_columns=False,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=[row | {"ids": i} for i, row in enumerate(held_out)],
        eval_dataset=held_out,
    )
    trainer.monitor = TrainingMonitor(model, history)
    trainer.train()
    assert history.epochs.tolist() == list(range(N_EPOCHS))
    np.testing.assert_allclose(history.distances, np.tile(wanted, (N_EPOCHS, 1)), rtol=0.01)
