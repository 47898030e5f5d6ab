"""Train on points near the boundary, in inputs and in the latent space of a small VAE.

A dense net that has learned a few labelled images is trained on for some steps, half of each batch
augmented: by points a random fraction of the way to the boundary, by such points of the latent
space, by mixup [1]_ or by noise. Calibration and robustness are compared on test images.

    python examples/augment_near_the_boundary.py                # digits, one seed: a minute
    BLACKBOX_BOUNDARY_DATA=… python examples/augment_near_the_boundary.py --data mnist --seeds 5

Expected calibration error (ECE): 15 bins of equal width of the largest probability [2]_. Distance:
the median L2 distance to the nearest flip point found, of --distances test images. Results are kept
below --out, one file a seed; run a stopped script again to continue it.

References
----------
.. [1] Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
.. [2] Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
"""

import argparse
import copy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules.decoder import TorchDecoder
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from blackbox_boundary.reproduction.mnist_nets import dense
from blackbox_boundary.reproduction.store import Store
from torch import nn

from blackbox_boundary import datasets, measure
from blackbox_boundary.analysis.boundary_points import boundary_points
from blackbox_boundary.analysis.uncertainty import Softness, entropy, probabilities
from blackbox_boundary.estimators import Tangent
from blackbox_boundary.extraction import spread
from blackbox_boundary.wrappers import Composed

N_LATENT = 16
NOISE = 0.2
"""Standard deviation of the noise, in a pixel's range of 0 to 1."""
N_ROUNDS = 3
"""Times that the flip points are found anew: those of a model that trains on move."""
MIXUP = 0.2
"""Both parameters of the Beta law of the mixture: the source's for ImageNet."""


class VAE(nn.Module):
    """Dense encoder and decoder around normal latent rows; the decoder ends in a sigmoid."""

    def __init__(self, shape, width=256):
        super().__init__()
        n = int(np.prod(shape))
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(n, width), nn.ReLU(), nn.Linear(width, 2 * N_LATENT)
        )
        self.decoder = nn.Sequential(
            nn.Linear(N_LATENT, width),
            nn.ReLU(),
            nn.Linear(width, n),
            nn.Sigmoid(),
            nn.Unflatten(1, shape),
        )

    def fit(self, x, n_steps, random):
        """Reconstruction and the divergence from the standard normal, in nats an image."""
        optimiser = torch.optim.Adam(self.parameters(), lr=1e-3)
        for _ in range(n_steps):
            batch = x[random.integers(len(x), size=128)]
            mean, log_variance = self.encoder(batch).chunk(2, dim=1)
            z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
            missed = nn.functional.binary_cross_entropy(self.decoder(z), batch, reduction="sum")
            divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
            optimiser.zero_grad()
            ((missed + divergence) / len(batch)).backward()
            optimiser.step()
        return self


def data(name, n_rows):
    """Training and test images (n, 1, height, width) in [0, 1] with labels; the training few."""
    if name == "digits":
        x, y = datasets.digits()
        x, test = x.reshape(-1, 1, 8, 8).astype(np.float32), np.arange(len(x)) % 2 == 1
        return x[~test][:n_rows], y[~test][:n_rows], x[test], y[test]
    train, test = datasets.mnist("train"), datasets.mnist("test")
    parts = (train.x[:n_rows], train.labels[:n_rows], test.x[:5000], test.labels[:5000])
    return tuple(np.asarray(part) for part in parts)


def ways(x, y, vae, random):
    """By name, functions from a model to a function from row numbers to rows, targets, weights."""
    one_hot = np.eye(10)
    with torch.no_grad():
        z = vae.encoder(torch.from_numpy(x))[:, :N_LATENT].numpy()

    def unchanged(_model):
        return lambda rows: (x[rows], one_hot[y[rows]], np.ones(len(rows)))

    def noise(_model):
        def augment(rows):
            noisy = x[rows] + NOISE * random.standard_normal(x[rows].shape)
            return np.clip(noisy, 0, 1), one_hot[y[rows]], np.ones(len(rows))

        return augment

    def mixup(_model):
        def augment(rows):
            others, share = random.permutation(rows), random.beta(MIXUP, MIXUP, len(rows))[:, None]
            wide = share[:, :, None, None]
            targets = share * one_hot[y[rows]] + (1 - share) * one_hot[y[others]]
            return wide * x[rows] + (1 - wide) * x[others], targets, np.ones(len(rows))

        return augment

    def near(model, *, in_latent=False, weighted=False, **settings):
        decoded = Composed(model, TorchDecoder(vae.decoder), (N_LATENT,))
        origins, asked = (z, decoded) if in_latent else (x, model)
        found = measure(asked, origins, estimator=Tangent())
        if weighted:
            softness = entropy(probabilities(model.predict(x), model.access))
            settings["weigh"] = Softness.fit(found.l2, softness)

        def augment(rows):
            points = boundary_points(
                origins[rows],
                found[rows],
                random.random(len(rows)),
                n_classes=10,
                labels=y[rows],
                **settings,
            )
            made = decoded.decode(points.x) if in_latent else points.x
            return made, points.targets, points.weight

        return augment

    return {
        "none": unchanged,
        "noise": noise,
        "mixup": mixup,
        "boundary, hard labels": partial(near, share_at_boundary=0),
        "boundary, soft labels": near,
        "boundary, soft, weighted": partial(near, weighted=True),
        "latent boundary, hard labels": partial(near, in_latent=True, share_at_boundary=0),
        "latent boundary, soft labels": partial(near, in_latent=True),
    }


