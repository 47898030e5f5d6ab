"""Whether more gradients bring ``tangent`` nearer, and whether nearer flips exist at all, in L2.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/more_rounds.py --net dense --rows 100

1. The distance of each row after so many of its gradients, and the share of rows that each
   doubling brings nearer by more than a thousandth.
2. Other ways to nearer flips: the same search with two other seeds; two rounds towards each of the
   nine classes that score highest at the row; projected gradient descents from random points inside
   the ball of .9985 times the nearest distance known, down the margin over one of these classes
   or over the best rival. As a control, such descents inside 1.003 times that distance, where a
   flip is known: the share of rows where they find one says how much their silence means.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from compare_gradient_methods import predictor_of
from trained_nets import NETS, load, rows_of

from blackbox_boundary.estimators import Tangent
from blackbox_boundary.measuring.driver import measure
from blackbox_boundary.measuring.measurement import Measurement
from blackbox_boundary.search.asks import AskGradient

NEARER = 1e-3
GRADIENTS = (24, 48, 95, 187, 371, 739, 1000)


def course(predictor, x, rounds, seed=0):
    """Distances (marks, n) of each row after each number of gradients, infinite before a flip."""
    running = Measurement(
        x,
        estimator=Tangent(rounds=rounds),
        access="logits",
        n_classes=predictor.n_classes,
        bounds=(0, 1),
        differentiable=True,
        seed=seed,
    )
    reached = np.full((len(GRADIENTS), len(x)), np.inf)
    while (ask := running.ask()) is not None:
        if isinstance(ask, AskGradient):
            running.tell(predictor.vjp(ask.points, ask.v))
        else:
            running.tell(predictor.predict(ask.points))
        found = running.distances()
        for mark, distance in zip(GRADIENTS, reached, strict=True):
            still = found.n_gradients <= mark
            distance[still] = found.l2[still]
    return reached


def towards_nine(predictor, x, labels, order):
    """Distances (n,) of the nearest flip to any of the nine classes that score highest."""
    nearest = np.full(len(x), np.inf)
    for label in np.unique(order[:, 1:10]):
        rows = np.flatnonzero((order[:, 1:10] == label).any(axis=1) & (labels != label))
        found = measure(predictor, x[rows], estimator=Tangent(rounds=2), towards=int(label))
        nearest[rows] = np.minimum(nearest[rows], found.l2)
    return nearest


def flipped_inside(net, x, labels, order, radius, *, steps, seed):
    """Distances (n,) of flips inside balls of ``radius`` (n,), infinite where none was met."""
    draw = np.random.default_rng(seed)
    aim = order[np.arange(len(x)), draw.integers(1, min(order.shape[1], 10), len(x))]
    aimed = torch.from_numpy(draw.random(len(x)) < 0.7)
    far = torch.from_numpy(radius).to(x.dtype).reshape(-1, 1, 1, 1)
    random = torch.from_numpy(draw.standard_normal(x.shape)).to(x.dtype)
    step = inside(random, x, far * torch.from_numpy(draw.random((len(x), 1, 1, 1))).to(x.dtype))
    met = np.full(len(x), np.inf)
    for number in range(steps):
        scores = net(x + step.requires_grad_())
        flipped = (scores.argmax(-1) != labels).numpy()
        length = step.detach().flatten(1).double().norm(dim=1).numpy()
        met = np.where(flipped, np.minimum(met, length), met)
        home = scores.gather(1, labels[:, None])[:, 0]
        others = scores.scatter(1, labels[:, None], -torch.inf).max(-1).values
        rival = torch.where(aimed, scores.gather(1, torch.from_numpy(aim)[:, None])[:, 0], others)
        (slope,) = torch.autograd.grad((home - rival).sum(), step)
        pace = (1 - number / steps) * far / long(slope)
        step = inside(step.detach() - pace * slope, x, far)
    return met


def inside(step, x, far):
    """The step cut to the ball of radius ``far`` and the box, in three turns."""
    for _ in range(3):
        step = step * (far / long(step)).clamp(max=1)
        step = (x + step).clamp(0, 1) - x
    return step


def long(step):
    """Lengths, in a shape that divides steps."""
    return step.flatten(1).norm(dim=1).clamp_min(1e-12).reshape(-1, 1, 1, 1)


def main():
    """Run both parts, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", choices=NETS, default="dense")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first test image")
    parser.add_argument("--rounds", type=int, default=43, help="43 take 1,000 gradients")
    parser.add_argument("--descents", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60, help="gradients of a descent")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    net = load(settings.net)
    x, labels = rows_of(settings.net, net, settings.rows, first=settings.first)
    predictor, x = predictor_of(net, torch.from_numpy(x)), torch.from_numpy(x)
    with torch.no_grad():
        order = net(x).argsort(dim=-1, descending=True).numpy()
    reached = course(predictor, x, settings.rounds)
    print(f"{settings.net}, {len(x)} rows, {settings.rounds} rounds of tangent")
    print("gradients | median | mean | nearer by .1 % | by 1 %")
    for number, (mark, distance) in enumerate(zip(GRADIENTS, reached, strict=True)):
        before = reached[max(number - 1, 0)]
        shares = [np.mean(distance < (1 - gain) * before) for gain in (NEARER, 0.01)]
        print(f"{mark} | {np.median(distance):.4f} | {distance.mean():.4f} | ", end="")
        print(" | ".join(f"{share:.3f}" for share in shares), flush=True)
    ours = reached[-1]
    ways = {f"seed {seed}": course(predictor, x, settings.rounds, seed)[-1] for seed in (1, 2)} | {
        "towards nine classes": towards_nine(predictor, x, labels, order)
    }
    best = np.minimum.reduce([ours, *ways.values()])
    labels = torch.from_numpy(labels)
    for name, share in (("descents", 0.9985), ("control", 1.003)):
        ways[name] = np.minimum.reduce(
            [
                flipped_inside(net, x, labels, order, share * best, steps=settings.steps, seed=k)
                for k in range(settings.descents)
            ]
        )
    control = ways.pop("control")
    best = np.minimum(best, ways["descents"])
    for name, distance in ways.items():
        print(f"{name}: nearer by .1 % on {np.mean(distance < (1 - NEARER) * ours):.3f}")
    print(f"control: the descents meet a flip on {np.mean(np.isfinite(control)):.3f}")
    print(f"best known: median {np.median(best):.4f}, mean {best.mean():.4f}")
    for mark, distance in zip(GRADIENTS, reached, strict=True):
        shares = [np.mean(best < (1 - gain) * distance) for gain in (NEARER, 0.01)]
        print(f"{mark}: improvable by .1 % {shares[0]:.3f}, by 1 % {shares[1]:.3f}")


if __name__ == "__main__":
    main()
