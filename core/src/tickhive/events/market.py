"""What everybody sees of a market: trades, prices, candles, the terms of what is traded."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeAlias

from attrs import define

from tickhive.channels import Instrument

Side: TypeAlias = Literal["buy", "sell"]


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
