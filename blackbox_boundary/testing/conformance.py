"""Checks that every predictor should pass: :func:`check_predictor`, for any adapter.

A measurement relies on more than the protocol's signatures: a row's answer must not depend on its
neighbours, the input must not be written to, what is declared must be what is revealed, gradients
must be those of the scores. Each check here tests one of these properties and has a name, so that a
model without the property can declare it with a reason.

Two answers *agree* when their scores differ by at most ``tolerance`` times the largest magnitude
among the scores of the row; labels may then differ only between classes whose scores tie as
closely. Where no scores are revealed, the labels must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from array_api_compat import array_namespace, is_numpy_array

from ..arrays import as_numpy, take
from ..capabilities import fingerprint_of
from ..errors import BoundaryError, InvalidInput
from ..prediction_checks import check_prediction, looks_like_probabilities
from ..predictor import (
    Access,
    Array,
    Differentiable,
    Prediction,
    Predictor,
)
from .conformance_case import Case, NotApplicable
from .gradient_checks import vjp_form, vjp_rows, vjp_values

__all__ = ["CHECKS", "check_predictor"]


def check_predictor(
    predictor: Predictor,
    x: Array,
    *,
    tolerance: float = 1e-5,
    gradient_tolerance: float = 0.03,
    known: Mapping[str, str] | None = None,
    close: bool = False,
) -> dict[str, str]:
    """Check a predictor for every property that a measurement relies on.

    Parameters
    ----------
    predictor : Predictor
    x : array (n, *input_shape)
        Typical rows, at least three, in any kind the predictor takes; their labels should not all
        be the same.
    tolerance : float
        How closely answers to the same row must agree, as a share of the row's largest score.
        Networks in float32 vary in the last bits with the batch size: 2e-6 was seen. Half precision
        needs about 1e-2.
    gradient_tolerance : float
        How closely gradients must agree with central differences of the scores, as a share of the
        slope. Rounding and kinks were seen to make up 0.016 in a ReLU network of 22,000 units in
        float32.
    known : mapping of str to str, optional
        Checks that this predictor is known to fail, each with the reason. Once such a check passes,
        it is reported as a failure.
    close : bool
        Also close the predictor at the end and make sure that it then fails cleanly.

    Returns
    -------
    dict of str to str
        The outcome of each check: ``"passed"``, ``"not applicable: ..."`` or ``"known: ..."``.

    Raises
    ------
    AssertionError
        Some checks failed; the message names each, with what was found.
    InvalidInput
        ``x`` has fewer than three rows, or ``known`` names no check.

    Notes
    -----
    Costs about 110 predictions and 9 gradients per row where there are gradients to check, else 20
    predictions; a batch is at most three times ``x``.

    Examples
    --------
    >>> from blackbox_boundary.testing import Ball, Reference
    >>> points = np.array([[0.1, 0.2], [0.9, 0.8], [-2.0, 0.0]])
    >>> outcome = check_predictor(Reference(Ball(np.zeros(2), 1.0)), points)
    >>> outcome["splitting"]
    'passed'
    """
    known = dict(known or {})
    if unknown := sorted(set(known) - set(CHECKS)):
        raise InvalidInput(
            f'"known" of check_predictor must name checks among {", ".join(CHECKS)}; got '
            f"{', '.join(unknown)}."
        )
    if x.shape[0] < 3:
        raise InvalidInput(f'"x" of check_predictor must have at least 3 rows; got {x.shape[0]}.')
    case = Case(predictor, x, tolerance, gradient_tolerance, close)
    outcome = {name: _outcome(check, case, known.get(name)) for name, check in CHECKS.items()}
    failures = [f"  {name}: {text}" for name, text in outcome.items() if text.startswith("FAILED")]
    assert not failures, (
        f"{type(predictor).__name__} fails {len(failures)} of {len(CHECKS)} checks:\n"
        + "\n".join(failures)
    )
    return outcome


def _outcome(check: Callable[[Case], None], case: Case, reason: str | None) -> str:
    try:
        check(case)
    except NotApplicable as why:
        return f"not applicable: {why}"
    except Exception as error:  # noqa: BLE001 -- whatever a foreign predictor raises is what was found
        found = (
            str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        )
        return f"known: {reason}" if reason else f"FAILED. {found}"
    return (
        f"FAILED. It passes now; it no longer needs to be known ({reason})." if reason else "passed"
    )


def _declares(case: Case) -> None:
    """Access, shape, classes and bounds are declared and make sense."""
    predictor = case.predictor
    assert isinstance(predictor, Predictor), (
        "It lacks an attribute of Predictor: access, input_shape, n_classes, bounds or predict."
    )
    assert isinstance(predictor.access, Access), (
        f"access must be an Access; got {predictor.access!r}."
    )
    shape = predictor.input_shape
    assert isinstance(shape, tuple), f"input_shape must be a tuple; got {shape!r}."
    assert all(type(side) is int and side > 0 for side in shape), (
        f"input_shape must hold positive integers; got {shape!r}."
    )
    assert isinstance(predictor.n_classes, int), (
        f"n_classes must be an int; got {predictor.n_classes!r}."
    )
    assert predictor.n_classes > 1, f"n_classes must be 2 or more; got {predictor.n_classes!r}."
    if predictor.bounds is not None:
        lowest, highest = (np.broadcast_to(np.asarray(bound), shape) for bound in predictor.bounds)
        assert (lowest < highest).all(), "The lowest bound must lie below the highest."
    fingerprint = fingerprint_of(predictor)
    assert fingerprint is None or isinstance(fingerprint, str), (
        f"fingerprint must be a string; got {type(fingerprint).__name__}."
    )


def _reveals(case: Case) -> None:
    """An answer holds exactly what the access declares."""
    predictor, prediction = case.predictor, case.predictor.predict(case.x)
    check_prediction(prediction, case.x.shape[0], predictor.access, predictor.n_classes)
    assert isinstance(prediction.label, np.ndarray), (
        f"Labels must be a NumPy array; got {type(prediction.label).__name__}."
    )
    if predictor.access is not Access.TOP1:
        assert prediction.top1 is None, (
            f'Access "{predictor.access.name.lower()}" excludes top1, but the prediction has it.'
        )
    if not predictor.access.has_scores:
        assert prediction.scores is None, (
            f'Access "{predictor.access.name.lower()}" excludes scores, but the prediction has '
            "them."
        )
        return
    scores = prediction.scores
    assert scores is not None
    assert (prediction.label == Prediction.from_scores(scores).label).all(), (
        "Labels are not the index of the largest score, lowest first."
    )
    if predictor.access is Access.LOGITS:
        assert not looks_like_probabilities(scores), (
            "The logits are not negative and sum to one in every row: they are probabilities."
        )


def _repeatability(case: Case) -> None:
    """The same question has the same answer."""
    case.same_answer(case.x, "when asked again")


def _splitting(case: Case) -> None:
    """A row gets the same answer alone and among others."""
    n = case.x.shape[0]
    whole = case.predictor.predict(case.x)
    for size in (1, 2, n - 1):
        parts = [
            case.predictor.predict(case.x[start : start + size]) for start in range(0, n, size)
        ]
        case.agree(whole, Prediction.concatenate(parts), f"when asked in batches of {size}")


def _permuting(case: Case) -> None:
    """The order of rows does not matter."""
    order = np.random.default_rng(0).permutation(case.x.shape[0])
    case.agree(
        case.predictor.predict(case.x)[order],
        case.predictor.predict(take(case.x, order)),
        "when the rows are permuted",
    )


def _repeating(case: Case) -> None:
    """A row that occurs several times has one answer."""
    rows = np.repeat(np.arange(case.x.shape[0]), 3)
    case.agree(
        case.predictor.predict(case.x)[rows],
        case.predictor.predict(take(case.x, rows)),
        "when the rows are repeated",
    )


def _empty_batch(case: Case) -> None:
    """No rows are answered with no answers."""
    prediction = case.predictor.predict(case.x[:0])
    check_prediction(prediction, 0, case.predictor.access, case.predictor.n_classes)


def _input_untouched(case: Case) -> None:
    """The input is not written to; a read-only array (a memory-mapped file) will do."""
    before = as_numpy(case.x).copy()
    given = before.copy() if is_numpy_array(case.x) else case.x
    if is_numpy_array(given):
        given.flags.writeable = False
    case.predictor.predict(given)
    if isinstance(case.predictor, Differentiable):
        case.predictor.vjp(given, case.weights())
    assert np.array_equal(as_numpy(given), before), "The input was modified."


def _dtypes(case: Case) -> None:
    """float32 and float64 arrays of the same values agree."""
    xp = array_namespace(case.x)
    narrow = xp.astype(case.x, xp.float32)
    one, other = (
        case.predictor.predict(narrow),
        case.predictor.predict(xp.astype(narrow, xp.float64)),
    )
    case.agree(one, other, "when given as float64 instead of float32")


def _memory_layout(case: Case) -> None:
    """Arrays that are not contiguous are read correctly."""
    xp = array_namespace(case.x)
    case.same_answer(
        xp.stack([case.x, case.x + 1], axis=1)[:, 0], "when every other row of an array is given"
    )
    case.same_answer(
        xp.stack([case.x, case.x + 1], axis=-1)[..., 0],
        "when every other element of an array is given",
    )


def _wrong_shapes(case: Case) -> None:
    """Rows of another shape raise the caller's error."""
    x, xp = case.x, array_namespace(case.x)
    wrong = {"a row without its batch": x[0], "an extra axis": x[..., None]}
    if x.ndim > 1:
        wrong["a row too long"] = xp.concat([x, x[..., :1]], axis=-1)
    for what, rows in wrong.items():
        try:
            case.predictor.predict(rows)
        except InvalidInput:
            continue
        raise AssertionError(
            f"{what[0].upper()}{what[1:]}, shape {tuple(rows.shape)}, was not refused with "
            "InvalidInput."
        )


def _closing(case: Case) -> None:
    """After ``close()``, which may be called twice, asking raises an error of this package."""
    if not case.close:
        raise NotApplicable("not asked for")
    shut = getattr(case.predictor, "close", None)
    if shut is None:
        raise NotApplicable("it has no close()")
    shut()
    shut()
    try:
        case.predictor.predict(case.x)
    except BoundaryError:
        return
    raise AssertionError("It answers after close().")


CHECKS: dict[str, Callable[[Case], None]] = {
    "declares": _declares,
    "reveals": _reveals,
    "repeatability": _repeatability,
    "splitting": _splitting,
    "permuting": _permuting,
    "repeating": _repeating,
    "empty_batch": _empty_batch,
    "input_untouched": _input_untouched,
    "dtypes": _dtypes,
    "memory_layout": _memory_layout,
    "wrong_shapes": _wrong_shapes,
    "vjp_form": vjp_form,
    "vjp_rows": vjp_rows,
    "vjp_values": vjp_values,
    "closing": _closing,
}
"""All checks by name, in the order they are made."""
