"""Lantern: a package written for plugin API 1, frozen. It must go on working for as long as API 1 is spoken.

Never edit it: what has to be edited here breaks somebody's package. ``test_old_plugins.py`` knows its digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import define

from tickhive.plugin import (
    Accepted,
    Alive,
    Answer,
    BookChecksum,
    BookDelta,
    BookSides,
    BookSnapshot,
    Channel,
    Credentials,
    DataType,
    Dial,
    Event,
    ExchangeSettings,
    Fetch,
    Gap,
    Goodbye,
    Hangup,
    Heartbeat,
    Instrument,
    InstrumentUpdate,
    Level,
    Limit,
    Malformed,
    OpenInterest,
    Order,
    Poll,
    Ready,
    Rejected,
    Request,
    Send,
    SessionView,
    Side,
    SimulatedVenue,
    Trade,
    Unknown,
    Unsubscribed,
    VenueLog,
    VenueOptions,
    hookimpl,
    make_symbol,
)

TICKHIVE_API = 1

TOPICS = {DataType.TRADE: "trades", DataType.ORDERBOOK: "book", DataType.ORDER: "orders"}


@define(kw_only=True)
class LanternSettings(ExchangeSettings):
    """What ``[exchanges.lantern]`` takes."""

    board: str = "main"


@define
class Memory:
    """What one socket must remember."""

    greeted: bool = False


@hookimpl
def settings() -> type:
    return LanternSettings


@hookimpl
def memory() -> Memory:
    return Memory()


@hookimpl
def hosts() -> Sequence[str]:
    return ("stream.lantern.example",)


@hookimpl
def limits(settings: LanternSettings) -> Sequence[Limit]:
    return [Limit("dial", 50, 1.0), Limit("request", 50, 1.0, per_connection=True), Limit("rest", 100, 1.0)]


@hookimpl
def connect(
    channels: Sequence[Channel],
    settings: LanternSettings,
    credentials: Credentials | None,
    dials: Sequence[Dial],
) -> Sequence[Dial | Fetch]:
    for channel in channels:
        if channel.data_type not in TOPICS:
            raise ValueError(f"{channel}: Lantern has trades, books and orders")
    url = f"{settings.url or 'wss://stream.lantern.example'}/{settings.board}"
    public = [channel for channel in channels if not channel.data_type.private]
    private = [channel for channel in channels if channel.data_type.private]
    found = []
    if public:
        found.append(Dial("public", [url], public, heartbeat=Heartbeat(10.0, "ping", b"pong"), patience=0.0))
    if private:
        found.append(Dial("private", [f"{url}/own"], private, login=True, upkeep=30.0, lifetime=3600.0))
    return found


@hookimpl
def instruments(settings: LanternSettings) -> Sequence[Fetch]:
    return [Fetch(f"{_rest(settings)}/markets", costs={"rest": 1})]


@hookimpl
def read(session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
    rows: Any = json.loads(answer.body)
    path = fetch.url.partition("?")[0].rpartition("/")[2]
    if path == "markets":
        return [InstrumentUpdate("lantern", each.symbol, None, at, each) for each in map(_instrument, rows)]
    if path == "interest":
        symbol = session.instruments.symbols[rows["m"]]
        return [OpenInterest("lantern", symbol, None, at, Decimal(rows["amount"]))]
    if path == "book":
        return [_book(session, rows, at)]
    return [_trade(session, row, at, late=True) for row in rows]


@hookimpl
def authenticate(session: SessionView, credentials: Credentials, at: int) -> Sequence[Request | Fetch]:
    return [Request(json.dumps({"op": "login", "key": credentials.key}))]


@hookimpl
def subscribe(
    session: SessionView, channels: Sequence[Channel], credentials: Credentials | None, at: int
) -> Sequence[Request]:
    return [_ask(session, "on", channel) for channel in channels]


@hookimpl
def unsubscribe(session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
    return [_ask(session, "off", channel) for channel in channels]


@hookimpl
def heartbeat(session: SessionView, at: int) -> Sequence[Request | Fetch]:
    return [Request("ping")]


@hookimpl
def sign(fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
    return fetch


@hookimpl
def snapshot(session: SessionView, channel: Channel) -> Fetch | None:
    if channel.data_type is not DataType.ORDERBOOK:
        return None
    return Fetch(f"{_rest(session.settings)}/book?m={channel.native}", costs={"rest": 5}, channel=channel)


@hookimpl
def backfill(session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
    return Fetch(f"{_rest(session.settings)}/trades?m={channel.native}&from={gap.first_id}&to={gap.last_id}")


@hookimpl
def poll(channel: Channel, settings: LanternSettings) -> Poll | None:
    if channel.data_type is not DataType.OPEN_INTEREST:
        return None
    return Poll(Fetch(f"{_rest(settings)}/interest?m={channel.native}", costs={"rest": 1}), 0.05)


@hookimpl
def checksum(book: BookSides, instrument: Instrument | None) -> int:
    bids, asks = book.top_text(1)
    return sum(int(Decimal(price)) for price, _ in (*bids, *asks))


@hookimpl
def parse(session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
    if frame == b"pong":
        return [Alive()]
    try:
        m: dict[str, Any] = json.loads(frame)
    except ValueError:
        return [Malformed("not JSON")]
    match m.get("t"):
        case "hello":
            session.memory.greeted = True
            return []
        case "welcome":
            return [Ready()]
        case "ok":
            return [Accepted(id=m["id"])] if m["op"] == "on" else [Unsubscribed(id=m["id"])]
        case "no":
            return [Rejected(m["why"], "symbol", id=m["id"])]
        case "bye":
            return [Goodbye("maintenance")]
        case "trade":
            return [_trade(session, m, at)]
        case "book":
            symbol = session.instruments.symbols[m["m"]]
            bids, asks = ([Level(*level) for level in m[side]] for side in ("b", "a"))
            return [
                BookDelta("lantern", symbol, m["ms"] * 1_000_000, at, bids, asks, m["n"], m["prev"]),
                BookChecksum(symbol, m["sum"]),
            ]
        case "order":
            return [_order(session, m, at)]
    return [Unknown(f"type {str(m.get('t'))[:20]!r}")]


@hookimpl
def venue(options: VenueOptions) -> SimulatedVenue:
    return LanternVenue(options)


def _rest(settings: LanternSettings) -> str:
    return settings.rest_url or "https://rest.lantern.example"


def _ask(session: SessionView, op: str, channel: Channel) -> Request:
    number = session.next_id()
    topic = TOPICS[channel.data_type]
    return Request(json.dumps({"op": op, "id": number, "topic": topic, "m": channel.native}), [channel], number)


def _instrument(row: dict[str, Any]) -> Instrument:
    symbol = make_symbol(row["base"], row["quote"])
    return Instrument("lantern", symbol, row["m"], "spot", row["base"], row["quote"])


def _trade(session: SessionView, m: dict[str, Any], at: int, late: bool = False) -> Trade:
    symbol = session.instruments.symbols[m["m"]]
    price, size, time = Decimal(m["p"]), Decimal(m["q"]), m["ms"] * 1_000_000
    side: Side = "buy" if m["side"] == "b" else "sell"
    return Trade("lantern", symbol, time, at, str(m["n"]), side, price, size, 1, late)


def _book(session: SessionView, m: dict[str, Any], at: int) -> BookSnapshot:
    symbol = session.instruments.symbols[m["m"]]
    bids, asks = ([Level(*level) for level in m[side]] for side in ("b", "a"))
    return BookSnapshot("lantern", symbol, m["ms"] * 1_000_000, at, bids, asks, m["n"])


def _order(session: SessionView, m: dict[str, Any], at: int) -> Order:
    symbol = session.instruments.symbols[m["m"]]
    size, filled = Decimal(1), Decimal(0)
    return Order("lantern", symbol, None, at, session.account, m["id"], "buy", "limit", "open", size, filled)


class LanternVenue(SimulatedVenue):
    """Twenty times a second: the next trade and the next change of the book."""

    symbols = ("BTC-USDT",)
    subscriptions = ("trade", "orderbook", "open_interest")

    def __init__(self, options: VenueOptions) -> None:
        self.log = VenueLog()
        self.number = 1
        self._step = int(50_000_000 / options.speed)
        self._next: int | None = None
        self._wanted: set[tuple[int, str]] = set()
        self._outgoing: list[Send | Hangup] = []

    def opened(self, connection: int, path: str, at: int) -> None:
        self._say(connection, t="hello", path=path)

    def received(self, connection: int, frame: str | bytes, at: int) -> None:
        if frame == "ping":
            self._outgoing.append(Send(connection, "pong"))
            return
        m = json.loads(frame)
        if m["op"] == "login":
            self._say(connection, t="welcome")
            return
        self._say(connection, t="ok", id=m["id"], op=m["op"])
        (self._wanted.add if m["op"] == "on" else self._wanted.discard)((connection, m["topic"]))
        if m["topic"] == "orders":
            self._say(connection, t="order", m="btc_usdt", id="7")

    def closed(self, connection: int, at: int) -> None:
        self._wanted = {each for each in self._wanted if each[0] != connection}

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        name, _, query = path.lstrip("/").partition("?")
        if name == "markets":
            rows: Any = [{"m": "btc_usdt", "base": "BTC", "quote": "USDT"}]
        elif name == "interest":
            rows = {"m": "btc_usdt", "amount": "12.5"}
        elif name == "book":
            rows = {"m": "btc_usdt", "ms": at // 1_000_000, "n": self.number, "b": [["99", "1"]], "a": [["101", "1"]]}
            self.log.count("BTC-USDT", DataType.ORDERBOOK)
        else:
            wanted = dict(each.split("=") for each in query.split("&"))
            rows = [self._trade(n, at) for n in range(int(wanted["from"]), int(wanted["to"]) + 1)]
        return Answer(200, json.dumps(rows).encode())

    def advance(self, at: int) -> int | None:
        self._next = at if self._next is None else self._next
        while self._next <= at:
            self.number += 1
            for connection, topic in sorted(self._wanted):
                if topic == "trades":
                    self._say(connection, t="trade", **self._trade(self.number, self._next))
                    self.log.count("BTC-USDT", DataType.TRADE)
                elif topic == "book":
                    change = {"m": "btc_usdt", "b": [["98", str(self.number)]], "a": [], "sum": 99 + 101}
                    numbers = {"ms": self._next // 1_000_000, "n": self.number, "prev": self.number - 1}
                    self._say(connection, t="book", **change, **numbers)
                    self.log.count("BTC-USDT", DataType.ORDERBOOK)
            self._next += self._step
        return self._next

    def outgoing(self) -> Sequence[Send | Hangup]:
        taken, self._outgoing = self._outgoing, []
        return taken

    def _trade(self, number: int, at: int) -> dict[str, Any]:
        return {"m": "btc_usdt", "ms": at // 1_000_000, "n": number, "side": "b", "p": "100", "q": "0.5"}

    def _say(self, connection: int, **message: Any) -> None:
        self._outgoing.append(Send(connection, json.dumps(message)))
