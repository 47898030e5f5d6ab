"""Evidence of a run for an audit: a CycloneDX 1.7 document, and a statement of one page.

References
----------
.. [1] CycloneDX 1.7 JSON, ECMA-424. https://cyclonedx.org/docs/1.7/json/
.. [2] MITRE ATLAS, techniques AML.T0040, AML.T0043.001, AML.T0042. https://atlas.mitre.org
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.account import Account
from ..analysis.distances import Distances
from ..analysis.overview import NAMES, overview, status_words, unit_of
from ..analysis.robustness import certified_curve, robustness_curve
from ..analysis.verdict import verdict
from ..printable import printable
from ..search.asks import Status
from .run_facts import without_folder
from .tables import Names, number

__all__ = ["ATLAS", "cyclonedx", "statement"]

ATLAS = {
    "AML.T0040": "access to the inference interface of the model",
    "AML.T0043.001": "crafting of adversarial data by black-box optimisation",
    "AML.T0042": "verification of the attack",
}
"""Techniques of MITRE ATLAS that a measurement exercises."""

_N_RESAMPLES = 400
"""Settles the ends of a 95 % interval to about a tenth of its width."""

_NAMESPACE = uuid.UUID("6f1d0f5e-6d0f-5a0e-9a43-8f0a5d7d1c11")
"""Serial numbers are derived from the run, so that equal runs give equal documents."""

_KNOWLEDGE = {
    "label": "the label of each answer",
    "top1": "the label and its score",
    "probabilities": "the probability of every class",
    "logits": "the logit of every class",
}


def cyclonedx(
    distances: Distances, *, norm: str = "l2", class_names: Sequence[str] | None = None
) -> str:
    """Return a CycloneDX 1.7 document on the model of a run.

    It holds metrics per class, and claims tied to the record of the run. Equal results give equal
    text. No query is sent.
    """
    run = distances.run
    facts = json.dumps(run, sort_keys=True, default=str)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, facts)}",
        "version": 1,
        "metadata": {
            **({"timestamp": run["began"]} if "began" in run else {}),
            "tools": {"components": [_tool()]},
            "component": _model(distances, norm, Names(class_names)),
        },
        "declarations": _declarations(distances, norm),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def statement(distances: Distances, *, norm: str = "l2") -> str:
    """The statement as Markdown: result, domain, access, cost, what was not tested."""
    run, numbers = distances.run, overview(distances)
    account = Account.of(run)
    queries = f"{numbers.n_predictions:,} predictions, {numbers.n_gradients:,} gradients"
    lines = [
        f"# Distance to the decision boundary: {_name(run)}",
        "",
        f"**Result.** {verdict(distances, norm).text} {_interval(distances, norm)}",
        "",
        f"**Rows.** {numbers.n_rows:,}: "
        + ", ".join(f"{n:,} {status_words(status)}" for status, n in numbers.by_status.items())
        + f". {_data(run)}",
        "",
        f"**Norm and domain.** {NAMES[norm]}, {numbers.unit}; {_domain(run)}.",
        "",
        "**Access.** An attacker was assumed who sees "
        f"{_KNOWLEDGE.get(str(run.get('access')), 'what the model answers')}"
        + (", and the gradients of the model" if run.get("gradients") == "predictor" else "")
        + ", and who can send inputs of their choice.",
        "",
        (
            f"**Search.** {printable(run.get('estimator', {}).get('name', 'not recorded'))}; "
            f"{queries if account is None else account.line()}."
        ),
        "",
        f"**Record.** {_record(run)}",
        "",
        "**MITRE ATLAS.** " + "; ".join(f"{key}: {words}" for key, words in ATLAS.items()) + ".",
        "",
        "## Not tested",
        "",
        (
            "- Flips nearer than those found, unless a certified distance is given: every distance "
            "is an upper bound."
        ),
        "- Rows other than these, and inputs drawn from another distribution.",
        "- Other norms, and changes that no norm describes: rotation, weather, rewording.",
        "- Poisoning, extraction, privacy, and any component of the system but this model.",
        "- The model after an update: the result holds for the fingerprint above.",
        "",
        (
            "This statement describes a measurement. It claims conformity with no standard and no "
            "regulation."
        ),
        "",
    ]
    return "\n".join(lines)


def _tool() -> dict[str, Any]:
    return {
        "type": "application",
        "name": "blackbox_boundary",
        "version": version("blackbox-boundary"),
    }


def _name(run: dict[str, Any]) -> str:
    return printable(without_folder(run.get("model") or run.get("predictor") or "model"))


def _model(distances: Distances, norm: str, names: Names) -> dict[str, Any]:
    run = distances.run
    known = {"fingerprint": run.get("fingerprint"), "access": run.get("access")}
    properties = [
        {"name": f"blackbox_boundary:{key}", "value": printable(value)}
        for key, value in known.items()
        if value
    ]
    metrics = [_metric(distances, np.ones(len(distances), bool), norm, None)]
    metrics += [
        _metric(distances, distances.home == label, norm, names(label))
        for label in np.unique(distances.home[distances.home >= 0]).tolist()
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": _name(run),
        "properties": properties,
        "modelCard": {
            "modelParameters": {"task": "classification"},
            "quantitativeAnalysis": {"performanceMetrics": [m for m in metrics if m]},
            "considerations": {
                "technicalLimitations": [
                    "Distances are upper bounds: a flip was seen at each of them.",
                    "The result holds for the rows measured and for this fingerprint of the model.",
                ]
            },
        },
    }


def _metric(
    distances: Distances, rows: NDArray[np.bool_], norm: str, name: str | None
) -> dict[str, Any] | None:
    """Median distance of some rows with a flip, with a 95 % bootstrap interval.

    None where there are no such rows.
    """
    values = distances.norm(norm)[rows & distances.has_flip]
    if not values.size:
        return None
    draws = np.random.default_rng(0).integers(0, values.size, (_N_RESAMPLES, values.size))
    lo, hi = np.quantile(np.median(values[draws], axis=-1), (0.025, 0.975))
    return {
        "type": f"median {NAMES[norm]} distance to the nearest known flip, "
        f"{unit_of(distances, norm)}",
        "value": f"{np.median(values):.6g}",
        "slice": "all rows" if name is None else f"home label {name}",
        "confidenceInterval": {"lowerBound": f"{lo:.6g}", "upperBound": f"{hi:.6g}"},
    }


def _declarations(distances: Distances, norm: str) -> dict[str, Any]:
    run = distances.run
    claims = [
        {
            "bom-ref": "claim-distance",
            "target": "model",
            "predicate": f"{verdict(distances, norm).text} {_interval(distances, norm)}",
            "reasoning": "Each flip point was sent to the model, which answered another label than "
            "at the row.",
            "evidence": ["evidence-run"],
        }
    ]
    evidence = {
        "bom-ref": "evidence-run",
        "propertyName": "blackbox_boundary:run",
        "description": _record(run),
        **({"created": run["began"]} if "began" in run else {}),
        "data": [
            {
                "name": "facts of the run",
                "contents": {
                    "attachment": {"contentType": "application/json", "content": _facts(run)}
                },
            }
        ],
    }
    return {
        "assessors": [{"bom-ref": "assessor", "thirdParty": False}],
        "attestations": [
            {
                "summary": "Distance to the decision boundary, measured from queries.",
                "assessor": "assessor",
                "map": [{"claims": ["claim-distance"]}],
            }
        ],
        "claims": claims,
        "evidence": [evidence],
    }


def _facts(run: dict[str, Any]) -> str:
    """The digests and settings that identify the run, as JSON."""
    data = run.get("data")
    names = ("fingerprint", "estimator", "access", "seed", "votes", "n_queries", "account")
    kept: dict[str, Any] = {name: run[name] for name in names if name in run}
    if isinstance(data, dict):
        digests = ("rows", "shape", "dtype", "blake2b")
        kept["data"] = {name: data[name] for name in digests if name in data}
    if isinstance(run.get("ledger"), dict):
        kept["ledger_head"] = run["ledger"].get("head")
    return json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)


def _interval(distances: Distances, norm: str) -> str:
    """Return [lower, upper] of the median distance, or the fact that it is open."""
    n = len(distances)
    unfinished = sum(not Status(int(status)).is_final for status in distances.status)
    upper = robustness_curve(distances, norm).radius(0.5)
    if not n or unfinished > n / 2 or not np.isfinite(upper):
        return "The median distance is inconclusive."
    certified = certified_curve(distances, norm)
    lower = 0.0 if certified is None else certified.radius(0.5)
    how = "certified" if lower else "nothing is certified"
    return f"The median distance lies in [{number(lower)}, {number(upper)}] ({how} below)."


def _data(run: dict[str, Any]) -> str:
    data = run.get("data")
    if not isinstance(data, dict):
        return "The run does not record where they come from."
    name = printable(without_folder(data.get("name", "")))
    return f"From {name}, BLAKE2b {data.get('blake2b')}."


def _domain(run: dict[str, Any]) -> str:
    if run.get("columns"):
        return "points keep to the described columns of the table"
    bounds = run.get("bounds")
    if bounds is None:
        return "inputs without bounds"
    low, high = (np.asarray(part, float) for part in bounds)
    return f"inputs from {number(float(low.min()))} to {number(float(high.max()))}"


def _record(run: dict[str, Any]) -> str:
    ledger, fingerprint = run.get("ledger"), run.get("fingerprint")
    said = f"Fingerprint of the model: {printable(fingerprint)}. " if fingerprint else ""
    if isinstance(ledger, dict) and ledger.get("head"):
        return f"{said}Every query is in a ledger whose hash chain ends in {ledger['head']}."
    return f"{said}No ledger was kept: queries are counted, not recorded."
