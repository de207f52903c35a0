"""Who we are: the signature of a subscription and of a private REST request.

Pages "Authentication" of the Exchange API, read in 2026: Base64(HMAC-SHA256(base64decode(secret), text)), where the
text is timestamp, method, path with query, body. It is good for 30 seconds.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from urllib.parse import urlsplit

from attrs import evolve

from tickhive.errors import PluginError
from tickhive.plugin import Credentials, Fetch, hookimpl
from tickhive.plugin.reading import NS_PER_SECOND
from tickhive_coinbase.exchange.settings import NAME

PARTS = ("key", "secret", "passphrase")
PRIVATE = ("accounts", "orders", "fills")
"""How the paths of REST begin that are about the account."""


def _signature(credentials: Credentials, text: str) -> str:
    try:
        secret = b64decode(credentials.secret, validate=True)
    except ValueError:
        cause = f"the secret of account {credentials.account!r} is not what Coinbase Exchange hands out"
        raise _unusable(cause, "Paste it whole: it is Base64, ending in =") from None
    return b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()


def signed(credentials: Credentials, at: int) -> dict[str, str]:
    """The fields that sign a subscription."""
    timestamp = str(at // NS_PER_SECOND)
    return {
        "signature": _signature(credentials, f"{timestamp}GET/users/self/verify"),
        "key": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": timestamp,
    }


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """Sign a request about the account; public ones go out as they are."""
    url = urlsplit(fetch.url)
    if credentials is None or not url.path.lstrip("/").startswith(PRIVATE):
        return fetch
    lacking = ", ".join(part for part in PARTS if not getattr(credentials, part))
    if lacking:
        cause = f"account {credentials.account!r} has no {lacking}"
        raise _unusable(cause, f"{NAME} gives out a key, a secret and a passphrase together")
    timestamp = str(at // NS_PER_SECOND)
    target = f"{url.path}?{url.query}".rstrip("?")
    headers = {
        "CB-ACCESS-KEY": credentials.key,
        "CB-ACCESS-SIGN": _signature(credentials, f"{timestamp}{fetch.method}{target}{fetch.body.decode()}"),
        "CB-ACCESS-TIMESTAMP": timestamp,
        "CB-ACCESS-PASSPHRASE": credentials.passphrase,
    }
    return evolve(fetch, headers={**fetch.headers, **headers})


def _unusable(cause: str, remedy: str) -> PluginError:
    return PluginError("coinbase-exchange", cause, remedy, distribution="tickhive-coinbase")
