"""Whatever a file of scores holds, it is read or refused by an error of the package."""

import hashlib
import io

import numpy as np
import pytest
from hypothesis import given

from blackbox_boundary import Access, BoundaryError
from blackbox_boundary.measuring.batch_files import read_scores

from ..mutations import FUZZ, mutated

IDS = [hashlib.sha256(bytes([k])).hexdigest() for k in range(2)]
KEYS = np.array([np.void(bytes.fromhex(name)) for name in IDS])


def npy():
    """Scores as an array."""
    file = io.BytesIO()
    np.save(file, np.array([[0.5, 0.5], [0.25, 0.75]]))
    return file.getvalue()


def parquet():
    """Scores as a list a row."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    file = io.BytesIO()
    files.write_table(pa.table({"id": IDS, "scores": [[0.5, 0.5], [0.25, 0.75]]}), file)
    return file.getvalue()


FILES = {
    "s.npy": npy,
    "s.csv": f"id,score_0,score_1\n{IDS[1]},0.25,0.75\n{IDS[0]},0.5,0.5\n".encode,
    "s.parquet": parquet,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_damaged_scores_are_read_or_refused(tmp_path, name):
    """What is read answers both rows; anything else is our own error."""
    valid, path = FILES[name](), tmp_path / name

    def scores():
        return read_scores(path, KEYS, Access.PROBABILITIES, 2)

    path.write_bytes(valid)
    assert scores().label.tolist() == [0, 1]

    @FUZZ
    @given(mutated(valid))
    def check(content):
        path.write_bytes(content)
        try:
            answer = scores()
        except BoundaryError:
            return
        assert answer.scores.shape == (2, 2)

    check()
