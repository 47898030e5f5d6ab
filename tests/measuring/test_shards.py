"""Shards of a run: edges, what each measures, and that merged they are the whole."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary import Distances, InvalidInput, measure
from blackbox_boundary.measuring.merging import merge
from blackbox_boundary.measuring.shards import Shard, shard_edges
from blackbox_boundary.testing import Ball, Linear, Opaque, Reference

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(37, 3))
ESTIMATORS = ["ray", "directions", "halfspace"]


def model(access="logits"):
    """A ball, exact on every row."""
    return Reference(Ball(np.zeros(3), 1.0), access=access)


@given(st.integers(1, 10**9), st.data())
def test_shards_partition_the_rows(n, data):
    """Contiguous, in order, of sizes that differ by one at most."""
    n_shards = data.draw(st.integers(1, min(n, 50)))
    ranges = [Shard(k, n_shards).rows(n) for k in range(1, n_shards + 1)]
    assert ranges[0].start == 0
    assert ranges[-1].stop == n
    assert all(a.stop == b.start for a, b in itertools.pairwise(ranges))
    assert max(map(len, ranges)) - min(map(len, ranges)) <= 1


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("n_shards", [1, 2, 5])
def test_merged_shards_are_the_whole(estimator, n_shards, tmp_path):
    """Columns and table are the same to the bit, whatever order the parts come in."""
    options = {"estimator": estimator, "max_queries": None}
    whole = measure(model(), X, **options)
    parts = [measure(model(), X, shard=(k, n_shards), **options) for k in range(1, n_shards + 1)]
    merged = merge(parts[::-1])
    for field in dataclasses.fields(Distances):
        if field.name != "run":
            one, other = getattr(merged, field.name), getattr(whole, field.name)
            assert (one is None) == (other is None), field.name
            if one is not None:
                np.testing.assert_array_equal(one, other, err_msg=field.name)
    merged.to_csv(tmp_path / "merged.csv")
    whole.to_csv(tmp_path / "whole.csv")
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert merged.run["n_queries"] == sum(part.run["n_queries"] for part in parts)
    json.dumps(merged.run)


def test_a_shard_has_the_numbers_of_its_rows(tmp_path):
    """Its table counts as the whole data set does."""
    part = measure(model(), X, shard=(2, 3))
    part.to_csv(tmp_path / "part.csv")
    rows = [line.split(",")[0] for line in (tmp_path / "part.csv").read_text().splitlines()[1:]]
    assert rows == [str(row) for row in Shard(2, 3).rows(len(X))]


class _Calls(Reference):
    """Keeps the rows of each call."""

    def __init__(self):
        super().__init__(Linear.hyperplane(np.array([1.0, 0.0]), 0.0))
        self.calls = []

    def predict(self, x):
        self.calls.append(np.asarray(x)[:, 1].copy())
        return super().predict(x)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 40), n_shards=st.integers(1, 6), batch_size=st.integers(1, 30))
def test_no_call_holds_rows_of_two_shards(n, n_shards, batch_size):
    """The second column, which the search leaves alone, tells whose row a point is."""
    n_shards = min(n, n_shards)
    x = np.column_stack([np.linspace(0.5, 1.5, n), np.arange(n, dtype=float)])
    watched = _Calls()
    measure(watched, x, n_shards=n_shards, batch_size=batch_size, estimator="ray")
    edges = np.array(shard_edges(n, n_shards)[1:-1])
    for rows in watched.calls:
        assert len(set(np.searchsorted(edges, rows, side="right"))) <= 1


def test_a_scale_is_that_of_all_rows():
    """A shard estimates gradients with the steps of the whole data set."""
    x = RANDOM.normal(size=(40, 2)) * [1.0, 50.0]
    plane = Linear.hyperplane(np.array([1.0, 0.02]), 0.1)
    hidden = Opaque(Reference(plane, access="probabilities"))
    whole = measure(hidden, x)
    part = measure(hidden, x, shard=(2, 2))
    assert part.run["scale"] == whole.run["scale"] is not None
    np.testing.assert_array_equal(part.l2, whole.l2[20:])


def test_a_resumed_shard_goes_on():
    """A limit ends it, and the rest is measured as if nothing had happened."""
    first = measure(model("label"), X, shard=(2, 3), max_queries=300, estimator="ray")
    rest = measure(model("label"), X, shard=(2, 3), resume=first, estimator="ray")
    straight = measure(model("label"), X, shard=(2, 3), estimator="ray")
    np.testing.assert_array_equal(rest.l2, straight.l2)


@pytest.mark.parametrize(
    ("before", "now", "match"),
    [((1, 3), (2, 3), "holds shard 1/3, and shard 2/3"), ((3, 3), (1, 3), "holds shard 3/3"),
     (None, (1, 1), "holds all rows"), ((1, 1), None, "and all rows")],
)  # fmt: skip
def test_a_run_of_other_rows_is_not_gone_on_with(before, now, match):
    """Shards of equal length would pass for each other; nothing is asked."""
    x = X[:36]
    first = measure(model(), x, shard=before)
    silent = model()
    silent.predict = silent.vjp = lambda *_: pytest.fail("it was asked")
    with pytest.raises(InvalidInput, match=match):
        measure(silent, x, shard=now, resume=first)


@pytest.mark.parametrize(
    ("shard", "match"),
    [((0, 3), "1 <= K <= N"), ((4, 3), "1 <= K <= N"), ((1, 38), "37 rows"), ("1/3", r"\(K, N\)"),
     ((1.5, 3), "1 <= K <= N"), ((1, 2, 3), r"\(K, N\)")],
)  # fmt: skip
def test_bad_shards(shard, match):
    """Refused before any query."""
    with pytest.raises(InvalidInput, match=match):
        measure(model(), X, shard=shard)


def test_both_settings():
    """A shard of several and the edges of several exclude each other."""
    with pytest.raises(InvalidInput, match="leave"):
        measure(model(), X, shard=(1, 2), n_shards=2)
    with pytest.raises(InvalidInput, match="37 rows"):
        measure(model(), X, n_shards=38)


@pytest.mark.parametrize("text", ["", "3", "1/", "/2", "a/b", "-1/2", "1/2/3", "1.0/2"])
def test_shards_in_another_form(text):
    """K/N is the only one."""
    with pytest.raises(InvalidInput, match="K/N"):
        Shard.parse(text)


def part(k, n, **settings):
    """One shard of the ball's rows."""
    return measure(model(), X, shard=(k, n), estimator="ray", **settings)


