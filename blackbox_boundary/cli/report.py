"""The report of a run, where its packages are installed."""

from __future__ import annotations

from ..analysis.distances import Distances
from ..errors import CapabilityMissing
from .data_rows import DataRows
from .messages import say
from .run_folder import RunFolder

__all__ = ["wants_report", "write_report"]


def wants_report(asked: bool | None) -> bool:
    """Whether to write the report; known before anything is measured."""
    if asked is False:
        return False
    try:
        import jinja2  # noqa: F401
        import matplotlib as mpl  # noqa: F401
    except ImportError:
        if asked:
            raise CapabilityMissing(
                'The report needs jinja2 and matplotlib: pip install "blackbox-boundary[report]".'
            ) from None
        say("No report: its packages are not installed (pip install blackbox-boundary[report]).")
        return False
    return True


def write_report(folder: RunFolder, distances: Distances, measured: DataRows, norm: str) -> None:
    """Write ``report.html`` into the folder."""
    from .. import report  # its packages may not be installed

    data = measured.data
    report.write_report(
        distances,
        folder.report,
        x=data.x,
        labels=data.labels,
        class_names=data.names or measured.class_names,
        input_names=data.columns,
        norm=norm,
    )
