"""FastAPI services as tutorials write them, for probe: their documents are made by FastAPI itself.

Run: ``uvicorn fastapi_service:NAME``; ``SERVICES`` names them.
"""

from typing import Literal

import people
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field


class Flower(BaseModel):
    """Named fields, and a constant with a default."""

    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float
    model: str = "v2"


class Verdict(BaseModel):
    """A label out of three, and its score."""

    species: Literal["setosa", "versicolor", "virginica"]
    confidence: float


class Batch(BaseModel):
    """A list of rows."""

    instances: list[list[float]]


class Scores(BaseModel):
    """Scores of every row."""

    probabilities: list[list[float]]


class Features(BaseModel):
    """One row of four."""

    features: list[float] = Field(min_length=4, max_length=4)


class Answer(BaseModel):
    """One row's scores."""

    probs: list[float]


class Flowers(BaseModel):
    """Named fields, row by row."""

    rows: list[Flower]


class Judged(BaseModel):
    """A label, and beside it the scores by label; a time, which is no score."""

    predicted_class: str
    seconds: float
    probabilities: dict[str, float]


class Probabilities(BaseModel):
    """The scores of the classes, by name."""

    versicolor: float
    setosa: float
    virginica: float


class Listed(BaseModel):
    """The same with names that the schema lists."""

    label: str
    scores: Probabilities


def _row(flower):
    return [flower.sepal_length, flower.sepal_width, flower.petal_length, flower.petal_width]


fields, rows, single, records, several, judged, listed, table = (
    FastAPI(title=name) for name in "abcdefgh"
)


@fields.post("/predict")
def predict(flower: Flower) -> Verdict:
    """Named fields."""
    scores = people.probabilities([_row(flower)])[0]
    best = int(scores.argmax())
    return Verdict(species=people.LABELS[best], confidence=scores[best])


@rows.post("/v1/score")
def score(batch: Batch) -> Scores:
    """Rows."""
    return Scores(probabilities=people.probabilities(batch.instances).tolist())


@single.post("/classify")
def classify(one: Features) -> Answer:
    """One row."""
    return Answer(probs=people.probabilities([one.features])[0].tolist())


@records.post("/predict")
def predict_records(flowers: Flowers) -> list[Verdict]:
    """Records."""
    return [predict(flower) for flower in flowers.rows]


@several.post("/a")
def route_a(batch: Batch) -> Scores:
    """One of two."""
    return score(batch)


@several.post("/b")
def route_b(one: Features):
    """The other, which does not say what it answers."""
    return {"out": classify(one).probs}


@several.post("/text")
def route_text(text: str) -> str:
    """No numbers."""
    return text


def _scores(one):
    scores = people.probabilities([one.features])[0].tolist()
    return dict(zip(people.LABELS, scores, strict=True))


@judged.post("/judge")
def judge(one: Features) -> Judged:
    """A label and a map."""
    scores = _scores(one)
    return Judged(predicted_class=max(scores, key=scores.get), seconds=0.1, probabilities=scores)


@listed.post("/judge")
def judge_listed(one: Features) -> Listed:
    """A label and a map of known names."""
    scores = _scores(one)
    return Listed(label=max(scores, key=scores.get), scores=Probabilities(**scores))


@table.post("/invocations")
async def invocations(request: Request) -> Response:
    """CSV both ways, as SageMaker's XGBoost."""
    lines = (await request.body()).decode().split()
    scores = people.probabilities([[float(cell) for cell in line.split(",")] for line in lines])
    text = "\n".join(",".join(map(repr, row)) for row in scores.tolist())
    return Response(text, media_type="text/csv")


SERVICES = {
    "fields": fields,
    "rows": rows,
    "single": single,
    "records": records,
    "several": several,
    "judged": judged,
    "listed": listed,
    "table": table,
}
app = FastAPI()
for name, service in SERVICES.items():
    app.mount(f"/{name}", service)
