"""The nearest flip of small ensembles under a domain of columns, against every possible input."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import CapabilityMissing, Status, measure
from blackbox_boundary.column import Column
from blackbox_boundary.domain import Domain
from blackbox_boundary.estimators import Trees
from blackbox_boundary.search.scaled_columns import ScaledColumns

_spec = importlib.util.spec_from_file_location("ensembles", Path(__file__).parent / "ensembles.py")
trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trees)

NORMS = ["l0", "l1", "l2", "linf"]
LEVELS = (-2.0, -0.4, 0.1, 1.1, 3.0)


class Witness(trees.TreePredictor):
    """Keeps every point it is sent."""

    def __init__(self, ensemble):
        super().__init__(ensemble)
        self.sent = []

    def predict(self, x):
        """Label each row."""
        self.sent.append(np.array(x))
        return super().predict(x)


@st.composite
def domains(draw, n_features):
    """Domains of a few columns, one-hot groups of two or three among them."""
    columns, left = [], n_features
    while left:
        name, scale = f"c{left}", draw(st.sampled_from([0.5, 1.0, 3.0]))
        kind = draw(st.sampled_from(["continuous", "integer", "ordinal", "categorical", "one_hot"]))
        width = min(left, draw(st.integers(2, 3)))
        only = draw(st.sampled_from([None, None, "rise", "fall"]))
        frozen = draw(st.integers(0, 5)) == 0
        if kind == "one_hot" and width > 1:
            columns += [
                Column(f"{name}{k}", kind, group=name, scale=scale * (k + 1), frozen=frozen)
                for k in range(width)
            ]
            left -= width
            continue
        given_ = {"scale": scale, "frozen": frozen, "only": only}
        if kind in ("ordinal", "categorical"):
            if kind == "categorical":
                del given_["only"]
            columns.append(Column(name, kind, values=LEVELS, **given_))
        else:
            kind = "integer" if kind == "integer" else "continuous"
            columns.append(Column(name, kind, -3, 3, **given_))
        left -= 1
    return Domain(tuple(columns))


def rows_of(domain, seed, dtype, n=3):
    """Rows that exist, some numbers on thresholds."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, len(domain.columns)))
    for at, column in enumerate(domain.columns):
        if column.kind in ("ordinal", "categorical"):
            x[:, at] = rng.choice(LEVELS, n)
        elif column.kind == "integer":
            x[:, at] = rng.integers(-3, 4, n)
        else:
            on = rng.choice([-1, -0.4, 0, 0.3, 1.1], n)
            x[:, at] = np.where(rng.random(n) < 0.3, on, rng.uniform(-3, 3, n))
    for group in domain.groups:
        x[:, group] = np.eye(len(group))[rng.integers(len(group), size=n)]
    return x.astype(dtype)


def inputs(ensemble, domain, row):
    """One input (k, d) of each kind that the row may become: the nearest value of each cell."""
    low, high = (bound[0] for bound in domain.box(row[None]))
    units = []
    grouped = {int(at): group for group in domain.groups for at in group}
    for at, column in enumerate(domain.columns):
        kind, own = row.dtype.type, row[at]
        if column.frozen:
            units.append([{at: own}])
        elif at in grouped:
            group = grouped[at].tolist()
            if at == group[0]:
                units.append([{j: kind(j == one) for j in group} for one in group])
        elif column.kind in ("ordinal", "categorical"):
            units.append([{at: kind(v)} for v in LEVELS if low[at] <= kind(v) <= high[at]])
        elif column.kind == "integer":
            units.append([{at: kind(v)} for v in range(-3, 4) if low[at] <= v <= high[at]])
        else:
            t = ensemble.threshold[ensemble.feature == at].astype(row.dtype)
            coarse = min(row.dtype, ensemble.dtype, key=lambda k: k.itemsize).type
            above = np.nextafter(t.astype(coarse), coarse(np.inf)).astype(row.dtype)
            near = [own, *t[t < own], *above[above > own]]
            units.append([{at: v} for v in near if low[at] <= v <= high[at]])
    points = []
    for choice in itertools.product(*units):
        point = row.copy()
        for moved in choice:
            for at, value in moved.items():
                point[at] = value
        points.append(point)
    return np.array(points)


