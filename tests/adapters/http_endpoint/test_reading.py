"""``measure`` examines an endpoint's behaviour first: counted, charged, reported, kept, used."""

import json

import numpy as np
import pytest
import toy_model as model
from click.testing import CliRunner

from blackbox_boundary import Distances, Status
from blackbox_boundary.cli import main
from blackbox_boundary.ledger.chain import Event
from blackbox_boundary.ledger.file import LedgerFile

X = np.random.default_rng(0).random((12, *model.SHAPE), dtype=np.float32)


@pytest.fixture
def audit(service_url, tmp_path):
    """Run ``measure`` on the service with some behaviour; gives result, facts and distances."""
    np.save(tmp_path / "x.npy", X)

    def run(
        query,
        *options,
        access="probabilities",
        x="x.npy",
        path="scores",
        answer='scores = "predictions[*].scores"',
        name="run",
    ):
        (tmp_path / "e.toml").write_text(
            f'url = "{service_url}/{path}?{query}"\naccess = "{access}"\n'
            f"input_shape = {list(model.SHAPE)}\nn_classes = {model.N_CLASSES}\n"
            f"bounds = [0.0, 1.0]\n[transport]\nattempts = 2\nfirst_wait_s = 0.01\n"
            f"[request]\nbody = '{{\"data\": $rows}}'\n[answer]\n{answer}\n"
        )
        folder = tmp_path / name
        command = [
            "measure",
            str(tmp_path / "e.toml"),
            str(tmp_path / x),
            "--no-progress",
            "--no-report",
            "--output",
            str(folder),
        ]
        result = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
        facts = (
            json.loads((folder / "run.json").read_text())
            if (folder / "run.json").exists()
            else None
        )
        return result, facts, Distances.load(folder / "results.npz") if facts else None

    return run


def test_a_repeatable_endpoint_is_asked_once(audit):
    """Thirty queries tell; they are counted as sent, and the run is the one that does not look."""
    result, facts, distances = audit("")
    assert result.exit_code == 0
    assert "it repeats itself" in result.stderr
    assert facts["behaviour"]["n_queries"] == 30
    assert facts["sent"]["queries"] == 30 + distances.n_predictions.sum() + 1  # a check
    assert (facts["votes"], facts["score_resolution"]) == (1, 0.0)
    result, facts, without = audit("", "--no-behaviour", name="without")
    assert "behaviour" not in facts
    assert "repeats" not in result.stderr
    assert facts["sent"]["queries"] == without.n_predictions.sum() + 4  # 3 probes, a check
    np.testing.assert_array_equal(without.l2, distances.l2)


def test_rounding_reaches_the_search(audit):
    """Three decimals are detected and reported; flip points are flips, for fewer queries."""
    result, facts, distances = audit("decimals=3")
    assert "rounded to 3 decimals" in result.stderr
    assert facts["score_resolution"] == 1e-3
    assert (distances.status == Status.CONVERGED).all()
    assert (
        model.probabilities_of(distances.flip_points).round(3).argmax(axis=-1) != distances.home
    ).all()
    _, _, unaware = audit("decimals=3", "--no-behaviour", name="unaware")
    assert distances.n_predictions.sum() < 0.7 * unaware.n_predictions.sum()
    _, _, exact = audit("", name="exact")
    assert (
        np.median(np.abs(distances.l2 / exact.l2 - 1)) < 0.5
    )  # another ray: its gradient is estimated by rounded scores


def test_noise_is_voted_on_unless_told_otherwise(audit):
    """Five votes a point where scores vary by 0.01; a smaller spread widens the tolerance."""
    result, facts, distances = audit("noise=0.1&kind=logits", access="logits")
    assert "its answers vary" in result.stderr
    assert "asked 5 times" in result.stderr
    assert facts["votes"] == 5
    assert (distances.n_predictions % 5 == 0).all()
    assert facts["sent"]["queries"] == 30 + distances.n_predictions.sum() + 1  # a check
    assert set(distances.status.tolist()) <= {
        Status.CONVERGED,
        Status.UNDECIDED,
        Status.NO_FLIP,
    }  # noise may point anywhere
    result, facts, _ = audit("noise=0.1&kind=logits", "--votes", "1", access="logits", name="once")
    assert "--votes 5 would ask" in result.stderr
    assert facts["votes"] == 1
    assert facts["score_resolution"] > 0.01
    _, facts, _ = audit("noise=0.001&kind=logits", access="logits", name="little")
    assert facts["votes"] == 1
    assert 0 < facts["score_resolution"] < 0.01


def test_a_label_has_no_scores_to_read(audit):
    """Labels that never change need no votes."""
    told = {"access": "label", "path": "label", "answer": 'labels = "labels"'}
    _, facts, _ = audit(
        "names=false", "--estimator", "halfspace", "--set", "max_queries_per_row=20", **told
    )
    assert facts["behaviour"]["spread_alone"] is None
    assert facts["votes"] == 1


