"""What to try is said for every status that leaves a row without an answer."""

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.analysis.hints import direction_note, hint, hints
from blackbox_boundary.analysis.overview import overview
from blackbox_boundary.report.tables import status_table


def result(statuses, estimator="ray"):
    """Rows without a flip point."""
    found = Distances.empty(len(statuses))
    found.status[:] = statuses
    found.run["estimator"] = {"name": estimator}
    return found


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.CONVERGED])
def test_each_status_has_something_to_try(status):
    """An option of the command line, on the terminal and in the report."""
    found = result([status, status])
    (line,) = hints(found)
    assert line.startswith("2 rows")
    assert "--" in line
    cells = status_table(overview(found), "ray").rows[0]
    assert hint(status, "ray") in cells[1]


def test_nothing_is_said_where_all_rows_have_a_flip():
    """A converged run has no hints."""
    found = result([Status.CONVERGED])
    found.l2[:] = found.hi[:] = 1.0
    assert list(hints(found)) == []


def test_labels_are_not_proposed_where_they_were_used():
    """A row that halfspace lost is searched farther, not by halfspace again."""
    (line,) = hints(result([Status.NO_FLIP], "halfspace"))
    assert "--estimator halfspace" not in line
    assert "--set" in line
    assert np.char.find(line, "1 row ") == 0


@pytest.mark.parametrize(
    ("estimator", "access", "n_classes", "said"),
    [
        ({"name": "ray", "direction": "top1"}, "probabilities", 10, True),
        ({"name": "auto"}, "probabilities", 3, True),
        ({"name": "ray", "direction": "margin"}, "probabilities", 10, False),
        ({"name": "ray", "direction": "top1"}, "probabilities", 2, False),
        ({"name": "ray", "direction": "top1"}, "logits", 10, False),
        ({"name": "tangent"}, "probabilities", 10, False),
    ],
)
def test_a_ray_against_the_top_probability_is_said(estimator, access, n_classes, said):
    """Where it is not the ray of the top logit: on the terminal, once."""
    found = result([Status.CONVERGED])
    found.l2[:] = found.hi[:] = 1.0
    found.run.update(estimator=estimator, access=access, n_classes=n_classes)
    assert bool(direction_note(found.run)) is said
    assert len(list(hints(found))) == said
