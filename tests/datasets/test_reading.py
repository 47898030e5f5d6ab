"""Every format gives back what was written, and every damage a clear error."""

import gzip
import struct

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.datasets import read

X = np.random.default_rng(0).normal(size=(6, 3, 2)).astype(np.float32)
BYTES = np.random.default_rng(1).integers(0, 256, size=(6, 4, 4), dtype=np.uint8)
Y = np.array([2, 0, 1, 1, 0, 2])


def idx(values):
    """The IDX bytes of an array."""
    kind = {"u1": 0x08, "i2": 0x0B, "f4": 0x0D}[values.dtype.str[1:]]
    header = bytes([0, 0, kind, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


class TestNumpyFiles:
    def test_npy_of_floats_stays_on_disk(self, tmp_path):
        """A float array is mapped, not loaded, and cannot be written to."""
        np.save(tmp_path / "x.npy", X)
        data = read(tmp_path / "x.npy")
        assert isinstance(data.x, np.memmap)
        assert not data.x.flags.writeable
        assert np.array_equal(data.x, X)
        assert data.source == {"path": str(tmp_path / "x.npy"), "format": "npy", "divided_by": 1.0}

    @pytest.mark.parametrize(
        ("stored", "read_as"),
        [
            ("f2", "f2"),
            ("f8", "f8"),
            (">f4", "f4"),
            ("?", "f4"),
            ("i1", "f4"),
            ("u2", "f4"),
            ("i4", "f8"),
            ("i8", "f8"),
        ],
    )
    def test_kinds_of_numbers(self, tmp_path, stored, read_as):
        """Floats keep their width, integers become floats; only unsigned bytes are scaled."""
        values = np.arange(6).reshape(3, 2).astype(stored)
        np.save(tmp_path / "x.npy", values)
        x = read(tmp_path / "x.npy").x
        assert x.dtype == np.dtype(read_as)
        assert np.array_equal(x, values)

    def test_bytes_are_levels(self, tmp_path):
        """Unsigned bytes are divided by 255, or by what is said."""
        np.save(tmp_path / "x.npy", BYTES)
        assert np.array_equal(
            read(tmp_path / "x.npy").x, BYTES.astype(np.float32) / np.float32(255)
        )
        assert np.array_equal(read(tmp_path / "x.npy", divide_by=1).x, BYTES)

    def test_npy_labels_and_shape(self, tmp_path):
        """Labels come from a second file; rows may be given the shape that the model takes."""
        np.save(tmp_path / "x.npy", X.reshape(6, 6))
        np.save(tmp_path / "y.npy", Y)
        data = read(tmp_path / "x.npy", labels=tmp_path / "y.npy", shape=(3, 2))
        assert np.array_equal(data.x, X)
        assert np.array_equal(data.labels, Y)

    def test_npz_arrays_by_rule_and_by_name(self, tmp_path):
        """``images`` and ``labels`` are found; another array is named in the path or apart."""
        path = tmp_path / "many.npz"
        np.savez_compressed(path, images=BYTES, labels=Y, other=X, names=np.array(list("abcdef")))
        data = read(path)
        assert np.array_equal(data.x, BYTES / np.float32(255))
        assert np.array_equal(data.labels, Y)
        for picked in (read(f"{path}:other"), read(path, array="other")):
            assert np.array_equal(picked.x, X)
            assert picked.source["array"] == "other"
        assert read(path, labels="names").names == tuple("abcdef")

    def test_npz_with_one_array_needs_no_name(self, tmp_path):
        """Whatever it is called."""
        np.savez(tmp_path / "one.npz", whatever=X, y=Y)
        assert np.array_equal(read(tmp_path / "one.npz").x, X)

    def test_npz_with_several_arrays_asks(self, tmp_path):
        """The message lists them."""
        np.savez(tmp_path / "two.npz", a=X, b=X)
        with pytest.raises(InvalidInput, match=r"say which: a, b \(as .*two\.npz:NAME"):
            read(tmp_path / "two.npz")
        with pytest.raises(InvalidInput, match='has no array "c"; it holds a, b'):
            read(tmp_path / "two.npz", array="c")

    @pytest.mark.parametrize("name", ["objects.npy", "objects.npz"])
    def test_objects_are_never_unpickled(self, tmp_path, name):
        """A pickled array would run code when it is read."""

        class Bomb:
            def __reduce__(self):
                return (pytest.fail, ("it was unpickled",))

        values = np.array([[Bomb()]], dtype=object)
        (np.save if name.endswith("y") else np.savez)(tmp_path / name, values)
        with pytest.raises(InvalidInput, match=r"(?i)object"):
            read(tmp_path / name)


class TestIdx:
    @pytest.mark.parametrize(
        "values", [BYTES, X, BYTES.astype(np.int16)], ids=lambda values: values.dtype.name
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_arrays_come_back(self, tmp_path, values, packed):
        """Plain or compressed, in the byte order of the machine."""
        path = tmp_path / ("a.idx.gz" if packed else "a.idx")
        path.write_bytes(gzip.compress(idx(values)) if packed else idx(values))
        assert np.array_equal(read(path, divide_by=1).x, values)

    def test_labels_beside_images_are_found(self, tmp_path):
        """As MNIST names them."""
        (tmp_path / "a-images-idx3-ubyte").write_bytes(idx(BYTES))
        (tmp_path / "a-labels-idx1-ubyte").write_bytes(idx(Y.astype(np.uint8)))
        assert np.array_equal(read(tmp_path / "a-images-idx3-ubyte").labels, Y)

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "begins with nothing"),
            (b"PK\3\4", "begins with 50 4b 03 04"),
            (
                idx(BYTES)[:-1],
                r"must hold 96 bytes after its header \(IDX, shape \(6, 4, 4\)\); it holds 95",
            ),
            (idx(BYTES) + b"!", "it holds more"),
            (idx(BYTES)[:9], "must hold .* bytes"),
            (b"\0\0\x08\x03" + b"\xff" * 12, r"must hold 79228162458924105385300197375 bytes"),
            (gzip.compress(idx(BYTES))[:-9], "cannot be read: Compressed file ended"),
            (b"\x1f\x8b" + b"\0" * 20, "cannot be read"),
        ],
    )
    def test_damage_is_said(self, tmp_path, content, says):
        """Wrong, short, long, absurd, cut in the compression."""
        (tmp_path / "bad.idx.gz").write_bytes(content)
        with pytest.raises(InvalidInput, match=says):
            read(tmp_path / "bad.idx.gz")


