"""The former name of :mod:`blackbox_boundary.analysis.uncertainty`, kept for this version."""

import warnings

from .analysis.uncertainty import *  # noqa: F403  every name of the new place

warnings.warn(
    "blackbox_boundary.uncertainty moved to blackbox_boundary.analysis.uncertainty.",
    DeprecationWarning,
    stacklevel=2,
)
