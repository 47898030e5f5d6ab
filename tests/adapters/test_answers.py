"""What local models put out, and the random rows they are tried on."""

import numpy as np
import pytest
from blackbox_boundary.adapters.answers import (
    check_declared,
    no_answers,
    probe_rows,
    read_outputs,
    score_columns,
)

from blackbox_boundary import Access, BadPrediction
from blackbox_boundary.prediction_checks import check_prediction
from blackbox_boundary.predictor import Prediction


@pytest.mark.parametrize(
    "bounds",
    [
        (0, 1),
        (-2.5, 7),
        (np.array([0, 1, 2]), np.array([1, 5, 3])),
        (0, np.inf),
        (-np.inf, 5),
        (5, np.inf),
    ],
)
def test_probe_rows_stay_inside_the_bounds(bounds):
    """Every random row is finite and inside, and the same at every call."""
    probes = probe_rows(16, (2, 3), bounds)
    assert probes.shape == (16, 2, 3)
    assert np.isfinite(probes).all()
    assert (probes >= bounds[0]).all()
    assert (probes <= bounds[1]).all()
    assert (probes == probe_rows(16, (2, 3), bounds)).all()


def test_probe_rows_range_from_dense_to_sparse():
    """The first row has all features active, the last 1 %; without bounds they are normal."""
    active = (probe_rows(16, (10, 100), None) != 0).reshape(16, -1).sum(axis=-1)
    assert active[0] == 1000
    assert active[-1] == 10
    assert (np.diff(active) < 0).all()
    assert 0.9 < probe_rows(16, (10, 100), None)[0].std() < 1.1


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1, 1), (4, 2)])
def test_several_scores_a_row_are_the_classes(shape):
    """Trailing axes of length one are dropped."""
    output = np.arange(np.prod(shape), dtype=float).reshape(shape)
    assert (score_columns(output, 4, Access.LOGITS) == output.reshape(4, -1)).all()


@pytest.mark.parametrize("shape", [(), (3, 3), (4, 3, 2), (1, 4, 3)])
def test_other_shapes_are_refused(shape):
    """Another number of rows, or several numbers a class."""
    with pytest.raises(BadPrediction, match=r"\(4, n_classes\)"):
        score_columns(np.zeros(shape), 4, Access.LOGITS)


@pytest.mark.parametrize(
    ("access", "scores"),
    [(Access.LOGITS, [-0.125, 0.125]), (Access.PROBABILITIES, [0.75, 0.25])],
)
def test_one_score_is_completed_as_a_prediction_would(access, scores):
    """As ``Prediction.from_positive`` does: z as (-z/2, z/2), p as (1 - p, p)."""
    positive = np.array([0.25, 0.25])
    columns = score_columns(positive, 2, access)
    assert (columns == [scores] * 2).all()
    assert (columns == Prediction.from_positive(positive, access).scores).all()


def test_whole_numbers_for_every_class_are_scores():
    """Votes and quantised scores are scores, whole numbers for a row labels."""
    votes = np.array([[3, 1], [0, 4]])
    assert read_outputs([votes], 2, Access.LOGITS, 2).scores.tolist() == votes.tolist()
    assert read_outputs([np.array([1, 0])], 2, Access.LABEL, 2).label.tolist() == [1, 0]
    assert read_outputs([np.array([[True], [False]])], 2, Access.LABEL, 2).label.tolist() == [1, 0]


def test_labels_with_their_scores():
    """A pair is labels and top scores; a score that is not finite is no answer."""
    prediction = read_outputs([np.array([1, 0]), np.array([[0.5], [np.nan]])], 2, Access.TOP1, 2)
    assert prediction.label.tolist() == [1, -1]
    with pytest.raises(BadPrediction, match="whole numbers"):
        read_outputs([np.array([1.0, 0.5]), np.array([0.5, 0.5])], 2, Access.TOP1, 2)
    with pytest.raises(BadPrediction, match="one score a row"):
        read_outputs([np.array([1, 0]), np.array([0.5])], 2, Access.TOP1, 2)
    with pytest.raises(BadPrediction, match="Labels must lie in"):
        read_outputs([np.array([2, 0])], 2, Access.LABEL, 2)


@pytest.mark.parametrize("access", list(Access))
def test_an_empty_batch_keeps_its_promise(access):
    """No rows, in the form that the access promises."""
    check_prediction(no_answers(access, 3), 0, access, 3)


def test_only_a_declaration_of_logits_is_held_against_random_rows():
    """Rows that are all probabilities contradict logits, one row that is not clears them."""
    scores = np.full((8, 4), 0.25)
    check_declared(Prediction.from_scores(scores), Access.PROBABILITIES)
    with pytest.raises(BadPrediction, match="8 random rows"):
        check_declared(Prediction.from_scores(scores), Access.LOGITS)
    scores[3] = [1.5, -0.5, 0, 0]
    check_declared(Prediction.from_scores(scores), Access.LOGITS)
