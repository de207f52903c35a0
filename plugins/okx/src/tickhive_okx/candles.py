"""Candles: what a row of OKX's says, and when one is over: when OKX says so, or when the next one has begun.

OKX sends nothing in a bar without trades, so that its last word on the bar before may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from msgspec import Struct
from msgspec.structs import astuple

from tickhive.events import Candle
from tickhive.plugin import Event, SessionView
from tickhive.plugin.reading import NS_PER_MS, Millis, Numeral, Text, exact, number
from tickhive_okx.pushes import Push

MOST_STREAMS = 10_000
"""Of so many streams of candles a socket remembers where they stand."""

_VALUES = slice(1, 8)
_CLOSED = "1"


class CandleRow(Struct, gc=False, array_like=True):
    """One bar. Old recordings end after ``vol_ccy``."""

    start: Millis
    open: Numeral
    high: Numeral
    low: Numeral
    close: Numeral
    volume: Numeral
    vol_ccy: Numeral = ""
    vol_ccy_quote: Numeral = ""
    confirm: Text = ""


@frozen
class Standing:
    """Where one stream of candles stands: its latest bar, and the last one that was told closed, so often corrected."""

    latest: CandleRow
    closed: CandleRow | None = None
    revision: int = 0


def spelled(bar: str) -> str:
    """Our spelling of a bar: hours, days and weeks in small letters, months with the M that minutes leave free.

    >>> [spelled(bar) for bar in ("1m", "4H", "1Dutc", "1M")]
    ['1m', '4h', '1dutc', '1M']
    """
    return bar.replace("H", "h").replace("D", "d").replace("W", "w")


def candle(
    row: CandleRow, session: SessionView, native: str, interval: str, at: int, *, closed: bool, revision: int = 0
) -> Candle:
    """One row as an event; the venue gives it no time of its own."""
    symbol, spot = session.instruments.symbols.get(native, native), native.count("-") == 1
    volume, money, quote = exact(row.volume), number(row.vol_ccy), number(row.vol_ccy_quote)
    prices = exact(row.open), exact(row.high), exact(row.low), exact(row.close)
    volumes = (volume, volume, money if quote is None else quote) if spot else (volume, money, quote)
    about = session.exchange, symbol, None, at, interval, row.start * NS_PER_MS
    return Candle(*about, *prices, *volumes, closed, revision)


def is_closed(row: CandleRow) -> bool:
    """Whether OKX says that this bar is over."""
    return row.confirm == _CLOSED


def _follow(known: Standing | None, row: CandleRow) -> tuple[Standing, list[tuple[CandleRow, bool, int]]]:
    """What a row makes of a stream, and what is to be told: bars, whether they are closed, how often corrected."""
    closed = is_closed(row)
    this = row, closed, 0
    if known is None:
        return Standing(row, row if closed else None), [this]
    latest, over = known.latest, known.closed
    if over is not None and row.start == over.start:
        if astuple(row)[_VALUES] == astuple(over)[_VALUES]:
            return known, []
        revision = known.revision + 1
        return Standing(latest, row, revision), [(row, True, revision)]
    if row.start < latest.start:
        return known, [this]
    if closed:
        known = Standing(row, row)
    elif row.start > latest.start:
        known = Standing(row, latest)
    else:
        known = Standing(row, over, known.revision)
    if row.start == latest.start or (over is not None and over.start == latest.start):
        return known, [this]
    return known, [(latest, True, 0), this]


def candles(push: Push[CandleRow], session: SessionView, at: int) -> Sequence[Event]:
    """``candle<bar>``: ``interval`` is spelled as the channel was asked for.

    A bar that OKX did not close is told once more, closed, before the next one. What comes of a closed one afterwards
    is told as its correction, if it says anything else.
    """
    key, memory, native = push.arg.key, session.memory, push.arg.inst_id
    asked = [channel.params for channel in memory.carried(key)]
    intervals = asked or [spelled(push.arg.channel.removeprefix("candle"))]
    known: Standing | None = memory.bars.get(key)
    events: list[Event] = []
    for row in push.data:
        known, told = _follow(known, row)
        for each, closed, revision in told:
            for interval in intervals:
                events.append(candle(each, session, native, interval, at, closed=closed, revision=revision))
    # Last of all: a push with a bad row is read again, row by row.
    if known is not None and (key in memory.bars or len(memory.bars) < MOST_STREAMS):
        memory.bars[key] = known
    return events
