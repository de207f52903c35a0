"""Where the streams of a feed stand, as events, and how a feed begins where an earlier run of the process ended."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from attrs import evolve

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import DATA_TYPE_OF, BookDelta, BookSnapshot, Candle, Fill, Gap, MarketEvent, Trade
from tickhive.session.candle_starts import interval_of
from tickhive.session.continuity import StreamKey, moment, trade_number
from tickhive.session.feed import Feed, book_key
from tickhive.session.holes import CandleHole, Hole, TradeHole
from tickhive.session.refill import DEADLINE


def standing(feed: Feed) -> list[MarketEvent]:
    """The last event of every stream, and a Gap for each hole that is being filled: what ``resume`` takes.

    Of trades it is the one with the highest id.
    """
    continuity = feed.continuity
    latest: dict[StreamKey, MarketEvent] = {stream: event for stream, (event, _) in continuity.interrupted.items()}
    for stream, event in itertools.chain.from_iterable(line.streams() for line in continuity.lines):
        known = latest.get(stream)
        if known is None or event.received >= known.received:
            latest[stream] = event
    for stream, event in latest.items():
        if isinstance(event, Trade):
            highest = feed.trade_ids.latest(event.symbol)
            if highest is not None and (trade_number(highest) or 0) > (trade_number(event) or 0):
                latest[stream] = highest
    books = [keeper.latest for keeper in feed.books.values() if keeper.latest is not None]
    return [*(evolve(hole.gap) for hole in feed.open_holes()), *latest.values(), *books]


def resume(feed: Feed, events: Iterable[MarketEvent], cause: str, channels: Iterable[Channel]) -> None:
    """Begin where ``events`` ended; ``cause`` says why nothing came since. Those of other channels are left out.

    The first event of each stream is then preceded by a Gap as after a lost socket, and the holes go on being filled.
    """
    wanted: dict[tuple[DataType, str], list[Channel]] = {}
    for channel in channels:
        wanted.setdefault((channel.data_type, channel.symbol), []).append(channel)
    holes: list[Gap] = []
    for event in events:
        if isinstance(event, Gap):
            holes.append(event)
        elif _channel(event, wanted) is not None:
            _interrupt(feed, event, cause)
    for gap in holes:
        carrier = _channel(gap, wanted)
        hole = _hole(gap, carrier) if carrier is not None else None
        if hole is not None:
            hole.left = DEADLINE
            feed.holes.append(hole)
            if isinstance(hole, TradeHole):
                feed.trade_ids.refilling(gap.symbol)


def _interrupt(feed: Feed, event: MarketEvent, cause: str) -> None:
    if isinstance(event, BookSnapshot | BookDelta):
        feed.keeper((event.symbol, event.depth)).resume_from(event, cause)
        return
    key = (event.symbol, event.interval) if isinstance(event, Candle) else event.symbol
    feed.continuity.interrupted[(event.__class__, key)] = (event, cause)
    if isinstance(event, Trade):
        feed.trade_ids.check((event,))
        feed.trade_ids.pause(event.symbol)
    elif isinstance(event, Fill):
        feed.fills.since = max(feed.fills.since or 0, moment(event))


def _channel(event: MarketEvent, wanted: dict[tuple[DataType, str], list[Channel]]) -> Channel | None:
    """The channel an event came on."""
    data_type = event.data_type if isinstance(event, Gap) else DATA_TYPE_OF.get(event.__class__)
    if data_type is None:
        return None
    channels: Sequence[Channel] = wanted.get((data_type, event.symbol)) or wanted.get((data_type, EVERY)) or ()
    if isinstance(event, BookSnapshot | BookDelta):
        fitting = [channel for channel in channels if book_key(channel)[1] == event.depth]
        return fitting[0] if fitting else channels[0] if len(channels) == 1 and not event.depth else None
    if data_type is DataType.CANDLE:
        params = event.interval if isinstance(event, Candle) else getattr(event, "params", "")
        channels = [channel for channel in channels if channel.params == params]
    return channels[0] if channels else None


def _hole(gap: Gap, channel: Channel) -> Hole | None:
    """A hole as its Gap describes it; None where that does not say enough."""
    gap = evolve(gap)
    if gap.data_type is DataType.TRADE and gap.first_id is not None and gap.last_id is not None:
        return TradeHole(gap, channel, int(gap.first_id), int(gap.last_id), 0, chained=False)
    if gap.data_type is DataType.CANDLE and gap.start is not None and gap.end is not None:
        interval = interval_of(channel.params, gap.start)
        if interval is not None:
            return CandleHole(gap, channel, gap.start, gap.end, 0, interval=interval, name=channel.params)
    return None
