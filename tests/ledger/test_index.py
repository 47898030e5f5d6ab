"""The index finds what a dictionary would."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_boundary.ledger import index
from blackbox_boundary.ledger.index import NOWHERE, KeyIndex


def keys_of(numbers):
    """Keys that share 64 bits in groups of three, so that collisions of half a key are likely."""
    words = np.array(
        [[number // 3, number % 3, 7, number] for number in numbers], np.uint64
    ).reshape(-1, 4)
    return words.view(np.uint8)


@settings(deadline=None)
@given(batches=st.lists(st.sets(st.integers(0, 60), max_size=12), max_size=8))
def test_like_a_dictionary(batches):
    """Added in any order and batches, merged early or late: keys are found where they were put."""
    found, reference = KeyIndex(), {}
    keep, index._RECENT = index._RECENT, 5
    try:
        for batch in batches:
            new = [number for number in batch if number not in reference]
            places = np.arange(len(new)) + 10 * len(reference)
            found.add(keys_of(new), places)
            reference.update(zip(new, places.tolist(), strict=True))
            assert found.find(keys_of(range(61))).tolist() == [
                reference.get(number, NOWHERE) for number in range(61)
            ]
        assert len(found) == len(reference)
    finally:
        index._RECENT = keep
