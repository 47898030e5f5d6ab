"""What is studied: a data set, victims, surrogates, and how large each experiment is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from blackbox_boundary.adapters.torch_modules import TorchPredictor
from blackbox_boundary.adapters.torch_modules.training import TorchTrainable
from numpy.typing import NDArray

from blackbox_boundary import Distances, Predictor, measure
from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.estimators import Ray
from blackbox_boundary.extraction import FitStatus, TestSet, better_than_chance
from blackbox_boundary.wrappers import BatchingPredictor

from . import cifar_nets, mnist_nets
from .data import Data
from .recall import Recalled
from .samples import EXTRA_SETS
from .store import Store

__all__ = ["INPUT_SETS", "Scale", "Study", "cifar100_study", "mnist_study"]

Floats = NDArray[np.float32]

Direction = Literal["top1", "margin"]

INPUT_SETS = ("natural", "normal", "uniform")
"""Natural images (training and test), and as many with independent normal(0.13, 0.308) and uniform(0, 1) pixels [paper, section 5]."""

_MNIST_CLEARANCE = 0.5
"""L2: two thirds of the median distance of the images to Model 1. On its seeds 0 and 1 it gained at every budget from 250 to 10,000;
1 gained more up to 1,000, and lost at 10,000."""


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes
    ----------
    curve_pairs : int
        Curves are made of the first victim and surrogate, then the other victims with that surrogate, then that victim with the other
        surrogates: of so many pairs, and of none where ``curve_seeds`` is 0.
    extra_surrogates : int
        The first of them also learn from the sets that the paper lacks, and have their boundaries compared with the victim's.
    extra_sets : tuple of str
        Which of those sets.
    n_measured, n_pool : int, optional
        Test rows, and training rows: the attacker's pool. Default: all there are, as in the paper; and as many as ``n_measured``.
    n_random : int, optional
        Random inputs of each law. Default: as many as natural ones, as in the paper.
    small_surrogates : bool
        Whether CIFAR-100's surrogates are narrower than their sources say.
    """

    name: str
    seeds: int
    victim_steps: int
    table_steps: int
    curve_seeds: int
    curve_steps: int
    budgets: tuple[int, ...]
    width_seeds: int
    transfer_seeds: int = 1
    curve_pairs: int = 1
    extra_surrogates: int = 1
    n_measured: int | None = None
    n_pool: int | None = None
    n_random: int | None = None
    n_transfer: int = 1000
    n_votes: int = 10_000
    batch_size: int = 128
    extra_sets: tuple[str, ...] = EXTRA_SETS
    small_surrogates: bool = False


