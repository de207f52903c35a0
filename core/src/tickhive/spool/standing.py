"""Where every stream stands: its last event, and the holes in it that are still being filled."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

from attrs import evolve

from tickhive.channels import DataType
from tickhive.clock import NANOSECONDS
from tickhive.events import (
    DATA_TYPE_OF,
    BookDelta,
    BookSnapshot,
    Candle,
    Gap,
    InstrumentUpdate,
    MarketEvent,
    SubscriptionUpdate,
    Trade,
)
from tickhive.session.candle_starts import interval_of
from tickhive.session.continuity import moment, trade_number

RESTARTED = 60 * NANOSECONDS
"""A trade whose id is lower although it is so much later (ns) is one of a venue that restarted its numbers."""

StreamName: TypeAlias = tuple[str, str, DataType, Hashable, str]
"""Exchange, symbol, data type, what tells the streams of these apart (an interval, a depth), account."""


def stream_of(event: MarketEvent) -> StreamName | None:
    """Name the stream an event belongs to; None for what is no part of one.

    Instruments are none either: every start lists them anew.
    """
    data_type = DATA_TYPE_OF.get(event.__class__)
    if data_type is None or isinstance(event, Gap | SubscriptionUpdate | InstrumentUpdate):
        return None
    apart: Hashable = ""
    if isinstance(event, Candle):
        apart = event.interval
    elif isinstance(event, BookSnapshot | BookDelta):
        apart = event.depth
    return event.exchange, event.symbol, data_type, apart, getattr(event, "account", "")


class Standing:
    """The last event of every stream: of trades the one with the highest id, of candles the one that starts last, of a
    book the last change without its levels. And a Gap for each hole that somebody is filling.
    """

    def __init__(self) -> None:
        self.streams: dict[StreamName, MarketEvent] = {}
        self.holes: list[Gap] = []

    def begin(self, events: Iterable[MarketEvent]) -> None:
        """Take what was noted of every stream: events as ``events`` answers them."""
        for event in events:
            if not isinstance(event, Gap):
                self._take(event)
            elif event not in self.holes:
                self.holes.append(evolve(event))

    def follow(self, events: Iterable[MarketEvent]) -> None:
        """Go on with events that were accepted, in their order: streams move on, holes are filled and closed."""
        for event in events:
            if isinstance(event, Gap):
                self.holes = [hole for hole in self.holes if not _told(hole, event)]
            else:
                if self.holes and isinstance(event, Trade | Candle):
                    self._fill(event)
                self._take(event)

    def events(self) -> list[MarketEvent]:
        """Everything, the holes first."""
        return [*self.holes, *self.streams.values()]

    def _take(self, event: MarketEvent) -> None:
        stream = stream_of(event)
        if stream is None:
            return
        last = self.streams.get(stream)
        if isinstance(event, Trade) and isinstance(last, Trade):
            if not _moves_on(last, event):
                return
        elif isinstance(event, Candle) and isinstance(last, Candle):
            if event.start < last.start:
                return
        elif isinstance(event, BookSnapshot | BookDelta):
            event = evolve(event, bids=(), asks=())
        self.streams[stream] = event

    def _fill(self, event: Trade | Candle) -> None:
        """What lies at the beginning of a hole is missing no more."""
        for hole in self.holes.copy():
            if hole.exchange != event.exchange or hole.symbol != event.symbol:
                continue
            filled = _fill_trades(hole, event) if isinstance(event, Trade) else _fill_candles(hole, event)
            if filled:
                self.holes.remove(hole)


def _moves_on(last: Trade, trade: Trade) -> bool:
    """Whether a trade takes the place of the last one."""
    before, number = trade_number(last), trade_number(trade)
    if before is None or number is None:
        return not trade.late
    return number >= before or (not trade.late and moment(trade) > moment(last) + RESTARTED)


def _fill_trades(hole: Gap, trade: Trade) -> bool:
    """Narrow a hole by a trade; answers whether nothing of it is left."""
    span, number = _ids(hole), trade_number(trade)
    if hole.data_type is not DataType.TRADE or span is None or number is None:
        return False
    first, last = span
    if number - trade.count < first <= number:
        hole.first_id = str(number + 1)
        return number >= last
    return False


def _fill_candles(hole: Gap, candle: Candle) -> bool:
    """Narrow a hole by a closed candle; answers whether nothing of it is left."""
    ours = hole.data_type is DataType.CANDLE and candle.closed and hole.start == candle.start
    interval = interval_of(candle.interval, candle.start)
    if not ours or interval is None or hole.end is None or _spelt(hole.params) != _spelt(candle.interval):
        return False
    hole.start = interval.after(candle.start)
    return hole.start > hole.end


def _told(hole: Gap, gap: Gap) -> bool:
    """Whether a Gap that was accepted says how this hole ended."""
    if (hole.exchange, hole.symbol, hole.data_type, hole.params) != (
        gap.exchange,
        gap.symbol,
        gap.data_type,
        gap.params,
    ):
        return False
    whole, part = _ids(hole), _ids(gap)
    if whole is not None and part is not None:
        return part[0] <= whole[1] and whole[0] <= part[1]
    if hole.start is None or hole.end is None or gap.start is None or gap.end is None:
        return False
    return gap.start <= hole.end and hole.start <= gap.end


def _ids(gap: Gap) -> tuple[int, int] | None:
    try:
        return int(gap.first_id or ""), int(gap.last_id or "")
    except ValueError:
        return None


def _spelt(interval: str) -> str:
    """Venues write hours, days and weeks in capitals too; months always."""
    return interval if interval.endswith("M") else interval.lower()
