"""What processes that we start do with threads and with memory that they free."""

import os
import platform
import subprocess
import sys

import pytest

from blackbox_boundary.processes import worker_environment

FAULTS = """
import ctypes, resource
from blackbox_boundary.processes import keep_freed_memory

def fill():
    block = ctypes.create_string_buffer(SIZE)
    ctypes.memset(block, 1, SIZE)

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        fill()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

SIZE = 48 * 2**20  # more than the threshold that the library can choose by itself
if KEEP:
    keep_freed_memory()
fill()
print(faults(4))
"""


def faults(keep, **environment):
    """Page faults of four further allocations of one size, in a process of its own."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    text = FAULTS.replace("KEEP", str(keep))
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**known, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of GNU's C library")
def test_freed_memory_is_kept():
    """The same pages serve again, by the call and by the environment of a worker."""
    untouched = faults(False)
    assert untouched > 40
    assert faults(True) < untouched / 4
    assert faults(False, **worker_environment(1)) < untouched / 4
    stated = faults(True, MALLOC_TRIM_THRESHOLD_="0", MALLOC_MMAP_THRESHOLD_="65536")
    assert stated > untouched / 2  # the user's own settings stay


def test_environment_of_a_worker(monkeypatch):
    """Its threads, and what the user has said of memory."""
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    found = worker_environment(2)
    assert {found[name] for name in found if name.endswith("NUM_THREADS")} == {"2"}
    assert found["MALLOC_ARENA_MAX"] == "3"
