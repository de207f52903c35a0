"""The plugin of Wren, in small methods, so that each mistake is one of them written otherwise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec
from attrs import define, evolve, field

from tickhive.plugin import (
    Accepted,
    Alive,
    Answer,
    Balance,
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
    Heartbeat,
    Instrument,
    InstrumentUpdate,
    Level,
    Limit,
    Malformed,
    Ready,
    Rejected,
    Request,
    SessionView,
    Side,
    SimulatedVenue,
    Ticker,
    Trade,
    Unknown,
    Unsubscribed,
    VenueOptions,
    hookimpl,
    make_symbol,
)

from .wren_venue import MS, PAGE, SUMMED, WrenVenue, checksum_of, signature

NAME = "wren"
STREAMS = {DataType.TRADE: "trades", DataType.ORDERBOOK: "book", DataType.TICKER: "ticker"}
UNREADABLE = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


class Row(msgspec.Struct, array_like=True, gc=False):
    """A live trade; ``maker`` is the side of the resting order."""

    id: int
    price: Decimal
    size: Decimal
    maker: Literal["b", "s"]
    count: int = 1


class PastRow(msgspec.Struct, array_like=True, gc=False):
    """A trade of the history; ``side`` is the taker's."""

    id: int
    price: Decimal
    size: Decimal
    side: Literal["buy", "sell"]
    t: int


class Message(msgspec.Struct, gc=False):
    """Whatever Wren says on a socket."""

    s: str = ""
    m: str = ""
    t: int = 0
    rows: list[Row] = []
    n: int | None = None
    p: int | None = None
    full: bool = False
    b: list[Level] = []
    a: list[Level] = []
    sum: int = 0
    last: Decimal | None = None
    high: Decimal | None = None
    ack: str = ""
    nak: str = ""
    why: str = ""
    off: str = ""
    pong: bool = False
    seat: str = ""


class Reply(msgspec.Struct):
    """Whatever Wren answers by REST."""

    markets: list[tuple[str, str, str, Decimal, Decimal]] = []
    m: str = ""
    rows: list[PastRow] = []
    cash: list[tuple[str, Decimal]] = []
    t: int = 0
    n: int | None = None
    b: list[Level] = []
    a: list[Level] = []


class Complaint(msgspec.Struct):
    """An HTTP error of Wren's own."""

    why: str


@define
class Memory:
    """The channels behind the streams of one socket."""

    asked: dict[str, Channel] = field(factory=dict)
    confirmed: bool = False
    count: int = 0


