"""The ledger: every question and every answer, in one SQLite file that survives what happens to the run."""

from .audit import Report, Run, summarise, verify
from .export import export_csv, export_parquet

__all__ = ["Report", "Run", "export_csv", "export_parquet", "summarise", "verify"]
