"""Figures of distances, and the report as one self-contained HTML page."""

from .compare import write_comparison
from .explorer import write_explorer
from .page import write_report

__all__ = ["write_comparison", "write_explorer", "write_report"]
