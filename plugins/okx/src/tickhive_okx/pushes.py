"""What the data of each OKX channel looks like, and the market events it becomes.

A row is one element of ``data``. A builder reads a push (all rows of one frame, of one channel) and answers its events;
it may raise ValueError or ArithmeticError for a value that is none. Times become ns UTC, numbers ``Decimal``; book
levels stay the venue's text. Sizes of spot pairs count base currency, all others contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from msgspec import Meta, Raw, Struct, field

from tickhive.channels import EVERY
from tickhive.events import (
    BookDelta,
    BookSnapshot,
    FundingRate,
    IndexPrice,
    InstrumentUpdate,
    Level,
    Liquidation,
    MarketEvent,
    MarkPrice,
    OpenInterest,
    PriceLimit,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tickhive.plugin import BookChecksum, Event, SessionView, Unknown
from tickhive.plugin.reading import NS_PER_MS, Int64, Millis, Numeral, Text, exact, number, positive
from tickhive_okx.elements import Elements
from tickhive_okx.instruments import InstrumentRow, instrument
from tickhive_okx.values import moment

Row = TypeVar("Row")
_AtLeastOne: TypeAlias = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Arg(Struct, gc=False, rename="camel", frozen=True):
    """What was subscribed to: a channel, of one instrument, of all of one type, or of the account ``uid``."""

    channel: Text
    inst_id: Text = ""
    inst_type: Text = ""
    uid: Text = ""

    @property
    def key(self) -> tuple[str, str]:
        """The channel and whose it is: what a socket's memory files it under."""
        return self.channel, self.inst_id or self.inst_type


class Rows(Struct, Generic[Row], gc=False):
    """A push whose rows say which instrument they are about."""

    data: list[Row]


class Push(Struct, Generic[Row], gc=False):
    """A push whose argument says which instrument it is about; books say also whether they are whole."""

    arg: Arg
    data: list[Row]
    action: Literal["", "snapshot", "update"] = ""


Builder: TypeAlias = Callable[[Any, SessionView, int], Sequence[Event]]


def each(event: Callable[..., MarketEvent], fields: Callable[[Any], tuple[Any, ...]]) -> Builder:
    """The builder of a channel whose rows name their instrument: one event for each, ending in ``fields``."""

    def build(push: Rows[Any], session: SessionView, at: int) -> Sequence[Event]:
        symbols, exchange = session.instruments.symbols, session.exchange
        return [
            event(exchange, symbols.get(row.inst_id, row.inst_id), row.ts * NS_PER_MS or None, at, *fields(row))
            for row in push.data
        ]

    return build


class TradeRow(Struct, gc=False, rename="camel"):
    """An execution, or several of one taker order at one price."""

    inst_id: Text
    trade_id: Text
    px: Numeral
    sz: Numeral
    side: Side
    ts: Millis
    count: _AtLeastOne = 1


def trades(push: Rows[TradeRow], session: SessionView, at: int) -> Sequence[Event]:
    """``trades`` and ``trades-all``: the executions of one taker order at one price come as one, with their count."""
    symbols, exchange = session.instruments.symbols, session.exchange
    events: list[Event] = []
    for row in push.data:  # a comprehension, which is a function of its own before 3.12, costs half as much again
        symbol, timestamp = symbols.get(row.inst_id, row.inst_id), row.ts * NS_PER_MS or None
        price, size = positive[row.px], positive[row.sz]
        events.append(Trade(exchange, symbol, timestamp, at, row.trade_id, row.side, price, size, row.count))
    return events


class TickerRow(Struct, gc=False, rename="camel"):
    """24-hour statistics; empty texts where nothing traded or stands."""

    inst_id: Text
    ts: Millis
    inst_type: Text = ""
    last: Numeral = ""
    last_sz: Numeral = ""
    bid_px: Numeral = ""
    bid_sz: Numeral = ""
    ask_px: Numeral = ""
    ask_sz: Numeral = ""
    open24h: Numeral = ""
    high24h: Numeral = ""
    low24h: Numeral = ""
    vol24h: Numeral = ""
    vol_ccy24h: Numeral = field(name="volCcy24h", default="")


