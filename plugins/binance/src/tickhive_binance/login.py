"""Who we are: signatures of REST requests and of the subscription to an account's events.

Both sign with HMAC-SHA256, in hexadecimal, what is sent percent-encoded; REST of a futures listen key and of old trades
wants the key alone. Pages "Request security" of the spot and derivatives documentation, as of July 2026.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit, urlunsplit

import msgspec
from attrs import evolve

from tickhive.plugin import Credentials, Fetch, hookimpl

SIGNED = frozenset(("account", "positionRisk", "openOrders", "order", "myTrades", "userTrades"))
"""The REST requests that are signed, by the end of their path."""
KEYED = frozenset(("listenKey", "historicalTrades"))
"""Those that carry the key alone."""

_NS_PER_MS = 1_000_000


def _signature(credentials: Credentials, text: str) -> str:
    return hmac.digest(credentials.secret.encode(), text.encode(), "sha256").hex()


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    """Sign a request about the account; public ones go out as they are."""
    url = urlsplit(fetch.url)
    name = url.path.rpartition("/")[2]
    if credentials is None or name not in SIGNED | KEYED:
        return fetch
    headers = {**fetch.headers, "X-MBX-APIKEY": credentials.key}
    if name in KEYED:
        return evolve(fetch, headers=headers)
    query = f"{url.query}&timestamp={at // _NS_PER_MS}".lstrip("&")
    signed = url._replace(query=f"{query}&signature={_signature(credentials, query)}")
    return evolve(fetch, url=urlunsplit(signed), headers=headers)


def user_data_request(id: str, credentials: Credentials, at: int) -> str:
    """The frame that subscribes an account's events on the WebSocket API; its parameters are signed in alphabetical
    order.
    """
    params: dict[str, str | int] = {"apiKey": credentials.key, "timestamp": at // _NS_PER_MS}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    params["signature"] = _signature(credentials, text)
    frame = {"id": id, "method": "userDataStream.subscribe.signature", "params": params}
    return msgspec.json.encode(frame).decode()
