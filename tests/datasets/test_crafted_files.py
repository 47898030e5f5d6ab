"""Whatever a file holds, its reader answers with data or with an error of our own."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackbox_boundary import BoundaryError, Distances, InvalidInput
from blackbox_boundary.datasets import read

from ..mutations import FUZZ, mutated

BYTES = np.arange(2 * 9 * 9, dtype=np.uint8).reshape(2, 9, 9)


def npy(values):
    """The bytes of an ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npz(save, **arrays):
    """The bytes of an ``.npz`` file."""
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def idx(values):
    """The bytes of an IDX file of bytes."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(">3I", *values.shape) + values.tobytes()


def parquet():
    """The bytes of a Parquet file with an index, truth values, text and lists."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    columns = {
        "a": [1.0, None],
        "b": [True, False],
        "label": ["x", "y"],
        "__index_level_0__": [1, 2],
    }
    file = io.BytesIO()
    files.write_table(pa.table(columns), file)
    return file.getvalue()


def png():
    """The bytes of a picture."""
    file = io.BytesIO()
    pytest.importorskip("PIL.Image").fromarray(BYTES[0]).save(file, "png")
    return file.getvalue()


def saved():
    """The bytes of a saved result."""
    columns = {name: part for name, part in vars(Distances.empty(3)).items() if name != "run"}
    known = {name: part for name, part in columns.items() if part is not None}
    return npz(np.savez, run=np.array("{}"), **known)


FILES = {
    "x.npy": lambda: npy(np.ones((3, 2))),
    "x.npz": lambda: npz(np.savez_compressed, x=np.ones((3, 2)), y=np.array([0, 1, 1])),
    "y.npz": lambda: npz(np.savez, x=np.ones((3, 2), "f2"), labels=np.array(["a", "b", "b"])),
    "x.csv": b",a,b,label\n1,2.5,True,cat\n2,-1e3,,dog\n".__bytes__,
    "y.csv": "ä;b\n1,5;2\n".encode,
    "x.tsv": b"1\t2\n3\t4\n".__bytes__,
    "x.idx": lambda: idx(BYTES),
    "x.idx.gz": lambda: gzip.compress(idx(BYTES)),
    "x.parquet": parquet,
    "folder/x.png": png,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(tmp_path, name):
    """Only an error of ours, and what is read keeps the rules of its kind."""
    valid = FILES[name]()
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)

    @FUZZ
    @given(mutated(valid), st.sampled_from([None, ["0", "1"], ["cat", "dog", "a", "b", "x", "y"]]))
    def check(content, class_names):
        path.write_bytes(content)
        try:
            data = read(path.parent if "/" in name else path, class_names=class_names)
        except BoundaryError:
            return
        assert data.x.dtype.kind == "f"
        assert len(data) > 0
        if data.labels is not None:
            assert data.labels.min() >= 0
        if data.ids is not None:
            assert len(data.ids) == len(data)

    check()


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_result_is_read_or_refused(tmp_path):
    """``Distances.load`` keeps the same rule."""
    path = tmp_path / "results.npz"

    @FUZZ
    @given(mutated(saved()))
    def check(content):
        path.write_bytes(content)
        try:
            found = Distances.load(path)
        except BoundaryError:
            return
        assert found.l2.shape == found.status.shape == (len(found),)
        found.count_by_status()

    check()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("l2", np.ones((3, 2))),
        ("l2", np.array(["a", "b", "c"])),
        ("home", np.array([0.5, 1, 2])),
        ("status", np.array([99, 0, 0], np.int8)),
        ("status", np.array(0, np.int8)),
        ("note", np.ones(3)),
        ("flip_points", np.ones((2, 4))),
        ("run", np.array("[1]")),
        ("run", np.array("[" * 10_000)),
        ("run", np.array("{")),
    ],
)
def test_a_result_of_other_shapes_or_types_is_refused(tmp_path, name, value):
    """A result whose arrays are whole but do not fit together."""
    with np.load(io.BytesIO(saved())) as stored:
        parts = {**stored, name: value}
    np.savez(tmp_path / "r.npz", **parts)
    with pytest.raises(InvalidInput, match="does not hold saved distances"):
        Distances.load(tmp_path / "r.npz")


def test_columns_of_later_versions_are_ignored(tmp_path):
    """What this version does not know, it leaves out."""
    with np.load(io.BytesIO(saved())) as stored:
        np.savez(tmp_path / "r.npz", **stored, mystery=np.ones((2, 2)))
    assert len(Distances.load(tmp_path / "r.npz")) == 3


def claiming(shape, descr="<f4", content=bytes(100)):
    """An ``.npy`` file whose header states this shape."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize("shape", [(10**12, 10), (10**30, 10), (-1, 10), (2**63, 2), (26, 1)])
def test_headers_that_state_more_than_the_file_holds(tmp_path, shape):
    """Refused before anything is allocated, alone and in an archive."""
    (tmp_path / "x.npy").write_bytes(claiming(shape))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", claiming(shape))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            read(tmp_path / name)


@pytest.mark.parametrize("form", ["npz", "idx", "png"])
def test_files_that_unpack_to_far_more_than_their_size(tmp_path, form):
    """A few bytes that state two GiB are refused by their headers, at once."""
    side = 2**11
    if form == "npz":
        content = bytearray(npz(np.savez_compressed, x=np.zeros((100, 10))))
        directory = content.index(b"PK\1\2")
        content[directory + 24 : directory + 28] = struct.pack("<I", 2**31)  # unpacked size
        (tmp_path / "x.npz").write_bytes(content)
        path = tmp_path / "x.npz"
    elif form == "idx":
        header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**9, side, side)
        (tmp_path / "x.idx.gz").write_bytes(gzip.compress(header + bytes(1000)))
        path = tmp_path / "x.idx.gz"
    else:
        image = pytest.importorskip("PIL.Image")
        path = tmp_path / "pictures"
        path.mkdir()
        image.new("1", (10_000, 10_000)).save(path / "0.png")
        for k in range(1, 8):
            (path / f"{k}.png").write_bytes((path / "0.png").read_bytes())
    with pytest.raises(InvalidInput, match=r"unpacks from .* more than 100 times"):
        read(path)
