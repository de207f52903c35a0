"""How the simulated Binance knows who speaks: API key, signature and time of a request, by REST or by WebSocket.

A signature is the hex HMAC-SHA256 of the parameters: by REST as they were sent, percent-encoded (changelog of
2026-01-15), by WebSocket sorted by name. The time may lie ``recvWindow`` ms back (5000 unless said, at most 60000) and
one second ahead.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from tickhive_binance.venue_listing import MILLISECOND

API_KEY = "simulated-key-5c1f0e9b7a3d"
"""The API key of the simulated account."""

API_SECRET = "simulated-secret-88d2b06e41f7"
"""The secret that belongs to it."""


class Refused(Exception):
    """Binance answers an error: its code and message, and the HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def missing(name: str) -> Refused:
    """A parameter that must be there is not, or is of the wrong kind."""
    return Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def check_key(key: object) -> None:
    """Refuse who does not name the API key."""
    if not isinstance(key, str) or len(key) < 10:
        raise Refused(-2014, "API-key format invalid.", 401)
    if key != API_KEY:
        raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def check_rest(headers: Mapping[str, str], query: str, body: bytes, at: int) -> None:
    """Refuse a REST request that is not signed by the account."""
    check_key(headers.get("x-mbx-apikey"))
    parts = [_unsigned(query), _unsigned(body.decode("utf-8", "replace"))]
    given = dict(parse_qsl(query) + parse_qsl(body.decode("utf-8", "replace")))
    _check(given, "".join(parts), at)
    if not "".join(parts).isascii():
        raise _forged()


def check_socket(params: Mapping[str, object], at: int) -> None:
    """Refuse a request of the WebSocket API that is not signed by the account."""
    check_key(params.get("apiKey"))
    given = {name: str(value) for name, value in params.items()}
    _check(given, "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "signature"), at)


def _unsigned(query: str) -> str:
    return "&".join(part for part in query.split("&") if not part.startswith("signature="))


def _check(given: Mapping[str, str], signed: str, at: int) -> None:
    for name in ("timestamp", "signature"):
        if not given.get(name):
            raise missing(name)
    window, timestamp = given.get("recvWindow", "5000"), given["timestamp"]
    if not timestamp.isdecimal():
        raise Refused(-1100, "Illegal characters found in parameter 'timestamp'; legal range is '^[0-9]{1,20}$'.")
    if not window.isdecimal() or int(window) > 60_000:
        raise Refused(-1131, "recvWindow must be less than 60000.")
    now = at // MILLISECOND
    if not now - int(window) <= int(timestamp) < now + 1_000:
        raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")
    expected = hmac.new(API_SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), given["signature"].encode()):
        raise _forged()


def _forged() -> Refused:
    return Refused(-1022, "Signature for this request is not valid.")
