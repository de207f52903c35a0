"""Which streams the simulated Binance has on each market: their names, the path they live on, and their pace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from attrs import frozen

from tickhive.simulation.tape import Bar, Begin, every
from tickhive_binance.venue_listing import MILLISECOND, MarketName

Place: TypeAlias = Literal["public", "market", "private"]

_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND


def _month(at: int) -> int:
    day = datetime.fromtimestamp(at // _SECOND, UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * _SECOND


INTERVALS: Mapping[str, Begin] = {
    "1s": every(_SECOND),
    **{f"{minutes}m": every(minutes * 60 * _SECOND) for minutes in (1, 3, 5, 15, 30)},
    **{f"{hours}h": every(hours * 3600 * _SECOND) for hours in (1, 2, 4, 6, 8, 12)},
    "1d": every(_DAY),
    "3d": every(3 * _DAY),
    "1w": every(7 * _DAY, 4 * _DAY),
    "1M": _month,
}
"""When a kline of each interval began. One second exists on spot alone."""


@frozen
class Stream:
    """One stream: ``name`` as it is subscribed, ``kind`` what it brings, ``param`` its interval or number of levels.

    ``subject`` is Binance's name of an instrument or pair; "" is the whole market. ``pace`` is every how many ns it may
    be pushed; 0: whenever something happens. ``place`` is its path on USD-M. ``array``: all rows come in one frame.
    """

    name: str
    kind: str
    subject: str
    place: Place
    pace: int = 0
    param: str = ""
    array: bool = False


_BOOK_PACES: Mapping[bool, Mapping[str, int]] = {
    True: {"": 1000, "1000ms": 1000, "100ms": 100},
    False: {"": 250, "100ms": 100, "250ms": 250, "500ms": 500},
}
_MARK_PACES = {"": 3000, "1s": 1000}

_WHOLE: Mapping[str, tuple[str, Place, int]] = {
    "!miniTicker@arr": ("miniTicker", "market", 1000),
    "!ticker@arr": ("ticker", "market", 1000),
    "!markPrice@arr": ("markPrice", "market", 3000),
    "!markPrice@arr@1s": ("markPrice", "market", 1000),
    "!forceOrder@arr": ("forceOrder", "market", 1000),
    "!contractInfo": ("contractInfo", "market", 0),
    "!bookTicker": ("bookTicker", "public", 5000),
}
_KINDS = "trade|aggTrade|bookTicker|miniTicker|ticker|kline|depth|markPrice|indexPrice|forceOrder"
_NAME = re.compile(rf"([^@]+)@({_KINDS})(?:_(\w+)|(5|10|20))?(?:@(\w+))?")


def read_stream(name: str, market: MarketName, natives: Mapping[str, str], pairs: Mapping[str, str]) -> Stream | None:
    """The stream of this name; None when the market has none such, about which Binance says nothing.

    ``natives`` and ``pairs`` are its instruments and pairs by their names in lower case.
    """
    spot = market == "spot"
    if name in _WHOLE:
        kind, place, pace = _WHOLE[name]
        # Spot has the small one left: the full array was retired on 2026-03-26.
        if spot and kind != "miniTicker":
            return None
        return Stream(name, kind, "", place, pace * MILLISECOND, array="@arr" in name and kind != "forceOrder")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    lower, kind, interval, levels, speed = match.groups()
    speed = speed or ""
    native, pair = natives.get(lower), pairs.get(lower)
    if kind in ("markPrice", "indexPrice"):
        subject = native if kind == "markPrice" else None
        if market == "coinm":
            subject = subject or pair
        if spot or subject is None or speed not in _MARK_PACES or interval or levels:
            return None
        array = kind == "markPrice" and subject != native
        return Stream(name, kind, subject, "market", _MARK_PACES[speed] * MILLISECOND, array=array)
    if native is None or (interval is not None) != (kind == "kline") or (levels and kind != "depth"):
        return None
    if kind == "depth":
        pace_ms = _BOOK_PACES[spot].get(speed)
        return Stream(name, kind, native, "public", pace_ms * MILLISECOND, levels or "") if pace_ms else None
    if speed or (spot and kind == "forceOrder") or (kind == "kline" and not has_interval(market, interval)):
        return None
    pace_ms = {"kline": (1000 if interval == "1s" else 2000) if spot else 250, "miniTicker": 1000, "ticker": 1000,
               "forceOrder": 1000, "aggTrade": 0 if spot else 100}.get(kind, 0)  # fmt: skip
    where: Place = "public" if kind in ("trade", "bookTicker") else "market"
    return Stream(name, kind, native, where, pace_ms * MILLISECOND, interval or "")


def book_streams(native: str, market: MarketName, pace: int) -> tuple[str, ...]:
    """The names of an instrument's book updates at this pace (ns)."""
    paces = _BOOK_PACES[market == "spot"].items()
    return tuple(
        f"{native.lower()}@depth{'@' if speed else ''}{speed}" for speed, each in paces if each * MILLISECOND == pace
    )


def has_interval(market: MarketName, interval: str) -> bool:
    """Whether a market has klines of this interval."""
    return interval in INTERVALS and (interval != "1s" or market == "spot")


def whole_bars(bars: Sequence[Bar], begin: Begin, at: int) -> Iterator[Bar]:
    """Every kline up to the one of ``at``, newest first; those without a trade are flat at the price before."""
    start = begin(at)
    for bar in reversed(bars):
        while start > bar.start:
            yield Bar(start, bar.close, bar.close, bar.close, bar.close)
            start = begin(start - 1)
        yield bar
        start = begin(bar.start - 1)
