"""Results as Parquet: the content of results in memory, written as rows finish."""

import dataclasses
import json

import numpy as np
import pytest

from blackbox_boundary import Distances, InvalidInput, PredictorError, StorageError, measure
from blackbox_boundary.analysis import result_parts
from blackbox_boundary.analysis.overview import overview
from blackbox_boundary.analysis.stored_distances import StoredDistances
from blackbox_boundary.analysis.streamed_spread import streamed_spread
from blackbox_boundary.measuring import blocks, results
from blackbox_boundary.measuring.to_parquet import measure_to_parquet
from blackbox_boundary.testing import Ball, Reference

pytest.importorskip("pyarrow")

X = np.random.default_rng(0).normal(size=(600, 3))
X[7] = np.nan


def model(access="logits"):
    """A ball, exact on every row."""
    return Reference(Ball(np.zeros(3), 1.0), access=access)


class Failing:
    """A model that fails after some calls, until it is mended."""

    def __init__(self, n_calls):
        self._model, self.left = model(), n_calls
        for name in ("access", "input_shape", "n_classes", "bounds", "vjp"):
            setattr(self, name, getattr(self._model, name))

    def predict(self, x):
        """The answer, or an error."""
        if self.left == 0:
            raise RuntimeError("gone")
        self.left -= 1
        return self._model.predict(x)


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    """Two blocks of 64 rows a file, four calls a block."""
    monkeypatch.setattr(results, "_PART_ROWS", 128)
    monkeypatch.setattr(blocks, "_CALLS", 4)


OPTIONS = {"batch_size": 16}


def assert_same(found, expected):
    """Every column, and the flip points, to the bit and in type."""
    for field in dataclasses.fields(Distances):
        if field.name != "run":
            one, other = getattr(found, field.name), getattr(expected, field.name)
            assert (one is None) == (other is None), field.name
            if one is not None:
                np.testing.assert_array_equal(one, other, err_msg=field.name)
                assert one.dtype == other.dtype, field.name


@pytest.mark.parametrize("estimator", ["ray", "halfspace", "homotopy"])
@pytest.mark.parametrize("flip_points", [True, False])
def test_stored_results_are_those_in_memory(estimator, flip_points, tmp_path):
    """Whole, part by part, row by row; with a trace where the estimator has one."""
    x = X[:300]
    options = {**OPTIONS, "estimator": estimator}
    found = measure_to_parquet(model(), x, tmp_path, flip_points=flip_points, **options)
    expected = measure(model(), x, flip_points=flip_points, **options)
    assert_same(found, expected)
    assert [len(part) for part in found.parts()] == [128, 128, 44]
    again = Distances.load(tmp_path)
    assert isinstance(again, StoredDistances)
    assert again.run == found.run
    assert again.run["n_queries"] == expected.run["n_queries"]
    assert_same(again[120:140], expected[120:140])
    assert repr(again[130]) == repr(expected[130])


def test_headline_numbers_are_exact(tmp_path):
    """Those of results in memory, though no column is held."""
    found = measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    one, other = overview(found), overview(measure(model(), X, **OPTIONS))
    assert (one.by_status, one.without_flip, one.n_flips) == (
        other.by_status,
        other.without_flip,
        other.n_flips,
    )
    for name in one.distances:
        np.testing.assert_allclose(one.distances[name], other.distances[name], rtol=1e-12)
    np.testing.assert_allclose(one.predictions, other.predictions, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_quartiles_are_those_of_numpy(seed):
    """Of any numbers, negative, zero of both signs, subnormal, equal, not finite."""
    rng = np.random.default_rng(seed)
    odd = np.array([0.0, -0.0, 5e-324, -5e-324, np.inf, -np.inf, np.nan, 1.7e308, -1.7e308])
    blocks = [
        rng.normal(size=rng.integers(0, 50)) * 10.0 ** rng.integers(-300, 300),
        odd[: 2 * seed],
    ]
    blocks.append(np.full(seed, 3.0))
    values = np.concatenate(blocks)
    finite = values[np.isfinite(values)]
    n, numbers = streamed_spread(lambda: blocks)
    assert n == len(finite)
    if n:
        expected = np.quantile(finite, (0, 0.25, 0.5, 0.75, 1))
        np.testing.assert_allclose(numbers[:5], expected, rtol=1e-12)


def test_shards_fill_the_files_of_one_run(tmp_path):
    """Byte for byte those of a run with the same edges."""
    for k in (1, 2, 3):
        part = measure_to_parquet(model(), X, tmp_path / str(k), shard=(k, 3), **OPTIONS)
        assert len(part) == 200
    measure_to_parquet(model(), X, tmp_path / "whole", n_shards=3, **OPTIONS)
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole" / "results").iterdir()}
    parts = {file.name: file.read_bytes() for file in tmp_path.glob("[123]/results/*")}
    assert whole == parts
    assert len(whole) == 6


def test_a_failed_run_goes_on(tmp_path):
    """All rows have a result at once; finished ones are not asked again."""
    failing = Failing(40)
    with pytest.raises(PredictorError) as caught:
        measure_to_parquet(failing, X, tmp_path, **OPTIONS)
    partial = caught.value.partial
    assert len(partial) == len(X)
    counts = partial.count_by_status()
    assert counts["NOT_MEASURED"] > 0
    assert counts["CONVERGED"] > 0
    with pytest.raises(InvalidInput, match="resume"):
        measure_to_parquet(failing, X, tmp_path, **OPTIONS)
    failing.left = -1
    n_before = int(partial.n_predictions.sum())
    found = measure_to_parquet(failing, X, tmp_path, resume=True, **OPTIONS)
    expected = measure(model(), X, **OPTIONS)
    np.testing.assert_array_equal(found.l2, expected.l2)
    np.testing.assert_array_equal(np.asarray(found.flip_points), expected.flip_points)
    assert found.n_predictions.sum() >= max(n_before, expected.n_predictions.sum())


def test_a_killed_run_goes_on(tmp_path):
    """Files are there or not; rows without a file are measured, the others are taken over."""
    found = measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    kept = found.l2.copy()
    lost = sorted((tmp_path / "results").iterdir())[2]
    lost.unlink()
    (tmp_path / "results" / f".{lost.name}.draft").write_bytes(b"half")
    with pytest.raises(InvalidInput, match=r"rows 256 to 383 are missing.*--resume"):
        Distances.load(tmp_path)
    counted = Failing(-1)
    again = measure_to_parquet(counted, X, tmp_path, resume=True, **OPTIONS)
    assert -counted.left < 100
    np.testing.assert_array_equal(again.l2, kept)
    assert not list((tmp_path / "results").glob(".*"))
    assert again.run["n_queries"] == found.run["n_queries"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed"),
        ({"flip_points": False}, "flip points"),
        ({"shard": (1, 2)}, "rows or shards"),
    ],
)
def test_a_run_goes_on_as_it_began(change, said, tmp_path):
    """Another setting is refused, and the results stay."""
    measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")}
    with pytest.raises(InvalidInput, match=said):
        measure_to_parquet(model(), X, tmp_path, resume=True, **OPTIONS, **change)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*.parquet")}


