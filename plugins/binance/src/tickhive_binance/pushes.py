"""What the payload of each Binance stream looks like, and the market events it becomes.

A builder reads one payload and answers its events; it may raise ValueError or ArithmeticError for a value that is none.
Times become ns UTC, numbers ``Decimal``; book levels stay the venue's text. Sizes count the base currency, on COIN-M
contracts. Fields are named after Binance's single letters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from attrs import define, frozen
from msgspec import Struct

from tickhive.channels import DataType
from tickhive.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    FundingRate,
    IndexPrice,
    Level,
    Liquidation,
    MarkPrice,
    Quote,
    Ticker,
    Trade,
)
from tickhive.plugin import Event
from tickhive.plugin.reading import NS_PER_MS, Int64, Millis, Numeral, Text, exact, number, positive
from tickhive_binance.market import Market
from tickhive_binance.values import above_zero

Row = TypeVar("Row")


class Push(Struct, Generic[Row], gc=False):
    """A combined frame: the stream's name, which is skipped, and its payload."""

    data: Row


@define(eq=False)
class Target:
    """What is done with the payloads of one stream: how they are read, and whom they are for.

    ``depth`` is that of a partial book. ``symbols`` are all that asked for it, ``tells`` the data types they want;
    empty where nobody here asked, as in a recording: then it tells everything.
    """

    decode: Callable[[bytes], Any]
    build: Builder
    symbol: str
    depth: int = 0
    symbols: Sequence[str] = ()
    tells: frozenset[DataType] = frozenset()

    def wants(self, data_type: DataType) -> bool:
        """Whether events of this type are wanted."""
        return not self.tells or data_type in self.tells


Builder: TypeAlias = Callable[[Any, Target, str, int], Sequence[Event]]
"""Called with a payload, its target, the exchange and the time of receipt."""


@cache
def decoder(form: Any) -> Callable[[bytes], Any]:
    """The reader of a form of JSON."""
    return msgspec.json.Decoder(form).decode


@frozen(eq=False)
class Kind:
    """A kind of stream: the form of its payload and what that becomes."""

    row: type[Struct]
    build: Builder


class TradeRow(Struct, gc=False):
    """``trade``: an execution. ``m``: the buyer is the maker, so the taker sold."""

    t: Int64
    p: Numeral
    q: Numeral
    T: Millis
    m: bool