def lengths(domain, points, row, norm):
    """Distances in the units of the columns."""
    home = np.repeat(row[None], len(points), axis=0)
    if norm == "l0":
        return np.sum([(points - home)[:, unit].any(axis=1) for unit in domain.units], axis=0)
    return ScaledColumns(domain).length(points, home, trees.ORDER[norm])


@settings(deadline=None, max_examples=150)
@given(st.data(), trees.ensembles(5, 5, 3), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_the_nearest_input_that_exists_is_found(data, ensemble, seed, norm):
    """Flip and certificate are the least distance over the domain; every point sent is in it."""
    domain = data.draw(domains(ensemble.n_features))
    x = rows_of(domain, seed, ensemble.dtype)
    predictor = Witness(ensemble)
    found = measure(predictor, x, estimator=Trees(norm=norm), columns=domain)
    for sent in predictor.sent:
        assert not domain.violations(sent)
    for i, row in enumerate(x):
        low, high = (bound[0] for bound in domain.box(row[None]))
        if not (high > low).any():
            assert found.status[i] == Status.NO_ROOM
            continue
        points = inputs(ensemble, domain, row)
        flips = ensemble.labels(points)[0] != ensemble.labels(row[None])[0][0]
        exact = np.where(flips, lengths(domain, points, row, norm), np.inf).min()
        if np.isinf(exact):
            assert found.status[i] == Status.NO_FLIP
            assert np.isinf(found.certified[i])
            continue
        assert found.status[i] == Status.CONVERGED
        point = found.flip_points[i]
        assert ((point >= low) & (point <= high) | (point == row)).all()
        away = lengths(domain, point[None], row, norm)[0]
        np.testing.assert_allclose([away, found.certified[i]], exact, rtol=1e-6, atol=1e-30)
        assert getattr(found, norm)[i] == pytest.approx(away, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.data(), trees.ensembles(5, 5, 3), st.integers(0, 10**6), st.sampled_from(NORMS))
def test_rows_finer_than_the_comparisons_keep_the_domain(data, ensemble, seed, norm):
    """Rows in double precision: every point sent exists, and the certificate is below the flip."""
    domain = data.draw(domains(ensemble.n_features))
    x = rows_of(domain, seed, np.float64)
    predictor = Witness(ensemble)
    found = measure(predictor, x, estimator=Trees(norm=norm), columns=domain)
    for sent in predictor.sent:
        assert not domain.violations(sent)
    done = found.status == Status.CONVERGED
    assert (found.certified[done] <= getattr(found, norm)[done]).all()


def test_the_default_reads_the_splits_under_a_domain():
    """A tree model is measured exactly, not along estimated gradients."""
    ensemble = trees.TreeEnsemble(
        feature=np.array([0, -1, -1]),
        threshold=np.array([2.5, 0, 0]),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        missing_left=np.zeros(3, bool),
        value=np.array([[0.0], [-1.0], [1.0]]),
        roots=np.array([0]),
        base=np.zeros(1),
        n_features=2,
        dtype=np.dtype("f4"),
        summed_in=np.dtype("f4"),
    )
    domain = Domain((Column("a", "integer", 0, 9, scale=2.0), Column("b", frozen=True)))
    x = np.array([[0.0, 1.0], [5.0, 1.0]], np.float32)
    found = measure(trees.TreePredictor(ensemble), x, columns=domain)
    np.testing.assert_array_equal(found.flip_points[:, 0], [3.0, 2.0])
    np.testing.assert_array_equal(found.l2, [1.5, 1.5])
    np.testing.assert_array_equal(found.certified, [1.5, 1.5])
    with pytest.raises(CapabilityMissing, match="one vote"):
        measure(trees.TreePredictor(ensemble), x, columns=domain, estimator=Trees(), votes=5)
