"""The ledger: every question and every answer of a run, in one SQLite file."""

from .audit import Report, Run, summarise, verify
from .export import export_csv, export_parquet

__all__ = ["Report", "Run", "export_csv", "export_parquet", "summarise", "verify"]
