"""The class that rows are to reach, as the command line names it."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidInput
from .data_rows import DataRows

__all__ = ["aim"]


def aim(options: dict[str, Any], measured: DataRows) -> dict[str, Any]:
    """The class that rows are to reach, as settings of :func:`measure`."""
    labels = measured.data.labels
    if options["from_label"] and labels is None:
        raise InvalidInput("--from-label needs the true labels: a column label, or --labels NAME.")
    return {
        "towards": _model_class(options["towards"], measured.class_names),
        "from_label": labels if options["from_label"] else None,
    }


def _model_class(text: str | None, class_names: tuple[str, ...] | None) -> int | str | None:
    """A class by its number, where the names are those of --class-names."""
    if class_names is None or text not in class_names:
        return text
    return class_names.index(text)
