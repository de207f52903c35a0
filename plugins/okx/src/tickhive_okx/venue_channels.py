"""Which channels the simulated OKX has, on which path, for which instruments, and the intervals of its candles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from attrs import frozen

from tickhive.channels import DataType
from tickhive.simulation.tape import Begin, every

Key: TypeAlias = tuple[str, str]
"""A stream: the channel, and the instrument, index or instrument type (with its family after a colon)."""

_ANY = frozenset({"SPOT", "SWAP", "FUTURES", "OPTION"})
_DERIVATIVES = frozenset({"SWAP", "FUTURES", "OPTION"})
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_MONDAY = 4 * _DAY
_HONG_KONG = 8 * 3600 * _SECOND


@frozen
class ChannelRule:
    """``path`` it lives on; ``by``: what its argument names; ``types`` of instruments it exists for."""

    path: Literal["public", "business"]
    data_type: DataType
    by: Literal["instId", "index", "instType"] = "instId"
    types: frozenset[str] = _ANY


def _months(count: int, offset: int) -> Begin:
    def begin(at: int) -> int:
        day = datetime.fromtimestamp((at + offset) // _SECOND, UTC)
        month = (day.month - 1) // count * count + 1
        return int(datetime(day.year, month, 1, tzinfo=UTC).timestamp()) * _SECOND - offset

    return begin


def _bars() -> Mapping[str, Begin]:
    bars: dict[str, Begin] = {"1s": every(_SECOND)}
    bars |= {f"{minutes}m": every(minutes * 60 * _SECOND) for minutes in (1, 3, 5, 15, 30)}
    bars |= {f"{hours}H": every(hours * 3600 * _SECOND) for hours in (1, 2, 4)}
    # From six hours on, bars begin by the clock of Hong Kong unless their name ends in utc.
    for suffix, shift in (("", _HONG_KONG), ("utc", 0)):
        bars |= {f"{hours}H{suffix}": every(hours * 3600 * _SECOND, -shift) for hours in (6, 12)}
        bars |= {f"{days}D{suffix}": every(days * _DAY, -shift) for days in (1, 2, 3, 5)}
        bars[f"1W{suffix}"] = every(7 * _DAY, _MONDAY - shift)
        bars |= {f"{months}M{suffix}": _months(months, shift) for months in (1, 3)}
    return bars


BARS: Mapping[str, Begin] = _bars()
"""When a candle of each bar began; all bars of the documentation."""

CHANNELS: Mapping[str, ChannelRule] = {
    "trades": ChannelRule("public", DataType.TRADE),
    "trades-all": ChannelRule("business", DataType.TRADE),
    "tickers": ChannelRule("public", DataType.TICKER),
    "books": ChannelRule("public", DataType.ORDERBOOK),
    "books5": ChannelRule("public", DataType.ORDERBOOK),
    "bbo-tbt": ChannelRule("public", DataType.QUOTE),
    "books-l2-tbt": ChannelRule("public", DataType.ORDERBOOK),
    "books50-l2-tbt": ChannelRule("public", DataType.ORDERBOOK),
    "mark-price": ChannelRule("public", DataType.MARK_PRICE),
    "index-tickers": ChannelRule("public", DataType.INDEX_PRICE, "index"),
    "funding-rate": ChannelRule("public", DataType.FUNDING_RATE, types=frozenset({"SWAP"})),
    "open-interest": ChannelRule("public", DataType.OPEN_INTEREST, types=_DERIVATIVES),
    "price-limit": ChannelRule("public", DataType.PRICE_LIMIT),
    "liquidation-orders": ChannelRule("public", DataType.LIQUIDATION, "instType", _DERIVATIVES),
    "instruments": ChannelRule("public", DataType.INSTRUMENT, "instType"),
    **{f"candle{bar}": ChannelRule("business", DataType.CANDLE) for bar in BARS},
}
"""Every channel, with its rule."""

TICK_BY_TICK: Mapping[str, int] = {"books-l2-tbt": 400, "books50-l2-tbt": 50}
"""The public channels that ask for a login, and how many levels a side they have."""

VIP_CHANNELS = frozenset({*TICK_BY_TICK, "fills"})
"""What only those get who trade much."""

PRIVATE_CHANNELS: Mapping[str, frozenset[str]] = {
    "account": frozenset(),
    "balance_and_position": frozenset(),
    "fills": frozenset(),
    "orders": frozenset({"SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY"}),
    "positions": frozenset({"MARGIN", "SWAP", "FUTURES", "OPTION", "EVENTS", "ANY"}),
}
"""The private channels, and the instrument types they ask for."""

COUNTED = frozenset({"account", "balance_and_position", "orders", "positions"})
"""Channels whose subscribers OKX counts."""

_FILTERS = ("instType", "instFamily", "instId", "ccy")


def key_of(arg: Mapping[str, Any]) -> Key | None:
    """The stream an argument names; None when it names none."""
    channel = arg.get("channel")
    rule = CHANNELS.get(channel) if isinstance(channel, str) else None
    if rule is None or not isinstance(channel, str):
        return None
    if rule.by != "instType":
        name = arg.get("instId")
        return (channel, name) if isinstance(name, str) else None
    kind, family = arg.get("instType"), arg.get("instFamily")
    if kind not in rule.types or "instId" in arg:
        return None
    return (channel, f"{kind}:{family}" if isinstance(family, str) and family else str(kind))


def private_key(arg: Mapping[str, Any]) -> Key | None:
    """The stream an argument names; None when it names none."""
    types = PRIVATE_CHANNELS.get(arg["channel"])
    if types is None or (types and arg.get("instType") not in types):
        return None
    return arg["channel"], ":".join(str(arg.get(name, "")) for name in _FILTERS)


def arg_of(key: Key) -> dict[str, str]:
    """The argument that names a stream, as pushes repeat it."""
    channel, name = key
    if CHANNELS[channel].by != "instType":
        return {"channel": channel, "instId": name}
    kind, _, family = name.partition(":")
    return {"channel": channel, "instType": kind} | ({"instFamily": family} if family else {})


Publish: TypeAlias = Callable[[Key, "Frame"], None]


@frozen
class Frame:
    """A data push and the market events in it: ((symbol, data type), how many)."""

    text: str
    events: tuple[tuple[tuple[str, DataType], int], ...] = ()
