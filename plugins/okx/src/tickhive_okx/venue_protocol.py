"""The conversation of one client with OKX: requests, acknowledgements, errors, pings and what ends a connection."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import Factory, define

from tickhive_okx.venue_account import SimulatedAccount
from tickhive_okx.venue_channels import CHANNELS, TICK_BY_TICK, VIP_CHANNELS, Key, key_of, private_key

PATHS = {"/ws/v5/public": "public", "/ws/v5/business": "business", "/ws/v5/private": "private"}
"""The paths that exist, and what they are called in the table of channels."""

DIALS_PER_SECOND = 3
"""So many connections an address may open in a second."""

SILENCE_SECONDS = 30
"""A connection to which nothing was sent for this long is closed (4004)."""

MAX_PAYLOAD = 64 * 1024
"""Requests longer than this (bytes) end the connection (1009)."""

REQUESTS_PER_HOUR = 480
"""So many subscribe, unsubscribe and login requests a connection may send in an hour."""

_HOUR = 3600 * 1_000_000_000
_ID = re.compile(r"[A-Za-z0-9]{1,32}")


@define
class Client:
    """One connection: its path, OKX's name for it, its streams with the arguments that asked for them, when something
    was last sent to it (ns UTC), and whose it is after a login.
    """

    number: int
    place: str
    conn_id: str
    last_sent: int
    keys: dict[Key, Any] = Factory(dict)
    requests: deque[int] = Factory(deque)
    subscribed_bytes: int = 0
    account: SimulatedAccount | None = None

    def event(self, event: str, request_id: str | None, **fields: Any) -> str:
        """An answer of the control kind."""
        head: dict[str, Any] = {} if request_id is None else {"id": request_id}
        return encode(head | {"event": event} | fields | {"connId": self.conn_id}).decode()

    def error(self, code: str, message: str, request_id: str | None = None) -> str:
        """An error event."""
        return self.event("error", request_id, code=code, msg=message)

    def may_request(self, at: int) -> bool:
        """Count a request against the hour's limit."""
        while self.requests and at - self.requests[0] >= _HOUR:
            self.requests.popleft()
        if len(self.requests) >= REQUESTS_PER_HOUR:
            return False
        self.requests.append(at)
        return True


@define
class Asked:
    """A well-formed request: ``op`` is subscribe, unsubscribe or login."""

    op: str
    args: Sequence[Any]
    id: str | None


encode = msgspec.json.Encoder().encode


def read_request(client: Client, frame: str) -> Asked | str:
    """Read a request, or answer the error event it deserves."""
    try:
        request = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError):
        return client.error("60012", f"Illegal request: {frame[:200]}")
    if not isinstance(request, dict):
        return client.error("60012", f"Illegal request: {frame[:200]}")
    request_id = request.get("id")
    if request_id is not None and not (isinstance(request_id, str) and _ID.fullmatch(request_id)):
        return client.error("60033", "Parameter id error")
    op, args = request.get("op"), request.get("args")
    if op not in ("subscribe", "unsubscribe", "login"):
        return client.error("60012", f"Illegal request: {frame[:200]}", request_id)
    if not isinstance(args, list) or not args:
        return client.error("60013", "Invalid args", request_id)
    return Asked(op, args, request_id)


def judge(client: Client, arg: Any, offers: Callable[[Key], bool], request_id: str | None) -> Key | str:
    """The stream an argument of this client names, or the error event it deserves."""
    if not isinstance(arg, dict) or not isinstance(arg.get("channel"), str):
        return client.error("60013", "Invalid args", request_id)
    channel, account = arg["channel"], client.account
    if account is None and (channel in TICK_BY_TICK or client.place == "private"):
        return client.error("60011", "Please log in.", request_id)
    key: Key | None
    if client.place == "private":
        key = private_key(arg)
    else:
        key = key_of(arg)
        if key is not None and (CHANNELS[key[0]].path != client.place or not offers(key)):
            key = None
    if key is None:
        named = ",".join(f"{name}:{value}" for name, value in arg.items())
        message = f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and parameters."
        return client.error("60018", message, request_id)
    if channel in VIP_CHANNELS and (account is None or not account.vip):
        message = "Your trading fee tier doesn't meet the requirement to access this channel"
        return client.error("64003", message, request_id)
    books = {"books", *TICK_BY_TICK}
    other = next((name for name, native in client.keys if native == key[1] and name in books - {channel}), None)
    if channel in books and other is not None and "books-l2-tbt" in (channel, other):
        message = f"Subscribe to both {channel} and {other} for {key[1]} is not allowed. Unsubscribe {other} first."
        return client.error("64004", message, request_id)
    return key
