"""What the market messages of Advanced Trade look like, and the events they become.

A reader takes a whole frame and answers its events, first the number it has on its socket; it may raise what is in
``UNREADABLE``. Times are read to the microsecond, numbers become ``Decimal``; book levels stay the venue's text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from attrs import evolve
from msgspec import Meta, Raw, Struct

from tickhive.channels import EVERY, DataType
from tickhive.events import BookDelta, BookSnapshot, Candle, InstrumentUpdate, Level, Quote, Ticker, Trade
from tickhive.plugin import Alive, Event, Malformed, Numbered, SessionView
from tickhive.plugin.reading import NS_PER_SECOND, UNREADABLE, Count, Numeral, Text, exact, number, positive
from tickhive_coinbase.advanced.instruments import StatusRow, is_spot, told
from tickhive_coinbase.values import TAKER, Moment, nanos

Reader: TypeAlias = Callable[[bytes, SessionView, int], Sequence[Event]]
EventT = TypeVar("EventT")
Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=2**33)]
"""Seconds since 1970, written in a string."""

CANDLE_SECONDS = 300
"""Candles are of five minutes, no others stream."""


class Push(Struct, Generic[EventT], gc=False):
    """A message; ``timestamp`` is when it was sent."""

    sequence_num: Count
    events: list[EventT]
    timestamp: Moment | None = None


def _decoder(form: Any) -> Callable[[bytes], Any]:
    # Not strict: a candle's start is a number written as a string.
    return msgspec.json.Decoder(form, strict=False).decode


class TradeRow(Struct, gc=False):
    """An execution. ``side`` is the maker's."""

    product_id: Text
    trade_id: Text
    price: Numeral
    size: Numeral
    time: Moment
    side: Literal["BUY", "SELL"]


class Trades(Struct, gc=False):
    """Executions, newest first."""

    trades: list[TradeRow]


_trades = _decoder(Push[Trades])


