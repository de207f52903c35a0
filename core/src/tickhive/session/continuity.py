"""Whether data follows on what came before it: the one rule of book sequences, trade ids, and the gaps in between."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from enum import Enum
from typing import TypeAlias

from attrs import define

from tickhive.channels import DataType
from tickhive.events import BookDelta, Gap, MarketEvent, Trade


class Verdict(Enum):
    """What a delta is to the book it names."""

    ACCEPT = "accept"
    DROP = "drop"
    GAP = "gap"


ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP


def judge(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    """Tell whether a delta follows on the book numbered ``last``. The first rule that fits decides:

    1. ``previous`` is ``last``: accept, also when ``sequence`` is lower (the venue restarted its numbers) or equal
       with empty sides (a keep-alive).
    2. ``sequence`` is not above ``last``: drop, already known.
    3. The first delta after a fetched snapshot (``bridging``): accept when ``previous`` <= ``last`` <= ``sequence``,
       or without ``previous`` when ``first`` <= ``last`` + 1 <= ``sequence``.
    4. Without ``previous``: accept when ``first`` is ``last`` + 1. A venue without ``first`` merges nothing: there
       ``sequence`` takes its place.
    5. Anything else is a gap.

    A venue that sends no numbers gives nothing to check: its deltas are accepted.
    """
    sequence = delta.sequence
    if sequence is None or last is None:
        return ACCEPT
    previous = delta.previous
    if previous == last and (sequence != last or not (delta.bids or delta.asks)):
        return ACCEPT
    if sequence <= last:
        return DROP
    if previous is not None:
        return ACCEPT if bridging and previous <= last else GAP
    first = sequence if delta.first is None else delta.first
    return ACCEPT if first == last + 1 or (bridging and first <= last) else GAP


def chains(delta: BookDelta, before: BookDelta) -> bool:
    """Whether one delta says that it follows directly on another."""
    if delta.previous is not None:
        return delta.previous == before.sequence
    return delta.first is not None and before.sequence is not None and delta.first == before.sequence + 1


_LONGEST_ID = 30


def number_of(text: str | None) -> int | None:
    """Read an id that is a number; None for any other text, which has no order.

    >>> number_of("130639474"), number_of("a7f3")
    (130639474, None)
    """
    if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID:
        return int(text)
    return None


def trade_number(trade: Trade) -> int | None:
    """The trade's id as a number, None where the venue's ids are not numbers."""
    return number_of(trade.id)


class TradeStep(Enum):
    """What a trade is to the last one known before an interruption."""

    NEXT = "next"
    KNOWN = "known"
    APART = "apart"


NEXT, KNOWN, APART = TradeStep.NEXT, TradeStep.KNOWN, TradeStep.APART


def trade_step(last: Trade, trade: Trade) -> TradeStep:
    """Compare ids: ``NEXT`` proves that nothing was missed, ``KNOWN`` says nothing yet, ``APART`` is a hole or unknown.

    A trade of ``count`` merged executions carries the last one's id, so the ids before it end at ``id`` - ``count``.
    """
    old, new = trade_number(last), trade_number(trade)
    if old is None or new is None:
        return TradeStep.APART
    if new <= old:
        # A lower id at a later time is a venue that restarted its numbers.
        return TradeStep.KNOWN if moment(trade) <= moment(last) else TradeStep.APART
    return TradeStep.NEXT if new - trade.count <= old else TradeStep.APART


def moment(event: MarketEvent) -> int:
    """When an event happened: the venue's time where it sends one, else when we received it (ns UTC)."""
    return event.received if event.timestamp is None else event.timestamp


def interruption_gap(
    last: MarketEvent, first: MarketEvent, data_type: DataType, params: str, cause: str, at: int
) -> Gap:
    """The hole between the last event before an interruption and the first one after it.

    Trades whose ids are numbers: the first and the last missing id; none when the venue restarted its numbers. Other
    trades: the ids on either side.
    """
    start, end = sorted((moment(last), moment(first)))  # frames may overtake each other on their way
    gap = Gap(first.exchange, first.symbol, None, at, data_type, start, end, cause, params=params)
    if isinstance(last, Trade) and isinstance(first, Trade):
        old, new = trade_number(last), trade_number(first)
        if old is None or new is None:
            gap.first_id, gap.last_id = last.id, first.id
        elif new > old:
            gap.first_id, gap.last_id = str(old + 1), str(new - first.count)
    return gap


