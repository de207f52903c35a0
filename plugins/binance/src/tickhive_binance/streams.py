"""The names of Binance's streams: which one brings a channel, and what a name says when a frame carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from attrs import define, field, frozen

from tickhive.channels import Channel, DataType
from tickhive.plugin import Event, SessionView
from tickhive.plugin.subscribed import Subscribed
from tickhive_binance.market import Market
from tickhive_binance.pushes import Builder, Push, Target, decoder, kinds
from tickhive_binance.settings import BinanceSettings, UsdmSettings

LISTINGS = "!contractInfo"
"""The stream of USD-M that tells of listings and changes of status."""

DEPTHS = ("5", "10", "20")
_PUBLIC = ("bookTicker", "depth")
_MOST_TARGETS = 4_096


@frozen
class Stream:
    """A stream, and the path of the sockets that bring it: ``market``, ``public`` where USD-M has two, ``account``."""

    name: str
    place: str = "market"


ACCOUNT = Stream("", "account")


def stream_for(channel: Channel, settings: BinanceSettings) -> Stream:
    """The stream that brings a channel; ValueError names the channel and what there is instead."""
    market, kind, params = settings.market, channel.data_type, channel.params
    if kind.private and not params and (kind is not DataType.POSITION or market.futures):
        return ACCOUNT
    if kind is DataType.INSTRUMENT and market.name == "usdm" and not params:
        return Stream(LISTINGS)
    suffix = _suffixes(market).get((kind, params))
    if suffix is None:
        have = [f"{known.value}:{word}".rstrip(":") for known, word in _suffixes(market) if known is kind]
        offered = have or sorted({known.value for known, _ in _suffixes(market)})
        what = f"{channel.subscription} (asked for {channel.symbol})"
        raise ValueError(f"{market.title} has no stream of {what}; it has {', '.join(offered)}")
    native = channel.native
    if suffix.startswith("indexPrice"):
        native = native.partition("_")[0]
    place = "market"
    if market.split and suffix.startswith(_PUBLIC):
        place = "public"
    elif isinstance(settings, UsdmSettings) and suffix == "trade":
        place = settings.raw_trade_path
    return Stream(f"{native.lower()}@{suffix}", place)


@cache
def _suffixes(market: Market) -> dict[tuple[DataType, str], str]:
    """What stands behind the ``@`` for each data type and parameter."""
    found = {
        (DataType.QUOTE, ""): "bookTicker",
        (DataType.TICKER, ""): "ticker",
        (DataType.TICKER, "mini"): "miniTicker",
        (DataType.ORDERBOOK, ""): "depth@100ms",
        **{(DataType.ORDERBOOK, depth): f"depth{depth}@100ms" for depth in DEPTHS},
        **{(DataType.CANDLE, interval): f"kline_{interval}" for interval in market.intervals},
    }
    if not market.futures:
        return found | {(DataType.TRADE, ""): "trade", (DataType.TRADE, "agg"): "aggTrade"}
    return found | {
        (DataType.TRADE, ""): "aggTrade",
        (DataType.TRADE, "raw"): "trade",
        (DataType.MARK_PRICE, ""): "markPrice@1s",
        (DataType.FUNDING_RATE, ""): "markPrice@1s",
        (DataType.INDEX_PRICE, ""): "indexPrice@1s" if market.contracts else "markPrice@1s",
        (DataType.LIQUIDATION, ""): "forceOrder",
    }


@define(eq=False)
class Memory(Subscribed[str]):
    """What one socket remembers, besides the channels behind each stream.

    ``targets`` is what to do with the frames of a stream, by the frame's first bytes up to the end of the stream's
    name. ``leaving`` are the ids of requests that give streams up, ``account`` the private data types asked for,
    ``user_data`` whether the account's events were subscribed on this socket.
    """

    targets: dict[bytes, Target] = field(factory=dict)
    leaving: set[str] = field(factory=set)
    account: set[DataType] = field(factory=set)
    user_data: bool = False

    def add(self, asked: Mapping[str, Iterable[Channel]]) -> None:
        """Note that channels are asked for: their targets are made anew."""
        super().add(asked)
        self.targets.clear()

    def release(self, leaving: Mapping[str, list[Channel]]) -> dict[str, list[Channel]]:
        """Note that channels are given up: the targets of others on their streams are made anew."""
        self.targets.clear()
        return super().release(leaving)

    def wants(self, data_type: DataType) -> bool:
        """Whether this private data type was asked for; true where nobody here asked, as in a recording."""
        return not self.account or data_type in self.account


def target_for(
    session: SessionView, name: str, kind: str = "", native: str = "", *, whole: bool = True
) -> Target | None:
    """What to do with the payloads of a stream; None for a kind nobody knows.

    ``kind`` and ``native`` say what the name does not: of frames without one, of arrays. ``whole``: the target is given
    combined frames, not bare payloads.
    """
    native_of_name, _, rest = name.partition("@")
    word, depth = kind or word_of(name), rest.partition("@")[0].removeprefix("depth")
    known = kinds(session.settings.market).get(word)
    if known is None:
        return None
    symbols, asked = session.instruments.symbols, session.memory.carried(name)
    native = native or native_of_name.upper()
    asked_by = [channel.symbol for channel in asked]
    if word == "indexPrice" and not asked:
        # In a recording: whatever is of the pair might have asked.
        asked_by = [symbol for listed, symbol in symbols.items() if listed.partition("_")[0] == native]
    return Target(
        decoder(Push[known.row] if whole else known.row),  # type: ignore[name-defined]
        known.build,
        symbols.get(native) or next((channel.symbol for channel in asked), native),
        int(depth) if word == "partial" else 0,
        asked_by,
        frozenset(channel.data_type for channel in asked),
    )


def remember(session: SessionView, head: bytes, name: str, target: Target) -> None:
    """Keep a target for the frames to come. Where nobody here asked, its instrument may become known later."""
    memory: Memory = session.memory
    native, _, rest = name.partition("@")
    if not memory.carried(name):
        if rest.startswith("indexPrice"):
            return  # whom it is for depends on all that is listed
        if native.upper() not in session.instruments.symbols:
            target.build = _until_known(target, native.upper(), session.instruments.symbols)
    if len(memory.targets) < _MOST_TARGETS:
        memory.targets[head] = target


def _until_known(target: Target, native: str, symbols: Mapping[str, str]) -> Builder:
    """The builder of a target whose instrument is not listed yet: once it is, its events go by the listed name."""
    build = target.build

    def look(row: Any, target: Target, exchange: str, at: int) -> Sequence[Event]:
        symbol = symbols.get(native)
        if symbol is not None:
            target.symbol, target.build = symbol, build
        return build(row, target, exchange, at)

    return look


def word_of(name: str) -> str:
    """The kind of a stream by its name: what stands behind the first ``@``, or behind the ``!`` of one for all
    instruments. ``depth20@100ms`` is a partial book; "" is a name that says nothing, and candles by the days of another
    time zone (``kline_1d@+08:00``), which no channel means.

    >>> [word_of(name) for name in ("btcusdt@depth20@100ms", "btcusdt@kline_1m", "!markPrice@arr@1s", "a-listen-key")]
    ['partial', 'kline', 'markPrice', '']
    """
    head, _, rest = name.partition("@")
    if head.startswith("!"):
        return head[1:]
    word, _, further = rest.partition("@")
    if word.startswith("kline_"):
        return "" if further else "kline"
    return "partial" if word.removeprefix("depth") in DEPTHS and word.startswith("depth") else word
