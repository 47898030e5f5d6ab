"""Thresholds: the grammar, and each outcome against a count by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import Distances, InvalidInput, Status
from blackbox_boundary.analysis.thresholds import STATS, Outcome, Threshold


def measured(l2, status, certified=None):
    """Rows with these distances and statuses; certificates are of L2."""
    l2, status = np.asarray(l2, float), np.asarray(status, np.int8)
    home = np.where(status == Status.INVALID_INPUT, -1, 0)
    run = {"estimator": {"name": "lower_bound", "norm": "l2"}}
    return replace(
        Distances.empty(len(l2)), l2=l2, hi=l2, status=status, home=home, run=run,
        certified=None if certified is None else np.asarray(certified, float),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["p5 < 0.1", "p5<0.1", " min <= 1e-3 ", "median < .5", "p50<2."])
def test_forms_that_are_read(text):
    """With and without blanks; the text read back is the same threshold."""
    threshold = Threshold.parse(text)
    assert Threshold.parse(str(threshold)) == threshold


@pytest.mark.parametrize(
    "text",
    [
        "", "p5", "p5 <", "p7 < 1", "p5 > 1", "p5 == 1", "p5 < -1", "p5 < nan", "p5 < inf",
        "p5 < 1_0", "p5 < 1e999",
        "__import__('os') < 1", "p5 < 1; 1", "1 < p5", "p5 < 1 < 2", "P5 < 1",
    ],
)  # fmt: skip
def test_everything_else_is_refused(text):
    """The message says the form and what came."""
    with pytest.raises(InvalidInput, match="STAT OP NUMBER"):
        Threshold.parse(text)


CONVERGED, NO_FLIP, CUT, BAD = (
    Status.CONVERGED,
    Status.NO_FLIP,
    Status.OUT_OF_BUDGET,
    Status.INVALID_INPUT,
)
ROWS = [1.0, 2.0, 3.0, np.inf]


@pytest.mark.parametrize(
    ("text", "rows", "status", "certified", "outcome"),
    [
        ("min < 1", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.NOT_REFUTED),
        ("min <= 1", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.FAILS),
        ("median <= 2", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.FAILS),
        ("median < 2", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.NOT_REFUTED),
        ("min < 1", ROWS, [CONVERGED] * 3 + [CUT], None, Outcome.INCONCLUSIVE),
        ("median < 2", ROWS, [CONVERGED] * 3 + [CUT], None, Outcome.INCONCLUSIVE),
        ("median < 1", ROWS, [CONVERGED] * 3 + [CUT], None, Outcome.NOT_REFUTED),
        ("min <= 1", ROWS, [CUT] * 4, None, Outcome.FAILS),
        ("min < 0.5", ROWS, [CONVERGED] * 3 + [CUT], [0.9, 0.6, 0.5, 0.5], Outcome.CERTIFIED),
        ("min < 0.6", ROWS, [CONVERGED] * 3 + [NO_FLIP], [0.9, 0.6, 0.5, 0.5], Outcome.NOT_REFUTED),
        ("p25 < 2", [np.inf, 2.0], [BAD, CONVERGED], None, Outcome.NOT_REFUTED),
        ("min < 1", [np.inf], [BAD], None, Outcome.INCONCLUSIVE),
        ("p75 < 9", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.FAILS),
        ("p90 < 9", ROWS, [CONVERGED] * 3 + [NO_FLIP], None, Outcome.NOT_REFUTED),
    ],
)
def test_outcomes(text, rows, status, certified, outcome):
    """Counted by hand: rows cut short may lie anywhere nearer, invalid ones are left out."""
    judged = Threshold.parse(text).judge(measured(rows, status, certified))
    assert judged.outcome is outcome, judged.reason


@given(
    st.lists(
        st.tuples(st.floats(0.1, 9), st.sampled_from([CONVERGED, CUT, NO_FLIP])),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from(sorted(STATS)),
    st.floats(0.05, 9),
)
def test_more_searching_never_turns_a_failure_into_a_pass(rows, stat, radius):
    """A failed run fails with nearer flips, too; one not refuted holds if no distance shrinks."""
    l2 = [np.inf if status is NO_FLIP else distance for distance, status in rows]
    status = [status for _, status in rows]
    threshold = Threshold(stat, True, radius)
    before = threshold.judge(measured(l2, status)).outcome
    nearer = threshold.judge(measured(np.array(l2) / 2, status)).outcome
    finished = threshold.judge(measured(l2, [CONVERGED if s is CUT else s for s in status])).outcome
    if before is Outcome.FAILS:
        assert nearer is finished is Outcome.FAILS
    if before is Outcome.NOT_REFUTED:
        assert finished is Outcome.NOT_REFUTED
    if before is Outcome.INCONCLUSIVE:
        assert CUT in status


def test_rows_of_the_target_class_do_not_count():
    """Three rows are there already; of the other two, half flip within 1."""
    found = measured([np.inf, np.inf, np.inf, 1.0, 2.0], [Status.AT_TARGET] * 3 + [CONVERGED] * 2)
    found = replace(found, home=np.array([1, 1, 1, 0, 0]))
    assert Threshold.parse("median <= 1").judge(found).outcome is Outcome.FAILS
    assert Threshold.parse("p90 < 2").judge(found).outcome is Outcome.NOT_REFUTED
