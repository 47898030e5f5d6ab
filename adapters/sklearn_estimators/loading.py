"""Python objects that are models: fitted estimators, their methods, and functions."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from blackbox_boundary.errors import InvalidInput
from blackbox_boundary.loading import build
from blackbox_boundary.predictor import Predictor

from .estimator import METHODS, EstimatorPredictor
from .function import FunctionPredictor
from .saved import is_saved, read_saved

__all__ = ["load"]


def load(spec: Any, **given: Any) -> Predictor | None:
    """Load a fitted estimator, a ``.skops`` file (``.joblib`` by consent), or a function of rows.

    Raises
    ------
    InvalidInput
        As :class:`EstimatorPredictor` and :class:`FunctionPredictor`; or what a function returns is
        not declared.
    """
    if is_saved(spec):
        opening = {name: given.pop(name) for name in ("trusted", "unpickle") if name in given}
        return load(read_saved(spec, **opening), **given)
    owner = getattr(spec, "__self__", None)
    if inspect.isroutine(spec) and _is_estimator(owner) and spec.__name__ in METHODS:
        return build(EstimatorPredictor, owner, given={"method": spec.__name__, **given})
    if inspect.isroutine(spec) or isinstance(spec, functools.partial):
        _check_declared(spec, given)
        return build(FunctionPredictor, spec, given=given)
    if _is_estimator(spec):
        return build(EstimatorPredictor, spec, given=given)
    return None


def _is_estimator(spec: Any) -> bool:
    """Whether an object has the methods of a classifier; functions of others are not its own."""
    if isinstance(spec, type | str | bytes) or isinstance(spec, Predictor):  # noqa: SIM101
        return False
    methods = [name for name in METHODS if callable(getattr(spec, name, None))]
    return bool(methods) and (methods != ["predict"] or hasattr(spec, "fit"))


def _check_declared(function: Any, given: dict[str, Any]) -> None:
    """Require the settings that a function does not give."""
    missing = [name for name in ("access", "input_shape") if name not in given]
    if "n_classes" not in given and "labels" not in given:
        missing.append("n_classes")
    if missing:
        name = getattr(function, "__qualname__", type(function).__name__)
        raise InvalidInput(
            f"What the function {name} returns must be declared; {', '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} missing: "
            'load(function, access="probabilities", input_shape=(4,), n_classes=3).'
        )
