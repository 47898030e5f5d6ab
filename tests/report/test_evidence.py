"""Evidence of a run: valid by the standard's own library, and its numbers are the run's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.report.evidence import ATLAS, cyclonedx, statement

from .examples import HOSTILE, digits

HEAD = "ab" * 32
FACTS = {
    "model": "/home/me/net.onnx", "fingerprint": "blake2b:00ff",
    "began": "2026-11-28T16:05:25+00:00",
    "data": {"name": "/home/me/x.npy", "rows": 300, "blake2b": "aa"},
    "ledger": {"path": "l.db", "head": HEAD},
}  # fmt: skip


def with_facts(**more):
    """Digits with the facts of a run."""
    *_, found = digits()
    return replace(found, run=found.run | FACTS | more)


@pytest.mark.parametrize("kind", ["whole", "bare", "empty", "hostile"])
def test_document_is_valid_cyclonedx(kind):
    """CycloneDX 1.7's strict schema, by the standard's library; bare and hostile runs, too."""
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = {
        "whole": with_facts(),
        "bare": replace(with_facts(), run={}),
        "empty": Distances.empty(0),
        "hostile": with_facts(model=HOSTILE, fingerprint=HOSTILE),
    }[kind]
    text = cyclonedx(found, class_names=[HOSTILE] * 10 if kind == "hostile" else None)
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    assert text == cyclonedx(found, class_names=[HOSTILE] * 10 if kind == "hostile" else None)


def test_metrics_are_medians_of_each_class_inside_their_intervals():
    """All rows, then each home label; NumPy's medians."""
    found = with_facts()
    metrics = json.loads(cyclonedx(found))["metadata"]["component"]["modelCard"][
        "quantitativeAnalysis"
    ]["performanceMetrics"]
    assert len(metrics) == 11
    for label, metric in enumerate(metrics[1:]):
        rows = (found.home == label) & found.has_flip
        assert float(metric["value"]) == pytest.approx(np.median(found.l2[rows]), rel=1e-5)
        interval = metric["confidenceInterval"]
        assert (
            float(interval["lowerBound"]) <= float(metric["value"]) <= float(interval["upperBound"])
        )
        assert metric["slice"] == f"home label {label}"


def test_claims_are_tied_to_the_ledger_and_to_the_data():
    """Every reference has its target; evidence holds the ledger's head and the rows' digest."""
    document = json.loads(cyclonedx(with_facts()))
    declarations = document["declarations"]
    (evidence,) = declarations["evidence"]
    assert declarations["claims"][0]["evidence"] == [evidence["bom-ref"]]
    assert declarations["claims"][0]["target"] == document["metadata"]["component"]["bom-ref"]
    facts = json.loads(evidence["data"][0]["contents"]["attachment"]["content"])
    assert facts["ledger_head"] == HEAD
    assert facts["data"]["blake2b"] == "aa"
    assert "/home/" not in json.dumps(document)


def test_statement_says_result_access_limits_and_techniques():
    """One page, in words; no folder of the machine; no claim of conformity."""
    text = statement(with_facts())
    for part in (
        *ATLAS,
        HEAD,
        "net.onnx",
        "the logit of every class, and the gradients",
        "Not tested",
    ):
        assert part in text
    assert "lies in [0, " in text
    assert "claims conformity with no standard" in text
    assert "/home/" not in text
    assert len(text.split()) < 450


def test_inconclusive_and_certified_medians():
    """Most rows unfinished: inconclusive. Certificates: the lower end."""
    found = with_facts()
    open_rows = replace(found, status=np.full(300, Status.OUT_OF_BUDGET, np.int8))
    assert "inconclusive" in statement(open_rows)
    run = found.run | {"estimator": {"name": "lower_bound", "norm": "l2"}}
    proved = replace(found, certified=np.full(300, 0.25), run=run)
    assert "lies in [0.25, " in statement(proved)
