"""What the market messages of Coinbase Exchange look like, and the events they become.

A reader takes a whole frame and answers its events; it may raise what is in ``UNREADABLE``. Times become ns UTC,
numbers ``Decimal``; book levels stay the venue's text. All sizes count the base currency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Raw, Struct

from tickhive.channels import EVERY, DataType
from tickhive.events import BookDelta, BookSnapshot, InstrumentUpdate, Level, Quote, Ticker, Trade
from tickhive.plugin import Alive, Event, LastTrade, Malformed, SessionView
from tickhive.plugin.reading import UNREADABLE, Count, Numeral, Text, number, positive
from tickhive_coinbase.exchange.instruments import ProductRow, instrument
from tickhive_coinbase.values import TAKER, Moment, nanos

Reader: TypeAlias = Callable[[bytes, SessionView, int], Sequence[Event]]

_ALIVE = (Alive(),)


def _decoder(form: Any) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(form).decode


class Match(Struct, gc=False):
    """An execution. ``side`` is the maker's."""

    trade_id: Count
    side: Literal["buy", "sell"]
    size: Numeral
    price: Numeral
    product_id: Text
    time: Moment


_match = _decoder(Match)


def trade(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``match``, and ``last_match``: the newest execution before the subscription, a trade like any other.

    After a reconnect it shows at once what was missed, and the core drops it where it is known already.
    """
    row = _match(frame)
    native = row.product_id
    symbol, price, size = session.instruments.symbols.get(native, native), positive[row.price], positive[row.size]
    about = session.exchange, symbol, nanos(row.time), at, str(row.trade_id), TAKER[row.side]
    return [Trade(*about, price, size)]


class Update(Struct, gc=False):
    """The levels of a book that changed; each is (side, price, absolute size)."""

    product_id: Text
    changes: list[tuple[Literal["buy", "sell"], str, str]]
    time: datetime | None = None


_update = _decoder(Update)


def book_update(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``l2update``: unnumbered, so nothing in it tells what it follows on."""
    row = _update(frame)
    native = row.product_id
    bids: list[Level] = []
    asks: list[Level] = []
    for side, price, size in row.changes:
        (bids if side == "buy" else asks).append(Level(price, size))
    symbol = session.instruments.symbols.get(native, native)
    return [BookDelta(session.exchange, symbol, nanos(row.time), at, bids, asks)]


class Snapshot(Struct, gc=False):
    """A whole book, with neither number nor time."""

    product_id: Text
    bids: list[Level]
    asks: list[Level]


_snapshot = _decoder(Snapshot)


def book_snapshot(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``snapshot``: what a subscription of a book begins with."""
    row = _snapshot(frame)
    symbol = session.instruments.symbols.get(row.product_id, row.product_id)
    return [BookSnapshot(session.exchange, symbol, None, at, row.bids, row.asks)]


class TickerRow(Struct, gc=False):
    """24-hour statistics after a trade. The sizes of the best prices came in 2022."""

    product_id: Text
    price: Numeral = ""
    last_size: Numeral = ""
    open_24h: Numeral = ""
    high_24h: Numeral = ""
    low_24h: Numeral = ""
    volume_24h: Numeral = ""
    best_bid: Numeral = ""
    best_bid_size: Numeral = ""
    best_ask: Numeral = ""
    best_ask_size: Numeral = ""
    time: Moment | None = None
    sequence: Count | None = None


_ticker = _decoder(TickerRow)


def ticker(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``ticker``, from either of its channels: the statistics, and the best prices where their sizes are told."""
    row = _ticker(frame)
    native, exchange, memory = row.product_id, session.exchange, session.memory
    symbol, timestamp = session.instruments.symbols.get(native, native), nanos(row.time)
    # A price of zero stands for a side without orders.
    bid, bid_size = number(row.best_bid) or None, number(row.best_bid_size) or None
    ask, ask_size = number(row.best_ask) or None, number(row.best_ask_size) or None
    events: list[Event] = []
    if memory.wants(("ticker", native), DataType.TICKER) or memory.carried(("ticker_batch", native)):
        opened, high, low = number(row.open_24h), number(row.high_24h), number(row.low_24h)
        prices = number(row.price), number(row.last_size), bid, bid_size, ask, ask_size, opened, high, low
        volume = number(row.volume_24h)
        events.append(Ticker(exchange, symbol, timestamp, at, *prices, volume, volume))
    if (bid_size or ask_size) and memory.wants(("ticker", native), DataType.QUOTE):
        events.append(Quote(exchange, symbol, timestamp, at, bid, bid_size, ask, ask_size, row.sequence))
    return events


class Beat(Struct, gc=False):
    """A sign of life of one product. One that never traded has no last trade."""

    product_id: Text
    last_trade_id: Count = 0


_beat = _decoder(Beat)


def heartbeat(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``heartbeat``: once a second. It shows a match that was dropped before the next one does."""
    row = _beat(frame)
    native = row.product_id
    if not row.last_trade_id or not session.memory.wants(("matches", native), DataType.TRADE):
        return _ALIVE
    return [LastTrade(session.instruments.symbols.get(native, native), str(row.last_trade_id))]


class Status(Struct, gc=False):
    """All products; the currencies beside them are skipped."""

    products: list[Raw]


_status = _decoder(Status)
_product = _decoder(ProductRow)


def status(frame: bytes, session: SessionView, at: int) -> Sequence[Event]:
    """``status``: the whole list every few seconds. What has not changed is not told again."""
    memory = session.memory
    asked = memory.carried(("status", ""))
    named = {channel.native for channel in asked if channel.symbol != EVERY}
    every = not asked or len(named) < len(asked)
    events: list[Event] = []
    for raw in _status(frame).products:
        try:
            row = _product(raw)
            if not (every or row.id in named):
                continue
            found = instrument(session.exchange, row)
        except UNREADABLE as error:
            events.append(Malformed(f"status: {error}"[:200]))
            continue
        known = memory.listed.get(row.id)
        if known is None and row.id not in named:
            known = session.instruments.get(found.symbol)
        memory.listed[row.id] = found
        if found != known:
            events.append(InstrumentUpdate(session.exchange, found.symbol, None, at, found))
    return events or _ALIVE


READERS: dict[str, Reader] = {
    "match": trade,
    "last_match": trade,
    "l2update": book_update,
    "snapshot": book_snapshot,
    "ticker": ticker,
    "heartbeat": heartbeat,
    "status": status,
}
