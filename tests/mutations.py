"""Damaged files for tests of readers: valid bytes with some replaced, cut, inserted or repeated."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def mutated(draw, content):
    """A valid file with up to four changes, or random bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        kind = draw(st.sampled_from(["replace", "cut", "insert", "repeat"]))
        if kind == "replace":
            changed[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif kind == "cut":
            del changed[at : at + draw(st.integers(1, 20))]
        elif kind == "insert":
            changed[at:at] = draw(st.binary(min_size=1, max_size=8))
        else:
            changed[at:at] = changed[at : at + draw(st.integers(1, 20))]
    return bytes(changed)
