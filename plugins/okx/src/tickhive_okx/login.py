"""Who we are: the login of a socket and the signature of a private REST request.

Page "Overview" of OKX's API guide, read in August 2026. Both sign with HMAC-SHA256 and may be 30 seconds old.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from attrs import evolve

from tickhive.plugin import Credentials, Fetch, Request, hookimpl

_SECOND, _MILLISECOND = 1_000_000_000, 1_000_000
_PRIVATE = ("account/", "trade/")
"""How the private paths of REST begin, behind ``/api/v5/``."""


def missing(credentials: Credentials) -> str:
    """Which of the three parts of an API key are not there; empty when all are."""
    return ", ".join(part for part in ("key", "secret", "passphrase") if not getattr(credentials, part))


def _signature(credentials: Credentials, text: str) -> str:
    return b64encode(hmac.digest(credentials.secret.encode(), text.encode(), "sha256")).decode()


@hookimpl
def authenticate(credentials: Credentials, at: int) -> Sequence[Request]:
    """Log a socket in."""
    timestamp = str(at // _SECOND)
    args = {
        "apiKey": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": timestamp,
        "sign": _signature(credentials, f"{timestamp}GET/users/self/verify"),
    }
    return [Request(msgspec.json.encode({"op": "login", "args": [args]}).decode())]


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """Sign a request about the account; public ones go out as they are."""
    url = urlsplit(fetch.url)
    path = url.path.partition("/api/v5/")[2]
    if credentials is None or not path.startswith(_PRIVATE):
        return fetch
    moment = datetime.fromtimestamp(at // _SECOND, UTC)
    timestamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{at % _SECOND // _MILLISECOND:03d}Z"
    target = f"/api/v5/{path}?{url.query}".rstrip("?")
    text = f"{timestamp}{fetch.method}{target}{fetch.body.decode()}"
    headers = {
        "OK-ACCESS-KEY": credentials.key,
        "OK-ACCESS-SIGN": _signature(credentials, text),
        "OK-ACCESS-TIMESTAMP": timestamp,
        "OK-ACCESS-PASSPHRASE": credentials.passphrase,
    }
    return evolve(fetch, headers={**fetch.headers, **headers})
