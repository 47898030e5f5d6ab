"""MNIST and CIFAR-100: found, decoded, checked, fetched; small sets replace the real ones."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from functools import partial

import numpy as np
import pytest

from blackbox_boundary import InvalidInput
from blackbox_boundary.datasets import cifar100, cifar100_set, fetch, homes, mnist, mnist_set, read

from .test_reading import idx

DIGITS = np.random.default_rng(0).integers(0, 256, size=(20, 28, 28), dtype=np.uint8)
DIGIT_LABELS = np.random.default_rng(1).integers(0, 10, size=20).astype(np.uint8)
COLOURS = np.random.default_rng(2).integers(0, 256, size=(30, 3, 32, 32), dtype=np.uint8)
COLOUR_LABELS = np.random.default_rng(3).integers(0, 100, size=30).astype(np.uint8)


def content(images, labels):
    """The checksum as its definition says, the slow way."""
    rows = sorted(range(len(labels)), key=lambda row: labels[row])
    return hashlib.sha256(
        b"".join(images[row].tobytes() for row in rows) + bytes(labels[row] for row in rows)
    ).hexdigest()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The sets are as small as the arrays above, and the data folder is empty."""
    monkeypatch.setitem(mnist_set._CONTENT, "test", content(DIGITS, DIGIT_LABELS))
    monkeypatch.setitem(cifar100_set._CONTENT, "test", content(COLOURS, COLOUR_LABELS))
    monkeypatch.setitem(cifar100_set._CONTENT, "train", content(COLOURS, COLOUR_LABELS))
    monkeypatch.setenv("BLACKBOX_BOUNDARY_DATA", str(tmp_path))
    return tmp_path


def write_mnist(folder, *, packed=True, images=DIGITS):
    """The two IDX files of the test rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in {
        "t10k-images-idx3-ubyte": images,
        "t10k-labels-idx1-ubyte": DIGIT_LABELS,
    }.items():
        (folder / f"{name}.gz" if packed else folder / name).write_bytes(
            gzip.compress(idx(values)) if packed else idx(values)
        )


def cifar_binary():
    """The content of ``test.bin``."""
    coarse = np.zeros((30, 1), np.uint8)
    return np.concatenate(
        [coarse, COLOUR_LABELS[:, None], COLOURS.reshape(30, -1)], axis=1
    ).tobytes()


def cifar_archive():
    """The public archive, with the test rows alone."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, inside in {
            "test.bin": cifar_binary(),
            "fine_label_names.txt": b"apple\nbaby\n",
        }.items():
            member = tarfile.TarInfo(f"cifar-100-binary/{name}")
            member.size = len(inside)
            archive.addfile(member, io.BytesIO(inside))
    return packed.getvalue()


def write_differences(folder):
    """The encoder of the difference-coded files: the inverse of what the reader does."""
    planes = COLOURS.copy()
    planes[:, 0] -= planes[:, 1]
    planes[:, 2] -= planes[:, 1]
    for axis in (3, 2):
        planes = np.diff(planes, axis=axis, prepend=np.uint8(0))
    for part in range(5):
        rows = slice(6 * part, 6 * part + 6)
        np.savez_compressed(
            folder / f"train-{part}.npz", residual=planes[rows], labels=COLOUR_LABELS[rows]
        )


class TestMnist:
    @pytest.mark.parametrize("packed", [True, False])
    @pytest.mark.parametrize("sub", ["", "mnist", "MNIST/raw"])
    def test_found_where_it_may_lie(self, small, sub, packed):
        """In the data folder, in its subfolder, where torchvision puts it; plain and packed."""
        write_mnist(small / sub, packed=packed)
        data = mnist()
        assert np.array_equal(data.x, DIGITS[:, None] / np.float32(255))
        assert np.array_equal(data.labels, DIGIT_LABELS)
        assert np.array_equal(read("mnist", divide_by=1, shape=(784,)).x, DIGITS.reshape(20, -1))

    def test_missing_files_say_where_to_get_them(self, small):
        """The file, the folder, the variable and the public home."""
        with pytest.raises(
            InvalidInput,
            match=r"t10k-images-idx3-ubyte.gz in .*BLACKBOX_BOUNDARY_DATA.* from https://.*fetch\(\"mnist\"\)",
        ):
            mnist()
        with pytest.raises(InvalidInput, match=r"must be train or test; got .valid"):
            read("mnist:valid")

    def test_another_set_under_the_same_names_is_noticed(self, small):
        """Fashion-MNIST, or a damaged copy: the message has both checksums and the files."""
        write_mnist(small, images=DIGITS[::-1])
        expected = mnist_set._CONTENT["test"]
        with pytest.raises(
            InvalidInput,
            match=(
                r"t10k-images-idx3-ubyte\.gz.* must hold the test images of MNIST, "
                rf".*{expected}; got [0-9a-f]{{64}}.* from https://"
            ),
        ):
            mnist()

    def test_images_without_labels_are_refused(self, small):
        """Files of different lengths do not belong together."""
        write_mnist(small, images=DIGITS[1:])
        with pytest.raises(InvalidInput, match="must hold as many images as labels"):
            mnist()


