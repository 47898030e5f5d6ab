"""Cost of `measure` over the bare model, over a plain loop, and in queries; ratios of one run.

With ``BLACKBOX_BOUNDARY_DATA`` set::

    python tests/quality/speed.py [--rows 1000] [--threads 2] [--repeats 5] [--nets dense conv]

Nets and data: see mnist_nets.py ("dense" and "conv"). With 10,000 rows the dense net takes half a
minute, the other one minutes. Prints one block a net; the comparisons of the third to the last kind
are made on 1,000 rows at most:

* time over the same predictions and gradients, replayed on the bare torch module in the same
  batches;
* time of a per-sample loop of the paper's algorithm at the same precision, and of its vectorised
  form, over ours;
* processor time of our own of a run of one row (nearly no array work): what a further call of the
  predictor costs, from the difference to bisection, which takes more calls, and the rest;
* predictions a row of our search, of bisection, and of SciPy's vectorised Chandrupatla after the
  ×10 growth, on the same rays.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from mnist_nets import load_net, mnist
from scipy.optimize.elementwise import bracket_root, find_root

from blackbox_boundary import measure
from blackbox_boundary.estimators import Ray

RTOL = 1e-6
COMPARED = 1000
UNBOUNDED = (-np.inf, np.inf)  # as in the paper


class Recorded:
    """A predictor that remembers what it was asked, for replay on the bare module."""

    def __init__(self, predictor):
        self._predictor, self.calls = predictor, []
        self.access, self.input_shape, self.n_classes, self.bounds = (
            predictor.access,
            predictor.input_shape,
            predictor.n_classes,
            predictor.bounds,
        )

    def predict(self, x):
        self.calls.append((torch.tensor(x), None))
        return self._predictor.predict(x)

    def vjp(self, x, v):
        self.calls.append((torch.tensor(x), torch.tensor(v, dtype=torch.float32)))
        return self._predictor.vjp(x, v)


def replay(net, calls):
    """The same predictions and gradients, on the bare module."""
    for x, v in calls:
        if v is None:
            with torch.inference_mode():
                net(x).numpy()
        else:
            leaf = x.clone().requires_grad_()
            torch.autograd.grad((net(leaf) * v).sum(), leaf)[0].numpy()


def loop(net, x):
    """The paper's algorithm by sample: Algorithm 2, then Algorithm 1 to the same relative width."""
    radii = np.zeros(len(x))
    for row, image in enumerate(torch.from_numpy(x)):
        leaf = image[None].requires_grad_()
        logits = net(leaf)
        home = logits.argmax()
        gradient = torch.autograd.grad(logits[0, home], leaf)[0]
        with torch.inference_mode():
            alpha, left = 1.0, 0.0
            while net(leaf - alpha * gradient).argmax() == home and alpha < 1e12:
                alpha, left = alpha * 10, alpha
            right = alpha
            while right - left > RTOL * right:
                middle = (left + right) / 2
                if net(leaf - middle * gradient).argmax() == home:
                    left = middle
                else:
                    right = middle
        radii[row] = right * gradient.norm()
    return radii


def vectorised(net, x):
    """The paper's algorithm for all rows at once, every row until the last is done."""
    leaf = torch.from_numpy(x).requires_grad_()
    logits = net(leaf)
    home = logits.argmax(-1)
    gradient = torch.autograd.grad(logits.gather(1, home[:, None]).sum(), leaf)[0]
    with torch.inference_mode():

        def kept(radius):
            return net(leaf - radius[:, None, None, None] * gradient).argmax(-1) == home

        left, right = torch.zeros(len(x)), torch.ones(len(x))
        while (going := kept(right)).any() and right.max() < 1e12:
            left, right = torch.where(going, right, left), torch.where(going, right * 10, right)
        while ((right - left) > RTOL * right).any():
            middle = (left + right) / 2
            going = kept(middle)
            if ((middle == left) | (middle == right)).all():
                break
            left, right = torch.where(going, middle, left), torch.where(going, right, middle)
    return (right * gradient.flatten(1).norm(dim=1)).numpy()