def trained_on(trainable, net, way, x, y, random):
    """A copy of the net after further steps, half of each batch augmented."""
    net = copy.deepcopy(net)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(trainable.n_steps):
        if step % -(-trainable.n_steps // N_ROUNDS) == 0:
            augment = way(trainable.as_predictor(net.eval()))
            net.train()
        rows = random.integers(len(x), size=64)
        more, targets, weight = augment(random.integers(len(x), size=64))
        batch = np.concatenate([x[rows], more]).astype(np.float32)
        wanted = np.concatenate([np.eye(10)[y[rows]], targets]).astype(np.float32)
        weights = np.concatenate([np.ones(64), weight]).astype(np.float32)
        losses = nn.functional.cross_entropy(
            net(torch.from_numpy(batch)), torch.from_numpy(wanted), reduction="none"
        )
        optimiser.zero_grad()
        (losses * torch.from_numpy(weights)).mean().backward()
        optimiser.step()
    return trainable.as_predictor(net.eval())


def quality(model, x, y, n_distances):
    """Accuracy, calibration and robustness on test images; distances of the first ones."""
    probs = probabilities(model.predict(x), model.access)
    right, sure = probs.argmax(axis=1) == y, probs.max(axis=1)
    which = np.minimum((sure * 15).astype(int), 14)
    in_bins = [which == number for number in range(15)]
    gaps = [abs((right[rows].astype(float) - sure[rows]).sum()) for rows in in_bins]
    noisy = np.clip(x + np.random.default_rng(9).normal(0, 0.3, x.shape), 0, 1).astype(np.float32)
    likelihood = np.maximum(probs[np.arange(len(y)), y], 1e-12)
    found = measure(model, x[:n_distances], estimator=Tangent(), flip_points=False)
    kept = right[:n_distances] & (found.l2 > 0.5)
    return {
        "accuracy (%)": 100 * right.mean(),
        "ECE (%)": 100 * float(sum(gaps)) / len(y),
        "negative log-likelihood": float(-np.log(likelihood).mean()),
        "distance": float(np.median(found.l2)),
        "right beyond 0.5 (%)": 100 * kept.mean(),
        "accuracy under noise of 0.3 (%)": 100 * (model.predict(noisy).label == y).mean(),
    }


def one_seed(name, seed, n_rows, n_steps, vae_steps, n_distances):
    """The quality of each augmentation, from one trained net."""
    x, y, x_test, y_test = data(name, n_rows)
    build = partial(dense, x.shape[1:], 10, width=128)
    trainable = TorchTrainable("dense", build, x.shape[1:], 10, (0.0, 1.0), n_steps=n_steps)
    net, *_ = trainable.train(x, y, seed=seed)
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    vae = VAE(x.shape[1:]).fit(torch.from_numpy(x), vae_steps, random)
    test = (x_test, y_test, n_distances)
    found = {"before": quality(trainable.as_predictor(net), *test)}
    for name_of_way, way in ways(x, y, vae, random).items():
        after = trained_on(trainable, net, way, x, y, np.random.default_rng([seed, 2]))
        found[name_of_way] = quality(after, *test)
    return found


def main(arguments=None):
    """Run the seeds that are not there yet, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", type=int, default=500, help="labelled images that are learned")
    parser.add_argument("--steps", type=int, default=600, help="before, and again after")
    parser.add_argument("--vae-steps", type=int, default=2000)
    parser.add_argument("--distances", type=int, default=200, help="test images measured")
    parser.add_argument("--out", type=Path, default=Path("augment-near-the-boundary"))
    given = parser.parse_args(arguments)
    store = Store(given.out, print)
    sizes = {"data": given.data, "n": given.rows, "steps": given.steps}
    sizes |= {"vae_steps": given.vae_steps, "distances": given.distances}
    runs = [
        store.numbers(
            "augment",
            {**sizes, "seed": seed},
            partial(
                one_seed,
                given.data,
                seed,
                given.rows,
                given.steps,
                given.vae_steps,
                given.distances,
            ),
        )
        for seed in range(given.seeds)
    ]
    for way, numbers in runs[0].items():
        print(f"{given.data}, {way}")
        for what in numbers:
            values = spread([run[way][what] for run in runs])
            print(f"  {what:32} {values.mean:7.3f}", f"± {values.std:.3f}" * (values.n > 1))


if __name__ == "__main__":
    main()