@dataclass(frozen=True, eq=False)
class Study:
    """Everything the experiments need; what was computed is kept in ``store``.

    Attributes
    ----------
    victims : dict
        Makes each victim's trained network, by the paper's name for it.
    surrogates : dict
        Makes a trainable from a number of optimiser steps, by the paper's name for it.
    input_sets : tuple of str
        Which of :data:`INPUT_SETS` the paper looks at here.
    norm : str
        The paper measures L1; L2 and L∞ are in the numbers too.
    clearance : float
        Of strategies that train with one (:class:`~blackbox_boundary.adapters.torch_modules.training.TorchTrainable`); 0: not compared.
    chunk : int
        Rows measured, and kept, at a time: what an interruption can cost.
    call_rows : int, optional
        Rows that a victim is sent at once. Default: as many as it is asked. Convolutions of 32 rows take half the time a row
        that those of 512 take, on a processor whose cache holds the former.
    """

    name: str
    data: Data
    victims: dict[str, Callable[[], torch.nn.Module]]
    surrogates: dict[str, Callable[..., TorchTrainable]]
    scale: Scale
    store: Store
    n_classes: int
    input_sets: tuple[str, ...] = INPUT_SETS
    norm: str = "l1"
    clearance: float = 0.0
    device: str = "cpu"
    chunk: int = 10_000
    call_rows: int | None = None
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def victim(self, name: str) -> Predictor:
        """A victim behind the protocol; without bounds, since the paper clips nothing."""
        if ("victim", name) not in self._kept:
            net = self.victims[name]().to(self.device)
            whole = TorchPredictor(net, input_shape=self.data.input_shape, n_classes=self.n_classes)
            self._kept["victim", name] = (
                whole if self.call_rows is None else BatchingPredictor(whole, self.call_rows)
            )
            self._kept["weights", name] = _digest(net)
        victim: Predictor = self._kept["victim", name]
        return victim

    def about(self, victim: str, **more: Any) -> dict[str, Any]:
        """A configuration: everything that a result on this victim depends on."""
        self.victim(victim)
        return {
            "data": self.data.name,
            "n_rows": len(self.natural),
            "victim": victim,
            "weights": self._kept["weights", victim],
            **more,
        }

    def victim_facts(self, name: str) -> dict[str, Any]:
        """Accuracy on the test rows, and whether that is better than chance."""
        truth = self.data.y_test[: len(self.natural) - self.n_pool]

        def compute() -> dict[str, Any]:
            label = self.labels(name, self.natural[self.n_pool :])
            return {
                "accuracy": float((label == truth).mean()),
                "n": len(truth),
                "better_than_chance": better_than_chance(label, truth),
            }

        return dict(self.store.numbers("victim", self.about(name, n=len(truth)), compute))

    def recalled(self, name: str) -> Recalled:
        """A victim by its labels alone, which recalls those of the natural rows."""
        if ("recalled", name) not in self._kept:
            self._kept["recalled", name] = Recalled(
                self.victim(name), self.natural, self.distances(name, "natural").home
            )
        victim: Recalled = self._kept["recalled", name]
        return victim

    def labels(self, name: str, x: Floats) -> NDArray[np.intp]:
        """A victim's labels of rows (n, ...)."""
        predict = self.victim(name).predict
        return np.concatenate([predict(x[i : i + 2000]).label for i in range(0, len(x), 2000)])

    @cached_property
    def natural(self) -> Floats:
        """Training rows, then test rows; as many of either as the scale measures."""
        return np.concatenate(
            [self.data.x[: self.n_pool], self.data.x_test[: self.scale.n_measured]]
        )

    @property
    def n_pool(self) -> int:
        """How many of :attr:`natural` are training rows: the attacker's pool."""
        return min(len(self.data.x), self.scale.n_pool or self.scale.n_measured or len(self.data.x))

    def inputs(self, name: str) -> Floats:
        """One of :data:`INPUT_SETS`; the random ones from fixed seeds."""
        if name == "natural":
            return self.natural
        shape = (self._n_inputs(name), *self.data.input_shape)
        if name == "normal":
            return np.random.default_rng(1).normal(0.13, 0.308, shape).astype(np.float32)
        return np.random.default_rng(2).random(shape, dtype=np.float32)

    def _n_inputs(self, name: str) -> int:
        n = len(self.natural)
        return n if name == "natural" else self.scale.n_random or n

    def distances(self, victim: str, inputs: str) -> Distances:
        """Distances of a whole input set, without flip points, ``chunk`` rows at a time."""
        if ("distances", victim, inputs) not in self._kept:
            rows: list[Floats] = []

            def chunk(start: int) -> Distances:
                if not rows:
                    rows.append(self.inputs(inputs))
                return self._timed(victim, rows[0][start : start + self.chunk])

            starts = range(0, self._n_inputs(inputs), self.chunk)
            parts = [
                self.store.distances(
                    "distances",
                    self.about(victim, inputs=inputs, start=start),
                    partial(chunk, start),
                )
                for start in starts
            ]
            self._kept["distances", victim, inputs] = _joined(parts)
        found: Distances = self._kept["distances", victim, inputs]
        return found

    def _timed(self, victim: str, x: Floats) -> Distances:
        """Measure, and right after it time as many bare predictions, so that both met the same machine; on a CPU in processor time."""
        clock = time.process_time if self.device == "cpu" else time.perf_counter
        started = clock()
        found = self.measured(self.victim(victim), x, flip_points=False)
        between = clock()
        for start in range(0, len(x), 512):
            self.victim(victim).predict(x[start : start + 512])
        found.run.update(measured_s=between - started, bare_s=clock() - between)
        return found

    def measured(
        self,
        model: Predictor,
        x: Floats,
        *,
        direction: Direction = "top1",
        flip_points: bool = True,
    ) -> Distances:
        """The paper's measurement, along the gradient of the top-1 logit; scores, where revealed, save most of its queries."""
        return measure(model, x, estimator=Ray(direction=direction), flip_points=flip_points)

    def boundary(self, victim: str) -> Distances:
        """The first ``n_transfer`` natural test rows, measured with their flip points."""
        if ("boundary", victim) not in self._kept:
            x = self.natural[self.n_pool :][: self.scale.n_transfer]
            self._kept["boundary", victim] = self.measured(self.victim(victim), x)
        found: Distances = self._kept["boundary", victim]
        return found

    def test_sets(self, victim: str) -> list[TestSet]:
        """Natural test rows, the tenth of them nearest to the victim's boundary, and uniform inputs."""
        if ("tests", victim) not in self._kept:
            x, truth = (
                self.natural[self.n_pool :],
                self.data.y_test[: len(self.natural) - self.n_pool],
            )
            label = self.labels(victim, x)
            near = np.argsort(
                self.distances(victim, "natural").norm(self.norm)[self.n_pool :], kind="stable"
            )[: len(x) // 10]
            uniform = np.random.default_rng(3).random(
                (min(len(x), 2000), *self.data.input_shape), dtype=np.float32
            )
            self._kept["tests", victim] = [
                TestSet("natural", x, label, truth),
                TestSet("near-boundary", x[near], label[near], truth[near]),
                TestSet("uniform", uniform, self.labels(victim, uniform)),
            ]
        tests: list[TestSet] = self._kept["tests", victim]
        return tests


def _digest(net: torch.nn.Module) -> str:
    """Of the weights, whatever holds them."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _joined(parts: list[Distances]) -> Distances:
    """Consecutive chunks as one; the run of the first, the seconds of all."""
    names = [name for name, value in vars(parts[0]).items() if isinstance(value, np.ndarray)]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    seconds = {name: sum(part.run[name] for part in parts) for name in ("measured_s", "bare_s")}
    return Distances(**arrays, run=parts[0].run | seconds)


def _trained(
    recipe: TorchTrainable, data: Data, store: Store, name: str, identity: dict[str, Any]
) -> torch.nn.Module:
    """A network trained on the true labels, once; later its stored weights.

    Raises
    ------
    InvalidInput
        The training diverged.
    """

    def compute() -> dict[str, Any]:
        net, status, loss, n_steps = recipe.train(data.x, data.y, seed=0)
        if status is FitStatus.DIVERGED:
            raise InvalidInput(
                f'The victim "{name}" diverged in training (seed 0, step {n_steps}): its loss became {loss}.'
            )
        return {key: value.cpu().numpy() for key, value in net.state_dict().items()}

    state = store.arrays("weights", {**identity, "network": name, "steps": recipe.n_steps}, compute)
    net = recipe.build()
    net.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    return net.eval()


def mnist_study(
    data: Data,
    scale: Scale,
    store: Store,
    *,
    widths: tuple[int, int] = (128, 64),
    n_filters: int = 32,
    device: str = "cpu",
) -> Study:
    """Victims Model 1 (dense) and Model 2 (CNN), surrogates Model 3 (dense) and Model 4 (linear); ``widths`` of Models 1 and 3."""
    shape, n_classes = data.input_shape, 10
    n_channels, height, width = shape

    def recipe(name: str, build: Callable[[], torch.nn.Module], n_steps: int) -> TorchTrainable:
        return TorchTrainable(
            name,
            build,
            shape,
            n_classes,
            n_steps=n_steps,
            batch_size=scale.batch_size,
            device=device,
        )

    def dense(units: int) -> Callable[[], torch.nn.Module]:
        return partial(mnist_nets.dense, shape, n_classes, width=units)

    victims: dict[str, Callable[[], torch.nn.Module]] = {
        "Model 1": dense(widths[0]),
        "Model 2": partial(
            mnist_nets.shallow_cnn, (n_channels, height, width), n_classes, n_filters=n_filters
        ),
    }
    identity = {
        "data": data.name,
        "widths": list(widths),
        "n_filters": n_filters,
        "batch_size": scale.batch_size,
    }
    return Study(
        "mnist",
        data,
        {
            name: partial(
                _trained, recipe(name, build, scale.victim_steps), data, store, name, identity
            )
            for name, build in victims.items()
        },
        {
            "Model 3": lambda n_steps, units=widths[1]: recipe("Model 3", dense(units), n_steps),
            "Model 4": lambda n_steps: recipe(
                "Model 4", partial(mnist_nets.linear, shape, n_classes), n_steps
            ),
        },
        scale,
        store,
        n_classes,
        clearance=_MNIST_CLEARANCE,
        device=device,
    )


def cifar100_study(
    data: Data, scale: Scale, store: Store, weights: Path, *, device: str = "cpu"
) -> Study:
    """Victim ResNet-20 with its public weights, surrogates MobileNetV2 and VGG-16; natural and uniform inputs only, as in the paper."""
    networks: dict[str, Callable[[], torch.nn.Module]] = {
        "MobileNetV2": cifar_nets.mobilenet_v2,
        "VGG-16": cifar_nets.vgg16,
    }
    if scale.small_surrogates:
        networks = {
            "MobileNetV2 ×1/2": partial(cifar_nets.mobilenet_v2, width=0.5, stem_stride=2),
            "VGG-16 ×1/4": partial(cifar_nets.vgg16, width=0.25),
        }

    def recipe(name: str, n_steps: int) -> TorchTrainable:
        return TorchTrainable(
            name,
            networks[name],
            data.input_shape,
            100,
            n_steps=n_steps,
            batch_size=scale.batch_size,
            device=device,
        )

    return Study(
        "cifar100",
        data,
        {"ResNet-20": partial(cifar_nets.load_resnet, weights)},
        {name: partial(recipe, name) for name in networks},
        scale,
        store,
        n_classes=100,
        input_sets=("natural", "uniform"),
        device=device,
        chunk=1000,
        call_rows=32 if device == "cpu" else None,
    )
