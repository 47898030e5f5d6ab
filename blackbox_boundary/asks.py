"""The former name of :mod:`blackbox_boundary.search.asks`, kept for this version."""

import warnings

from .search.asks import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.asks moved to blackbox_boundary.search.asks.",
    DeprecationWarning,
    stacklevel=2,
)