class Wren:
    """A correct plugin."""

    TICKHIVE_API: Any = 1
    decode = staticmethod(msgspec.json.Decoder(Message).decode)
    reply = staticmethod(msgspec.json.Decoder(Reply).decode)
    complaint = staticmethod(msgspec.json.Decoder(Complaint).decode)
    summed = SUMMED
    heart: Heartbeat | None = Heartbeat(15.0, '{"op":"ping"}')

    # Addresses and sockets

    def socket(self, settings: ExchangeSettings) -> str:
        return f"{settings.url or 'wss://stream.wren.example'}/live"

    def rest(self, settings: ExchangeSettings, path: str) -> str:
        return f"{settings.rest_url or 'https://api.wren.example'}/{path}"

    @hookimpl
    def hosts(self) -> Sequence[str]:
        return ("stream.wren.example", "api.wren.example")

    @hookimpl
    def limits(self) -> Sequence[Limit]:
        return (Limit("dial", 5, 1.0), Limit("request", 20, 1.0, per_connection=True), Limit("rest", 100, 10.0))

    @hookimpl
    def connect(
        self, channels: Sequence[Channel], settings: ExchangeSettings, credentials: Credentials | None
    ) -> Sequence[Dial | Fetch]:
        self.judge(channels, credentials)
        private = [channel for channel in channels if channel.data_type.private]
        public = [channel for channel in channels if not channel.data_type.private]
        url = self.socket(settings)
        dials = [Dial("public", (url,), tuple(public), heartbeat=self.heart, patience=5.0)] if public else []
        if private:
            dials.append(Dial("private", (url,), tuple(private), login=True, heartbeat=self.heart))
        return dials

    def judge(self, channels: Sequence[Channel], credentials: Credentials | None) -> None:
        for channel in channels:
            known = channel.data_type in STREAMS or channel.data_type is DataType.BALANCE
            if not known or channel.params:
                raise ValueError(f"Wren has no {channel}")
            if channel.data_type.private and (credentials is None or not credentials.key):
                raise ValueError(f"Wren sends {channel} to accounts only")

    @hookimpl
    def memory(self) -> Any:
        return Memory()

    # Asking

    def stream(self, channel: Channel) -> str:
        return f"{STREAMS.get(channel.data_type, 'cash')}.{channel.native}"

    def new_id(self, session: SessionView) -> str:
        return session.next_id()

    @hookimpl
    def subscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [self.ask(session, "sub", channel) for channel in channels]

    @hookimpl
    def unsubscribe(self, session: SessionView, channels: Sequence[Channel]) -> Sequence[Request]:
        return [self.ask(session, "unsub", channel) for channel in channels]

    def ask(self, session: SessionView, op: str, channel: Channel) -> Request:
        stream, id = self.stream(channel), self.new_id(session)
        session.memory.asked[stream] = channel
        return Request(json.dumps({"op": op, "id": id, "streams": [stream]}), (channel,), id)

    @hookimpl
    def authenticate(self, credentials: Credentials, at: int) -> Sequence[Request]:
        return [self.login(credentials, str(at // MS))]

    def login(self, credentials: Credentials, time: str) -> Request:
        sign = signature(credentials.secret, time)
        return Request(json.dumps({"op": "login", "key": credentials.key, "time": time, "sign": sign}))

    @hookimpl
    def sign(self, fetch: Fetch, credentials: Credentials | None, at: int) -> Fetch:
        if credentials is None or urlsplit(fetch.url).path != "/me":
            return fetch
        return self.signed(fetch, credentials, str(at // MS))

    def signed(self, fetch: Fetch, credentials: Credentials, time: str) -> Fetch:
        headers = {"X-Key": credentials.key, "X-Time": time, "X-Sign": signature(credentials.secret, time)}
        return evolve(fetch, headers={**fetch.headers, **headers})

    # Reading

    @hookimpl
    def parse(self, session: SessionView, frame: bytes, at: int) -> Sequence[Event]:
        try:
            message = self.decode(frame)
            return self.events(session, message, at)
        except UNREADABLE as error:
            return self.unreadable(error)

    def unreadable(self, error: Exception) -> Any:
        return [Malformed(f"{type(error).__name__}: {error}"[:200])]

    def events(self, session: SessionView, message: Message, at: int) -> Any:
        match message.s:
            case "trades":
                return self.trades(session, message, at)
            case "book":
                return self.book(session, message, at)
            case "ticker":
                return self.ticker(session, message, at)
            case "":
                return self.control(session, message)
        return self.unknown(f"stream {message.s[:40]}")

    def unknown(self, what: str) -> Any:
        return [Unknown(what)]

    def control(self, session: SessionView, message: Message) -> Any:
        if message.ack:
            session.memory.confirmed = True
            return [self.accepted(message.ack)]
        if message.nak:
            return self.refusal(session, message)
        if message.off:
            return self.stopped(session, message.off)
        if message.pong:
            return self.pong()
        if message.seat:
            return [Ready()]
        return self.unknown("a message of no kind")

    def accepted(self, id: str) -> Event:
        return Accepted(id)

    def refusal(self, session: SessionView, message: Message) -> Any:
        return [Rejected(message.why, "symbol", message.nak)]

    def stopped(self, session: SessionView, stream: str) -> Any:
        channel = session.memory.asked.get(stream)
        return [Unsubscribed(channels=(channel,))] if channel is not None else [Unknown("stopped, but never asked for")]

    def pong(self) -> Any:
        return [Alive()]

    # Values

    def exchange(self, session: SessionView) -> str:
        return session.exchange

    def symbol(self, session: SessionView, native: str) -> str:
        return session.instruments.symbols.get(native, native)

    def time(self, millis: int) -> Any:
        return millis * MS

    def number(self, value: Decimal) -> Any:
        if not value.is_finite():
            raise ValueError(f"{value} is no number")
        return value

    def taker(self, maker: str) -> Any:
        return "buy" if maker == "s" else "sell"

    def received(self, at: int, timestamp: int) -> int:
        return at

    def trade_id(self, row: Row, message: Message) -> str:
        return str(row.id)

    def trades(self, session: SessionView, message: Message, at: int) -> Any:
        exchange, symbol, time = self.exchange(session), self.symbol(session, message.m), self.time(message.t)
        received, number = self.received(at, time), self.number
        return [
            Trade(exchange, symbol, time, received, self.trade_id(row, message), self.taker(row.maker),
                  number(row.price), number(row.size))
            for row in message.rows
        ]  # fmt: skip

    def ticker(self, session: SessionView, message: Message, at: int) -> Any:
        time, last, high = self.time(message.t), message.last, message.high
        if last is None or high is None:
            return [Malformed("a ticker without prices")]
        figures = (None, None, None, None, None, None, self.number(high), None, None)
        exchange, symbol = self.exchange(session), self.symbol(session, message.m)
        return [Ticker(exchange, symbol, time, self.received(at, time), self.number(last), *figures)]

    def levels(self, levels: list[Level]) -> Any:
        return levels

    def sides(self, message: Message | Reply) -> tuple[Any, Any]:
        return self.levels(message.b), self.levels(message.a)

    def numbers(self, session: SessionView, message: Message) -> tuple[int | None, int | None]:
        return message.n, message.p

    def snapshot_number(self, message: Message) -> int | None:
        return message.n

    def sums(self, symbol: str, message: Message) -> Sequence[Event]:
        return [BookChecksum(symbol, message.sum)]

    def book(self, session: SessionView, message: Message, at: int) -> Any:
        exchange, symbol, time = self.exchange(session), self.symbol(session, message.m), self.time(message.t)
        bids, asks = self.sides(message)
        received = self.received(at, time)
        if message.full:
            number = self.snapshot_number(message)
            return [BookSnapshot(exchange, symbol, time, received, bids, asks, number), *self.sums(symbol, message)]
        sequence, previous = self.numbers(session, message)
        delta = BookDelta(exchange, symbol, time, received, bids, asks, sequence, previous)
        return [delta, *self.sums(symbol, message)]

    @hookimpl
    def checksum(self, book: BookSides) -> int:
        bids, asks = book.top_text(self.summed)
        return checksum_of([*bids, *asks])

    # REST

    @hookimpl
    def instruments(self, settings: ExchangeSettings) -> Sequence[Fetch]:
        return [Fetch(self.rest(settings, "markets"), costs={"rest": 1.0})]

    @hookimpl
    def snapshot(self, session: SessionView, channel: Channel) -> Fetch | None:
        if channel.data_type is DataType.BALANCE:
            return Fetch(self.rest(session.settings, "me"), channel=channel)
        if channel.data_type is not DataType.ORDERBOOK:
            return None
        return Fetch(self.rest(session.settings, f"book?m={channel.native}"), costs={"rest": 1.0}, channel=channel)

    @hookimpl
    def backfill(self, session: SessionView, channel: Channel, gap: Gap) -> Fetch | None:
        if channel.data_type is not DataType.TRADE or gap.first_id is None or gap.last_id is None:
            return None
        return self.history(session, channel.native, int(gap.first_id), int(gap.last_id), channel)

    def history(self, session: SessionView, native: str, first: int, last: int, channel: Channel | None) -> Fetch:
        path = f"trades?m={native}&from={first}&to={last}"
        return Fetch(self.rest(session.settings, path), costs={"rest": 1.0}, channel=channel)

    @hookimpl
    def read(self, session: SessionView, fetch: Fetch, answer: Answer, at: int) -> Sequence[Event | Dial | Fetch]:
        try:
            return self.answers(session, fetch, self.reply(answer.body), at)
        except UNREADABLE as error:
            return self.unreadable(error)

    @hookimpl
    def refused(self, answer: Answer) -> Rejected | None:
        return self.error(answer.body)

    def error(self, body: bytes) -> Any:
        try:
            return Rejected(self.complaint(body).why, "retry")
        except UNREADABLE:
            return None

    def answers(self, session: SessionView, fetch: Fetch, reply: Reply, at: int) -> Any:
        url = urlsplit(fetch.url)
        asked = dict(parse_qsl(url.query))
        match url.path.rpartition("/")[2]:
            case "markets":
                return [self.listed(session, row, at) for row in reply.markets]
            case "book":
                return [self.fetched(session, reply, asked["m"], at)]
            case "trades":
                return self.past(session, fetch, reply, asked, at)
            case "me":
                return [Balance(session.exchange, name, None, at, session.account, sum) for name, sum in reply.cash]
        return self.unknown("an answer")

    def listed(self, session: SessionView, row: tuple[str, str, str, Decimal, Decimal], at: int) -> Event:
        native, base, quote, tick, lot = row
        symbol = self.listed_symbol(base, quote)
        tick, lot = self.steps(tick, lot)
        instrument = Instrument(session.exchange, symbol, native, "spot", base, quote, tick_size=tick, lot_size=lot)
        return InstrumentUpdate(session.exchange, symbol, None, at, instrument)

    def steps(self, tick: Decimal, lot: Decimal) -> tuple[Decimal, Decimal]:
        return tick, lot

    def listed_symbol(self, base: str, quote: str) -> str:
        return make_symbol(base, quote)

    def fetched(self, session: SessionView, reply: Reply, native: str, at: int) -> Event:
        bids, asks = self.sides(reply)
        return BookSnapshot(session.exchange, self.symbol(session, native), self.time(reply.t), at, bids, asks, reply.n)

    def past_side(self, side: Side) -> Side:
        return side

    def past_time(self, millis: int) -> Any:
        return self.time(millis)

    def past(self, session: SessionView, fetch: Fetch, reply: Reply, asked: dict[str, str], at: int) -> Any:
        symbol = self.symbol(session, asked["m"])
        found: list[Any] = [
            Trade(session.exchange, symbol, self.past_time(row.t), at, str(row.id), self.past_side(row.side), row.price,
                  row.size, late=True)
            for row in reply.rows
        ]  # fmt: skip
        if len(reply.rows) >= PAGE and reply.rows[-1].id < int(asked["to"]):
            found.append(self.further(session, asked, reply.rows[-1].id + 1, fetch.channel))
        return found

    def further(self, session: SessionView, asked: dict[str, str], first: int, channel: Channel | None) -> Fetch:
        return self.history(session, asked["m"], first, int(asked["to"]), channel)

    @hookimpl
    def venue(self, options: VenueOptions) -> SimulatedVenue:
        return WrenVenue(options)
