"""Interpret the status code of an answer, and decide how to react.

Servers differ: Triton returns 500 for broken JSON and 400 for a batch that is too long, TorchServe
returns 503 for bad input, Azure and SageMaker wrap the model's own status in a 424. The status is
therefore read together with the body. Ambiguous cases (:class:`Doubtful`) are settled by sending
again a row that the server has answered before.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping

from blackbox_boundary.errors import PredictorError, PredictorRefused, PredictorUnavailable

from .strict_json import shown
from .wire import Reply

__all__ = ["Denied", "Doubtful", "TooLong", "Transient", "failure_of", "retry_after"]


class Transient(PredictorUnavailable):
    """Worth asking again: a time-out, a reset, a busy server.

    Attributes
    ----------
    retry_after_s : float or None
        Seconds to wait, if the server gave a time.
    is_overload : bool
        Whether fewer requests at once would help.
    is_refusal : bool
        Whether the server said that it will not (429), rather than that it cannot.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        is_overload: bool = False,
        is_refusal: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_overload = is_overload
        self.is_refusal = is_refusal


class Doubtful(Transient):
    """500 or 503: the server may be ill, or may mean that the input is wrong."""


class Denied(PredictorRefused):
    """The credentials are missing, wrong, or not enough."""


class TooLong(PredictorRefused):
    """The request holds more rows, or more bytes, than the server takes."""


_BATCH_TOO_LONG = re.compile(
    r"batch[\s_-]*size|max(imum)?[\s_-]*batch|too many "
    r"(instances|rows|inputs)|(payload|request|body)[\w\s]{0,20}too large",
    re.IGNORECASE,
)
_LOADING_TIME = re.compile(r"\"estimated_time\"\s*:\s*(\d{1,6}(?:\.\d{1,9})?)")
_INNER_STATUS = re.compile(r"[Oo]riginalStatus(?:Code)?\"?\s*[:=]\s*\"?(\d{3})")


def failure_of(reply: Reply, what: str) -> PredictorError | None:  # noqa: PLR0911 - one return for each class of status
    """The failure that a reply's status reports; None if there is none.

    ``what`` names the request in messages.

    Examples
    --------
    >>> failure_of(Reply(429, {"retry-after": "2"}, b"slow down", 0.1), "POST /infer").retry_after_s
    2.0
    """
    status = reply.status
    if 200 <= status < 300:
        return None
    if status == 424:
        status = _inner_status(reply) or status
    said = (
        f"{what} was answered with status {reply.status}: "
        f"{shown(reply.body) if reply.body else 'no text'}."
    )
    wait_s = retry_after(reply.headers) or _loading_time(reply)
    if status == 413 or (
        status == 400 and _BATCH_TOO_LONG.search(reply.body[:4096].decode("utf-8", "replace"))
    ):
        return TooLong(said)
    if status in (408, 425, 429, 502, 504):
        return Transient(
            said, retry_after_s=wait_s, is_overload=status == 429, is_refusal=status == 429
        )
    if status in (500, 503) or (status == 424 == reply.status):
        return Doubtful(said, retry_after_s=wait_s, is_overload=status == 503)
    if 300 <= status < 400:
        target = shown(reply.headers.get("location", "nowhere"), 120)
        return PredictorRefused(
            f"{what} was redirected (status {status}) to {target}; redirects are never followed: "
            "give the final URL."
        )
    if status in (401, 403):
        return Denied(
            f"{said} Are the credentials right? They stand below [headers] of the description.",
            retry_after_s=wait_s,
        )
    return PredictorRefused(said, retry_after_s=wait_s)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by a Retry-After header, in either form; None without a usable header."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", value):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _loading_time(reply: Reply) -> float | None:
    """Seconds until a model is loaded, as Hugging Face states it in the body."""
    found = (
        _LOADING_TIME.search(reply.body[:4096].decode("utf-8", "replace"))
        if reply.status == 503
        else None
    )
    return float(found[1]) if found else None


def _inner_status(reply: Reply) -> int | None:
    """The model's own status inside a 424: in a header at Azure, in the body at SageMaker."""
    stated = reply.headers.get("ms-azureml-model-error-statuscode", "")
    if re.fullmatch(r"\d{3}", stated):
        return int(stated)
    text = reply.body[:4096].decode("utf-8", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(status := document.get("OriginalStatusCode"), int):
        return status
    found = _INNER_STATUS.search(text)
    return int(found[1]) if found else None
