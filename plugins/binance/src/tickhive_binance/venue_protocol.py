"""The conversation of one client with Binance: its address, its commands, their answers and errors, and its limits."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

import msgspec
from attrs import Factory, define, frozen

from tickhive_binance.venue_listing import MarketName
from tickhive_binance.venue_streams import Place

MOST_STREAMS = 1024
"""Streams one connection may have."""

LIFETIME = 24 * 3600 * 1_000_000_000
"""A connection is cut at this age, ns."""

_SECOND = 1_000_000_000
_MESSAGES = {"spot": 5, "usdm": 10, "coinm": 10}
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID = re.compile(r"[A-Za-z0-9]{1,36}")

Number: TypeAlias = int | str | None
"""What a request may be numbered with."""

encode = msgspec.json.Encoder().encode


def text(value: object) -> str:
    """A value as JSON text."""
    return encode(value).decode()


@define
class Client:
    """One connection: its place on USD-M ("" for the WebSocket API), whether frames name their stream, and its streams.

    ``events`` are the account events a listen key's address chose (none: all), ``accounts`` the subscriptions of the
    WebSocket API. Times are ns UTC.
    """

    number: int
    place: Place | None
    combined: bool
    opened: int
    names: dict[str, None] = Factory(dict)
    events: dict[str, set[str]] = Factory(dict)
    accounts: dict[int, None] = Factory(dict)
    accounts_made: int = 0
    _messages: deque[int] = Factory(deque)

    def may_speak(self, market: MarketName, at: int) -> bool:
        """Count a message; not more than five a second on spot, ten on futures."""
        while self._messages and at - self._messages[0] >= _SECOND:
            self._messages.popleft()
        self._messages.append(at)
        return len(self._messages) <= _MESSAGES[market]


@frozen
class Address:
    """What a WebSocket address asks for: a place, a form of frames, streams, and the events of listen keys."""

    place: Place | None
    combined: bool
    names: Sequence[str] = ()
    events: Sequence[tuple[str, set[str]]] = ()


def read_address(market: MarketName, path: str) -> Address | None:
    """Read the path (query included) of a socket; None when there is nothing at it."""
    route, _, query = path.partition("?")
    parts = [part for part in route.split("/") if part]
    if market == "spot" and route == "/ws-api/v3":
        return Address(None, False)
    place: Place = "public"  # a path of before the split brings what /public brings
    if market == "usdm" and parts and parts[0] in ("public", "market", "private"):
        place = parts.pop(0)  # type: ignore[assignment]  # one of the three
    if not parts or parts[0] not in ("ws", "stream") or (parts[0] == "stream" and len(parts) > 1):
        return None
    given = parse_qsl(query)
    names = [unquote(part) for part in parts[1:]]
    events: list[tuple[str, set[str]]] = []
    for name, value in given:
        if name == "streams":
            names += value.split("/")
        elif name == "listenKey" and place == "private":
            names.append(value)
            events.append((value, set()))
        elif name == "events" and events:
            events[-1][1].update(value.split("/"))
    return Address(place, parts[0] == "stream", names, events)


class Wrong(Exception):
    """A command that is refused: Binance's code and message, and the request's number where it has one."""

    def __init__(self, code: int, message: str, number: Number = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.number = number

    def told(self, market: MarketName) -> str:
        """The error as the client is told: bare on spot, wrapped with the number on futures."""
        error = {"code": self.code, "msg": self.message}
        return text(error if market == "spot" else {"error": error, "id": self.number})


@frozen
class Command:
    """A well-formed request."""

    method: str
    params: Sequence[Any]
    number: Number

    def answer(self, result: object = None) -> str:
        """The acknowledgement, or what was asked for."""
        return text({"result": result, "id": self.number})


def read_command(market: MarketName, frame: str | bytes) -> Command:
    """Read a request; Wrong says what about it is."""
    try:
        request = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError):
        raise Wrong(3, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict) or "method" not in request:
        raise Wrong(2, "Invalid request: missing field `method`")
    number, method, params = request.get("id"), request["method"], request.get("params", [])
    if not _numbered(market, number):
        kinds = "an int64, up to 36 alphanumeric characters or null" if market == "spot" else "an unsigned integer"
        raise Wrong(2, f"Invalid request: request ID must be {kinds}")
    if method not in _METHODS:
        expected = ", ".join(f"`{name}`" for name in _METHODS)
        raise Wrong(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}", number)
    if not isinstance(params, list):
        raise Wrong(2, "Invalid request: invalid type, expected a sequence", number)
    if method.endswith("SUBSCRIBE") and not (params and all(isinstance(name, str) for name in params)):
        raise Wrong(2, "Invalid request: invalid type, expected a string", number)
    if method.endswith("PROPERTY"):
        if params[:1] != ["combined"]:
            raise Wrong(0, "Unknown property", number)
        if method == "SET_PROPERTY" and (len(params) != 2 or not isinstance(params[1], bool)):
            raise Wrong(1, "Invalid value type: expected Boolean", number)
    return Command(method, params, number)


def _numbered(market: MarketName, number: object) -> bool:
    if market != "spot":
        return type(number) is int and 0 <= number < 1 << 64
    if type(number) is int:
        return -(1 << 63) <= number < 1 << 63
    return number is None or (isinstance(number, str) and _ID.fullmatch(number) is not None)
