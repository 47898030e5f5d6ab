"""The monitor stays calm for natural inputs, notices a search, and says when."""

import numpy as np
import pytest
from scipy.stats import shapiro

from blackbox_boundary import Access, InvalidInput, Prediction
from blackbox_boundary.wrappers.monitor import MonitorPredictor


class Halves:
    """Two classes, split at zero."""

    access, input_shape, n_classes, bounds = Access.LABEL, (20,), 2, None

    def predict(self, x):
        return Prediction((x[:, 0] > 0).astype(np.intp))


def plain_prada(queries, labels, delta):
    """The algorithm as written, one query after the other, tested at every tenth."""
    members, distances, threshold, everything = {}, {}, {}, []
    for n, (x, c) in enumerate(zip(queries.astype(np.float64), labels, strict=True), start=1):
        if c not in members:
            members[c], distances[c], threshold[c] = [x], [0.0], 0.0
        else:
            d = min(np.linalg.norm(x - y) for y in members[c])
            everything.append(d)
            if d > threshold[c]:
                members[c].append(x)
                distances[c].append(d)
                threshold[c] = max(threshold[c], np.mean(distances[c]) - np.std(distances[c]))
        if n % 10 == 0 and len(everything) > 100:
            d = np.array(everything)
            if shapiro(d[np.abs(d - d.mean()) <= 3 * d.std()]).statistic < delta:
                return n
    return None


def bisections(random, n_rows, n_steps):
    """The queries of many rows' bisections towards the boundary, all in step."""
    lo = random.normal(size=(n_rows, 20))
    hi = lo * np.where(np.arange(20) == 0, -1, 1)
    for _ in range(n_steps):
        middle = (lo + hi) / 2
        yield middle
        side = (middle[:, 0] > 0) == (lo[:, 0] > 0)
        lo, hi = np.where(side[:, None], middle, lo), np.where(side[:, None], hi, middle)


def test_natural_inputs_raise_no_alarm():
    """A thousand independent normal rows (fixed seed)."""
    monitor = MonitorPredictor(Halves())
    for batch in np.random.default_rng(0).normal(size=(10, 100, 20)):
        monitor.predict(batch)
    assert monitor.n_queries == 1000
    assert monitor.noticed_at is None
    assert monitor.statistic > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_search_is_noticed_when_the_algorithm_says(dtype):
    """Bisections are noticed at the same query as by a plain implementation, in any batches."""
    queries = np.concatenate(list(bisections(np.random.default_rng(1), 40, 12))).astype(dtype)
    expected = plain_prada(queries, Halves().predict(queries).label, 0.95)
    assert 100 < expected < len(queries)
    for size in (1, 7, 480):
        monitor = MonitorPredictor(Halves())
        for first in range(0, len(queries), size):
            answer = monitor.predict(queries[first : first + size])
            assert (answer.label == Halves().predict(queries[first : first + size]).label).all()
        assert monitor.noticed_at == expected


def test_a_lower_delta_notices_later():
    """The alarm is a threshold on one statistic."""
    queries = np.concatenate(list(bisections(np.random.default_rng(1), 40, 12)))
    noticed = []
    for delta in (0.99, 0.95, 0.5, 0.05):
        monitor = MonitorPredictor(Halves(), delta=delta)
        monitor.predict(queries)
        noticed.append(monitor.noticed_at or np.inf)
    assert noticed == sorted(noticed)
    assert noticed[-1] == np.inf


def test_the_same_row_again_and_again():
    """Equal distances have no distribution: no statistic, no alarm, no warning."""
    monitor = MonitorPredictor(Halves())
    monitor.predict(np.ones((300, 20)))
    assert monitor.statistic is None
    assert monitor.noticed_at is None


def test_delta_is_a_share():
    """Outside of (0, 1) it is refused."""
    with pytest.raises(InvalidInput, match='"delta"'):
        MonitorPredictor(Halves(), delta=1.0)
