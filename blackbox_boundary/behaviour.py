"""The former name of :mod:`blackbox_boundary.measuring.behaviour`, kept for this version."""

import warnings

from .measuring.behaviour import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.behaviour moved to blackbox_boundary.measuring.behaviour.",
    DeprecationWarning,
    stacklevel=2,
)
