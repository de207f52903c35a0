"""Who signed: the HMAC of the simulated Coinbase Exchange, for subscriptions and for REST."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from tickhive_coinbase.simulated.account import SimulatedAccount
from tickhive_coinbase.simulated.venue import SECOND

WINDOW_SECONDS = 30
_HEADERS = {
    "key": "cb-access-key",
    "signature": "cb-access-sign",
    "timestamp": "cb-access-timestamp",
    "passphrase": "cb-access-passphrase",
}


def account_of(
    accounts: Iterable[SimulatedAccount], signed: Mapping[str, Any], now: int, what: str = "GET/users/self/verify"
) -> SimulatedAccount | None:
    """Whose signature this is: fields ``key``, ``passphrase``, ``timestamp`` and ``signature``; None for nobody's."""
    timestamp = str(signed.get("timestamp", ""))
    if not timestamp.isdecimal() or abs(int(timestamp) - now // SECOND) > WINDOW_SECONDS:
        return None
    for account in accounts:
        mac = hmac.new(b64decode(account.secret), (timestamp + what).encode(), hashlib.sha256)
        right = b64encode(mac.digest()).decode()
        if (
            account.key == signed.get("key")
            and account.passphrase == signed.get("passphrase")
            and hmac.compare_digest(right, str(signed.get("signature", "")))
        ):
            return account
    return None


def account_of_request(
    accounts: Iterable[SimulatedAccount], method: str, path: str, headers: Mapping[str, str], body: bytes, now: int
) -> SimulatedAccount | None:
    """Whose REST request this is."""
    signed = {name: headers.get(header, "") for name, header in _HEADERS.items()}
    return account_of(accounts, signed, now, f"{method}{path}{body.decode()}")
