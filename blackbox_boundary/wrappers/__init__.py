"""Wrappers of predictors that count, limit, record, split calls, defend, and monitor."""

from ._base import Encoding, Streaming
from .batching import BatchingPredictor
from .budget import Allowance, BudgetPredictor, Forecast, Prices, forecast
from .composed import Composed, Decoder, DifferentiableDecoder
from .counting import CountingPredictor
from .degrade import InputNoise, LabelOnly, Rounded, ScoreNoise, TopK
from .ledger import LedgerPredictor
from .monitor import MonitorPredictor
from .names import NamedPredictor
from .replay import ReplayPredictor

__all__ = [
    "Allowance",
    "BatchingPredictor",
    "BudgetPredictor",
    "Composed",
    "CountingPredictor",
    "Decoder",
    "DifferentiableDecoder",
    "Encoding",
    "Forecast",
    "InputNoise",
    "LabelOnly",
    "LedgerPredictor",
    "MonitorPredictor",
    "NamedPredictor",
    "Prices",
    "ReplayPredictor",
    "Rounded",
    "ScoreNoise",
    "Streaming",
    "TopK",
    "forecast",
]