def _ticker(row: TickerRow) -> tuple[Any, ...]:
    volume, money = number(row.vol24h), number(row.vol_ccy24h)
    # `volCcy24h` counts the quote currency of a spot pair, the coin of a derivative.
    base, quote = (volume, money) if row.inst_type == "SPOT" else (money, None)
    trade, bid, ask = (row.last, row.last_sz), (row.bid_px, row.bid_sz), (row.ask_px, row.ask_sz)
    day = (row.open24h, row.high24h, row.low24h)
    return *map(number, (*trade, *bid, *ask, *day)), volume, base, quote


tickers = each(Ticker, _ticker)
"""``tickers``: at most one every 100 ms."""


class BookRow(Struct, gc=False, rename="camel"):
    """Levels of a book: all of them, or those that changed."""

    asks: list[Level]
    bids: list[Level]
    ts: Millis
    # Recordings of 2022 carry neither number; since June 2026 the checksum is 0, which means there is none, and it is
    # to go: however that is written, it costs no book.
    seq_id: Int64 | None = None
    prev_seq_id: Int64 | None = None
    checksum: Int64 | Literal[""] | None = 0


def books(push: Push[BookRow], session: SessionView, at: int) -> Sequence[Event]:
    """``books``: a snapshot of 400 levels, then what changes."""
    native = push.arg.inst_id
    symbol, exchange = session.instruments.symbols.get(native, native), session.exchange
    events: list[Event] = []
    for row in push.data:
        timestamp = row.ts * NS_PER_MS or None
        if push.action == "update":
            events.append(BookDelta(exchange, symbol, timestamp, at, row.bids, row.asks, row.seq_id, row.prev_seq_id))
        elif push.action == "snapshot":
            events.append(BookSnapshot(exchange, symbol, timestamp, at, row.bids, row.asks, row.seq_id))
        else:
            raise ValueError("action is missing")
        if row.checksum:
            events.append(BookChecksum(symbol, row.checksum))
    return events


def books5(push: Push[BookRow], session: SessionView, at: int) -> Sequence[Event]:
    """``books5``: the best five levels, whole each time."""
    native = push.arg.inst_id
    symbol = session.instruments.symbols.get(native, native)
    return [
        BookSnapshot(session.exchange, symbol, row.ts * NS_PER_MS or None, at, row.bids, row.asks, row.seq_id, 5)
        for row in push.data
    ]


def quotes(push: Push[BookRow], session: SessionView, at: int) -> Sequence[Event]:
    """``bbo-tbt``: the best bid and ask; a side without orders comes empty."""
    native = push.arg.inst_id
    symbol, exchange = session.instruments.symbols.get(native, native), session.exchange
    events = []
    for row in push.data:
        bid, bid_size = (number(row.bids[0].price), number(row.bids[0].size)) if row.bids else (None, None)
        ask, ask_size = (number(row.asks[0].price), number(row.asks[0].size)) if row.asks else (None, None)
        events.append(Quote(exchange, symbol, row.ts * NS_PER_MS or None, at, bid, bid_size, ask, ask_size, row.seq_id))
    return events


class MarkPriceRow(Struct, gc=False, rename="camel"):
    """A mark price."""

    inst_id: Text
    mark_px: Numeral
    ts: Millis


mark_prices = each(MarkPrice, lambda row: (exact(row.mark_px),))
"""``mark-price``: every 200 ms when it changes, else every 10 s."""


class IndexRow(Struct, gc=False, rename="camel"):
    """An index; its 24-hour statistics are skipped."""

    inst_id: Text
    idx_px: Numeral
    ts: Millis


