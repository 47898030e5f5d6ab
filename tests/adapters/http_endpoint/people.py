"""Services as people write them: a linear classifier of three flowers behind many frameworks.

Each is a function from a request's headers and body to an answer; ``SERVICES`` names them by their
path. They are written with the standard library, as strictly as the frameworks they imitate.
"""

import csv
import http.server
import io
import json
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import numpy as np

COLUMNS = ["sepal length", "sepal_width", "petal.length", 'petal"width']
LABELS = ["setosa", "versicolor", "virginica"]
WEIGHTS = np.random.default_rng(7).normal(size=(4, 3))
X = np.random.default_rng(8).normal(size=(9, 4))


class RefusedError(Exception):
    """The service answers 422."""


def probabilities(x):
    """Of rows (n, 4): (n, 3); each row by itself, so that its bits do not depend on its batch."""
    logits = np.stack([np.asarray(row, float) @ WEIGHTS for row in x])
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def fields(document):
    """A pydantic model: the four fields and a constant, no other, all numbers."""
    if set(document) != {*COLUMNS, "version"} or document["version"] != 2:
        raise RefusedError
    row = [document[name] for name in COLUMNS]
    if not all(type(value) in (int, float) for value in row):
        raise RefusedError
    return row


def named_fields(body, _):
    """FastAPI: one object of fields."""
    return {"probabilities": probabilities([fields(json.loads(body))])[0].tolist()}


def records(body, _):
    """FastAPI: a list of such objects, and one answer for each."""
    rows = [[each[name] for name in COLUMNS] for each in json.loads(body)["rows"]]
    return [dict(zip(LABELS, row, strict=True)) for row in probabilities(rows).tolist()]


def frame(body, _):
    """MLflow: a frame as split."""
    split = json.loads(body)["dataframe_split"]
    order = [split["columns"].index(name) for name in COLUMNS]
    return {"predictions": probabilities(np.array(split["data"])[:, order]).tolist()}


def as_csv(body, headers):
    """SageMaker's XGBoost: CSV in, CSV out, no header."""
    if headers["Content-Type"] != "text/csv":
        raise RefusedError
    rows = [[float(cell) for cell in line] for line in csv.reader(io.StringIO(body.decode()))]
    return "\n".join(",".join(map(repr, row)) for row in probabilities(rows).tolist())


def csv_with_header(body, _):
    """CSV with a header both ways, the columns in the order that the header says."""
    lines = list(csv.DictReader(io.StringIO(body.decode())))
    rows = [[float(line[name]) for name in COLUMNS] for line in lines]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", *LABELS])
    writer.writerows([at, *row] for at, row in enumerate(probabilities(rows).tolist()))
    return out.getvalue()


def json_lines(body, headers):
    """SageMaker's JSON Lines."""
    if headers["Content-Type"] != "application/jsonlines":
        raise RefusedError
    rows = [json.loads(line)["features"] for line in body.decode().splitlines()]
    answers = ({"score": row} for row in probabilities(rows).tolist())
    return "\n".join(map(json.dumps, answers))


def form(body, _):
    """A Flask form: the label and its score as text in percent."""
    told = parse_qs(body.decode(), strict_parsing=True)
    row = [float(told[name][0]) for name in COLUMNS]
    scores = probabilities([row])[0]
    return {"class": LABELS[scores.argmax()], "confidence": f"{100 * scores.max():.10f} %"}


def query(_, path):
    """GET with the numbers in the query: a bare label."""
    told = parse_qs(urlsplit(path).query, strict_parsing=True)
    row = [float(told[name][0]) for name in COLUMNS]
    return LABELS[probabilities([row])[0].argmax()]


def text_scores(body, _):
    """Scores as text."""
    rows = probabilities(json.loads(body)["data"])
    return {"scores": [[f"{score:.12f}" for score in row] for row in rows]}


def percent(body, _):
    """Scores in percent, as numbers."""
    return {"scores": (100 * probabilities(json.loads(body)["data"])).tolist()}


def pairs(body, _):
    """Hugging Face: lists of label and score, best first, one list deeper than needed."""
    return [
        [{"score": row[k], "label": LABELS[k]} for k in np.argsort(-np.array(row))]
        for row in probabilities(json.loads(body)["inputs"]).tolist()
    ]


def vertex(body, _):
    """Vertex AI: parallel lists of names and confidences."""
    answers = []
    for row in probabilities(json.loads(body)["instances"]).tolist():
        order = np.argsort(-np.array(row))
        names = [LABELS[k] for k in order]
        answers.append({"displayNames": names, "confidences": [row[k] for k in order]})
    return {"predictions": answers}


def open_set(body, _):
    """The two best labels of a thousand: what is setosa here is one of many other flowers."""
    answers = []
    for row in probabilities(json.loads(body)["inputs"]).tolist():
        named = [("rose", 0.6 * row[0]), ("tulip", 0.4 * row[0])]
        named += [("versicolor", row[1]), ("virginica", row[2])]
        best = sorted(named, key=lambda pair: -pair[1])[: 4 if "all" in json.loads(body) else 2]
        answers.append([{"label": label, "score": score} for label, score in best])
    return answers


def one_row_in_a_list(body, _):
    """A list, of which the service takes one row alone, as tutorials do with ``[0]``."""
    rows = json.loads(body)["data"]
    return {"p": [probabilities(rows[:1])[0].tolist()]}


def one_row_or_422(body, _):
    """A list of exactly one row."""
    rows = json.loads(body)["data"]
    if len(rows) != 1:
        raise RefusedError
    return {"p": probabilities(rows).tolist()}


def logit(body, _):
    """One logit a row: the second class's."""
    return {
        "z": [float(np.asarray(row, float) @ WEIGHTS[:, 0]) for row in json.loads(body)["data"]]
    }


def sigmoid(body, _):
    """One probability a row."""
    return {"z": [1 / (1 + float(np.exp(-z))) for z in logit(body, _)["z"]]}


def stream(body, _):
    """A stream of JSON documents."""
    rows = probabilities(json.loads(body)["data"]).tolist()
    return "\n".join(json.dumps({"token": row}) for row in [*rows, [0, 0, 1]])


SERVICES = {
    "/fields": named_fields,
    "/records": records,
    "/frame": frame,
    "/csv": as_csv,
    "/csv-header": csv_with_header,
    "/jsonlines": json_lines,
    "/form": form,
    "/query": query,
    "/text": text_scores,
    "/percent": percent,
    "/pairs": pairs,
    "/vertex": vertex,
    "/open": open_set,
    "/first-row": one_row_in_a_list,
    "/one-row": one_row_or_422,
    "/stream": stream,
    "/logit": logit,
    "/sigmoid": sigmoid,
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        """Answer by the service of the path."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        try:
            given = self.path if path == "/query" else self.headers
            answer = SERVICES[path](body, given)
            self.server.n_requests += 1
            self.reply(200, answer if isinstance(answer, str) else json.dumps(answer))
        except (RefusedError, KeyError, ValueError) as error:
            self.reply(422, json.dumps({"detail": repr(error)}))

    def do_GET(self):
        """The same without a body."""
        self.do_POST()

    def reply(self, status, text):
        """A complete answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def serving():
    """Start the services in this process.

    Gives the server, whose ``n_requests`` counts answers, and its URL.
    """
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.n_requests = 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