def chandrupatla(net, x, direction):
    """Predictions a row of SciPy's root finder on the margin, after ×10 growth, on Ray's rays."""
    predictor = TorchPredictor(net, input_shape=(1, 28, 28), n_classes=10)
    start = predictor.predict(x)
    rows = np.arange(len(x))
    v = np.zeros((len(x), 10), np.float32)
    v[rows, start.label] = 1
    if direction == "margin":
        others = start.scores.copy()
        others[rows, start.label] = -np.inf
        v[rows, others.argmax(-1)] = -1
    gradient = predictor.vjp(x, v)

    def margin(alpha, row):
        row = row.astype(int)
        with torch.inference_mode():
            scores = (
                net(
                    torch.from_numpy(
                        x[row] - alpha.astype(np.float32)[:, None, None, None] * gradient[row]
                    )
                )
                .numpy()
                .astype(float)
            )
        own = scores[np.arange(len(row)), start.label[row]].copy()
        scores[np.arange(len(row)), start.label[row]] = -np.inf
        return own - scores.max(-1)

    grown = bracket_root(
        margin,
        np.zeros(len(x)),
        np.ones(len(x)),
        xmin=0.0,
        factor=10.0,
        args=(rows.astype(float),),
        maxiter=12,
    )
    found = grown.success
    left, right = (end[found] for end in grown.bracket)
    root = find_root(
        margin,
        (left, right),
        args=(rows[found].astype(float),),
        tolerances={"xrtol": RTOL, "xatol": 0.0, "fatol": 0.0},
    )
    return (grown.nfev[found] + root.nfev - 2).mean()  # the two ends are evaluated by both


def best_of(repeats, function, *arguments, clock=time.perf_counter):
    """Shortest of several timings, seconds."""
    times = []
    for _ in range(repeats):
        began = clock()
        function(*arguments)
        times.append(clock() - began)
    return min(times)


def own_time_of_a_row(net, predictor, x, estimator, repeats):
    """Processor time of our own where one row is measured, seconds, and the calls made."""
    recorded = Recorded(predictor)
    measure(recorded, x[:1], estimator=estimator, bounds=UNBOUNDED)

    def run():
        return measure(predictor, x[:1], estimator=estimator, bounds=UNBOUNDED)

    ours = best_of(repeats, run, clock=time.process_time)
    bare = best_of(repeats, replay, net, recorded.calls, clock=time.process_time)
    return ours - bare, len(recorded.calls)


def compare(name, x, repeats):
    """Print the block of one net."""
    net = load_net(name)
    predictor = TorchPredictor(net, input_shape=(1, 28, 28), n_classes=10)
    paper = Ray(search_by="paper", rtol=RTOL)
    measure(predictor, x[:64], bounds=UNBOUNDED)  # warm up
    print(f"\n{name}: {len(x)} rows")
    for estimator in (Ray(rtol=RTOL), Ray("margin", rtol=RTOL), paper):
        recorded = Recorded(predictor)
        result = measure(recorded, x, estimator=estimator, bounds=UNBOUNDED)
        ours = best_of(
            repeats,
            lambda chosen=estimator: measure(predictor, x, estimator=chosen, bounds=UNBOUNDED),
        )
        bare = best_of(repeats, replay, net, recorded.calls)
        queries = int(result.n_predictions.sum() + result.n_gradients.sum())
        width = (result.hi - result.lo)[result.has_flip] / result.hi[result.has_flip]
        print(
            f"  Ray({estimator.direction}, {estimator.search_by}): "
            f"{result.n_predictions.mean():.2f} predictions a row, all included (largest "
            f"{result.n_predictions.max()}); median relative width {np.median(width):.1e}; "
            f"{ours / len(x) * 1e6:.0f} us a row; over the bare model {ours / bare:.2f}; "
            f"{(ours - bare) / queries * 1e6:.2f} us of our own a query"
        )
    short, few = own_time_of_a_row(net, predictor, x, Ray(rtol=RTOL), 8 * repeats)
    long, many = own_time_of_a_row(net, predictor, x, paper, 8 * repeats)
    call = (long - short) / (many - few)
    print(
        f"  one row: {short / few * 1e6:.0f} us of our own for each of {few} calls of the "
        f"predictor; {call * 1e6:.0f} us for each further one of bisection, "
        f"{(short - few * call) * 1e3:.1f} ms for the run"
    )
    x = x[:COMPARED]
    ours = best_of(
        repeats, lambda: measure(predictor, x, estimator=Ray(rtol=RTOL), bounds=UNBOUNDED)
    )
    some = x[: max(50, len(x) // 5)]
    slow = best_of(1, loop, net, some) / len(some) * len(x)
    together = best_of(max(1, repeats // 2), vectorised, net, x)
    print(
        f"  per-sample loop over ours {slow / ours:.1f} ({slow / len(x) * 1e3:.2f} ms a row); "
        f"vectorised paper {together / ours:.2f}"
    )
    for direction in ("top1", "margin"):
        per_row = chandrupatla(net, x, direction)
        print(
            f"  SciPy Chandrupatla after x10 growth, {direction}: {per_row:.2f} predictions a "
            "row, search alone"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--nets", nargs="+", choices=("dense", "conv"), default=["dense", "conv"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images, _ = mnist("t10k")
    for net_name in options.nets:
        compare(net_name, images[: options.rows], options.repeats)