def index_prices(push: Push[IndexRow], session: SessionView, at: int) -> Sequence[Event]:
    """``index-tickers``: many instruments share an index, each that asked for it gets its price under its own name."""
    asked = [channel.symbol for channel in session.memory.carried(push.arg.key)]
    events = []
    for row in push.data:
        price = exact(row.idx_px)
        for symbol in asked or [row.inst_id]:
            events.append(IndexPrice(session.exchange, symbol, row.ts * NS_PER_MS or None, at, price))
    return events


class FundingRow(Struct, gc=False, rename="camel"):
    """A funding rate; the next one is empty under the ``current_period`` method."""

    inst_id: Text
    funding_rate: Numeral
    ts: Millis
    funding_time: Numeral = ""
    next_funding_rate: Numeral = ""
    next_funding_time: Numeral = ""


funding_rates = each(
    FundingRate,
    lambda row: (
        exact(row.funding_rate),
        moment(row.funding_time),
        number(row.next_funding_rate),
        moment(row.next_funding_time),
    ),
)
"""``funding-rate``: perpetual swaps and perpetual-style futures, every 30 to 90 s."""


class OpenInterestRow(Struct, gc=False, rename="camel"):
    """Open interest in contracts, coin and US dollars."""

    inst_id: Text
    oi: Numeral
    ts: Millis
    oi_ccy: Numeral = ""
    oi_usd: Numeral = ""


open_interest = each(OpenInterest, lambda row: (exact(row.oi), number(row.oi_ccy), number(row.oi_usd)))
"""``open-interest``: every 3 s when it changes."""


class LiquidationDetail(Struct, gc=False, rename="camel"):
    """One forced close at its bankruptcy price."""

    side: Side
    bk_px: Numeral
    sz: Numeral
    ts: Millis


class LiquidationRow(Struct, gc=False, rename="camel"):
    """The forced closes of one instrument, each a ``LiquidationDetail``."""

    inst_id: Text
    details: list[Raw]


_read_details = Elements(LiquidationDetail).read


def liquidations(push: Push[LiquidationRow], session: SessionView, at: int) -> Sequence[Event]:
    """``liquidation-orders``: the venue sends all of one instrument type, we hand out what was asked for."""
    asked = {channel.native: channel.symbol for channel in session.memory.carried(push.arg.key)}
    symbols = asked or session.instruments.symbols
    events: list[Event] = []
    for row in push.data:
        if asked and row.inst_id not in asked:
            continue
        symbol = symbols.get(row.inst_id, row.inst_id)

        def one(detail: LiquidationDetail, symbol: str = symbol) -> Event:
            price, size, time = exact(detail.bk_px), exact(detail.sz), detail.ts * NS_PER_MS or None
            return Liquidation(session.exchange, symbol, time, at, detail.side, price, size)

        events += _read_details(row.details, one, f"{push.arg.channel} {row.inst_id}")
    return events


class PriceLimitRow(Struct, gc=False, rename="camel"):
    """The limits of one instrument."""

    inst_id: Text
    ts: Millis
    buy_lmt: Numeral = ""
    sell_lmt: Numeral = ""
    enabled: bool = True


price_limits = each(
    PriceLimit, lambda row: (number(row.buy_lmt), number(row.sell_lmt)) if row.enabled else (None, None)
)
"""``price-limit``: every 200 ms when it changes; no limits are in force where ``enabled`` is false."""


def instrument_updates(push: Push[InstrumentRow], session: SessionView, at: int) -> Sequence[Event]:
    """``instruments``: changes only, of one instrument type; the whole list comes by REST.

    What was asked for by name is handed out, or all of it where a channel is for every instrument.
    """
    carried = session.memory.carried(push.arg.key)
    asked = {channel.native for channel in carried}
    every = not asked or any(channel.symbol == EVERY for channel in carried)
    return [instrument_update(row, session, at) for row in push.data if every or row.inst_id in asked]


def instrument_update(row: InstrumentRow, session: SessionView, at: int) -> Event:
    """One row of the list as an event."""
    found = instrument(session.exchange, row)
    if found is None:
        return Unknown(f"instrument {row.inst_id} of type {row.inst_type}")
    return InstrumentUpdate(session.exchange, found.symbol, None, at, found)