class TestCifar100:
    @pytest.mark.parametrize(
        "container", ["test.bin", "cifar-100-binary/test.bin", "archive", "test.npz"]
    )
    def test_all_containers_hold_the_same(self, small, container):
        """The public binary version, unpacked or packed, and the plain arrays."""
        (small / "cifar-100-binary").mkdir()
        if container == "archive":
            (small / "cifar-100-binary.tar.gz").write_bytes(cifar_archive())
        elif container == "test.npz":
            np.savez(small / container, images=COLOURS.transpose(0, 2, 3, 1), labels=COLOUR_LABELS)
        else:
            (small / container).write_bytes(cifar_binary())
        data = cifar100()
        assert np.array_equal(data.x, COLOURS / np.float32(255))
        assert np.array_equal(data.labels, COLOUR_LABELS)
        assert data.names == (("apple", "baby") if container == "archive" else None)

    def test_difference_coded_training_images(self, small):
        """Five parts, decoded modulo 256, in order; names from the file beside them."""
        write_differences(small)
        (small / "class-names.txt").write_text("apple\nbaby\n")
        data = cifar100("train")
        assert np.array_equal(data.x, COLOURS / np.float32(255))
        assert data.names == ("apple", "baby")
        (small / "train-3.npz").unlink()
        with pytest.raises(InvalidInput, match=r"needs the file train-3\.npz"):
            cifar100("train")

    def test_damage_is_said(self, small):
        """Truncated records, a truncated archive, arrays of another shape, pickles, nothing."""
        with pytest.raises(InvalidInput, match=r"needs the file test\.bin in"):
            cifar100()
        (small / "cifar-100-python").mkdir()
        (small / "cifar-100-python" / "test").write_bytes(b"\x80\x04.")
        with pytest.raises(
            InvalidInput, match=r"is pickled, which is not read.* Get cifar-100-binary\.tar\.gz"
        ):
            cifar100(folder=small)
        (small / "cifar-100-binary.tar.gz").write_bytes(cifar_archive()[:-500])
        with pytest.raises(
            InvalidInput,
            match=r'cifar-100-binary\.tar\.gz" cannot be read.* \(MD5 03b5dce0\w{24}\) from https',
        ):
            cifar100()
        (small / "test.bin").write_bytes(cifar_binary()[:-1])
        with pytest.raises(InvalidInput, match=r"must hold records of 3074 bytes; got 92219 bytes"):
            cifar100()
        np.savez(small / "test.npz", images=COLOURS, labels=COLOUR_LABELS)
        with pytest.raises(
            InvalidInput,
            match=r"bytes of shape \(n, 32, 32, 3\) and labels \(n,\); got \(30, 3, 32, 32\)",
        ):
            cifar100()
        np.savez(
            small / "test.npz", images=255 - COLOURS.transpose(0, 2, 3, 1), labels=COLOUR_LABELS
        )
        with pytest.raises(InvalidInput, match="must hold the test images of CIFAR-100"):
            cifar100()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class TestFetch:
    @pytest.fixture
    def server(self, tmp_path_factory):
        """A loopback server of a folder: its address, and the folder."""
        folder = tmp_path_factory.mktemp("home")
        with http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(_Quiet, directory=folder)
        ) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}", folder
            server.shutdown()
            thread.join()

    def test_a_set_is_fetched_once_and_read(self, small, server, monkeypatch):
        """Into the data folder; files that are there are left alone."""
        address, folder = server
        packed = cifar_archive()
        (folder / "cifar-100-binary.tar.gz").write_bytes(packed)
        monkeypatch.setitem(
            homes._HOMES,
            "cifar100",
            (address, {"cifar-100-binary.tar.gz": hashlib.md5(packed).hexdigest()}),
        )
        assert fetch("cifar100") == small / "cifar100"
        assert np.array_equal(cifar100().labels, COLOUR_LABELS)
        (folder / "cifar-100-binary.tar.gz").unlink()
        fetch("cifar100")

    def test_a_wrong_file_is_not_kept(self, small, server):
        """The message has both checksums; nothing is left behind."""
        address, folder = server
        (folder / "cifar-100-binary.tar.gz").write_bytes(b"an error page")
        with pytest.raises(
            InvalidInput,
            match=(
                r"must have the MD5 03b5dce01913d631647c71ecec9e9cb8; got [0-9a-f]{32}. "
                "It was not kept"
            ),
        ):
            fetch("cifar100", address=address)
        assert list((small / "cifar100").iterdir()) == []

    def test_no_answer_says_what_to_do(self, small, server):
        """Not found, refused, no address: the file, the address and the folder are named."""
        address, _ = server
        for home in (address, "http://127.0.0.1:9", "no address"):
            with pytest.raises(
                InvalidInput,
                match=(
                    r"train-images-idx3-ubyte\.gz\" could not be fetched from .* "
                    r"Put it into \".*mnist\" yourself"
                ),
            ):
                fetch("mnist", address=home, timeout_s=2)
        with pytest.raises(InvalidInput, match=r"must be one of mnist, cifar100; got .imagenet"):
            fetch("imagenet")

    def test_without_the_variable_the_cache_is_used(self, monkeypatch, tmp_path):
        """As the desktop standard says."""
        monkeypatch.delenv("BLACKBOX_BOUNDARY_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert homes.folders("mnist") == [tmp_path / "blackbox_boundary" / "mnist"]


@pytest.mark.parametrize(
    ("name", "n", "mean"),
    [
        ("mnist:train", 60_000, 0.1307),
        ("mnist:test", 10_000, 0.1325),
        ("cifar100:test", 10_000, 0.4794),
    ],
)
def test_the_real_sets(name, n, mean):
    """Where the data folder has them: number of rows and mean level."""
    try:
        data = read(name)
    except InvalidInput as error:
        pytest.skip(f"needs the data set: {error}")
    assert (len(data), round(float(data.x.mean(dtype=np.float64)), 4)) == (n, mean)
