"""The verdict in words and the robustness curve, against counts by hand."""

from dataclasses import replace

import numpy as np
import pytest

from blackbox_boundary import Distances, Status
from blackbox_boundary.analysis.robustness import (
    RobustnessCurve,
    certified_curve,
    robustness_curve,
)
from blackbox_boundary.analysis.verdict import in_words, typical_norm, verdict


def measured(l2, *, status=Status.CONVERGED, home=None, **columns):
    """Rows with these L2 distances; an infinite one has the status NO_FLIP."""
    l2 = np.asarray(l2, dtype=float)
    n = len(l2)
    statuses = np.where(np.isfinite(l2), status, Status.NO_FLIP).astype(np.int8)
    home = np.zeros(n, np.intp) if home is None else np.asarray(home)
    return replace(Distances.empty(n), l2=l2, hi=l2, status=statuses, home=home, **columns)


def test_curve_is_the_share_of_rows_at_least_that_far():
    """Compared with a count at radii on, between and beyond the distances."""
    l2 = np.append(np.random.default_rng(0).gamma(2, size=500).round(1), np.inf)
    curve = robustness_curve(measured(l2))
    radii = np.linspace(0, 12, 200).round(2)
    assert np.allclose(curve(radii), [np.mean(l2 >= radius) for radius in radii])


def test_corners_draw_the_curve():
    """Just beyond a corner the curve has the corner's share, with all corners kept or few."""
    curve = RobustnessCurve(np.sort(np.random.default_rng(1).gamma(2, size=900)))
    for most in (20, 2000):
        radius, share = curve.steps(most)
        assert len(radius) <= most + 1
        assert np.allclose(curve(np.nextafter(radius[1:], np.inf)), share[1:])


@pytest.mark.parametrize("share", [0.05, 0.5, 0.75, 1.0])
def test_radius_of_a_share_is_the_smallest_within_which_so_many_flip(share):
    """By definition, over every distance."""
    l2 = np.random.default_rng(2).gamma(2, size=101)
    radius = RobustnessCurve(np.sort(l2)).radius(share)
    assert np.mean(l2 <= radius) >= share
    assert np.mean(l2 < radius) < share


def test_rows_of_unknown_label_are_in_no_curve():
    """A row that was never asked about neither flips nor holds."""
    distances = measured([1.0, 2.0, np.inf], home=[0, 0, -1])
    assert len(robustness_curve(distances)) == 2
    assert len(robustness_curve(distances, rows=np.array([True, False, True]))) == 1


def test_rows_of_the_target_class_have_no_distance_to_it():
    """Rows that are there neither reach it nor stay away: no curve or sentence counts them."""
    there = np.array([Status.AT_TARGET] * 3 + [Status.CONVERGED] * 4, np.int8)
    run = {"aim": {"towards": 1}, "class_names": ["no", "yes"]}
    certified = np.array([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5])
    found = replace(
        measured([np.inf] * 3 + [1.0, 2.0, 3.0, 4.0], home=[1, 1, 1, 0, 0, 0, 0], run=run),
        status=there,
        certified=certified,
    )
    assert robustness_curve(found).radius(0.5) == 2.0
    assert len(certified_curve(found)) == 4
    said = verdict(found)
    assert said.text.startswith(
        "Half of the 4 rows of other classes reach the class yes when moved by 2 (L2) or less. "
        "Half of the rows provably do not reach the class yes within 0.5."
    )
    assert not said.warning


def test_certified_curve_is_of_its_own_norm():
    """Certificates of one norm are no curve of another; unknown ones certify nothing."""
    certified = np.array([0.5, np.nan, 0.2])
    run = {"estimator": {"name": "lower_bound", "norm": "l2"}}
    distances = measured([1.0, 2.0, 3.0], certified=certified, run=run)
    assert certified_curve(distances, "linf") is None
    curve = certified_curve(distances, "l2")
    assert curve(0.3) == pytest.approx(1 / 3)
    assert curve(0.1) == pytest.approx(2 / 3)


def test_verdict_of_a_plain_run():
    """Median, relative distance, misread rows with their ratio, nearest rows."""
    l2 = np.array([1.0] * 5 + [6.0] * 15) + 1e-3 * np.arange(20)
    labels = np.array([1] * 5 + [0] * 15)
    said = verdict(measured(l2), labels=labels, typical=30.0, noun="image")
    assert said.sentences == (
        (
            "Half of the 20 images change their label when moved by 6.01 (L2) or less, a fifth of "
            "the norm of a typical image."
        ),
        "5 were misread by the model and lie 6 times nearer than the others.",
        "Look first at images 0, 1, 2.",
    )
    assert said.warning == ""


def test_rows_that_were_not_asked_about_are_not_counted_in():
    """A limit leaves rows without a known label; the sentence says which it is about."""
    said = verdict(measured([1.0, 2.0, 3.0, np.inf], home=[0, 0, 0, -1]))
    assert said.sentences[0].startswith("Half of the 3 rows with a known label change their label")


@pytest.mark.parametrize(("n_bad", "warned"), [(0, False), (1, False), (2, True), (10, True)])
def test_warning_below_nine_in_ten(n_bad, warned):
    """Of ten rows, nine are enough and eight are not; where none converged the words say so."""
    distances = measured(np.arange(1.0, 11.0))
    status = distances.status.copy()
    status[:n_bad] = Status.OUT_OF_BUDGET
    said = verdict(replace(distances, status=status))
    assert bool(said.warning) is warned
    assert said.warning.startswith("None of the 10 rows converged") is (n_bad == 10)


def test_verdict_without_enough_flips_makes_no_claim_about_half():
    """Where fewer than half of the rows flip, their median is said to be theirs."""
    said = verdict(measured([1.0, np.inf, np.inf, np.inf]))
    assert said.sentences[0].startswith("1 of 4 rows was seen to change the label, at a median L2")
    assert verdict(Distances.empty(3)).text == "No flip was seen for any of the 3 rows."
    assert verdict(Distances.empty(0)).text == "No flip was seen for any of the 0 rows."


def test_typical_norm_is_the_median_of_the_rows():
    """NumPy's norms; rows that hold NaN are left out, and zeros are no unit."""
    x = np.random.default_rng(3).normal(size=(51, 2, 3))
    for norm, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
        expected = np.median(np.linalg.norm(x.reshape(51, -1), order, axis=1))
        assert typical_norm(np.concatenate([x, np.full((1, 2, 3), np.nan)]), norm) == pytest.approx(
            expected
        )
    assert typical_norm(np.zeros((4, 2))) is None
    assert typical_norm(np.zeros((0, 2))) is None


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(0.5, "half"), (0.32, "a third"), (0.15, "15 %"), (3.14159, "3.1 times")],
)
def test_ratios_in_words(ratio, words):
    """Named where a fraction is near, else a percentage or a multiple."""
    assert in_words(ratio) == words