_MOST_REMEMBERED = 100_000  # keys per event class and socket; far above what any venue lists

StreamKey: TypeAlias = tuple[type[MarketEvent], Hashable]
"""An event class and what tells its streams apart: the symbol, a candle's symbol and interval."""


class Line:
    """What came on one socket: ``last`` maps an event class to its streams, each to its last event.

    The session writes it for every event, so it holds plain dictionaries. ``first`` has the event each stream began
    with, ``inherited`` the last events of streams whose earlier socket is gone and which this one carries without
    having brought anything yet. ``covers`` tells whether the venue had confirmed a stream on this socket at a moment
    (ns UTC), ``since`` when the socket was opened. ``token`` stands for it where it must not be kept alive.
    """

    __slots__ = ("covers", "first", "inherited", "last", "since", "token")

    def __init__(self, classes: Iterable[type[MarketEvent]], covers: Callable[[StreamKey, int], bool]) -> None:
        self.last: dict[type[MarketEvent], dict[Hashable, MarketEvent]] = {kind: {} for kind in classes}
        self.first: dict[StreamKey, MarketEvent] = {}
        self.inherited: dict[StreamKey, MarketEvent] = {}
        self.covers = covers
        self.since = 0
        self.token = object()

    def streams(self) -> Iterator[tuple[StreamKey, MarketEvent]]:
        """Every stream this socket carries data of, with its last event."""
        for kind, streams in self.last.items():
            for key, event in streams.items():
                yield (kind, key), event
        yield from self.inherited.items()

    def latest(self, stream: StreamKey) -> MarketEvent | None:
        """The last event of a stream on this socket; None when it has brought none."""
        return self.last[stream[0]].get(stream[1])

    def drop(self, stream: StreamKey) -> MarketEvent | None:
        """The stream is not carried here any more; answers its last event."""
        self.first.pop(stream, None)
        inherited = self.inherited.pop(stream, None)
        return self.last[stream[0]].pop(stream[1], inherited)

    def carried(self, stream: StreamKey, at: int) -> bool:
        """Whether a stream came on this socket already at a moment: nothing after it was missed."""
        first = self.first.get(stream)
        return (first is not None and first.received <= at) or self.covers(stream, at)


@define
class Ending:
    """What the end of a socket means for a stream it carried, whose last event there was ``before``.

    ``line`` is another socket that took the stream up only after this one had fallen quiet, beginning with ``first``:
    what lies between came on neither. Without a ``line`` the stream stands interrupted.
    """

    stream: StreamKey
    before: MarketEvent
    line: Line | None = None
    first: MarketEvent | None = None


@define
class Resumption:
    """A stream came back after its socket was lost. ``before`` is its last event from then, ``gap`` the hole between,
    None when nothing was missed. ``known``: the event was there before and says nothing of what follows.
    """

    before: MarketEvent
    gap: Gap | None = None
    known: bool = False


