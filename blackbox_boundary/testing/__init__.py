"""Classifiers with known distances, and a suite of checks for every predictor."""

from .adversary import Adversary
from .conformance import CHECKS, check_predictor
from .reference import Opaque, Reference
from .relu_net import ReluNet
from .shapes import Ball, Box, Linear, Shape, Slab, Stripes, Wedge

__all__ = [
    "CHECKS",
    "Adversary",
    "Ball",
    "Box",
    "Linear",
    "Opaque",
    "Reference",
    "ReluNet",
    "Shape",
    "Slab",
    "Stripes",
    "Wedge",
    "check_predictor",
]