def test_storage_that_fills_up(tmp_path, monkeypatch):
    """The error says which rows are lost; what was written stays, and the run goes on."""
    write, written = result_parts.write_part, []

    def full(folder, first, found, beside):
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(first)
        return write(folder, first, found, beside)

    monkeypatch.setattr(results, "write_part", full)
    with pytest.raises(StorageError, match=r"rows 256 to 383.*No space left.*--resume"):
        measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    assert len(list((tmp_path / "results").iterdir())) == 2
    monkeypatch.setattr(results, "write_part", write)
    found = measure_to_parquet(model(), X, tmp_path, resume=True, **OPTIONS)
    np.testing.assert_array_equal(found.l2, measure(model(), X, **OPTIONS).l2)


@pytest.mark.parametrize("is_late", [False, True])
def test_storage_without_room_for_the_facts(is_late, tmp_path):
    """Before the first query nothing is asked; at the end the files stay, and all is finished."""
    counted = Failing(-1)

    def fill_up(*_):
        draft = tmp_path / ".run.json.draft"
        draft.unlink(missing_ok=True)
        draft.symlink_to("/dev/full")

    if not is_late:
        fill_up()
    with pytest.raises(StorageError, match=rf'"{tmp_path}" cannot be written: No space left'):
        measure_to_parquet(counted, X, tmp_path, **({"progress": fill_up} if is_late else {}))
    if is_late:
        before = counted.left
        found = measure_to_parquet(counted, X, tmp_path, resume=True)
        np.testing.assert_array_equal(found.l2, measure(model(), X).l2)
        assert counted.left == before
    else:
        assert counted.left == -1


def test_nothing_is_asked_where_nothing_can_be_written(tmp_path):
    """A folder that is a file."""
    (tmp_path / "run").touch()
    counted = Failing(-1)
    with pytest.raises(InvalidInput, match="cannot be used"):
        measure_to_parquet(counted, X, tmp_path / "run", **OPTIONS)
    assert counted.left == -1


def test_damaged_results_are_named(tmp_path):
    """A file that is cut, one with other rows than its name says, facts that are no JSON."""
    measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    first, *_ = sorted((tmp_path / "results").iterdir())
    content = first.read_bytes()
    first.write_bytes(content[:-10])
    with pytest.raises(InvalidInput, match=first.name):
        Distances.load(tmp_path).l2.sum()
    first.write_bytes(content)
    last = max((tmp_path / "results").iterdir())
    first.write_bytes(last.read_bytes())
    with pytest.raises(InvalidInput, match="128 rows, as its name says"):
        Distances.load(tmp_path).l2.sum()
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["rows"] == [0, 600]
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"run\.json"):
        Distances.load(tmp_path)


def test_the_files_are_plain_tables(tmp_path):
    """Unknown numbers are null, statuses are words, rows are numbered."""
    from pyarrow import parquet

    beside = {"beside": lambda rows, found: {"id": [f"r{row}" for row in rows]}}
    measure_to_parquet(model(), X, tmp_path, **beside, **OPTIONS)
    table = parquet.read_table(min((tmp_path / "results").iterdir())).to_pydict()
    assert table["row"] == list(range(128))
    assert table["id"][5] == "r5"
    assert (table["status"][7], table["l2"][7], table["top1"][7]) == ("INVALID_INPUT", None, None)
    assert len(table["flip_point"][0]) == 3


def test_a_run_on_other_rows_is_not_resumed(tmp_path):
    """As many rows in another order: refused, although no row is left to measure."""
    measure_to_parquet(model(), X, tmp_path, **OPTIONS)
    with pytest.raises(InvalidInput, match="in the same order: row 0"):
        measure_to_parquet(model(), X[::-1], tmp_path, resume=True, **OPTIONS)
