"""Fifteen services in six frameworks, described from ``probe`` and one page, against their models.

Run: ``BLACKBOX_BOUNDARY_PEERS=... python tests/quality/fifteen_services.py``; the environments are
those of ``python tests/peers/environments.py``. Of each service ``probe`` reads what it can; what
the table gives besides is what ``docs/how-to`` says of such services. Labels and distances are
compared with those of the model behind the service, asked directly. A framework that cannot be
started is named, and the exit code is 1 where any label is wrong, any distance differs by more
than the rounding of the answers explains, or a service is missing.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "http_endpoint"))

import people
import servers
import toy_model
from blackbox_boundary.adapters.http_endpoint import load, probe

from blackbox_boundary import Access, Prediction, measure

FAILURES = (OSError, RuntimeError, subprocess.SubprocessError, pytest.skip.Exception)
"""What starting a server may end in; a missing environment is a skip of pytest."""
N_ROWS = 4
SCORES = {"access": "probabilities"}
IMAGES = {**SCORES, "input_shape": [1, 4, 4], "n_classes": 5}
LABELS = {**SCORES, "labels": people.LABELS}


def plane(x):
    """Two classes: the second where ``left < 2 right``."""
    second = 1 / (1 + np.exp(x[:, 0] - 2 * x[:, 1]))
    return np.stack([1 - second, second], axis=-1)


MODELS = {"flowers": (people.probabilities, (4,)), "plane": (plane, (2,)),
          "digits": (toy_model.probabilities_of, toy_model.SHAPE)}  # fmt: skip


class Service(NamedTuple):
    """One service: its framework, where it is, its model, and what the user adds to ``probe``."""

    framework: str
    path: str
    model: str
    given: dict[str, Any]


SERVICES = (
    Service("FastAPI", "fields/predict", "flowers", {}),
    Service("FastAPI", "rows/v1/score", "flowers", {**LABELS, "input_shape": [4]}),
    Service("FastAPI", "single/classify", "flowers", {**SCORES, "n_classes": 3}),
    Service("FastAPI", "records/predict", "flowers", {}),
    Service("FastAPI", "judged/judge", "flowers", LABELS),
    Service(
        "standard library",
        "csv",
        "flowers",
        {
            **SCORES,
            "input_shape": [4],
            "n_classes": 3,
            "request": {"format": "csv"},
            "answer": {"format": "csv", "scores": "$"},
        },
    ),
    Service(
        "standard library",
        "form",
        "flowers",
        {
            "access": "top1",
            "labels": people.LABELS,
            "request": {"format": "form", "columns": people.COLUMNS},
            "answer": {"labels": "class", "scores": "confidence", "scores_as": "percent"},
        },
    ),
    Service("BentoML", "classify", "digits", IMAGES),
    Service(
        "BentoML", "plane", "plane", {**SCORES, "n_classes": 2, "answer": {"scores": "probability"}}
    ),
    Service("LitServe", "predict", "digits", IMAGES),
    Service(
        "LitServe, typed",
        "predict",
        "plane",
        {**SCORES, "n_classes": 2, "answer": {"scores": "probability"}},
    ),
    Service("Ray Serve", "digits", "digits", {"preset": "ray-serve", **IMAGES}),
    Service(
        "Ray Serve",
        "merged",
        "digits",
        {
            **IMAGES,
            "merges_requests": True,
            "request": {"body": '{"features": $row}'},
            "answer": {"scores": "probabilities"},
        },
    ),
    Service(
        "Gradio",
        "classify",
        "digits",
        {**SCORES, "input_shape": [1, 4, 4], "labels": toy_model.LABELS},
    ),
    Service("Gradio", "plane", "plane", {**SCORES, "n_classes": 2}),
)


@contextlib.contextmanager
def standard_library():
    """The services of the tests that need no framework."""
    with people.serving() as (_, url):
        yield url


START = {
    "FastAPI": servers.described,
    "standard library": standard_library,
    "BentoML": servers.bentoml,
    "LitServe": servers.litserve,
    "LitServe, typed": lambda: servers.litserve(1, "typed"),
    "Ray Serve": servers.ray_serve,
    "Gradio": servers.gradio,
}


def direct(service, endpoint):
    """The model behind a service, rounded as its rows are on the way, revealing as much."""
    scores_of, shape = MODELS[service.model]

    class Direct:
        access, input_shape, n_classes, bounds = endpoint.access, shape, endpoint.n_classes, None

        def predict(self, x):
            full = Prediction.from_scores(scores_of(np.float32(x)))
            top1 = full.scores.max(axis=-1) if self.access is Access.TOP1 else None
            return full if self.access.has_scores else Prediction(full.label, top1)

    return Direct()


def check(service, url):
    """Describe, measure and compare; wrong labels, largest relative difference, queries a row."""
    finding = probe(f"{url}/{service.path}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "e.toml")
        file.write_text(finding.toml)
        with load(str(file), **service.given) as endpoint:
            x = np.random.default_rng(8).normal(size=(N_ROWS, *endpoint.input_shape))
            model = direct(service, endpoint)
            estimator = None if endpoint.access.has_scores else "halfspace"
            limit = None if endpoint.access.has_scores else 300 * N_ROWS
            found = measure(endpoint, x, estimator=estimator, max_queries=limit)
            expected = measure(model, x, estimator=estimator, max_queries=limit)
    labels = model.predict(found.flip_points[found.has_flip]).label
    wrong = int((found.home != expected.home).sum())
    wrong += int((labels != found.flipped[found.has_flip]).sum())
    if not (found.has_flip == expected.has_flip).all():
        return wrong, np.inf, found.run["n_queries"] / N_ROWS
    both = found.has_flip
    off = abs(found.l2[both] - expected.l2[both]) / expected.l2[both]
    return wrong, float(off.max(initial=0)), found.run["n_queries"] / N_ROWS


def main():
    """All services, framework by framework."""
    n_right = 0
    for framework in dict.fromkeys(service.framework for service in SERVICES):
        with contextlib.ExitStack() as running:
            started = time.perf_counter()
            try:
                url = running.enter_context(START[framework]())
            except FAILURES as error:
                print(f"{framework} could not be started: {str(error)[:200]}", flush=True)
                continue
            print(f"{framework} started in {time.perf_counter() - started:.0f} s", flush=True)
            for service in (each for each in SERVICES if each.framework == framework):
                wrong, off, queries = check(service, url)
                is_right = wrong == 0 and off < 1e-5
                n_right += is_right
                print(
                    f"  {service.path:16} {'right' if is_right else 'WRONG'}: {wrong} wrong "
                    f"labels, distances differ by {off:.1e}, {queries:.0f} queries a row",
                    flush=True,
                )
    print(f"{n_right} of {len(SERVICES)} services measured right")
    sys.exit(n_right < len(SERVICES))


if __name__ == "__main__":
    main()
