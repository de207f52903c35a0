"""The market events tickhive hands out: what happened, where, when the venue says so and when we received it.

Every event begins with the same four fields: ``exchange``, ``symbol`` (normalised), ``timestamp`` (the venue's time,
ns UTC, None where it sends none) and ``received`` (our time, ns UTC). Prices and sizes are exact ``Decimal``; sizes
count what the instrument's ``size_unit`` says. Events are built positionally on the hot road and carry no validators:
whoever builds one has checked its input. Treat them as immutable: every consumer gets the same object.
"""

from __future__ import annotations

from typing import TypeAlias

from tickhive.channels import DataType
from tickhive.events.account import Balance, Fill, Order, OrderStatus, Position, PositionSide
from tickhive.events.books import BookDelta, BookSnapshot, Level
from tickhive.events.market import (
    Candle,
    FundingRate,
    IndexPrice,
    InstrumentUpdate,
    Liquidation,
    MarkPrice,
    OpenInterest,
    PriceLimit,
    Quote,
    Side,
    Ticker,
    Trade,
)
from tickhive.events.notices import Filled, Gap, SubscriptionUpdate

__all__ = [
    "DATA_TYPE_OF",
    "EVENT_TYPES",
    "Balance",
    "BookDelta",
    "BookSnapshot",
    "Candle",
    "Fill",
    "Filled",
    "FundingRate",
    "Gap",
    "IndexPrice",
    "InstrumentUpdate",
    "Level",
    "Liquidation",
    "MarkPrice",
    "MarketEvent",
    "OpenInterest",
    "Order",
    "OrderStatus",
    "Position",
    "PositionSide",
    "PriceLimit",
    "Quote",
    "Side",
    "SubscriptionUpdate",
    "Ticker",
    "Trade",
]

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
