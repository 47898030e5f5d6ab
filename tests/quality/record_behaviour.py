"""Record what every estimator answers, and compare a later state of the code bit for bit.

    python tests/quality/record_behaviour.py write RECORD.npz
    python tests/quality/record_behaviour.py compare RECORD.npz

Each run is one estimator at one access on one model: a wedge and a ball in closed form (with and
without gradients), a small random ReLU net, and the embedded digits behind ONNX Runtime. Distances,
brackets, statuses, labels and query counts are kept. A move or a rename must leave all of them
equal; exit code 1 means that something differs, and the output says in which runs.
"""

import sys
import warnings
from collections.abc import Iterator

import numpy as np

from blackbox_boundary import BoundaryError, load, measure
from blackbox_boundary.datasets import digits, digits_model
from blackbox_boundary.estimators import ESTIMATORS, Ray, Tangent
from blackbox_boundary.testing import Ball, Opaque, Reference, ReluNet, Wedge
from blackbox_boundary.wrappers import LabelOnly

COLUMNS = (
    "status",
    "lo",
    "hi",
    "l1",
    "l2",
    "linf",
    "home",
    "flipped",
    "n_predictions",
    "n_gradients",
)
ACCESSES = ("label", "top1", "probabilities", "logits")


def runs() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """All runs, each by a name that says what was measured."""
    for estimator, settings in estimators():
        for model, predictor, x in models():
            name = f"{estimator}/{model}"
            try:
                found = measure(predictor, x, estimator=settings, seed=1)
            except BoundaryError as error:
                yield name, {"refused": np.array(type(error).__name__)}
            else:
                columns = {column: np.asarray(getattr(found, column)) for column in COLUMNS}
                yield name, columns | {"flip_points": np.asarray(found.flip_points)}


def estimators() -> Iterator[tuple[str, object]]:
    """Every estimator with its defaults, and four more settings."""
    yield from ((name, name) for name in ESTIMATORS)
    yield "ray-margin", Ray(direction="margin")
    yield "ray-paper", Ray(search_by="paper")
    yield "tangent-linf", Tangent(norm="linf")
    yield "tangent-l1", Tangent(norm="l1", rounds=2)


def models() -> Iterator[tuple[str, object, np.ndarray]]:
    """Predictors at every access, with rows of theirs."""
    random = np.random.default_rng(0)
    x = random.uniform(0.1, 0.9, (6, 5)).astype(np.float32)
    net = ReluNet(
        (random.normal(size=(12, 5)), random.normal(size=(3, 12))),
        (random.normal(size=12), random.normal(size=3)),
    )
    shapes = {
        "ball": Ball(np.full(5, 0.4), 0.5),
        "wedge": Wedge(random.normal(size=(3, 5)), random.normal(size=3) / 10),
        "net": net,
    }
    for shape_name, shape in shapes.items():
        for access in ACCESSES:
            reference = Reference(shape, access=access, bounds=(0.0, 1.0))
            yield f"{shape_name}-{access}-opaque", Opaque(reference), x
            yield f"{shape_name}-{access}", reference, x
    images, _ = digits()
    export = load(digits_model(), access="logits", bounds=(0.0, 1.0), gradients="none")
    yield "digits-logits", export, images[:3]
    yield "digits-label", LabelOnly(export), images[:3]


def main(action: str, path: str) -> int:
    """Write the record, or compare with it; the number of runs that differ is printed."""
    warnings.simplefilter("ignore")
    seen = {
        f"{run}/{column}": value for run, columns in runs() for column, value in columns.items()
    }
    if action == "write":
        np.savez_compressed(path, **seen)
        print(f"{len(seen)} columns recorded")
        return 0
    with np.load(path) as record:
        differs = sorted(set(record) ^ set(seen))
        differs += [key for key in record if key in seen and not same(record[key], seen[key])]
    print(f"{len(seen)} columns, {len(differs)} differ", *differs[:40], sep="\n  ")
    return 1 if differs else 0


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two columns hold the same bits; NaN equals NaN."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    )


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
