"""Where the streams of a feed stand, as events, and how a feed begins where an earlier run of the process ended."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from attrs import evolve

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import (
    DATA_TYPE_OF,
    Balance,
    BookDelta,
    BookSnapshot,
    Candle,
    Fill,
    Gap,
    MarketEvent,
    Order,
    Position,
    Trade,
)
from tickhive.session.account import account_stream
from tickhive.session.candle_starts import interval_of
from tickhive.session.continuity import StreamKey, trade_number
from tickhive.session.feed import CLASS_OF, Feed, book_key
from tickhive.session.holes import CandleHole, Hole, TradeHole
from tickhive.session.refill import DEADLINE


def standing(feed: Feed) -> list[MarketEvent]:
    """The last event of every stream, a Gap for each hole that is being filled, and how an account stands: what
    ``resume`` takes. Of trades it is the one with the highest id. A Gap of ``EVERY`` says since when a private channel
    is not known.
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
    holes = [evolve(hole.gap) for hole in feed.open_holes()]
    absences = _absences(feed)
    fills = feed.fills.told(next((gap.start for gap in absences if gap.data_type is DataType.FILL), None))
    # The last event of a stream comes after all others of it.
    return [*holes, *absences, *feed.orders.open(), *feed.holdings.held(), *fills, *latest.values(), *books]


def _absences(feed: Feed) -> list[Gap]:
    """Since when each private channel is not known, or will not be if this run ends."""
    found: dict[StreamKey, tuple[int, str]] = dict(feed.continuity.unheard)
    for session in feed.sessions:
        for channel, (start, cause) in session.account_desk.absences():
            stream = account_stream(channel)
            if stream not in found or start < found[stream][0]:
                found[stream] = (start, cause)
    kinds = {CLASS_OF[data_type]: data_type for data_type in DataType if data_type.private}
    return [
        Gap(feed.exchange, EVERY, None, start, kinds[kind], start, None, cause)
        for (kind, key), (start, cause) in found.items()
        if kind in kinds and key == EVERY
    ]


def resume(feed: Feed, events: Iterable[MarketEvent], cause: str, channels: Iterable[Channel]) -> None:
    """Begin where ``events`` ended; ``cause`` says why nothing came since. Those of other channels are left out.

    The first event of each stream is then preceded by a Gap as after a lost socket, and the holes go on being filled.
    """
    wanted: dict[tuple[DataType, str], list[Channel]] = {}
    for channel in channels:
        wanted.setdefault((channel.data_type, channel.symbol), []).append(channel)
    holes: list[Gap] = []
    fills: list[Fill] = []
    for event in events:
        if isinstance(event, Gap) and event.symbol == EVERY:
            if (event.data_type, EVERY) in wanted and event.start is not None:
                feed.continuity.unheard[CLASS_OF[event.data_type], EVERY] = (event.start, event.cause or cause)
        elif isinstance(event, Gap):
            holes.append(event)
        elif _channel(event, wanted) is not None:
            _interrupt(feed, event, cause)
            if isinstance(event, Fill):
                fills.append(event)
    start, _ = feed.continuity.unheard.get((Fill, EVERY), (None, ""))
    feed.fills.resume(fills, start)
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
    elif isinstance(event, Order):
        feed.orders.note(event)
    elif isinstance(event, Balance | Position):
        feed.holdings.note(event)


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
