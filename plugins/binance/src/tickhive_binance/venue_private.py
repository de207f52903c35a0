"""How the simulated Binance lets its account listen: listen keys, and the subscriptions of spot's WebSocket API."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from attrs import Factory, define

from tickhive_binance.venue_account import Row
from tickhive_binance.venue_listing import MILLISECOND
from tickhive_binance.venue_login import Refused, check_key, check_socket
from tickhive_binance.venue_protocol import Client, text

LISTEN_KEY_LIFE = 3600 * 1_000_000_000
"""A listen key nobody renews is gone after this many ns."""

_MOST_SUBSCRIPTIONS = 1000


@define
class ListenKeys:
    """The keys of a futures account's streams, with the moment each ends, ns UTC. An account has one at a time."""

    ends: dict[str, int] = Factory(dict)
    _made: int = 0

    def answer(self, method: str, headers: Mapping[str, str], at: int) -> Any:
        """Make, renew or give up the key: POST, PUT, DELETE. None of them is signed."""
        check_key(headers.get("x-mbx-apikey"))
        key = next(iter(self.ends), None)
        if method == "POST":
            if key is None:
                self._made += 1
                key = hashlib.sha256(f"listen {self._made}".encode()).hexdigest()
            self.ends[key] = at + LISTEN_KEY_LIFE
            return {"listenKey": key}
        if key is None:
            raise Refused(-1125, "This listenKey does not exist.")
        if method == "PUT":
            self.ends[key] = at + LISTEN_KEY_LIFE
            return {"listenKey": key}
        del self.ends[key]
        return {}

    def expired(self, at: int) -> list[str]:
        """Take the keys that have ended."""
        gone = [key for key, end in self.ends.items() if end <= at]
        for key in gone:
            del self.ends[key]
        return gone


def socket_api(client: Client, frame: str | bytes, used: int, at: int) -> str:
    """Answer a request of spot's WebSocket API. ``used`` is the weight of the minute."""
    number: Any = None
    try:
        try:
            request = msgspec.json.decode(frame)
            number, method, params = request.get("id"), request["method"], request.get("params", {})
            if not isinstance(params, dict):
                raise Refused(-1135, "Invalid JSON Request")
        except (msgspec.DecodeError, RecursionError, KeyError, AttributeError):
            raise Refused(-1135, "Invalid JSON Request") from None
        result = _called(client, method, params, at)
    except Refused as refused:
        error = {"code": refused.code, "msg": refused.message}
        return text({"id": number, "status": refused.status, "error": error, "rateLimits": _rates(used)})
    return text({"id": number, "status": 200, "result": result, "rateLimits": _rates(used)})


def _rates(used: int) -> list[Row]:
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": used}
    return [limit]


def _called(client: Client, method: str, params: Mapping[str, Any], at: int) -> Any:
    match method:
        case "ping":
            return {}
        case "time":
            return {"serverTime": at // MILLISECOND}
        case "userDataStream.subscribe.signature":
            check_socket(params, at)
            if len(client.accounts) >= _MOST_SUBSCRIPTIONS:
                raise Refused(-1003, "Too many active user data stream subscriptions on this connection.", 429)
            number = client.accounts_made
            client.accounts_made += 1
            client.accounts[number] = None
            return {"subscriptionId": number}
        case "userDataStream.unsubscribe":
            given = params.get("subscriptionId")
            if given is None:
                client.accounts.clear()
            elif client.accounts.pop(given, 0) == 0:
                raise Refused(-1130, "Data sent for parameter 'subscriptionId' is not valid.")
            return {}
        case "userDataStream.subscribe":
            # A login takes an Ed25519 key, which this account does not have.
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        case _:
            raise Refused(-1135, f"Unsupported request method '{method}'.")
