"""The figures, and the numbers they draw."""

import re

import numpy as np
import pytest

from blackbox_boundary.report.figures import (
    distance_histogram,
    entropy_against_distance,
    entropy_by_distance,
    heat_map,
    histogram,
)
from blackbox_boundary.report.svg import PAGE_COLOURS, inline_svg
from blackbox_boundary.report.tables import label_pairs, number, pair_matrix

from .examples import digits


def test_histogram_counts_every_finite_value_once():
    """Infinite distances are left out, the extremes are not."""
    values = np.random.default_rng(0).gamma(3, size=1000)
    bins = histogram([*values, np.inf, np.nan])
    assert bins.counts.sum() == 1000
    assert bins.edges[0] == 0
    assert bins.edges[-1] == values.max()
    assert not bins.log


def test_histogram_of_wide_values_has_bins_of_equal_ratio():
    """The largest over ten times the median: a linear axis would show one bar."""
    values = np.exp(np.random.default_rng(0).normal(0, 2, 1000))
    bins = histogram(values)
    assert bins.log
    np.testing.assert_allclose(bins.edges[1:] / bins.edges[:-1], bins.edges[1] / bins.edges[0])
    np.testing.assert_allclose(bins.edges[[0, -1]], [values.min(), values.max()])
    assert bins.counts.sum() == 1000
    assert not histogram(values, log=False).log


@pytest.mark.parametrize(
    "values", [[], [2.0], [2.0] * 7, [0.0], [0.0, 5.0], [np.inf], [1e-300, 1.0], [1e300, 1e-300]]
)
def test_figures_of_degenerate_values(values):
    """No, one, equal, zero or extreme values: a figure, no warning, all values counted."""
    finite = np.isfinite(values).sum() if values else 0
    assert histogram(values).counts.sum() == finite
    inline_svg(distance_histogram(values), "a", text="")
    inline_svg(entropy_against_distance(values, np.ones(len(values))), "b", text="")


def test_entropy_bins_hold_the_same_number_of_rows():
    """Deciles by distance, with the quartiles of the entropy of the rows in each."""
    distance = np.random.default_rng(0).permutation(100) + 1.0
    bins = entropy_by_distance([*distance, np.inf, 5.5], [*(1 / distance), 0.0, np.nan])
    assert [part.n for part in bins] == [10] * 10
    assert (bins[0].nearest, bins[0].farthest) == (1, 10)
    assert bins[0][3:] == tuple(np.quantile(1 / np.arange(1.0, 11), (0.25, 0.5, 0.75)))
    assert len(entropy_by_distance(distance[:4], distance[:4])) == 1


@pytest.mark.parametrize("n", [200, 5000])
def test_figures_for_the_page_take_their_colours_from_it(n):
    """Dots or density, histogram, heat map: no colour is fixed, so that all follow a dark theme."""
    rng = np.random.default_rng(0)
    distance = rng.gamma(3, size=n)
    drawn = (
        distance_histogram(distance, colours=PAGE_COLOURS),
        entropy_against_distance(distance, np.exp(-distance), colours=PAGE_COLOURS),
        heat_map(
            rng.integers(0, 9, (3, 3)), ["a", "b", "c"], ["a", "b", "c"], colours=PAGE_COLOURS
        ),
    )
    for figure in drawn:
        svg = inline_svg(figure, "name", text='"<&>"')
        assert "var(--ink)" in svg
        assert "var(--accent)" in svg
        assert not re.search(r"#[0-9a-f]{6}\b|style=|<style|rgb\(", svg)
        assert 'aria-label="&quot;&lt;&amp;&gt;&quot;"' in svg


def test_many_rows_are_a_density_of_bounded_size():
    """A hundred thousand rows weigh no more than a few thousand."""
    rng = np.random.default_rng(0)
    distance = rng.gamma(3, size=100_000)
    assert (
        len(
            inline_svg(
                entropy_against_distance(distance, np.exp(-distance) * rng.random(100_000)),
                "a",
                text="",
            )
        )
        < 200_000
    )


def test_names_in_a_heat_map_are_not_mathematics():
    """A class called ``$x_1$`` or ``$`` is written as it is."""
    names = ["$x_1$", "$", "\\frac"]
    svg = inline_svg(heat_map(np.eye(3, dtype=int), names, names), "a", text="")
    assert all(svg.count(f">{name}</text>") == 2 for name in names)


def test_label_pairs_are_counted_and_sorted():
    """Against a plain loop over the rows."""
    _, _, distances = digits()
    expected = {}
    for home, flipped, l2 in zip(distances.home, distances.flipped, distances.l2, strict=True):
        if np.isfinite(l2):
            expected.setdefault((home, flipped), []).append(l2)
    pairs = label_pairs(distances, "l2")
    assert {(pair.home, pair.flipped): pair[2:] for pair in pairs} == {
        pair: (len(l2), min(l2), np.median(l2)) for pair, l2 in expected.items()
    }
    assert [pair.n for pair in pairs] == sorted((pair.n for pair in pairs), reverse=True)
    assert label_pairs(distances[:4], "l2") == []


@pytest.mark.parametrize("most", [1, 4, 10, 12])
def test_pair_matrix_loses_no_row(most):
    """What does not fit shares the last line and column; the most frequent pair always fits."""
    pairs = label_pairs(digits()[2], "l2")
    counts, labels, pooled = pair_matrix(pairs, most=most)
    assert counts.sum() == sum(pair.n for pair in pairs) == 296
    assert counts.shape == (len(labels) + pooled,) * 2
    assert pooled == (most < 10)
    if most > 1:
        assert {pairs[0].home, pairs[0].flipped} <= set(labels)
        assert counts[labels.index(pairs[0].home), labels.index(pairs[0].flipped)] == pairs[0].n


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0"),
        (9.99996, "10"),
        (-0.5, "-0.5"),
        (123456.7, "123,457"),
        (1e6, "1.000e+06"),
        (9e-5, "9.000e-05"),
        (float("nan"), "–"),
    ],
)
def test_numbers_have_four_digits(value, words):
    """Short, and never an exponent where plain digits would do."""
    assert number(value) == words
