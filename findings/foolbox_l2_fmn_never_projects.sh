#!/usr/bin/env bash
# Guess: the L2 variant of the fast minimum-norm attack in Foolbox shrinks a ball around the input
#   and projects each step onto it, as its L-infinity variant does; on a linear classifier it ends
#   at the closed form.
# Seen: the L2 projection returns its argument: radius 0 moves nothing. The attack takes gradient
#   steps of length 1 that are never pulled back, and reports success at several times the true
#   distance; the L-infinity variant and DDN are right on the same rows. The points do flip, so no
#   check of success shows it.
# Why it matters: this is a usual peer for smallest L2 distances. A method compared with it looks
#   several times better than it is, and "robust" distances taken from it are far too large.
#   Compare a peer on a plane first. Without a CPU build of torch at hand the install takes
#   minutes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q \
    numpy==2.4.6 scipy==1.17.1 torch==2.13.0 typing_extensions==4.16.0 requests==2.34.2
"$work/venv/bin/pip" install -q --no-deps foolbox==3.3.4 eagerpy==0.30.0
"$work/venv/bin/pip" install -q GitPython==3.2.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import eagerpy as ep
import foolbox
import torch

logging.disable(logging.CRITICAL)
torch.set_num_threads(1)
torch.manual_seed(0)
normal = torch.randn(12)
normal /= normal.norm()


class Halfspace(torch.nn.Module):
    """Two logits that differ by six times the distance to a plane through the middle."""

    def forward(self, rows):
        side = 6 * (rows - 0.5) @ normal
        return torch.stack([-side, side], dim=1) / 2


model = foolbox.PyTorchModel(Halfspace().eval(), bounds=(0, 1))
rows = (0.5 + 0.15 * torch.randn(40, 12)).clamp(0.05, 0.95)
side = (rows - 0.5) @ normal
labels = (side > 0).long()
exact = {2: side.abs(), torch.inf: side.abs() / normal.abs().sum()}

print("foolbox", foolbox.__version__, "torch", torch.__version__)
middle = {}
for name, attack, norm in (
    ("L2 FMN", foolbox.attacks.L2FMNAttack(), 2),
    ("L2 FMN, 1000 steps", foolbox.attacks.L2FMNAttack(steps=1000), 2),
    ("L2 DDN", foolbox.attacks.DDNAttack(), 2),
    ("L-infinity FMN", foolbox.attacks.LInfFMNAttack(), torch.inf),
):
    _, found, flipped = attack(model, rows, labels, epsilons=None)
    ratio = ((found - rows).norm(p=norm, dim=1) / exact[norm])[flipped]
    middle[name] = ratio.median().item()
    print(
        f"{name}: flipped {int(flipped.sum())} of 40; median distance / closed form, expected "
        f"about 1; seen {middle[name]:.3f}"
    )
assert min(middle["L2 FMN"], middle["L2 FMN, 1000 steps"]) > 3
assert max(middle["L2 DDN"], middle["L-infinity FMN"]) < 1.05

here, there = ep.astensors(rows, torch.full_like(rows, 0.5))
for name in ("L2FMNAttack", "LInfFMNAttack"):
    radius = ep.zeros(here, 40)
    projected = getattr(foolbox.attacks, name)().project(there, here, radius).raw
    moved = (projected - rows).abs().max().item()
    print(f"{name}: left after projection to radius 0, expected 0; seen {moved:.3f}")
    assert (moved > 0.1) == (name == "L2FMNAttack")
PYTHON
