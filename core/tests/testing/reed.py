"""Reed, a made-up exchange in a few lines: trades of one symbol, and a venue that does what it is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tickhive.plugin import (
    Accepted,
    Answer,
    Channel,
    DataType,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Hangup,
    Heartbeat,
    Malformed,
    Poll,
    Rejected,
    Request,
    Send,
    SessionView,
    SimulatedVenue,
    Trade,
    Unknown,
    Unsubscribed,
    VenueLog,
    VenueOptions,
    hookimpl,
)

STEP = 100_000_000
_NUMBER = re.compile(r"\d+(\.\d+)?")


def is_number(text: object) -> bool:
    return isinstance(text, str) and _NUMBER.fullmatch(text) is not None


class Reed:
    """A plugin of trades, whose open interest exists only by REST."""

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial | Fetch]:
        for channel in channels:
            if channel.data_type is not DataType.TRADE or channel.params:
                raise ValueError(f"Reed has no {channel}")
        url = f"{settings.url or 'wss://reed.example'}/ws"
        return [Dial("main", [url], channels, heartbeat=Heartbeat(20.0))] if channels else []

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [self._ask(session, "on", channel) for channel in channels]

    @hookimpl
    def unsubscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [self._ask(session, "off", channel) for channel in channels]

    @staticmethod
    def _ask(session: SessionView, verb: str, channel: Channel) -> Request:
        id = session.next_id()
        return Request(json.dumps([verb, id, channel.native]), [channel], id)

    @hookimpl
    def poll(self, channel: Channel, settings: ExchangeSettings) -> Poll | None:
        if channel.data_type is not DataType.OPEN_INTEREST:
            return None
        return Poll(Fetch(f"{settings.rest_url or 'https://reed.example'}/open?m={channel.native}"), 5.0)

    @hookimpl
    def read(self, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Fetch]:
        return [Unknown("an answer")]

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
        try:
            said = msgspec.json.decode(frame)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return [Malformed("no JSON")]
        match said:
            case ["trade", symbol, int(time), int(id), price, size] if is_number(price) and is_number(size):
                trade = Trade(session.exchange, symbol, time, at, str(id), "buy", Decimal(price), Decimal(size))
                return [trade] if isinstance(symbol, str) else [Malformed("a symbol that is no text")]
            case ["ok", str(id)]:
                return [Accepted(id)]
            case ["gone", str(id)]:
                return [Unsubscribed(id)]
            case ["no", str(id)]:
                return [Rejected("no such thing", "symbol", id)]
        return [Unknown("something else")]

    @hookimpl
    def venue(self, options: VenueOptions) -> SimulatedVenue:
        return ReedVenue()


class ReedVenue(SimulatedVenue):
    """Trades ten times a second; ``said`` is what came in, ``asked`` the paths of REST requests."""

    symbols = ("A-B", "C-D")
    subscriptions = ("trade",)

    def __init__(self) -> None:
        self.log = VenueLog()
        self.paths: list[str] = []
        self.said: list[str] = []
        self.asked: list[str] = []
        self.open: dict[int, set[str]] = {}
        self.out: list[Send | Hangup] = []
        self._next: int | None = None
        self._id = 0

    def opened(self, connection: int, path: str, at: int) -> None:
        self.paths.append(path)
        self.open[connection] = set()

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        verb, id, native = json.loads(frame)
        self.said.append(f"{verb} {native}")
        if verb == "on" and native in self.symbols:
            self.open[connection].add(native)
        self.open[connection].discard(native if verb == "off" else "")
        answer = "gone" if verb == "off" else "ok" if native in self.symbols else "no"
        self.out.append(Send(connection, json.dumps([answer, id])))

    def closed(self, connection: int, at: int) -> None:
        self.open.pop(connection, None)

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        self.asked.append(path)
        return Answer(200, b"{}")

    def advance(self, at: int) -> int | None:
        self._next = self._next if self._next is not None else at + STEP
        while self._next <= at:
            self._id += 1
            for connection, natives in self.open.items():
                for native in sorted(natives):
                    self.log.count(native, DataType.TRADE)
                    self.out.append(Send(connection, json.dumps(["trade", native, self._next, self._id, "1.5", "2"])))
            self._next += STEP
        return self._next

    def outgoing(self) -> Sequence[Any]:
        taken, self.out = self.out, []
        return taken