class TestTables:
    @pytest.mark.parametrize("suffix", [".csv", ".tsv"])
    def test_csv_with_a_header(self, tmp_path, suffix):
        """Column ``label`` is taken out, words are numbered alphabetically, no value is NaN."""
        text = "height,label,width\n1,dog,2.5\n-3e2,cat,\n\n4,dog,inf\n".replace(
            ",", "," if suffix == ".csv" else "\t"
        )
        (tmp_path / f"t{suffix}").write_text(text, encoding="utf-8-sig")
        data = read(tmp_path / f"t{suffix}")
        np.testing.assert_array_equal(data.x, [[1, 2.5], [-300, np.nan], [4, np.inf]])
        assert data.labels.tolist() == [1, 0, 1]
        assert data.names == ("cat", "dog")

    def test_csv_without_a_header(self, tmp_path):
        """All is input unless a column is named, by its number."""
        (tmp_path / "t.csv").write_text("7,0,255\n3,51,102\n")
        assert read(tmp_path / "t.csv").x.tolist() == [[7, 0, 255], [3, 51, 102]]
        data = read(tmp_path / "t.csv", labels="0", divide_by=255)
        assert (data.labels.tolist(), data.names) == ([7, 3], None)
        np.testing.assert_allclose(data.x, [[0, 1], [0.2, 0.4]])

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "must hold at least one row; it is empty"),
            ("a,b\n", "must hold at least one row; got shape"),
            ("1,2\n3\n", 'Line 2 of ".*" must have 2 fields; got 1'),
            ("a,b\n1,2\n\n3,x\n", 'Column "b" of ".*" must hold numbers; line 4 has "x"'),
            ("a,label\n1,-1\n", "must be whole numbers from 0, or words; got"),
            ("a,label\n1,0.5\n", "whole numbers"),
            ('a\n"1', "cannot be read as CSV: unexpected end of data"),
            ("a\n\xff", "must hold numbers"),
        ],
    )
    def test_csv_damage_is_said(self, tmp_path, text, says):
        """With the line it is on."""
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInput, match=says):
            read(tmp_path / "t.csv")

    def test_csv_of_another_kind(self, tmp_path):
        """Bytes that are no text, or a column that is not there."""
        (tmp_path / "t.csv").write_bytes(b"1,2\n\xff\xfe,3\n")
        with pytest.raises(InvalidInput, match="cannot be read as CSV: 'utf-8' codec"):
            read(tmp_path / "t.csv")
        (tmp_path / "t.csv").write_text("a,b\n1,2\n")
        with pytest.raises(InvalidInput, match='has no column "c"; it has a, b'):
            read(tmp_path / "t.csv", labels="c")

    def test_parquet_columns_and_lists(self, tmp_path):
        """Columns of numbers side by side, or one column of nested lists."""
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(
            pa.table({"a": [1, 2, None], "label": ["x", "y", "x"], "b": [True, False, True]}),
            tmp_path / "c.parquet",
        )
        data = read(tmp_path / "c.parquet")
        np.testing.assert_array_equal(data.x, [[1, 1], [2, 0], [np.nan, 1]])
        assert (data.labels.tolist(), data.names) == ([0, 1, 0], ("x", "y"))
        nested = pa.array(BYTES.tolist(), pa.list_(pa.list_(pa.uint8(), 4)))
        parquet.write_table(
            pa.table({"image": nested, "label": Y, "weight": np.ones(6)}), tmp_path / "l.parquet"
        )
        assert np.array_equal(
            read(tmp_path / "l.parquet", array="image").x, BYTES / np.float32(255)
        )
        with pytest.raises(InvalidInput, match="say which holds the inputs: image, weight"):
            read(tmp_path / "l.parquet")

    def test_parquet_damage_is_said(self, tmp_path):
        """Not Parquet, words, ragged lists."""
        pa = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        path = tmp_path / "t.parquet"
        path.write_bytes(b"PAR1 no")
        with pytest.raises(InvalidInput, match="cannot be read as Parquet"):
            read(path)
        for column, says in {
            ("a", "b"): 'Column "v" .* got string',
            ((1,), (1, 2)): "same length",
            (None, (1,)): "same length",
        }.items():
            parquet.write_table(pa.table({"v": list(column)}), path)
            with pytest.raises(InvalidInput, match=says):
                read(path)


