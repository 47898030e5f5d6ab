#!/usr/bin/env bash
# Guess: a PyTorchClassifier of ART serves all its white-box attacks; one that needs another kind
#   of output warns, as DeepFool does when it is given probabilities. A constant added to all
#   logits changes no probability and no label, so it changes no attack.
# Seen: NewtonFool moves a row until the output of its class is 1 / number of classes, whatever
#   that output is. On logits, which CrossEntropyLoss asks for, the constant decides: nothing
#   flips, or all rows flip, or nearly all are moved away from the boundary, without a warning.
# Why it matters: 0 % success reads as robustness, and two networks with the same labels and
#   probabilities get different distances. Give DeepFool logits and NewtonFool probabilities, and
#   check each label. Without a CPU build of torch at hand the install takes minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scipy==1.16.3 scikit-learn==1.9.1 torch==2.13.0 tqdm==4.67.1 six==1.17.0 \
    packaging==26.3
"$work/venv/bin/pip" install -q --no-deps adversarial-robustness-toolbox==1.20.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import art
import numpy as np
import torch
from art.attacks.evasion import DeepFool, NewtonFool
from art.estimators.classification import PyTorchClassifier

torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.rand(2000, 12)
y = ((x[:, :6] ** 2).sum(1) > (x[:, 6:] ** 2).sum(1)).long()
model = torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(400):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
rows = x[:100].numpy()


def attacked(attack, module, name):
    """The number of rows that flip, and that of rows whose lead over the other class grows."""
    loss = torch.nn.CrossEntropyLoss()
    classifier = PyTorchClassifier(module, loss, (12,), 2, clip_values=(0, 1))
    found = attack(classifier, verbose=False).generate(rows)
    before, after = (model(torch.as_tensor(v)).detach().numpy() for v in (rows, found))
    home = before.argmax(1)
    lead = lambda logits: np.where(home == 1, 1, -1) * (logits[:, 1] - logits[:, 0])
    counts = int((after.argmax(1) != home).sum()), int((lead(after) > lead(before) + 0.01).sum())
    print(f"{attack.__name__}, {name}: flipped {counts[0]} of 100; moved away {counts[1]}")
    return counts


class Raised(torch.nn.Module):
    """The same network with a constant on both logits."""

    def __init__(self, constant):
        super().__init__()
        self.network, self.constant = model, constant

    def forward(self, batch):
        return self.network(batch) + self.constant


print("adversarial-robustness-toolbox", art.__version__, "torch", torch.__version__)
print("expected for each attack: the same counts with each constant, nearly all flipped, 0 away")
seen = {}
for constant in (-10.0, 0.0, 10.0):
    for attack in (DeepFool, NewtonFool):
        seen[attack, constant] = attacked(attack, Raised(constant), f"logits {constant:+}")
assert min(seen[DeepFool, constant][0] for constant in (-10.0, 0.0, 10.0)) > 75
assert seen[NewtonFool, 0.0][0] == 0 and seen[NewtonFool, 10.0][0] > 75
assert seen[NewtonFool, -10.0][1] > 75
PYTHON
