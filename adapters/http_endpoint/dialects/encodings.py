"""How a described endpoint takes a row: as JSON numbers, or as the bytes of an array or an image.

If pixels are whole numbers, they are rounded here, *inside* the query path, half to even and never
truncated. So the measured points are the points that were sent.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from blackbox_boundary.errors import CapabilityMissing, InvalidInput
from blackbox_boundary.grid import Grid

from ..contract import Contract
from ..wire import as_dtype

__all__ = ["Encoding"]

_NAMES = ("json", "flat", "base64", "png", "npy")


@dataclass(frozen=True)
class Encoding:
    """A way to write rows.

    Attributes
    ----------
    name : str
        ``json`` nested lists, ``flat`` one list a row, ``base64`` the bytes of the array, ``npy`` a
        NumPy file, ``png`` an image.
    dtype : str
        Type of the numbers sent: ``float32``, ``float64``, ``uint8``, ….
    levels : (lowest, highest) or None
        Inputs that 0 and 255 stand for; None: numbers are sent as they are.
    channels : {"none", "first", "last"}
        Where an image has its colours.
    """

    name: str
    dtype: np.dtype[Any]
    levels: tuple[float, float] | None
    channels: str

    SETTINGS: ClassVar[tuple[str, ...]] = ("encoding", "dtype", "channels")

    @classmethod
    def of(cls, settings: Mapping[str, Any], contract: Contract) -> Encoding:
        """Read the settings.

        Raises
        ------
        InvalidInput
            An unknown encoding or type, an image of a shape that is none, bounds missing where they
            give the scale.
        """
        name = settings.get("encoding", "json")
        if name not in _NAMES:
            raise InvalidInput(f'"encoding" must be one of {", ".join(_NAMES)}; got {name!r}.')
        try:
            dtype = np.dtype(
                settings.get("dtype", "uint8" if name == "png" else "float32")
            ).newbyteorder("<")
        except TypeError as error:
            raise InvalidInput(
                '"dtype" must be a number type such as float32 or uint8; got '
                f"{settings.get('dtype')!r}."
            ) from error
        if dtype.kind not in "fiu" or (name == "png" and dtype != np.uint8):
            raise InvalidInput(f'"dtype" must be a number type, and uint8 for png; got {dtype}.')
        channels = settings.get(
            "channels", _channels(contract.input_shape) if name == "png" else "none"
        )
        if name == "png":
            _check_image(contract.input_shape, channels)
        return cls(name, dtype, _levels(contract) if dtype == np.uint8 else None, channels)

    @property
    def facts(self) -> dict[str, Any]:
        """All settings that change the bytes of a row, as JSON types."""
        is_text = self.dtype.kind == "f" and self.name in ("json", "flat")
        return {
            "encoding": self.name,
            "dtype": self.dtype.str,
            "levels": self.levels,
            "channels": self.channels,
            **({"whole_floats": "2.0"} if is_text else {}),
        }

    @property
    def has_raw(self) -> bool:
        """Whether one row can form a body alone."""
        return self.name in ("base64", "png", "npy")

    @property
    def content_type(self) -> str:
        """Content type of a body that is one row."""
        return "image/png" if self.name == "png" else "application/octet-stream"

    @property
    def grid(self) -> Grid | None:
        """The levels that a byte has, or the whole numbers of the type; None of floats."""
        if self.levels is not None:
            return Grid.of_levels(*self.levels, 256)
        return Grid.of_dtype(self.dtype)

    def as_sent(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The rows in the type that is sent, rounded to the levels there are."""
        if self.levels is not None:
            lowest, highest = self.levels
            rows = (np.asarray(rows, np.float64) - lowest) * (255 / (highest - lowest))
        return as_dtype(rows, self.dtype)

    def row_json(self, sent: NDArray[Any]) -> bytes:
        """The bytes of one row as a JSON text."""
        return json.dumps(base64.b64encode(self.raw(sent)).decode()).encode()

    def raw(self, sent: NDArray[Any]) -> bytes:
        """One row as bytes."""
        if self.name == "png":
            return _png(sent, self.channels)
        if self.name == "npy":
            file = io.BytesIO()
            np.save(file, sent, allow_pickle=False)
            return file.getvalue()
        return sent.tobytes()


def _levels(contract: Contract) -> tuple[float, float]:
    if contract.bounds is None or any(np.ndim(bound) for bound in contract.bounds):
        raise InvalidInput(
            'Whole-number pixels need "bounds" of two numbers: the inputs that 0 and 255 stand for.'
        )
    lowest, highest = contract.bounds
    return float(lowest), float(highest)


def _channels(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "none"
    return (
        "last"
        if len(shape) == 3 and shape[-1] in (1, 3, 4) and shape[0] not in (1, 3, 4)
        else "first"
    )


def _check_image(shape: tuple[int, ...], channels: str) -> None:
    n_channels = {"none": 1, "first": shape[0], "last": shape[-1]}.get(channels)
    if len(shape) != (2 if channels == "none" else 3) or n_channels not in (1, 3, 4):
        raise InvalidInput(
            'An image must have 2 axes, or 3 with 1, 3 or 4 channels "first" or "last"; got '
            f'{shape} with channels "{channels}".'
        )


def _png(image: NDArray[Any], channels: str) -> bytes:
    try:
        from PIL import Image
    except ImportError as error:
        raise CapabilityMissing(
            'Writing PNG needs Pillow: pip install "blackbox-boundary[images]".'
        ) from error
    image = np.moveaxis(image, 0, -1) if channels == "first" else image
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG")
    return file.getvalue()