class TestImages:
    @staticmethod
    def save(folder, name, values, mode=None):
        image = pytest.importorskip("PIL.Image")
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        picture = image.fromarray(values)
        (picture.convert(mode) if mode else picture).save(folder / name)

    def test_a_folder_a_class(self, tmp_path):
        """Subfolders are classes; grey images among coloured ones get three equal channels."""
        colour = np.random.default_rng(0).integers(0, 256, size=(5, 4, 3), dtype=np.uint8)
        self.save(tmp_path, "cat/2.png", BYTES[0, :, :4].repeat(2, axis=0)[:5])
        self.save(tmp_path, "cat/1.png", colour)
        self.save(tmp_path, "dog/1.png", colour, "RGBA")
        (tmp_path / "notes").mkdir()
        data = read(tmp_path)
        assert data.x.shape == (3, 3, 5, 4)
        assert np.array_equal(data.x[0], colour.transpose(2, 0, 1) / np.float32(255))
        assert np.array_equal(data.x[2], data.x[0])
        assert (data.x[1] == data.x[1, :1]).all()
        assert (data.labels.tolist(), data.names) == ([0, 0, 1], ("cat", "dog"))
        assert np.array_equal(read(tmp_path, channels_last=True).x, data.x.transpose(0, 2, 3, 1))

    def test_a_flat_folder_has_no_labels(self, tmp_path):
        """Grey images have one channel; names decide the order; other files are left alone."""
        for at in (2, 0, 1):
            self.save(tmp_path, f"{at}.bmp", BYTES[at])
        (tmp_path / "readme.txt").write_text("no image")
        data = read(tmp_path, divide_by=1)
        assert np.array_equal(data.x, BYTES[:3, None])
        assert data.labels is None

    def test_damage_is_said(self, tmp_path):
        """Empty, no image, cut short, of two sizes, of 16 bits, in two places: all named."""
        with pytest.raises(InvalidInput, match=r"must hold images .* it holds neither"):
            read(tmp_path)
        (tmp_path / "a.png").write_bytes(b"not a picture")
        with pytest.raises(InvalidInput, match=r'a\.png" cannot be read as an image'):
            read(tmp_path)
        self.save(
            tmp_path,
            "a.png",
            np.random.default_rng(0).integers(0, 256, size=(64, 64), dtype=np.uint8),
        )
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:800])
        with pytest.raises(InvalidInput, match=r'a\.png" cannot be read as an image'):
            read(tmp_path)
        self.save(tmp_path, "a.png", BYTES[0])
        self.save(tmp_path, "b.png", BYTES[0, :3])
        with pytest.raises(InvalidInput, match=r'"a.png" and "b.png" have 4x4 and 4x3'):
            read(tmp_path)
        self.save(tmp_path, "b.png", BYTES[0].astype(np.uint16))
        with pytest.raises(InvalidInput, match="must have 8 bits a channel; it is of mode I"):
            read(tmp_path)
        self.save(tmp_path, "cats/b.png", BYTES[0])
        with pytest.raises(InvalidInput, match=r"it holds both, a\.png"):
            read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.npy", b"", r"x\.npy\" cannot be read"),
        ("x.npy", b"\x80\x04garbage", "cannot be read as .npy"),
        ("x.npz", b"PK\3\4 cut", "cannot be read as .npz"),
        ("x.npz", b"text", "cannot be read as .npz"),
        ("x.pkl", b"\x80\x04.", "of no kind that is known by its name. Known are digits, mnist"),
        ("x", b"1,2", "of no kind"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, content, says):
    """By name or by content, naming the file."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=says):
        read(tmp_path / name)


@pytest.mark.parametrize("cut", [1, 60, 100, 150])
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_truncated_files_are_refused(tmp_path, name, cut):
    """Wherever they end."""
    (np.save if name.endswith("y") else np.savez)(tmp_path / name, X)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-cut])
    with pytest.raises(InvalidInput, match=f"{name}.* cannot be read"):
        read(tmp_path / name)


def test_flipped_bytes_in_an_archive_are_noticed(tmp_path):
    """The archive's own checksum names the array."""
    np.savez(tmp_path / "x.npz", x=X)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[200] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(InvalidInput, match='its array "x" is damaged'):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.empty((0, 3)), r"at least one row; got shape \(0, 3\)"),
        (np.empty((3, 0)), "at least one row"),
        (np.arange(3.0), r"2 axes or more; got shape \(3,\)"),
        (np.float64(1), r"got shape \(\)"),
        (np.ones((2, 2), complex), "real numbers; got complex128"),
        (np.array([["a", "b"]]), "real numbers; got <U1"),
        (np.zeros((2, 2), "M8[s]"), "real numbers; got datetime64"),
    ],
)
def test_arrays_that_are_no_inputs_are_refused(tmp_path, values, says):
    """Empty, without rows, or not of real numbers."""
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(InvalidInput, match=says):
        read(tmp_path / "x.npy")


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    """Shape, divisor, labels, and a path that is not there."""
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y[:-1])
    with pytest.raises(InvalidInput, match=r"as many numbers as a row .* \(3, 2\); got \(7,\)"):
        read(tmp_path / "x.npy", shape=(7,))
    with pytest.raises(InvalidInput, match="must be a positive number; got 0"):
        read(tmp_path / "x.npy", divide_by=0)
    with pytest.raises(InvalidInput, match=r"one a row, shape \(6,\); got \(5,\)"):
        read(tmp_path / "x.npy", labels=tmp_path / "y.npy")
    with pytest.raises(
        InvalidInput,
        match=r'must name a file of labels .*, as "x.npy" holds one array alone; got "labels"',
    ):
        read(tmp_path / "x.npy", labels="labels")
    with pytest.raises(InvalidInput, match=r'"nowhere\.npz:x" does not exist. Known are'):
        read("nowhere.npz:x")
