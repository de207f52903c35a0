"""The market events tickhive hands out: what happened, where, when the venue says so and when we received it.

Every event begins with the same four fields: ``exchange``, ``symbol`` (normalised), ``timestamp`` (the venue's time,
ns UTC, None where it sends none) and ``received`` (our time, ns UTC). Prices and sizes are exact ``Decimal``; sizes
count what the instrument's ``size_unit`` says. Events are built positionally on the hot road and carry no validators:
whoever builds one has checked its input. Treat them as immutable: every consumer gets the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec
from attrs import define

from tickhive.channels import DataType, Instrument

Side: TypeAlias = Literal["buy", "sell"]
Filled: TypeAlias = Literal["none", "part", "whole"]


class Level(msgspec.Struct, array_like=True, gc=False):
    """One price level of a book as the venue wrote it. Decodes straight from a JSON row ``["price", "size", ...]``.

    A size of zero (any spelling) deletes the level. Further elements of the row are skipped.
    """

    price: str
    size: str


@define
class Trade:
    """An execution. ``side`` is the taker's. ``count`` executions were merged into it; ``id`` is the last one's.

    ``late`` marks a trade that was missed live and fetched afterwards.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    id: str
    side: Side
    price: Decimal
    size: Decimal
    count: int = 1
    late: bool = False


@define
class Quote:
    """Best bid and ask. A side without orders has None for price and size."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    sequence: int | None = None


@define
class Ticker:
    """The last trade, best prices and 24-hour statistics of an instrument.

    ``volume`` counts the instrument's own size unit over 24 h, ``base_volume`` and ``quote_volume`` its currencies.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    last: Decimal | None
    last_size: Decimal | None
    bid: Decimal | None
    bid_size: Decimal | None
    ask: Decimal | None
    ask_size: Decimal | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    volume: Decimal | None
    base_volume: Decimal | None = None
    quote_volume: Decimal | None = None


@define
class BookSnapshot:
    """A whole book down to ``depth`` levels a side (0: as deep as the venue's channel goes); replaces what was known.

    ``sequence`` numbers this state where the venue numbers its books.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None = None
    depth: int = 0


@define
class BookDelta:
    """The levels of a book that changed: absolute sizes, zero deletes.

    ``previous`` is the ``sequence`` this delta builds on, ``first`` the lowest number merged into it; each is None
    where the venue does not send it. ``depth`` names the book it belongs to, as in BookSnapshot.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None = None
    previous: int | None = None
    first: int | None = None
    depth: int = 0


@define
class Candle:
    """Open, high, low, close and volume of one interval (``1m``, ``4h``, ...), which began at ``start`` (ns UTC).

    ``closed`` is false while the interval still runs. Volumes as in Ticker. ``revision`` counts how often a closed
    candle was corrected by trades that came late: the highest one holds.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    interval: str
    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    base_volume: Decimal | None = None
    quote_volume: Decimal | None = None
    closed: bool = False
    revision: int = 0


@define
class FundingRate:
    """The funding rate that is paid at ``funding_time`` (ns UTC), and the next one where it is known."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    rate: Decimal
    funding_time: int | None
    next_rate: Decimal | None = None
    next_funding_time: int | None = None


@define
class OpenInterest:
    """All open positions: ``amount`` in the instrument's size unit, in base currency, and ``value`` in US dollars."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    amount: Decimal
    base_amount: Decimal | None = None
    value: Decimal | None = None


@define
class Liquidation:
    """A forced close. ``side`` is the side of the liquidation order: ``buy`` closes a short."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    side: Side
    price: Decimal
    size: Decimal


@define
class MarkPrice:
    """The price at which the venue values positions."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    price: Decimal


@define
class IndexPrice:
    """The price of the index under an instrument; ``symbol`` is the one it was asked for by (``BTC-USDT-PERP``)."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    price: Decimal


@define
class PriceLimit:
    """The highest bid and the lowest ask the venue accepts now; None where no limit is in force."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    highest_bid: Decimal | None
    lowest_ask: Decimal | None


@define
class InstrumentUpdate:
    """An instrument was listed, or its terms or status changed."""

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    instrument: Instrument


@define
class Gap:
    """A hole in the data of one symbol and type: from ``start`` to ``end`` (ns UTC, None where unknown).

    ``first_id`` and ``last_id`` bound it in the venue's own ids or sequence numbers. ``cause`` is a short phrase,
    ``filled`` says how much of it was fetched afterwards.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    data_type: DataType
    start: int | None
    end: int | None
    cause: str
    first_id: str | None = None
    last_id: str | None = None
    filled: Filled = "none"
    params: str = ""


MarketEvent: TypeAlias = (
    Trade
    | Quote
    | Ticker
    | BookSnapshot
    | BookDelta
    | Candle
    | FundingRate
    | OpenInterest
    | Liquidation
    | MarkPrice
    | IndexPrice
    | PriceLimit
    | InstrumentUpdate
    | Gap
)

EVENT_TYPES: tuple[type[MarketEvent], ...] = (
    Trade,
    Quote,
    Ticker,
    BookSnapshot,
    BookDelta,
    Candle,
    FundingRate,
    OpenInterest,
    Liquidation,
    MarkPrice,
    IndexPrice,
    PriceLimit,
    InstrumentUpdate,
    Gap,
)

DATA_TYPE_OF: dict[type[MarketEvent], DataType] = {
    Trade: DataType.TRADE,
    Quote: DataType.QUOTE,
    Ticker: DataType.TICKER,
    BookSnapshot: DataType.ORDERBOOK,
    BookDelta: DataType.ORDERBOOK,
    Candle: DataType.CANDLE,
    FundingRate: DataType.FUNDING_RATE,
    OpenInterest: DataType.OPEN_INTEREST,
    Liquidation: DataType.LIQUIDATION,
    MarkPrice: DataType.MARK_PRICE,
    IndexPrice: DataType.INDEX_PRICE,
    PriceLimit: DataType.PRICE_LIMIT,
    InstrumentUpdate: DataType.INSTRUMENT,
}
"""Which data type an event answers to. A Gap carries its own ``data_type`` and goes to whoever takes that type."""
