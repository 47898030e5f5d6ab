"""Data larger than memory: read when rows are used, with the content of data that are loaded."""

import csv

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.cli.data_rows import digest
from blackbox_boundary.datasets import data as data_rules
from blackbox_boundary.datasets import images, parquet_files, read
from blackbox_boundary.stored_rows import StoredRows

RANDOM = np.random.default_rng(0)
N = 1000


@pytest.fixture
def streamed(monkeypatch):
    """Everything is too large to be loaded."""
    for module in (data_rules, parquet_files, images):
        monkeypatch.setattr(module, "STREAMED", 10)


@pytest.fixture(scope="module")
def table():
    """Numbers with gaps, whole numbers, truth values, labels as words, ids."""
    pa = pytest.importorskip("pyarrow")
    height = RANDOM.normal(size=N)
    return pa.table(
        {
            "id": [f"r{k}" for k in range(N)],
            "height": pa.array(height, mask=height > 2),
            "count": RANDOM.integers(0, 9, N).astype(np.int16),
            "member": RANDOM.random(N) < 0.5,
            "label": np.array(["b", "a", "c"])[RANDOM.integers(0, 3, N)],
            "city": ["Rome"] * N,
        }
    )


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    """The table in three files of several row groups, and in one file."""
    from pyarrow import parquet

    root = tmp_path_factory.mktemp("parquet")
    (root / "set").mkdir()
    for k, (first, end) in enumerate([(0, 400), (400, 401), (401, N)]):
        path = root / "set" / f"part-{k}.parquet"
        parquet.write_table(table[first:end], path, row_group_size=150)
    (root / "set" / "_SUCCESS").touch()
    parquet.write_table(table, root / "one.parquet")
    return root


CHOICES = [
    {"ids": "id", "drop": ["city"]},
    {"use": ["count", "height"], "labels": "label"},
    {"use": ["count"], "labels": "none"},
    {"use": ["count"], "class_names": ["c", "b", "a"]},
]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("name", ["set", "one.parquet"])
def test_streamed_tables_are_those_that_are_loaded(choice, name, folder, monkeypatch):
    """Values, types, labels, ids, names and roles; in order, at random, and their digest."""
    loaded = read(folder / name, **choice)
    assert isinstance(loaded.x, np.ndarray)
    monkeypatch.setattr(parquet_files, "STREAMED", 10)
    found = read(folder / name, **choice)
    assert isinstance(found.x, StoredRows)
    assert (found.x.dtype, found.x.shape) == (loaded.x.dtype, loaded.x.shape)
    np.testing.assert_array_equal(found.x, loaded.x)
    rows = RANDOM.integers(0, N, 40)
    np.testing.assert_array_equal(found.x[rows], loaded.x[rows])
    assert digest(found.x) == digest(loaded.x)
    assert (found.names, found.columns, found.source) == (
        loaded.names,
        loaded.columns,
        loaded.source,
    )
    for beside in ("labels", "ids"):
        one, other = getattr(found, beside), getattr(loaded, beside)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(np.asarray(one), other)
            np.testing.assert_array_equal(np.asarray(one[390:410]), other[390:410])


def test_a_folder_is_its_files_one_after_the_other(folder):
    """In the order of their names."""
    options = {"ids": "id", "drop": ["city"]}
    whole, one = read(folder / "set", **options), read(folder / "one.parquet", **options)
    np.testing.assert_array_equal(whole.x, one.x)
    np.testing.assert_array_equal(whole.ids, one.ids)


