"""Figures of distances, and the report as one self-contained HTML page."""

from .compare import write_comparison
from .page import write_report

__all__ = ["write_comparison", "write_report"]
