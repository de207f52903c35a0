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
PositionSide: TypeAlias = Literal["net", "long", "short"]
OrderStatus: TypeAlias = Literal["open", "partially_filled", "filled", "cancelled", "rejected", "expired"]
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

    ``sequence`` numbers this state where the venue numbers its books. ``levels``: the venue keeps only so many a side
    up to date and leaves it to its clients to drop what falls out of them (0: all of them); a book with a depth is cut
    to that anyway.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None = None
    depth: int = 0
    levels: int = 0


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
    candle was corrected by trades that came late: the highest one holds. ``late`` marks a candle that was missed live
    and fetched afterwards.
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
    late: bool = False


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
    """A hole in the data of one symbol and type: from ``start`` to ``end`` (ns UTC, None where unknown), by the venue's
    clock where its events have times, else by ours.

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


@define
class SubscriptionUpdate:
    """A subscription came into another state (``wanted``, ``asked``, ``acknowledged``, ``receiving``, ``silent``,
    ``rejected``); ``reason`` says why, where there is something to say.

    Goes to those who take all data types: it is about the data and never part of it.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    data_type: DataType
    params: str
    state: str
    reason: str | None = None


@define
class Balance:
    """The funds of an account in one currency, which is the ``symbol``.

    ``total`` is the cash balance, ``available`` what may be used for orders, ``frozen`` what open orders hold,
    ``equity`` the balance with unrealised profit, ``liability`` what is owed; each None where the venue does not say.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    total: Decimal | None
    available: Decimal | None = None
    frozen: Decimal | None = None
    equity: Decimal | None = None
    liability: Decimal | None = None


@define
class Position:
    """An open position; one that was closed is told once more, with ``size`` zero.

    ``size`` is signed, negative is short, in the instrument's size unit. ``side`` is the venue's slot: ``net`` where an
    instrument has one position, ``long`` and ``short`` where it has two. ``id`` tells positions of one instrument
    apart, ``margin_mode`` is ``cross``, ``isolated`` or empty. ``realised_profit`` is what this position has brought
    so far, fees included where the venue counts them in.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    side: PositionSide
    size: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    unrealised_profit: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: str = ""
    realised_profit: Decimal | None = None


@define
class Order:
    """The state of an order after its last change. ``filled`` of ``size`` is done, at ``average_price``.

    ``order_type`` is the venue's word in lower case (``limit``, ``market``, ``post_only``), ``price`` None where it has
    none. ``fee`` is what was charged so far in ``fee_currency``; negative is a rebate. ``created`` is ns UTC.
    ``reason`` says why an order was cancelled or refused, where the venue does. ``position_side`` is the slot it
    trades, as in Position.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    side: Side
    order_type: str
    status: OrderStatus
    size: Decimal
    filled: Decimal
    price: Decimal | None = None
    average_price: Decimal | None = None
    client_id: str = ""
    reduce_only: bool = False
    fee: Decimal | None = None
    fee_currency: str = ""
    created: int | None = None
    reason: str = ""
    position_side: PositionSide = "net"


@define
class Fill:
    """An execution of one of the account's orders. ``id`` is the venue's id of the trade.

    ``fee`` is what was charged in ``fee_currency``; negative is a rebate, None where the venue does not say.
    ``liquidity`` is ``maker``, ``taker`` or empty. ``late`` marks a fill that was missed live and fetched afterwards.
    ``position_side`` is the slot its order trades, as in Position.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    account: str
    id: str
    order_id: str
    side: Side
    price: Decimal
    size: Decimal
    liquidity: Literal["maker", "taker", ""] = ""
    fee: Decimal | None = None
    fee_currency: str = ""
    client_id: str = ""
    late: bool = False
    position_side: PositionSide = "net"


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
    | SubscriptionUpdate
    | Balance
    | Position
    | Order
    | Fill
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
    SubscriptionUpdate,
    Balance,
    Position,
    Order,
    Fill,
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
    Balance: DataType.BALANCE,
    Position: DataType.POSITION,
    Order: DataType.ORDER,
    Fill: DataType.FILL,
}
"""Which data type an event answers to. A Gap carries its own ``data_type`` and goes to whoever takes that type, a
SubscriptionUpdate to whoever takes all."""
