"""For tests of adapters, estimators and models: classifiers with known distances, and a suite that every predictor should pass."""

from .reference import Opaque, Reference
from .shapes import Ball, Box, Linear, Shape, Slab, Stripes, Wedge

__all__ = ["Ball", "Box", "Linear", "Opaque", "Reference", "Shape", "Slab", "Stripes", "Wedge"]
