"""The one table of what OKX streams: our data type and parameter, its channel, the socket path, the reader."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec
from attrs import define, field, frozen

from tickhive.channels import Channel, DataType
from tickhive.events import Fill
from tickhive.plugin.subscribed import Subscribed
from tickhive_okx import account, candles, pushes
from tickhive_okx.elements import numerals_of
from tickhive_okx.instruments import InstrumentRow, index_of, type_of

BARS = (
    "1s", "1m", "3m", "5m", "15m", "30m", "1H", "2H", "4H", "6H", "12H", "1D", "2D", "3D", "5D", "1W", "1M", "3M",
    "6Hutc", "12Hutc", "1Dutc", "2Dutc", "3Dutc", "5Dutc", "1Wutc", "1Mutc", "3Mutc",
)  # fmt: skip
"""The venue's spelling. Bars of six hours and more open at midnight UTC+8, those with ``utc`` at midnight UTC."""

Key = tuple[str, str]
"""A channel's name and the instrument or instrument type it is asked for: one argument of a subscription."""

Place: TypeAlias = Literal["public", "business", "private", "tbt"]
"""A kind of socket. ``tbt`` is the public path after a login, which the tick-by-tick books ask for."""

LOGIN: tuple[Place, ...] = ("private", "tbt")
"""The kinds of sockets that are logged in."""

MOST_FILLS = 10_000
"""So many fills are remembered on a socket."""


@cache
def _decoder(form: Any) -> Callable[[bytes], Any]:
    # Not strict: OKX writes integers as strings in some fields and as numbers in others.
    return msgspec.json.Decoder(form, strict=False).decode


