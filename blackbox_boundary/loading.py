"""Load a predictor from a word.

Examples are ``load("model.onnx")``, ``load("http://host/v2/models/m")`` and
``load("package.module:factory")``.

The engine names no adapter. It tries each entry point of the group ``blackbox_boundary.adapters``,
in the order of their names; any installed package can add one. An entry point is a callable
``load(spec, **given)`` that returns a predictor, or None where the spec is not for it. The first
line of its docstring describes the specs it accepts; error messages show that line.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, TypeVar, cast

from .domain import Domain
from .errors import InvalidInput
from .inputs import is_whole
from .predictor import Access, Predictor

__all__ = ["GROUP", "as_predictor", "build", "load"]

GROUP = "blackbox_boundary.adapters"
"""The entry-point group in which adapters are found."""

Made = TypeVar("Made")


def load(spec: Any, **given: Any) -> Predictor:
    """Make a predictor from ``spec``; settings that cannot be discovered are given by name.

    Parameters
    ----------
    spec : str, path, bytes or object
        Anything that an installed adapter accepts: a path that ends in ``.onnx``, the bytes of such
        a file or an ``onnx.ModelProto``; the address of an endpoint, or
        ``"package.module:factory"``; a torch module, a fitted estimator, or a function that returns
        an array.
    **given
        Settings of the adapter's predictor, such as ``access="logits"``, ``input_shape=(30,)``,
        ``bounds=(0, 1)``; None counts as not given.

    Raises
    ------
    InvalidInput
        No adapter accepts the spec, or the adapter that does was given an unknown setting, or lacks
        one.

    Notes
    -----
    ``"package.module:factory"`` imports that module and calls that function: it runs only the code
    that you name. No pickle is opened without consent (``unpickle=True``). No queries are sent,
    except where the documentation of an adapter states that it requests metadata or runs the model
    on probe rows.
    """
    given = {name: value for name, value in given.items() if value is not None}
    refusals = []
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            adapter = entry_point.load()
        except Exception as error:  # noqa: BLE001  a broken third-party adapter must not stand in the way of the others
            refusals.append(
                f"  {entry_point.name}: cannot be imported ({type(error).__name__}: {error})"
            )
            continue
        predictor: Predictor | None = adapter(spec, **given)
        if predictor is not None:
            return predictor
        refusals.append(f"  {entry_point.name}: {_first_line(adapter)}")
    known = "\n".join(refusals) or "  none is installed"
    raise InvalidInput(
        f'No adapter understands the model "{_shown(spec)}". Installed adapters take:\n{known}\n'
        "Any object with access, input_shape, n_classes, bounds and predict is a predictor itself."
    )


def as_predictor(
    model: Any,
    input_shape: tuple[int, ...],
    columns: Domain | None = None,
    *,
    named: bool = False,
) -> Predictor:
    """Return a predictor as it is; turn anything else that :func:`load` takes into a predictor.

    Parameters
    ----------
    model : Predictor, or object
        A torch module, a fitted estimator, one of its methods, a path, an address, ...
    input_shape : tuple of int
        Shape of one row of the data, for objects without such an attribute.
    columns : Domain, optional
        What the columns of the data hold, for models of texts or categories.
    named : bool
        Whether the columns of the data have names. Then a model that knows the number of its inputs
        is not given the shape of a row, so that a column it lacks is found by name.

    Raises
    ------
    InvalidInput
        A class in place of an object; a predictor that lacks an attribute, or whose attributes
        contradict the protocol; or an object that no adapter takes, or none without settings.
    """
    if isinstance(model, type):
        raise InvalidInput(f'"predictor" must be an object; got the class {model.__name__}.')
    if hasattr(model, "access") and callable(getattr(model, "predict", None)):
        _check_declared(model)
        return cast("Predictor", model)
    if isinstance(model, str | bytes | os.PathLike):
        return load(model, columns=columns)
    knows_inputs = getattr(model, "n_features_in_", None) is not None
    return load(model, input_shape=None if named and knows_inputs else input_shape, columns=columns)


def _check_declared(predictor: Any) -> None:
    """Raise for a predictor that does not declare the attributes of the protocol."""
    kind = type(predictor).__name__
    needed = ("input_shape", "n_classes", "bounds")
    if missing := [name for name in needed if not hasattr(predictor, name)]:
        raise InvalidInput(
            f"A predictor has access, input_shape, n_classes, bounds and predict; "
            f"{kind} lacks {', '.join(missing)}."
        )
    Access.parse(predictor.access)
    n_classes, shape = predictor.n_classes, predictor.input_shape
    if not is_whole(n_classes) or n_classes < 2:
        raise InvalidInput(
            f'"n_classes" of {kind} must be a whole number, at least 2: a model of one class has '
            f"no decision boundary; got {n_classes!r}."
        )
    if not isinstance(shape, tuple | list) or not all(is_whole(n) and n > 0 for n in shape):
        raise InvalidInput(
            f'"input_shape" of {kind} must be a tuple of positive whole numbers; got {shape!r}.'
        )


def build(kind: Callable[..., Made], *parts: Any, given: dict[str, Any]) -> Made:
    """Call ``kind(*parts, **given)``; a missing or unknown setting is an ``InvalidInput``.

    Adapters use it. ``columns``, which describe the data, are left out where ``kind`` has no such
    setting.

    Raises
    ------
    InvalidInput
        ``kind`` does not have such a setting, or needs one that was not given.
    """
    signature = inspect.signature(kind)
    if "columns" not in signature.parameters:
        given = {name: value for name, value in given.items() if name != "columns"}
    try:
        signature.bind(*parts, **given)
    except TypeError as error:
        settings = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        needs_shape = "'input_shape'" in str(error) and "input_shape" not in given
        shape = (
            " The shape of one row is not known to the model: --input-shape 3,32,32 on the command "
            "line, input_shape=(3, 32, 32) in Python."
        )
        raise InvalidInput(
            f"{kind.__name__} cannot be made: {error}.{shape * needs_shape} Its settings are "
            f"{', '.join(settings)}: in Python load(..., NAME=VALUE), on the command line "
            "--input-shape and the like, or --given NAME=VALUE."
        ) from None
    return kind(*parts, **given)


def _first_line(adapter: Any) -> str:
    return (inspect.getdoc(adapter) or "(says nothing of itself)").splitlines()[0].replace("``", "")


def _shown(spec: Any) -> str:
    if isinstance(spec, bytes):
        return f"{len(spec)} bytes"
    return str(spec)[:200] if isinstance(spec, str | os.PathLike) else type(spec).__name__
