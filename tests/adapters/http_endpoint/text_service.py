"""A pipeline of scikit-learn with a column of texts behind FastAPI, as people write it.

Run: ``uvicorn text_service:app``.
"""

from typing import Literal

import numpy as np
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

JOBS = ("clerk", 'nurse "E"', "smith, 100 %")
LABELS = ["refused", "granted"]


def frame(n=300):
    """Applicants."""
    rng = np.random.default_rng(3)
    jobs = rng.choice(JOBS, n)
    return pd.DataFrame(
        {"age": rng.integers(18, 80, n), "job": jobs, "income": rng.normal(30, 9, n).round(1)}
    )


def fitted():
    """The pipeline, fitted."""
    x = frame()
    lead = 0.04 * x.age + 0.08 * x.income + 1.5 * (x.job == JOBS[1]) - 4.5
    encode = make_column_transformer(
        (OneHotEncoder(), ["job"]), (StandardScaler(), ["age", "income"])
    )
    return make_pipeline(encode, LogisticRegression()).fit(x, (lead > 0).astype(int))


class Applicant(BaseModel):
    """A row."""

    age: float
    job: Literal["clerk", 'nurse "E"', "smith, 100 %"]
    income: float
    product: str = "car loan"


class Decision(BaseModel):
    """A label and its score."""

    label: Literal["refused", "granted"]
    probability: float


app = FastAPI(title="applicants")
model = fitted()


@app.post("/predict")
def predict(one: Applicant) -> Decision:
    """One row."""
    row = pd.DataFrame([{"age": one.age, "job": one.job, "income": one.income}])
    scores = model.predict_proba(row)[0]
    best = int(scores.argmax())
    return Decision(label=LABELS[best], probability=scores[best])
