"""Where inputs come from: readers of the usual files, and the embedded sample."""

from .digits import digits, digits_model

__all__ = ["digits", "digits_model"]
