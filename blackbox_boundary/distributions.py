"""The former name of :mod:`blackbox_boundary.analysis.distributions`, kept for this version."""

import warnings

from .analysis.distributions import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.distributions moved to blackbox_boundary.analysis.distributions.",
    DeprecationWarning,
    stacklevel=2,
)