def other(k, n, **facts):
    """A shard that another version, another model or other data left."""
    found = part(k, n)
    return dataclasses.replace(found, run={**found.run, **facts})


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        (list, "nothing to merge"),
        (lambda: [part(1, 2)], "missing: 2"),
        (lambda: [part(1, 2), part(2, 2), part(1, 2)], "twice: 1"),
        (lambda: [part(1, 2), part(2, 2, seed=1)], r"differ in: seed \(0 and 1\)"),
        (lambda: [part(1, 2), part(2, 3)], r"differ in: number of shards \(2 and 3\)"),
        (lambda: [part(1, 2), measure(model(), X)], "a whole run"),
        (lambda: [part(1, 2)[:3], part(2, 2)], "must hold 19 rows"),
        (lambda: [part(1, 2), part(2, 2, bounds=(-9.0, 9.0))], "differ in: bounds"),
        (lambda: [part(1, 2), other(2, 2, tool="blackbox-boundary 9")], "differ in: tool"),
        (lambda: [part(1, 2), other(2, 2, fingerprint="another")], "differ in: fingerprint"),
        (lambda: [part(1, 2), other(2, 2, data={"blake2b": "0"})], "differ in: data"),
        (
            lambda: [other(1, 2, data={"blake2b": "a" * 99}), other(2, 2, data={"blake2b": "b"})],
            r"differ in: data.blake2b \(aaaaaaaaaaaa... and b\)",
        ),
    ],
)
def test_parts_that_do_not_belong_together(parts, match):
    """Each is named by what is wrong."""
    with pytest.raises(InvalidInput, match=match):
        merge(parts())


def test_names_that_model_and_data_have_on_a_machine():
    """Fingerprint and digest say what they are; without these the names must agree."""
    named = [
        {"model": f"{k}.onnx", "data": {"blake2b": "0", "name": f"{k}.npy", "path": f"/{k}.npy"}}
        for k in (1, 2)
    ]
    known = [other(k, 2, fingerprint="f", **facts) for k, facts in enumerate(named, 1)]
    assert len(merge(known)) == len(X)
    with pytest.raises(InvalidInput, match=r"differ in: model \(1.onnx and 2.onnx\)"):
        merge([other(k, 2, fingerprint=None, **facts) for k, facts in enumerate(named, 1)])


def test_withdrawn_certificates_of_one_shard_withdraw_all():
    """A proof that failed in one shard is no proof in the others."""
    one, two = part(1, 2), part(2, 2)
    one = dataclasses.replace(one, certified=np.zeros(len(one)))
    two = dataclasses.replace(
        two,
        certified=np.full(len(two), np.nan),
        run={**two.run, "certificates_withdrawn": "row 30 flips"},
    )
    merged = merge([one, two])
    assert np.isnan(merged.certified).all()
    assert merged.run["certificates_withdrawn"] == "row 30 flips"
