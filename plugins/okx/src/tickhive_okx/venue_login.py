"""How the simulated OKX knows who speaks: the login of a socket and the signature of a REST request.

A signature is base64(HMAC-SHA256(secret, timestamp + method + path + body)) and holds for thirty seconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime

from tickhive_okx.venue_account import SimulatedAccount

_WINDOW = 30_000_000_000
_PATH = "/users/self/verify"
_HEADERS = (("key", "50103"), ("passphrase", "50104"), ("sign", "50106"), ("timestamp", "50107"))


class Unknown(Exception):
    """Nobody is let in: an error code and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _signature(account: SimulatedAccount, text: str) -> str:
    digest = hmac.new(account.secret.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def socket_login(accounts: Iterable[SimulatedAccount], request: object, at: int) -> SimulatedAccount:
    """Whose login this argument is; Unknown when it is nobody's."""
    names = ("apiKey", "passphrase", "timestamp", "sign")
    if not isinstance(request, dict) or any(not isinstance(request.get(name), str) for name in names):
        raise Unknown("60009", "Login failed.")
    key, passphrase, timestamp, sign = (request[name] for name in names)
    try:
        signed_at = int(float(timestamp) * 1e9)
    except (ValueError, OverflowError):
        raise Unknown("60004", "Invalid timestamp") from None
    if abs(at - signed_at) > _WINDOW:
        raise Unknown("60006", "Timestamp request expired")
    account = next((each for each in accounts if each.key == key), None)
    if account is None:
        raise Unknown("60005", "Invalid apiKey")
    if account.revoked:
        raise Unknown("60032", "API key doesn't exist.")
    if account.passphrase != passphrase:
        raise Unknown("60024", "Wrong passphrase")
    if not hmac.compare_digest(_signature(account, f"{timestamp}GET{_PATH}"), sign):
        raise Unknown("60007", "Invalid sign")
    return account


def request_login(
    accounts: Iterable[SimulatedAccount],
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    at: int,
    *,
    demo: bool,
) -> SimulatedAccount:
    """Whose REST request this is; Unknown when it is nobody's."""
    given = {name: headers.get(f"ok-access-{name}", "") for name, _ in _HEADERS}
    for name, code in _HEADERS:
        if not given[name]:
            raise Unknown(code, f'Request header "OK-ACCESS-{name.upper()}" cannot be empty.')
    try:
        signed_at = datetime.fromisoformat(given["timestamp"].replace("Z", "+00:00")).timestamp() * 1e9
    except ValueError:
        raise Unknown("50112", "Invalid OK-ACCESS-TIMESTAMP.") from None
    if abs(at - signed_at) > _WINDOW:
        raise Unknown("50102", "Timestamp request expired.")
    account = next((each for each in accounts if each.key == given["key"]), None)
    if account is None:
        raise Unknown("50111", "Invalid OK-ACCESS-KEY.")
    if account.revoked:
        raise Unknown("50119", "API key doesn't exist")
    if (headers.get("x-simulated-trading") == "1") is not demo:
        raise Unknown("50101", "APIKey does not match current environment.")
    if account.passphrase != given["passphrase"]:
        raise Unknown("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.')
    expected = _signature(account, given["timestamp"] + method + path + body.decode("utf-8", "replace"))
    if not hmac.compare_digest(expected, given["sign"]):
        raise Unknown("50113", "Invalid signature.")
    return account