class Continuity:
    """Where every stream stands, over all sockets of one collector.

    A stream is ``interrupted`` when the last socket that carried it is gone; it waits there with its last event and the
    cause until its next event comes, on whatever socket. ``unheard`` are those that had brought nothing yet: since when
    that is not known to be all there was (ns UTC), and the cause.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.interrupted: dict[StreamKey, tuple[MarketEvent, str]] = {}
        self.unheard: dict[StreamKey, tuple[int, str]] = {}

    def begin(
        self, line: Line, event: MarketEvent, key: Hashable, data_type: DataType, params: str, at: int
    ) -> Resumption | None:
        """Take the first event of a stream on a line; answers how it goes on, if it was interrupted."""
        stream = (event.__class__, key)
        lost = self.interrupted.get(stream)
        resumed = None
        if lost is not None:
            resumed = Resumption(lost[0])
            step = APART
            if isinstance(resumed.before, Trade) and isinstance(event, Trade):
                step = trade_step(resumed.before, event)
            if step is KNOWN:
                resumed.known = True
                return resumed
            if step is APART:
                resumed.gap = interruption_gap(resumed.before, event, data_type, params, lost[1], at)
            del self.interrupted[stream]
        streams = line.last[event.__class__]
        if len(streams) < _MOST_REMEMBERED:
            streams[key] = line.first[stream] = event
        line.inherited.pop(stream, None)
        return resumed

    def close(self, line: Line, cause: str, heard_at: int) -> list[Ending]:
        """A socket is gone, of which nothing was heard after ``heard_at``; answers the streams this leaves a hole in.

        Another socket goes on with a stream when it carried it by then: the hole of a socket that hung half open
        before its successor came must not be taken for a change of sockets.
        """
        if line in self.lines:
            self.lines.remove(line)
        endings = (self._end(stream, event, cause, heard_at) for stream, event in line.streams())
        return [ending for ending in endings if ending is not None]

    def quiet(self, stream: StreamKey, cause: str, heard_at: int) -> None:
        """A socket is gone that carried a stream which may have brought nothing so far."""
        if self.latest(stream) is None and not any(line.covers(stream, heard_at) for line in self.lines):
            self.unheard.setdefault(stream, (heard_at, cause))

    def heard(self, stream: StreamKey) -> tuple[int, str] | None:
        """A stream that had brought nothing is carried again; answers since when none was (ns UTC), and the cause."""
        return self.unheard.pop(stream, None)

    def leave(self, line: Line, stream: StreamKey, cause: str, at: int) -> Ending | None:
        """A socket carries a stream no more, which others do; answers the hole this leaves."""
        event = line.drop(stream)
        return None if event is None else self._end(stream, event, cause, at)

    def _end(self, stream: StreamKey, event: MarketEvent, cause: str, heard_at: int) -> Ending | None:
        """A stream whose last event was this one ends on a socket that is not counted any more."""
        going_on = [other for other in self.lines if other.latest(stream) is not None]
        if any(other.carried(stream, heard_at) for other in going_on):
            return None
        if going_on:
            return Ending(stream, event, going_on[0], going_on[0].first[stream])
        heir = next((other for other in self.lines if other.covers(stream, heard_at)), None)
        if heir is not None:
            heir.inherited[stream] = event
            return None
        self.interrupted[stream] = (event, cause)
        return Ending(stream, event)

    def forget(self, stream: StreamKey) -> None:
        """The stream is not wanted any more."""
        for line in self.lines:
            line.drop(stream)
        self.interrupted.pop(stream, None)
        self.unheard.pop(stream, None)

    def keys(self, kind: type[MarketEvent]) -> set[Hashable]:
        """What tells the streams of a class apart, of all that are known."""
        return {stream[1] for stream, _ in self.streams() if stream[0] is kind}

    def streams(self) -> Iterator[tuple[StreamKey, MarketEvent]]:
        """Every stream that is known with its last event, on each line that carries it, the interrupted ones too."""
        for stream, (event, _) in self.interrupted.items():
            yield stream, event
        for line in self.lines:
            yield from line.streams()

    def adopt(self, line: Line, kind: type[MarketEvent]) -> None:
        """A line goes on with the interrupted streams of a class: what they missed is told otherwise."""
        for stream in [stream for stream in self.interrupted if stream[0] is kind]:
            line.inherited[stream] = self.interrupted.pop(stream)[0]

    def latest(self, stream: StreamKey) -> MarketEvent | None:
        """The last event of a stream, before an interruption too."""
        found = [event for line in self.lines if (event := line.latest(stream)) is not None]
        found += [line.inherited[stream] for line in self.lines if stream in line.inherited]
        if stream in self.interrupted:
            found.append(self.interrupted[stream][0])
        return max(found, key=_received, default=None)


def _received(event: MarketEvent) -> int:
    return event.received
