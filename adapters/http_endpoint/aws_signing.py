"""Requests signed with AWS credentials (Signature Version 4), by botocore.

Credentials come from botocore's usual sources: environment variables, profiles, roles of a machine.
They are read when a request is signed, renewed by botocore, and never sent or shown. A request
carries only a signature, which is valid for this request and five minutes, and a session token.

References
----------
.. [1] Amazon Web Services, "AWS Signature Version 4 for API requests", IAM User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from requests.utils import requote_uri

from blackbox_boundary.errors import CapabilityMissing, InvalidInput

from .masking import Mask
from .wire import Request

__all__ = ["AwsSigning"]

_SETTINGS = ("region", "service", "profile")
_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
"""Hosts that signed requests may go to."""
_SIGNATURE = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")


class AwsSigning:
    """Signs the requests to one origin.

    Parameters
    ----------
    region : str
    service : str
        Name of the service in signatures.
    profile : str, optional
        Of the shared configuration files.
    """

    def __init__(self, region: str, service: str = "sagemaker", profile: str | None = None) -> None:
        self._region, self._service, self._profile = region, service, profile
        self._credentials: Any = None
        self._masks: dict[str, Mask] = {}

    @classmethod
    def parse(cls, table: Any) -> AwsSigning:
        """Read ``{region = "eu-west-1"}``, perhaps with ``service`` and ``profile``.

        Raises
        ------
        InvalidInput
            An unknown key, something that is no text, no region.
        """
        if (
            not isinstance(table, Mapping)
            or set(table) - set(_SETTINGS)
            or not all(isinstance(value, str) and value for value in table.values())
            or "region" not in table
        ):
            raise InvalidInput(
                '"aws" must be a table of texts: "region", and perhaps "service" and "profile"; '
                "credentials are never part of it."
            )
        return cls(**table)

    def check_origin(self, origin: str, *, is_loopback: bool) -> None:
        """Refuse every origin except HTTPS hosts of AWS and this machine.

        Raises
        ------
        InvalidInput
            The origin is refused.
        """
        host = urlsplit(origin).hostname or ""
        if not is_loopback and not (origin.startswith("https://") and host.endswith(_HOSTS)):
            raise InvalidInput(
                f'Requests signed for AWS must go to https:// and a host of AWS; got "{origin}".'
            )

    def headers(self, origin: str, request: Request) -> dict[str, str]:
        """The headers that sign a request, valid now.

        Raises
        ------
        InvalidInput
            There are no credentials.
        CapabilityMissing
            The packages of the ``aws`` extra are not installed.
        """
        frozen = self._frozen()
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        plain = {k: v for k, v in request.headers.items() if k.lower() == "content-type"}
        url = requote_uri(origin + request.path)  # as it is sent
        asked = AWSRequest(request.method, url, data=request.body, headers=plain)
        SigV4Auth(frozen, self._service, self._region).add_auth(asked)
        return {name: str(value) for name, value in asked.headers.items() if name not in plain}

    def masked(self, text: str) -> str:
        """The text without credentials and signatures."""
        for mask in self._masks.values():
            text = mask.masked(text)
        return _SIGNATURE.sub("***", text)

    def _frozen(self) -> Any:
        """The credentials as they are now."""
        if self._credentials is None:
            self._credentials = _found(self._profile)
        frozen = self._credentials.get_frozen_credentials()
        for part in (frozen.secret_key, frozen.token, frozen.access_key):
            if part and part not in self._masks:
                self._masks[part] = Mask(part)
        return frozen

    def __str__(self) -> str:
        whose = f" of profile {self._profile}" if self._profile else ""
        return f"signatures by AWS credentials{whose} ({self._service}, {self._region})"

    def __repr__(self) -> str:
        return f"AwsSigning({self})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Credentials are not saved; save where they come from.")


def _found(profile: str | None) -> Any:
    """The credentials that botocore finds."""
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError as error:
        raise CapabilityMissing(
            'Requests signed for AWS need botocore: pip install "blackbox-boundary[aws]".'
        ) from error
    try:
        credentials = Session(profile=profile).get_credentials()
    except BotoCoreError as error:
        raise InvalidInput(
            f"AWS credentials cannot be read ({type(error).__name__}): check the profile."
        ) from None
    if credentials is None:
        raise InvalidInput(
            "There are no AWS credentials: set them up as for the aws command, and name a profile "
            'in [aws] where it is not "default".'
        )
    return credentials
