"""Model extraction: how good a surrogate is for a given number of victim queries."""

from .curves import Extraction, budget_curve, extract
from .evaluation import Lead, Score, Spread, TestSet, better_than_chance, lead, score, spread
from .inverse import InverseNet, Inverter
from .strategies import (
    Active,
    Jacobian,
    Progress,
    Strategy,
    Upfront,
    by_distance,
    by_entropy,
    by_margin,
)
from .training import Fit, FitStatus, Trainable
from .transfer import Transfer, transfer
from .victim import Victim

__all__ = [
    "Active",
    "Extraction",
    "Fit",
    "FitStatus",
    "InverseNet",
    "Inverter",
    "Jacobian",
    "Lead",
    "Progress",
    "Score",
    "Spread",
    "Strategy",
    "TestSet",
    "Trainable",
    "Transfer",
    "Upfront",
    "Victim",
    "better_than_chance",
    "budget_curve",
    "by_distance",
    "by_entropy",
    "by_margin",
    "extract",
    "lead",
    "score",
    "spread",
    "transfer",
]