@frozen(eq=False)
class Wire:
    """One OKX channel. ``asked_by`` is what its argument names (``account``: nothing, ``any``: all instrument types),
    ``shape`` which parts of its pushes the reader needs.
    """

    name: str
    data_type: DataType
    params: str
    build: pushes.Builder
    row: type[msgspec.Struct]
    place: Place = "public"
    asked_by: Literal["instrument", "index", "type", "account", "any"] = "instrument"
    shape: Any = pushes.Push
    decode: Callable[[bytes], Any] = field(init=False)
    decode_row: Callable[[msgspec.Raw], Any] = field(init=False)
    numerals: Sequence[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the readers once."""
        set_once = object.__setattr__
        set_once(self, "decode", _decoder(self.shape[self.row]))
        set_once(self, "decode_row", _decoder(self.row))
        set_once(self, "numerals", numerals_of(self.row))

    def key(self, native: str) -> Key:
        """What a subscription for this instrument is filed under."""
        if self.asked_by == "index":
            return self.name, index_of(native)
        if self.asked_by == "type":
            kind = type_of(native)
            # Spot pairs are liquidated as margin positions.
            return self.name, "MARGIN" if kind == "SPOT" and self.data_type is DataType.LIQUIDATION else kind
        if self.asked_by == "account":
            return self.name, ""
        return self.name, "ANY" if self.asked_by == "any" else native

    def arg(self, key: Key) -> dict[str, str]:
        """The argument of a subscription."""
        if self.asked_by == "account":
            return {"channel": key[0]}
        return {"channel": key[0], "instType" if self.asked_by in ("type", "any") else "instId": key[1]}

    @property
    def is_book(self) -> bool:
        """Whether it counts against the order books of a socket."""
        return self.data_type is DataType.ORDERBOOK


_OWN: Any = pushes.Rows
WIRES: tuple[Wire, ...] = (
    Wire("trades", DataType.TRADE, "", pushes.trades, pushes.TradeRow, shape=_OWN),
    Wire("trades-all", DataType.TRADE, "all", pushes.trades, pushes.TradeRow, "business", shape=_OWN),
    Wire("bbo-tbt", DataType.QUOTE, "", pushes.quotes, pushes.BookRow),
    Wire("tickers", DataType.TICKER, "", pushes.tickers, pushes.TickerRow, shape=_OWN),
    Wire("books", DataType.ORDERBOOK, "", pushes.books, pushes.BookRow),
    Wire("books5", DataType.ORDERBOOK, "5", pushes.books5, pushes.BookRow),
    Wire("books-l2-tbt", DataType.ORDERBOOK, "tbt", pushes.books, pushes.BookRow, "tbt"),
    Wire("books50-l2-tbt", DataType.ORDERBOOK, "50tbt", pushes.books, pushes.BookRow, "tbt"),
    *(
        Wire(f"candle{bar}", DataType.CANDLE, candles.spelled(bar), candles.candles, candles.CandleRow, "business")
        for bar in BARS
    ),
    Wire("funding-rate", DataType.FUNDING_RATE, "", pushes.funding_rates, pushes.FundingRow, shape=_OWN),
    Wire("open-interest", DataType.OPEN_INTEREST, "", pushes.open_interest, pushes.OpenInterestRow, shape=_OWN),
    Wire("liquidation-orders", DataType.LIQUIDATION, "", pushes.liquidations, pushes.LiquidationRow, asked_by="type"),
    Wire("mark-price", DataType.MARK_PRICE, "", pushes.mark_prices, pushes.MarkPriceRow, shape=_OWN),
    Wire("index-tickers", DataType.INDEX_PRICE, "", pushes.index_prices, pushes.IndexRow, asked_by="index"),
    Wire("price-limit", DataType.PRICE_LIMIT, "", pushes.price_limits, pushes.PriceLimitRow, shape=_OWN),
    Wire("instruments", DataType.INSTRUMENT, "", pushes.instrument_updates, InstrumentRow, asked_by="type"),
    Wire("account", DataType.BALANCE, "", account.balances, account.AccountRow, "private", "account"),
    Wire("positions", DataType.POSITION, "", account.positions, account.PositionRow, "private", "any"),
    Wire("orders", DataType.ORDER, "", account.orders, account.OrderRow, "private", "any"),
    Wire("orders", DataType.FILL, "", account.orders, account.OrderRow, "private", "any"),
    Wire("fills", DataType.FILL, "vip", account.fills, account.FillRow, "private", "account"),
    Wire("balance_and_position", DataType.BALANCE, "fast", account.changes, account.ChangeRow, "private", "account"),
    Wire("balance_and_position", DataType.POSITION, "fast", account.changes, account.ChangeRow, "private", "account"),
)

BY_NAME = {wire.name: wire for wire in WIRES}
_BY_NEED = {(wire.data_type, wire.params): wire for wire in WIRES}
_BY_NEED |= {(DataType.CANDLE, bar): BY_NAME[f"candle{bar}"] for bar in BARS}


def wire_for(channel: Channel) -> Wire:
    """Find the OKX channel for one of ours; ValueError names it and what there is instead."""
    wire = _BY_NEED.get((channel.data_type, channel.params))
    if wire is None:
        have = [wire for wire in WIRES if wire.data_type is channel.data_type]
        there_is = ", ".join(f"{wire.data_type.value}:{wire.params}".rstrip(":") for wire in have or WIRES)
        raise ValueError(f"OKX has no {channel.subscription} (asked for {channel.symbol}); it has {there_is}")
    return wire


def key_of(channel: Channel) -> Key:
    """What a subscription for one of ours is filed under; ValueError as ``wire_for``."""
    return wire_for(channel).key(channel.native)


@define(eq=False)
class Memory(Subscribed[Key]):
    """What one socket has asked for: the channels behind each argument.

    Several channels may share one: all symbols of an instrument type, all instruments of an index, two spellings of a
    bar, an account's orders and fills. ``fills`` are those that were told, by symbol, trade and order: a trade with
    oneself fills two. ``bars`` says where each stream of candles stands.
    """

    fills: dict[tuple[str, str, str], None] = field(factory=dict)
    bars: dict[Key, candles.Standing] = field(factory=dict)

    def carried_by(self, name: str) -> Sequence[Channel]:
        """The channels that OKX's channel of this name brings."""
        return [channel for key, channels in self.channels.items() if key[0] == name for channel in channels]

    def wants(self, key: Key, data_type: DataType) -> bool:
        """Whether an argument was sent for channels of this type; true where nobody here asked, as in a recording."""
        channels = self.carried(key)
        return not channels or any(channel.data_type is data_type for channel in channels)

    def is_fresh(self, fill: Fill) -> bool:
        """Note a fill; false when it was told before."""
        key = (fill.symbol, fill.id, fill.order_id)
        if key in self.fills:
            return False
        self.fills[key] = None
        if len(self.fills) > MOST_FILLS:
            del self.fills[next(iter(self.fills))]
        return True

    def release(self, leaving: Mapping[Key, list[Channel]]) -> dict[Key, list[Channel]]:
        """The last ones stay known, so that the acknowledgement can name them."""
        gone = super().release(leaving)
        self.channels |= gone
        return gone

    def forget(self, key: Key) -> None:
        """Nothing more comes of an argument; what it last brought says nothing about what it brings next time."""
        self.channels.pop(key, None)
        self.bars.pop(key, None)
