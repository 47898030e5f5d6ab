"""Row groups of many long columns, read some columns at a time."""

import tempfile

import numpy as np
import pytest

from blackbox_boundary import InvalidInput, StorageError
from blackbox_boundary.datasets import parquet_files, parquet_groups, read

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

RANDOM = np.random.default_rng(0)
N = 1000


@pytest.fixture
def slices(monkeypatch):
    """Every table is streamed, and every row group is read a column or two at a time."""
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    monkeypatch.setattr(parquet_groups, "_HELD_BYTES", 10)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Numbers, numbers with gaps, truth values, texts and a dictionary, in row groups of 300."""
    path = tmp_path_factory.mktemp("parquet") / "x.parquet"
    height = RANDOM.normal(size=N)
    table = pa.table(
        {
            "height": pa.array(height, mask=height > 2),
            "count": RANDOM.integers(0, 9, N).astype(np.int16),
            "member": RANDOM.random(N) < 0.5,
            "city": pa.array(RANDOM.choice(["Bonn", "Rome"], N)).dictionary_encode(),
            "label": np.array(["b", "a", "c"])[RANDOM.integers(0, 3, N)],
        }
    )
    parquet.write_table(table, path, row_group_size=300)
    return path


POOLS = []
"""Arrow's objects must not outlive the pool that they are allocated from."""

CHOICE = {"texts": {"city": ["Bonn", "Rome"]}, "labels": "label"}


def test_slices_are_the_rows_that_are_loaded(file, slices, monkeypatch):
    """In order, at random and again; the temporary file is made once a row group in order."""
    monkeypatch.setattr(parquet_files, "STREAMED", 2**30)
    loaded = read(file, **CHOICE)
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    made, temporary = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(1) or temporary())
    found = read(file, **CHOICE)
    np.testing.assert_array_equal(np.concatenate([found.x[:130], found.x[130:]]), loaded.x)
    assert len(made) == 4
    np.testing.assert_array_equal(found.x[900:], loaded.x[900:])
    assert len(made) == 4
    rows = RANDOM.integers(0, N, 40)
    np.testing.assert_array_equal(found.x[rows], loaded.x[rows])
    np.testing.assert_array_equal(found.labels, loaded.labels)


def test_slices_take_less_memory(tmp_path, monkeypatch):
    """A third of what a reader of all columns holds."""
    columns = {f"c{k}": RANDOM.normal(size=20_000).astype(np.float32) for k in range(150)}
    parquet.write_table(pa.table(columns), tmp_path / "x.parquet")
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    largest = []
    before = pa.default_memory_pool()
    for held in (2**30, 2**22):
        monkeypatch.setattr(parquet_groups, "_HELD_BYTES", held)
        POOLS.append(pa.proxy_memory_pool(before))
        pa.set_memory_pool(POOLS[-1])
        try:
            x = read(tmp_path / "x.parquet").x
            assert [float(x[k][0]) for k in (0, 19_999)] == list(columns["c0"][[0, -1]])
        finally:
            pa.set_memory_pool(before)
        largest.append(POOLS[-1].max_memory())
    assert largest[1] < largest[0] / 3


def test_no_room_for_the_temporary_file(file, slices, monkeypatch):
    """The error names the folder and what to do; it comes with the first read."""

    class Full:
        def tell(self):
            return 0

        def write(self, content):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(StorageError, match=r"No space left.*TMPDIR"):
        read(file, **CHOICE)


def test_a_damaged_slice(file, tmp_path, slices):
    """The error names the file and the row group, as where all columns are read at once."""
    damaged = bytearray(file.read_bytes())
    start = parquet.ParquetFile(file).metadata.row_group(1).column(1).data_page_offset
    damaged[start : start + 40] = b"\xff" * 40
    (tmp_path / "x.parquet").write_bytes(damaged)
    x = read(tmp_path / "x.parquet", **CHOICE).x
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r'Row group 1 of ".*x.parquet" cannot be read'):
            np.asarray(x)


def test_a_file_that_lost_row_groups(file, tmp_path, slices):
    """It was replaced after it was opened, while another file was read."""
    for name in "ab":
        (tmp_path / f"{name}.parquet").write_bytes(file.read_bytes())
    x = read(tmp_path, **CHOICE).x
    parquet.write_table(parquet.read_table(file)[:300], tmp_path / "b.parquet")
    with pytest.raises(InvalidInput, match=r'Row group 1 of ".*b.parquet".* the file has changed'):
        np.asarray(x)
