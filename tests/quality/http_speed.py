"""Rows a second over HTTP: our predictor against a bare loop of ``requests`` with full batches.

Run: ``python tests/quality/http_speed.py [--rows 20000] [--rounds 5]``; Triton takes part where its
environment was built (``python tests/peers/environments.py``). The two use the same server in turn,
so that a busy machine slows both. Printed: medians, their ratio, and the ratio of the client's CPU
times, which other programs hardly disturb. The bare loop encodes as we do, since ``json.dumps``
alone would halve its speed.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import requests

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))

import servers
from blackbox_boundary.adapters.http_endpoint import load
from blackbox_boundary.adapters.http_endpoint.wire import flat_json

CONNECTIONS, BATCH = 8, 256
FAILURES = (OSError, RuntimeError, subprocess.SubprocessError)
"""What starting a server may end in; a missing environment is a skip of pytest."""
HEADER = "Inference-Header-Content-Length"


def body_of(x, *, binary):
    """A v2 request, written without any care."""
    tensor = {"name": "image", "shape": list(x.shape), "datatype": "FP32"}
    output = (
        {"name": "probabilities", "parameters": {"binary_data": True}}
        if binary
        else {"name": "probabilities"}
    )
    if not binary:
        head, tail = (
            json.dumps({"inputs": [{**tensor, "data": "$"}], "outputs": [output]})
            .encode()
            .split(b'"$"')
        )
        return head + flat_json(x) + tail, {"Content-Type": "application/json"}
    tensor["parameters"] = {"binary_data_size": x.nbytes}
    head = json.dumps({"inputs": [tensor], "outputs": [output]}).encode()
    return head + x.tobytes(), {
        "Content-Type": "application/octet-stream",
        HEADER: str(len(head)),
        "Accept-Encoding": "identity",
    }


def bare(url, x, *, binary):
    """Full batches over eight threads, answers decoded, nothing checked; seconds."""
    starts = iter(range(0, len(x), BATCH))
    lock, parts = threading.Lock(), {}

    def work():
        session = requests.Session()
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            body, headers = body_of(x[start : start + BATCH], binary=binary)
            answer = session.post(
                f"{url}/v2/models/mnist/infer", data=body, headers=headers, timeout=60
            )
            content = answer.content
            if binary:
                parts[start] = np.frombuffer(content[int(answer.headers[HEADER]) :], "<f4").reshape(
                    -1, 10
                )
            else:
                parts[start] = np.array(
                    json.loads(content)["outputs"][0]["data"], np.float32
                ).reshape(-1, 10)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scores = np.concatenate([parts[start] for start in sorted(parts)])
    return time.perf_counter() - started, scores


def ours(endpoint, x):
    """One call of ``predict``; seconds."""
    started = time.perf_counter()
    scores = endpoint.predict(x).scores
    return time.perf_counter() - started, scores


def compare(name, url, x, rounds):
    """Take turns, and print the medians."""
    for binary in (False, True):
        rows = x if binary else x[: len(x) // 5]
        with load(
            f"{url}/v2/models/mnist",
            request={"binary": binary},
            transport={"connections": CONNECTIONS},
        ) as endpoint:
            endpoint.predict(rows[:BATCH])
            theirs, own, cpu = [], [], []
            for _ in range(rounds):
                before = time.process_time()
                seconds, expected = bare(url, rows, binary=binary)
                theirs.append(len(rows) / seconds)
                between = time.process_time()
                seconds, scores = ours(endpoint, rows)
                own.append(len(rows) / seconds)
                cpu.append((time.process_time() - between) / (between - before))
                assert np.abs(scores - expected).max() < 1e-6
        ratio = np.median(np.array(own) / np.array(theirs))
        wire = "binary" if binary else "JSON"
        print(
            f"{name:8} {wire:7} bare {np.median(theirs):8.0f} rows/s  ours "
            f"{np.median(own):8.0f} rows/s  ratio {ratio:.2f}  "
            f"CPU time of the client {np.median(cpu):.2f} times the bare loop's",
            flush=True,
        )


COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
DESCRIBED = {
    "CSV": {
        "url": "table/invocations",
        "access": "probabilities",
        "n_classes": 3,
        "input_shape": (4,),
        "request": {"format": "csv"},
        "answer": {"format": "csv", "scores": "$"},
    },
    "fields": {
        "url": "fields/predict",
        "access": "top1",
        "labels": ["setosa", "versicolor", "virginica"],
        "request": {"columns": COLUMNS, "body": "$record"},
        "answer": {"labels": "species", "scores": "confidence"},
    },
}
"""Tables: many rows a request, and one."""


def bare_described(url, name, x):
    """Eight threads, bodies written and answers read by hand, nothing checked; seconds, scores."""
    length = BATCH if name == "CSV" else 1
    starts, lock, parts = iter(range(0, len(x), length)), threading.Lock(), {}
    kind = {"Content-Type": "text/csv" if name == "CSV" else "application/json"}

    def work():
        session = requests.Session()
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                return
            rows = x[start : start + length].tolist()
            if name == "CSV":
                body = "\n".join(",".join(f"{value:.9g}" for value in row) for row in rows)
            else:
                body = json.dumps(dict(zip(COLUMNS, rows[0], strict=True)))
            text = session.post(url, data=body, headers=kind, timeout=60).text
            if name == "CSV":
                parts[start] = [list(map(float, line.split(","))) for line in text.split()]
            else:
                parts[start] = [json.loads(text)["confidence"]]

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, np.concatenate([parts[at] for at in sorted(parts)])


def ours_described(endpoint, x):
    """One call of ``predict``; seconds, scores."""
    started = time.perf_counter()
    answer = endpoint.predict(x)
    seconds = time.perf_counter() - started
    return seconds, answer.top1 if answer.scores is None else answer.scores


def compare_described(base, n_rows, rounds):
    """Take turns on services that are described, and print the medians."""
    x = np.random.default_rng(0).normal(size=(n_rows, 4)).astype(np.float32)
    for name, told in DESCRIBED.items():
        url, rows = f"{base}/{told['url']}", x if name == "CSV" else x[: n_rows // 10]
        given = {key: value for key, value in told.items() if key != "url"}
        with load(url, transport={"connections": CONNECTIONS}, **given) as endpoint:
            endpoint.predict(rows[:BATCH])
            bare_described(url, name, rows[:BATCH])
            seconds = []
            for turn in range(rounds):
                if turn % 2:  # whoever goes first may find the machine in another state
                    own, scores = ours_described(endpoint, rows)
                    bare, expected = bare_described(url, name, rows)
                else:
                    bare, expected = bare_described(url, name, rows)
                    own, scores = ours_described(endpoint, rows)
                assert np.abs(scores - expected).max() < 1e-6
                seconds.append((bare, own))
        bare, own = np.array(seconds).T
        ratios = bare / own
        print(
            f"FastAPI  {name:7} bare {np.median(len(rows) / bare):8.0f} rows/s  "
            f"ours {np.median(len(rows) / own):8.0f} rows/s  "
            f"ratio {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})",
            flush=True,
        )


def by_length(name, url, x, rounds):
    """Rows a second for several request lengths: 4,096 rows each, over eight connections."""
    for binary in (False, True):
        with load(
            f"{url}/v2/models/mnist",
            request={"binary": binary},
            transport={"connections": CONNECTIONS},
        ) as endpoint:
            most = endpoint.dialect.max_rows or 1024
            lengths = [length for length in (8, 32, 64, 128, 256, 512, 1024) if length <= most]
            endpoint.predict(x[:1])
            speeds = {length: [] for length in lengths}
            for _ in range(rounds):
                for length in lengths:
                    endpoint.max_rows = length
                    rows = x[: min(4096, 64 * length)]
                    seconds, _ = ours(endpoint, rows)
                    speeds[length].append(len(rows) / seconds)
        row = "  ".join(f"{length}: {np.median(speed):.0f}" for length, speed in speeds.items())
        print(
            f"{name:8} {'binary' if binary else 'JSON':7} rows/s by rows a request  {row}",
            flush=True,
        )


def main():
    """Measure what can be started."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tables-only", action="store_true", help="CSV and named fields alone")
    told = parser.parse_args()
    x = np.random.default_rng(0).random((told.rows, 1, 28, 28), dtype=np.float32)
    x[x < 0.8] = 0
    with ExitStack() as running:
        try:
            base = running.enter_context(servers.described())
        except (*FAILURES, pytest.skip.Exception) as error:
            print(f"FastAPI  could not be started: {error}", flush=True)
        else:
            compare_described(base, told.rows, told.rounds)
    if told.tables_only:
        return
    for name, start in (
        ("FastAPI", servers.service),
        ("Triton", servers.triton),
        ("MLServer", servers.mlserver),
    ):
        with ExitStack() as running:
            try:
                url = running.enter_context(start())
            except (*FAILURES, pytest.skip.Exception) as error:
                print(f"{name:8} could not be started: {error}", flush=True)
                continue
            if name != "MLServer":
                compare(name, url, x, told.rounds)
            by_length(name, url, x, min(3, told.rounds))


if __name__ == "__main__":
    main()