def trades(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``market_trades``: first the last executions before the subscription, then those of a quarter of a second.

    The first ones are trades like any other: after a reconnect they fill the hole as far back as they reach, and the
    core drops those that are known.
    """
    push = _trades(frame)
    exchange, symbols = session.exchange, session.instruments.symbols
    events: list[Event] = [Numbered(push.sequence_num)]
    for each in push.events:
        for row in reversed(each.trades):
            symbol, price, size = symbols.get(row.product_id, row.product_id), positive[row.price], positive[row.size]
            about = exchange, symbol, nanos(row.time), at, row.trade_id, TAKER[row.side]
            events.append(Trade(*about, price, size))
    return session.memory.handed_round("market_trades", events) if session.memory.shared else events


class LevelRow(Struct, gc=False):
    """A price level with its absolute size; its own time is skipped."""

    side: Literal["bid", "offer"]
    price_level: str
    new_quantity: str


class Book(Struct, gc=False):
    """All levels of a book, or those that changed."""

    product_id: Text
    type: Literal["snapshot", "update"]
    updates: list[LevelRow]


_books = _decoder(Push[Book])


def books(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``l2_data``: unnumbered books on a numbered socket."""
    push = _books(frame)
    exchange, timestamp = session.exchange, nanos(push.timestamp)
    events: list[Event] = [Numbered(push.sequence_num)]
    for book in push.events:
        bids: list[Level] = []
        asks: list[Level] = []
        for row in book.updates:
            (bids if row.side == "bid" else asks).append(Level(row.price_level, row.new_quantity))
        symbol = session.instruments.symbols.get(book.product_id, book.product_id)
        kind = BookSnapshot if book.type == "snapshot" else BookDelta
        events.append(kind(exchange, symbol, timestamp, at, bids, asks))
    return session.memory.handed_round("level2", events) if session.memory.shared else events


class TickerRow(Struct, gc=False):
    """24-hour statistics; ``ticker_batch`` comes without best prices."""

    product_id: Text
    price: Numeral = ""
    volume_24_h: Numeral = ""
    low_24_h: Numeral = ""
    high_24_h: Numeral = ""
    best_bid: Numeral = ""
    best_ask: Numeral = ""
    best_bid_quantity: Numeral = ""
    best_ask_quantity: Numeral = ""


class Tickers(Struct, gc=False):
    """Tickers of several products."""

    tickers: list[TickerRow]


_tickers = _decoder(Push[Tickers])


def _ticker_reader(name: str) -> Reader:
    def read(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
        push, memory = _tickers(frame), session.memory
        exchange, timestamp = session.exchange, nanos(push.timestamp)
        events: list[Event] = [Numbered(push.sequence_num)]
        for each in push.events:
            for row in each.tickers:
                native = row.product_id
                symbol, key = session.instruments.symbols.get(native, native), (name, native)
                # A price of zero stands for a side without orders.
                bid, bid_size = number(row.best_bid) or None, number(row.best_bid_quantity) or None
                ask, ask_size = number(row.best_ask) or None, number(row.best_ask_quantity) or None
                if memory.wants(key, DataType.TICKER):
                    volume = number(row.volume_24_h)
                    day = None, number(row.high_24_h), number(row.low_24_h), volume, volume if is_spot(native) else None
                    prices = number(row.price), None, bid, bid_size, ask, ask_size
                    events.append(Ticker(exchange, symbol, timestamp, at, *prices, *day))
                if (bid_size or ask_size) and memory.wants(key, DataType.QUOTE):
                    events.append(Quote(exchange, symbol, timestamp, at, bid, bid_size, ask, ask_size))
        return memory.handed_round(name, events) if memory.shared else events

    return read


class CandleRow(Struct, gc=False):
    """A candle, running or over."""

    product_id: Text
    start: Seconds
    open: Numeral
    high: Numeral
    low: Numeral
    close: Numeral
    volume: Numeral


class Candles(Struct, gc=False):
    """Candles of several products."""

    type: Text
    candles: list[CandleRow]


_candles = _decoder(Push[Candles])


def candle(row: CandleRow, exchange: str, symbol: str, timestamp: int | None, at: int, now: int) -> Candle:
    """One row; it is closed where its interval was over ``now``."""
    start, volume = row.start * NS_PER_SECOND, exact(row.volume)
    prices = exact(row.open), exact(row.high), exact(row.low), exact(row.close)
    closed = start + CANDLE_SECONDS * NS_PER_SECOND <= now
    base = volume if is_spot(row.product_id) else None
    return Candle(exchange, symbol, timestamp, at, "5m", start, *prices, volume, base, None, closed)


def candles(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``candles``: every second; nothing says when one is over, so the next one closes it.

    Of the history that comes first only the last two of each product are news; holes are refilled by REST.
    """
    push, last = _candles(frame), session.memory.candles
    timestamp = nanos(push.timestamp)
    events: list[Event] = [Numbered(push.sequence_num)]
    for each in push.events:
        rows = sorted(each.candles, key=lambda row: row.start)
        newest = {row.product_id: row.start for row in rows}
        for row in rows:
            native = row.product_id
            if each.type == "snapshot" and row.start < newest[native] - CANDLE_SECONDS:
                continue
            symbol = session.instruments.symbols.get(native, native)
            found = candle(row, session.exchange, symbol, timestamp, at, timestamp or at)
            before = last.get(native)
            if before is not None and not before.closed and before.start < found.start:
                events.append(evolve(before, timestamp=timestamp, received=at, closed=True))
            if before is None or before.start <= found.start:
                last[native] = found
            events.append(found)
    return session.memory.handed_round("candles", events) if session.memory.shared else events


class Status(Struct, gc=False):
    """Products, all of them or those that changed."""

    products: list[Raw] = []


_status = _decoder(Push[Status])
_product = _decoder(StatusRow)


def status(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``status``: what has not changed is not told again."""
    push, memory = _status(frame), session.memory
    timestamp = nanos(push.timestamp)
    asked = memory.carried(("status", ""))
    named = {channel.native for channel in asked if channel.symbol != EVERY}
    every = not asked or len(named) < len(asked)
    events: list[Event] = [Numbered(push.sequence_num)]
    for raw in (raw for each in push.events for raw in each.products):
        try:
            row = _product(raw)
            if not (every or row.id in named):
                continue
            known = memory.listed.get(row.id) or session.instruments.get(session.instruments.symbols.get(row.id, ""))
            found = told(session.exchange, row, known)
        except UNREADABLE as error:
            events.append(Malformed(f"status: {error}"[:200]))
            continue
        if found is not None and (found != known or (row.id in named and row.id not in memory.listed)):
            events.append(InstrumentUpdate(session.exchange, found.symbol, timestamp, at, found))
        if found is not None:
            memory.listed[row.id] = found
    return events


_beat = _decoder(Push[Raw])


def heartbeats(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``heartbeats``: once a second, and the moment to tell which fills are waited for no more."""
    events: list[Event] = [Numbered(_beat(frame).sequence_num), Alive()]
    fills = session.memory.fills
    return [*events, *fills.given_up(session.exchange, at)] if fills.lost else events


READERS: dict[str, Reader] = {
    "market_trades": trades,
    "l2_data": books,
    "ticker": _ticker_reader("ticker"),
    "ticker_batch": _ticker_reader("ticker_batch"),
    "candles": candles,
    "status": status,
    "heartbeats": heartbeats,
}