def test_lists_are_rows(tmp_path, streamed):
    """A column of lists of lists, and one whose lists differ late in the file."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    x = RANDOM.normal(size=(300, 2, 3)).astype(np.float32)
    kind = pa.list_(pa.list_(pa.float32()))
    parquet.write_table(pa.table({"x": pa.array(x.tolist(), kind)}), tmp_path / "x.parquet")
    found = read(tmp_path / "x.parquet", array="x")
    assert (found.x.shape, found.x.dtype) == (x.shape, x.dtype)
    np.testing.assert_array_equal(found.x, x)
    ragged = [[1.0, 2.0]] * 200_000 + [[1.0]]
    parquet.write_table(pa.table({"x": ragged}), tmp_path / "ragged.parquet")
    with pytest.raises(InvalidInput, match="same length"):
        np.asarray(read(tmp_path / "ragged.parquet", array="x").x)


def test_files_with_other_columns(folder, table, tmp_path):
    """The message names both files and the column."""
    from pyarrow import parquet

    other = table.drop_columns(["count"])
    parquet.write_table(table, tmp_path / "a.parquet")
    parquet.write_table(other, tmp_path / "b.parquet")
    with pytest.raises(InvalidInput, match=r'"a.parquet" and "b.parquet".*"count"'):
        read(tmp_path)
    parquet.write_table(table.set_column(2, "count", [["x"] * N]), tmp_path / "b.parquet")
    with pytest.raises(InvalidInput, match='"count" is int16 and string'):
        read(tmp_path)
    (tmp_path / "year=2024").mkdir()
    parquet.write_table(table, tmp_path / "year=2024" / "c.parquet")
    with pytest.raises(InvalidInput, match="year=2024"):
        read(tmp_path)


def test_an_unreadable_row_group(folder, tmp_path, streamed):
    """The message names the file and the group; it comes with the digest, before any query."""
    damaged = bytearray((folder / "one.parquet").read_bytes())
    from pyarrow import parquet

    group = parquet.ParquetFile(folder / "one.parquet").metadata.row_group(0).column(1)
    start = group.data_page_offset
    damaged[start : start + 40] = b"\xff" * 40
    (tmp_path / "x.parquet").write_bytes(damaged)
    with pytest.raises(InvalidInput, match=r'Row group 0 of ".*x.parquet" cannot be read'):
        digest(read(tmp_path / "x.parquet", use=["height"]).x)
    (tmp_path / "y.parquet").write_bytes(damaged[:-20])
    with pytest.raises(InvalidInput, match=r"y.parquet"):
        read(tmp_path / "y.parquet")


def test_labels_with_too_many_values(folder, streamed, monkeypatch):
    """A column of ids is no column of labels."""
    monkeypatch.setattr(data_rules, "_MOST_LABELS", 100)
    with pytest.raises(InvalidInput, match="--labels"):
        read(folder / "set", labels="id", use=["count"])


def test_bytes_in_a_large_array_are_divided_as_they_are_read(tmp_path, monkeypatch):
    """Floats stay a memory map."""
    x = RANDOM.integers(0, 256, (50, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    loaded = read(tmp_path / "x.npy", shape=(16,))
    monkeypatch.setattr(data_rules, "STREAMED", 10)
    found = read(tmp_path / "x.npy", shape=(16,))
    assert isinstance(found.x, StoredRows)
    assert found.x.dtype == np.float32
    np.testing.assert_array_equal(found.x, loaded.x)
    np.save(tmp_path / "f.npy", x.astype(np.float32))
    assert isinstance(read(tmp_path / "f.npy").x, np.memmap)


@pytest.fixture
def pictures(tmp_path):
    """Six small pictures, one in colour, in two folders."""
    image = pytest.importorskip("PIL.Image")
    for k in range(6):
        pixels = RANDOM.integers(0, 256, (3, 4, 3) if k == 4 else (3, 4)).astype(np.uint8)
        path = tmp_path / "cats" if k % 2 else tmp_path / "dogs"
        path.mkdir(exist_ok=True)
        image.fromarray(pixels).save(path / f"{k}.png")
    return tmp_path


@pytest.mark.parametrize("channels_last", [False, True])
def test_images_are_decoded_when_they_are_used(pictures, channels_last, monkeypatch):
    """Grey and colour in one shape; folders are classes."""
    loaded = read(pictures, channels_last=channels_last)
    monkeypatch.setattr(images, "STREAMED", 10)
    found = read(pictures, channels_last=channels_last)
    assert isinstance(found.x, StoredRows)
    np.testing.assert_array_equal(found.x, loaded.x)
    np.testing.assert_array_equal(found.labels, loaded.labels)
    assert (found.names, found.source) == (loaded.names, loaded.source)
    np.testing.assert_array_equal(found.x[[4, 1]], loaded.x[[4, 1]])


def test_an_index_lists_images_and_labels(pictures):
    """In its order; the names are the ids."""
    with (pictures / "metadata.csv").open("w", newline="") as file:
        rows = [("cats/3.png", "tabby", "x"), ("dogs/0.png", "poodle", "y")]
        csv.writer(file).writerows([("file_name", "label", "place"), *rows])
    found = read(pictures)
    assert found.ids.tolist() == ["cats/3.png", "dogs/0.png"]
    assert found.names == ("poodle", "tabby")
    assert found.labels.tolist() == [1, 0]
    assert found.source["index"] == "metadata.csv"
    assert read(pictures, labels="place").names == ("x", "y")
    with pytest.raises(InvalidInput, match='column "town"'):
        read(pictures, labels="town")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "cats/99.png"])
def test_an_index_lists_files_of_its_folder(pictures, name):
    """What lies elsewhere, or nowhere, is named."""
    (pictures / "metadata.csv").write_text(f"file_name\n{name}\n")
    with pytest.raises(InvalidInput, match="files in its folder"):
        read(pictures)
