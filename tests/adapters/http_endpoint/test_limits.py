"""How concurrency adapts, on a clock that the test turns."""

import threading

from blackbox_boundary.adapters.http_endpoint.limits import AdaptiveLimit, Pace
from hypothesis import given
from hypothesis import strategies as st


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_halves_once_for_one_overload_and_recovers():
    """Eight requests that fail together halve the limit once; then it grows by one a round."""
    clock = Clock()
    limit = AdaptiveLimit(8, clock=clock)
    clock.now = 1.0
    for _ in range(8):
        limit.overwhelmed(started=0.5)
    assert limit.current == 4
    limit.overwhelmed(started=1.0)
    assert limit.current == 2
    for _ in range(40):
        limit.answered(0.01, size=32)
    assert limit.current == 8


def test_gives_way_to_growing_latency_but_not_to_longer_batches():
    """Answers five times slower than the best of their size cost connections; longer do not."""
    clock = Clock()
    limit = AdaptiveLimit(8, clock=clock)
    limit.answered(0.01, size=1)
    limit.answered(0.2, size=256)
    assert limit.current == 8
    for _ in range(30):
        clock.now += 0.05
        limit.answered(0.05, size=1)
    assert limit.current < 8


@given(st.lists(st.sampled_from(["slow", "fast", "overwhelmed"]), max_size=200), st.integers(1, 9))
def test_stays_between_one_and_the_most(events, most):
    """Whatever happens."""
    clock = Clock()
    limit = AdaptiveLimit(most, clock=clock)
    for event in events:
        clock.now += 1
        if event == "overwhelmed":
            limit.overwhelmed(clock.now)
        else:
            limit.answered(9.0 if event == "slow" else 0.1, size=4)
        assert 1 <= limit.current <= most


def test_no_more_than_the_limit_are_under_way():
    """Twenty threads, three places."""
    limit, lock, now, most = AdaptiveLimit(3), threading.Lock(), 0, 0

    def work():
        nonlocal now, most
        with limit.slot():
            with lock:
                now += 1
                most = max(most, now)
            threading.Event().wait(0.005)
            with lock:
                now -= 1

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 3


def test_pace_spaces_out_and_holds():
    """Turns come a gap apart, and none before a pause is over."""
    clock = Clock()
    pace = Pace(4.0, clock=clock)
    assert [pace.turn() for _ in range(3)] == [0.0, 0.25, 0.5]
    pace.hold(10.0)
    assert pace.turn() == 10.0
    clock.now = 20.0
    assert pace.turn() == 0.0
    assert Pace(None, clock=clock).turn() == 0.0
