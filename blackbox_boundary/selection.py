"""The former name of :mod:`blackbox_boundary.analysis.selection`, kept for this version."""

import warnings

from .analysis.selection import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.selection moved to blackbox_boundary.analysis.selection.",
    DeprecationWarning,
    stacklevel=2,
)
