"""Saved results that are damaged are said to be, and no file is left open."""

import numpy as np
import pytest

from blackbox_boundary import Distances, InvalidInput


@pytest.fixture
def saved(tmp_path):
    """The bytes of a saved result."""
    Distances.empty(20).save(tmp_path / "d.npz")
    return (tmp_path / "d.npz").read_bytes()


def test_a_result_that_is_cut_off(saved, tmp_path):
    """Wherever it ends."""
    for length in (*range(0, 200, 7), *range(200, len(saved), 499), len(saved) - 1):
        (tmp_path / "cut.npz").write_bytes(saved[:length])
        with pytest.raises(InvalidInput, match="does not hold saved distances"):
            Distances.load(tmp_path / "cut.npz")


def test_a_result_with_wrong_bits(saved, tmp_path):
    """It is loaded right, or refused."""
    for place in range(0, len(saved), 61):
        wrong = bytearray(saved)
        wrong[place] ^= 0xFF
        (tmp_path / "wrong.npz").write_bytes(bytes(wrong))
        try:
            loaded = Distances.load(tmp_path / "wrong.npz")
        except InvalidInput:
            continue
        np.testing.assert_array_equal(loaded.l2, np.full(20, np.inf))
