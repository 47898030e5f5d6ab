#!/usr/bin/env bash
# Guess: the Carlini-Wagner attack of torchattacks works on each picture of a batch by itself;
#   only speed depends on the batch.
# Seen: it stops early when the SUM of the costs of the batch has grown between two checks. A
#   picture alone stops at its own moment, a picture in a batch at that of the whole batch, and
#   the result differs by several percent.
# Why it matters: the distance of a row depends on its companions and on the batch size. Published
#   numbers cannot be reproduced with another batch size. For comparisons run this peer one row at
#   a time, or switch the stop off (it has no option; many steps do not help). Without a CPU build
#   of torch at hand the install takes minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scipy==1.17.1 torch==2.13.0 tqdm==4.67.1 requests==2.34.2
"$work/venv/bin/pip" install -q --no-deps torchattacks==3.5.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

import torch
import torchattacks

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
normal = torch.randn(12, generator=generator)
normal /= normal.norm()


class Halfspace(torch.nn.Module):
    """Two logits that differ by six times the distance to a plane through the middle."""

    def forward(self, pictures):
        side = 6 * (pictures.flatten(1) - 0.5) @ normal
        return torch.stack([-side, side], dim=1) / 2


model = Halfspace().eval()
pictures = (0.5 + 0.08 * torch.randn(8, 3, 2, 2, generator=generator)).clamp(0.05, 0.95)
side = (pictures.flatten(1) - 0.5) @ normal
exact, labels = side.abs(), (side > 0).long()
attack = torchattacks.CW(model, c=1, steps=100, lr=0.01)  # has no random start


def distances(rows):
    found = attack(pictures[rows], labels[rows])
    return (found - pictures[rows]).flatten(1).norm(dim=1)


together = distances(torch.arange(8))
again = distances(torch.arange(8))
alone = torch.cat([distances(torch.tensor([i])) for i in range(8)])
print("torchattacks", version("torchattacks"), "torch", torch.__version__)
print("distance / closed form, in one batch:", [round(v, 3) for v in (together / exact).tolist()])
print("distance / closed form, one by one:  ", [round(v, 3) for v in (alone / exact).tolist()])
differ = int(((together - alone).abs() > 0.01 * exact).sum())
print(f"rows that differ by more than 1 %, expected 0 of 8; seen {differ}")
assert torch.equal(together, again) and differ >= 1
PYTHON
