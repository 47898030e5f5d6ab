"""Settings of every test: one thread a process, compiled modules kept, Hypothesis profiles.

Hypothesis takes the same few examples on every run, or many new ones with
``--hypothesis-profile=explore``.
"""

import os
import sys

from hypothesis import HealthCheck, settings

# One test process runs per core, and each starts others: more threads would wait for one another.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Hundreds of tests start a fresh interpreter, and each would compile the whole package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile(
    "stable",
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("stable")