@pytest.mark.parametrize("limit", [299, 300, 400])
def test_reading_is_charged_to_the_limit(audit, limit):
    """Together with the run it stays below; it takes a tenth at most, or does without."""
    _, facts, distances = audit("", "--max-queries", str(limit))
    assert facts["sent"]["queries"] <= limit
    assert ("behaviour" in facts) == (limit >= 300)
    assert facts["max_queries"] == limit
    assert distances.n_predictions.sum() > limit - 60


def test_what_the_ledger_answers_is_free(audit, tmp_path):
    """In another folder the limit is whole again, and recorded answers do not use it up."""
    given = ("--max-queries", "350", "--ledger", str(tmp_path / "l.db"))
    _, begun, first = audit("", *given)
    _, facts, again = audit("", *given, name="again")
    assert begun["sent"]["queries"] <= 350
    assert 0 < facts["sent"]["queries"] <= 350
    assert facts["account"]["recorded"] >= begun["sent"]["queries"] - 12
    done = first.status == Status.CONVERGED
    np.testing.assert_array_equal(again.l2[done], first.l2[done])
    assert (again.status == Status.CONVERGED).sum() > done.sum()


def test_reading_above_the_limit_is_refused(audit):
    """Also where it was asked for; nothing is sent, and a dry run says so too."""
    for options in ((), ("--dry-run",)):
        result, facts, _ = audit("", "--max-queries", "29", "--behaviour", *options)
        assert result.exit_code == 3
        assert "--behaviour may ask 30 queries" in result.stderr
        assert facts is None


@pytest.mark.parametrize(("limit", "is_read"), [(179, False), (180, True)])
def test_reading_takes_a_tenth_of_the_requests_at_most(audit, limit, is_read):
    """Eighteen of them."""
    _, facts, _ = audit("", "--max-requests", str(limit))
    assert ("behaviour" in facts) == is_read
    assert facts["sent"]["requests"] <= limit


def test_a_resumed_run_goes_on_as_it_began(audit, tmp_path):
    """Votes and resolution are those of the first part, and nothing is read again."""
    told = ("--ledger", str(tmp_path / "l.db"))
    result, begun, _ = audit(
        "noise=0.1&kind=logits", "--max-requests", "40", "--behaviour", *told, access="logits"
    )
    assert result.exit_code == 5
    result, facts, distances = audit("noise=0.1&kind=logits", "--resume", *told, access="logits")
    assert result.exit_code == 0
    assert facts["behaviour"] == begun["behaviour"]
    assert facts["votes"] == begun["votes"] == 5
    assert "behaviour" not in result.stderr
    assert set(distances.status.tolist()) <= {
        Status.CONVERGED,
        Status.UNDECIDED,
        Status.NO_FLIP,
    }  # noise may point anywhere
    result, again, repeated = audit("noise=0.1&kind=logits", *told, access="logits", name="again")
    assert again["sent"]["queries"] == 0  # every vote and every repeat is in the ledger
    assert again["behaviour"]["latency_s"] is None
    np.testing.assert_array_equal(repeated.l2, distances.l2)


def test_a_limit_inside_the_reading(audit):
    """Nothing is known then, and no row either; the run can be resumed, and reads then."""
    result, facts, distances = audit("", "--max-requests", "7", "--behaviour")
    assert result.exit_code == 5
    assert "before the server's behaviour was known" in result.stderr
    assert facts["sent"]["requests"] == 7
    assert "behaviour" not in facts
    result, facts, distances = audit("", "--resume")
    assert result.exit_code == 0
    assert "behaviour" in facts
    assert (distances.status == Status.CONVERGED).all()


def test_an_endpoint_that_fails_at_once(audit):
    """Exit code 4, and nothing is left: nothing was answered."""
    result, facts, distances = audit("most=x")
    assert result.exit_code == 4
    assert "Nothing was answered" in result.stderr
    assert facts is distances is None


def test_another_address_is_another_model(audit):
    """A run is not gone on with at another address."""
    audit("", "--max-queries", "200")
    result, _, _ = audit("decimals=5", "--resume")
    assert result.exit_code == 3
    assert "fingerprint" in result.stderr


def test_bad_input_is_found_before_the_reading(audit, tmp_path):
    """Not one query was recorded."""
    np.save(tmp_path / "far.npy", X + 5)
    result, facts, _ = audit("", "--ledger", str(tmp_path / "l.db"), x="far.npy")
    assert result.exit_code == 3
    assert "inside the bounds" in result.stderr
    assert facts is None
    with LedgerFile(tmp_path / "l.db") as ledger:
        assert Event.ASKED not in {entry.event for entry in ledger.outline()}


def test_a_dry_run_counts_the_reading(audit):
    """Queries and requests of both, in money, and that noise would cost more."""
    result, facts, _ = audit("", "--dry-run", "--price-per-query", "2")
    assert facts is None
    assert "12 rows: about 39 queries a row, 468 in all" in result.stdout
    assert "30 in 18 to read" in result.stdout
    assert "costing 996.00" in result.stdout
    assert "5 times as much" in result.stdout
    result, _, _ = audit("", "--dry-run", "--votes", "3", "--no-behaviour")
    assert "1,404 in all" in result.stdout
    assert "to read" not in result.stdout