def trade(row: TradeRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """A trade. Futures number entries without a size (insurance fund, ADL), which are none."""
    size = positive.get(row.q)
    if size is None:
        if not exact(row.q):
            return ()
        size = positive[row.q]
    side: Literal["buy", "sell"] = "sell" if row.m else "buy"
    return [Trade(exchange, target.symbol, row.T * NS_PER_MS, at, str(row.t), side, positive[row.p], size)]


class AggTradeRow(Struct, gc=False):
    """``aggTrade``: the executions ``f`` to ``l`` of one taker order at one price."""

    a: Int64
    p: Numeral
    q: Numeral
    f: Int64
    l: Int64  # noqa: E741
    T: Millis
    m: bool


def merged_trade(row: AggTradeRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Spot: numbered by the last execution, counted by all of them; each execution is in exactly one."""
    side: Literal["buy", "sell"] = "sell" if row.m else "buy"
    price, size, count = positive[row.p], positive[row.q], row.l - row.f + 1
    if count < 1:
        raise ValueError(f"the executions {row.f} to {row.l} are none")
    return [Trade(exchange, target.symbol, row.T * NS_PER_MS, at, str(row.l), side, price, size, count)]


def futures_trade(row: AggTradeRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Futures: numbered by the aggregate, each one a trade. Executions for the insurance fund and ADL are in none, so
    the numbers of executions have holes where nothing is missing.
    """
    side: Literal["buy", "sell"] = "sell" if row.m else "buy"
    return [Trade(exchange, target.symbol, row.T * NS_PER_MS, at, str(row.a), side, positive[row.p], positive[row.q])]


class QuoteRow(Struct, gc=False):
    """``bookTicker``: spot sends no time."""

    u: Int64
    b: Numeral
    B: Numeral
    a: Numeral
    A: Numeral
    T: Millis | None = None


def quote(row: QuoteRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Best bid and ask; a side without orders has a size of zero."""
    bid_size, ask_size = above_zero(row.B), above_zero(row.A)
    bid = None if bid_size is None else number(row.b)
    ask = None if ask_size is None else number(row.a)
    timestamp = None if row.T is None else row.T * NS_PER_MS
    return [Quote(exchange, target.symbol, timestamp, at, bid, bid_size, ask, ask_size, row.u)]


class SpotDepthRow(Struct, gc=False):
    """``depth`` of the spot market: the changes ``U`` to ``u``."""

    E: Millis
    U: Int64
    u: Int64
    b: list[Level]
    a: list[Level]


def spot_depth(row: SpotDepthRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Changes of a book that follow on when ``U`` is the last ``u`` + 1."""
    return [BookDelta(exchange, target.symbol, row.E * NS_PER_MS, at, row.b, row.a, row.u, None, row.U)]


class DepthRow(Struct, gc=False):
    """``depth`` of futures. The numbers are counted over all symbols: ``pu`` is the last ``u`` of this one."""

    T: Millis
    U: Int64
    u: Int64
    pu: Int64
    b: list[Level]
    a: list[Level]


def depth(row: DepthRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Changes of a book that follow on when ``pu`` is the last ``u``."""
    return [BookDelta(exchange, target.symbol, row.T * NS_PER_MS, at, row.b, row.a, row.u, row.pu, row.U)]


class SpotPartialRow(Struct, gc=False, rename="camel"):
    """``depth5``, ``depth10``, ``depth20`` of the spot market: neither symbol nor time."""

    last_update_id: Int64
    bids: list[Level]
    asks: list[Level]


def spot_partial(row: SpotPartialRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """The best levels, whole each time."""
    return [BookSnapshot(exchange, target.symbol, None, at, row.bids, row.asks, row.last_update_id, target.depth)]


def partial(row: DepthRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """The best levels, whole each time: the stream's name alone tells them from changes."""
    return [BookSnapshot(exchange, target.symbol, row.T * NS_PER_MS, at, row.b, row.a, row.u, target.depth)]


class Bar(Struct, gc=False):
    """The bar of a ``kline``."""

    t: Millis
    i: Text
    o: Numeral
    h: Numeral
    l: Numeral  # noqa: E741
    c: Numeral
    v: Numeral
    q: Numeral
    x: bool


class KlineRow(Struct, gc=False):
    """``kline``: a bar, twice a second at most on the spot market, four times on futures."""

    E: Millis
    k: Bar


class TickerRow(Struct, gc=False):
    """``ticker`` and, without the last trade, ``miniTicker``; futures send no bid and ask."""

    E: Millis
    c: Numeral
    o: Numeral
    h: Numeral
    l: Numeral  # noqa: E741
    v: Numeral
    q: Numeral
    Q: Numeral = ""
    b: Numeral = ""
    B: Numeral = ""
    a: Numeral = ""
    A: Numeral = ""


def volumes(market: Market) -> Callable[[str, str], tuple[Any, Any, Any]]:
    """How ``v`` and ``q`` are read: volume in the instrument's unit, in base and in quote currency."""
    if market.contracts:
        return lambda v, q: (exact(v), exact(q), None)

    def in_base(v: str, q: str) -> tuple[Any, Any, Any]:
        volume = exact(v)
        return volume, volume, exact(q)

    return in_base


def kline(market: Market) -> Builder:
    """A candle."""
    volume = volumes(market)

    def build(row: KlineRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
        bar = row.k
        prices = exact(bar.o), exact(bar.h), exact(bar.l), exact(bar.c)
        start, timestamp = bar.t * NS_PER_MS, row.E * NS_PER_MS
        return [Candle(exchange, target.symbol, timestamp, at, bar.i, start, *prices, *volume(bar.v, bar.q), bar.x)]

    return build


def ticker(market: Market) -> Builder:
    """24-hour statistics."""
    volume = volumes(market)

    def build(row: TickerRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
        best = number(row.b), number(row.B), number(row.a), number(row.A)
        day = number(row.o), number(row.h), number(row.l)
        last, size = number(row.c), number(row.Q)
        timestamp = row.E * NS_PER_MS
        return [Ticker(exchange, target.symbol, timestamp, at, last, size, *best, *day, *volume(row.v, row.q))]

    return build


class MarkPriceRow(Struct, gc=False):
    """``markPrice``: mark, index and funding in one. Dated contracts have no rate and a funding time of 0."""

    E: Millis
    p: Numeral
    i: Numeral = ""
    r: Numeral = ""
    T: Millis = 0


def mark_price(row: MarkPriceRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """What was asked for of the three."""
    symbol, timestamp = target.symbol, row.E * NS_PER_MS
    events: list[Event] = []
    if target.wants(DataType.MARK_PRICE):
        events.append(MarkPrice(exchange, symbol, timestamp, at, exact(row.p)))
    if row.i and target.wants(DataType.INDEX_PRICE):
        events.append(IndexPrice(exchange, symbol, timestamp, at, exact(row.i)))
    if row.r and row.T and target.wants(DataType.FUNDING_RATE):
        events.append(FundingRate(exchange, symbol, timestamp, at, exact(row.r), row.T * NS_PER_MS))
    return events


class IndexPriceRow(Struct, gc=False):
    """``indexPrice`` of COIN-M: the index of a pair."""

    E: Millis
    p: Numeral


def index_price(row: IndexPriceRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """Several contracts follow the index of a pair: each that asked gets it under its own name."""
    price, timestamp = exact(row.p), row.E * NS_PER_MS
    return [IndexPrice(exchange, symbol, timestamp, at, price) for symbol in target.symbols or (target.symbol,)]


class Forced(Struct, gc=False):
    """A liquidation order: ``p`` its price, ``ap`` the average of its fills, ``q`` its size, ``z`` what is filled."""

    S: Literal["BUY", "SELL"]
    q: Numeral
    p: Numeral
    T: Millis
    ap: Numeral = ""
    z: Numeral = ""


class ForceOrderRow(Struct, gc=False):
    """``forceOrder``: the latest liquidation of a symbol in each second; by Binance's design not all of them."""

    o: Forced


def liquidation(row: ForceOrderRow, target: Target, exchange: str, at: int) -> Sequence[Event]:
    """A forced close at the price and size it was filled at, where it was."""
    order = row.o
    price, size = above_zero(order.ap) or positive[order.p], above_zero(order.z) or positive[order.q]
    side: Literal["buy", "sell"] = "buy" if order.S == "BUY" else "sell"
    return [Liquidation(exchange, target.symbol, order.T * NS_PER_MS, at, side, price, size)]


@cache
def kinds(market: Market) -> dict[str, Kind]:
    """Every kind of stream a market has, by the word it begins with behind the ``@``."""
    found = {
        "trade": Kind(TradeRow, trade),
        "bookTicker": Kind(QuoteRow, quote),
        "kline": Kind(KlineRow, kline(market)),
        "ticker": Kind(TickerRow, ticker(market)),
        "miniTicker": Kind(TickerRow, ticker(market)),
    }
    if not market.futures:
        return found | {
            "aggTrade": Kind(AggTradeRow, merged_trade),
            "depth": Kind(SpotDepthRow, spot_depth),
            "partial": Kind(SpotPartialRow, spot_partial),
        }
    return found | {
        "aggTrade": Kind(AggTradeRow, futures_trade),
        "depth": Kind(DepthRow, depth),
        "partial": Kind(DepthRow, partial),
        "markPrice": Kind(MarkPriceRow, mark_price),
        "indexPrice": Kind(IndexPriceRow, index_price),
        "forceOrder": Kind(ForceOrderRow, liquidation),
    }
