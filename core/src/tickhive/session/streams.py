"""The streams of independent events on one socket: how each begins, and what is told when it is interrupted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from tickhive.channels import EVERY, Channel, DataType
from tickhive.events import DATA_TYPE_OF, Candle, Fill, Gap, InstrumentUpdate, MarketEvent, Trade
from tickhive.session.continuity import APART, Ending, StreamKey, interruption_gap, moment, trade_number, trade_step
from tickhive.session.feed import CLASS_OF, stream_key

if TYPE_CHECKING:
    from tickhive.session.session import Session


class StreamDesk:
    """Handlers for events outside the hot road: the first of a stream, and those that need a thought each.

    Each takes (event, frame, at, out) and appends to ``out`` what consumers get, gaps before what follows them. Events
    nobody asked for are let through.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._candles = session.line.last[Candle]

    def first(self, event: MarketEvent, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """An event of a stream that has brought none on this socket."""
        self._begin(event, event.symbol, "", at, out)

    def candle(self, event: Candle, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """Candles are told apart by their interval too."""
        key = (event.symbol, event.interval)
        if key in self._candles:
            self._candles[key] = event
            if self._session.finder.candle(event, at, out):
                out.append(event)
        else:
            self._begin(event, key, event.interval, at, out)

    def instrument(self, event: InstrumentUpdate, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """An instrument was listed or has changed: from here on everybody sees it so."""
        session = self._session
        session.instruments.add(event.instrument)
        if session.feed.unseen and session.feed.unseen.issuperset(self.channels(DataType.INSTRUMENT, event.symbol)):
            return
        self._begin(event, event.symbol, "", at, out)

    def fill(self, event: Fill, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """A fill is handed out once, whether it streamed in, was fetched, or both."""
        session = self._session
        if not session.asking.unwanted(DataType.FILL, event.symbol, "") and session.feed.fills.take(event):
            self._begin(event, event.symbol, "", at, out)

    def gap(self, event: Gap, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        """The plugin tells of a hole that nothing else would show."""
        self._session.tell_of(event, out)

    def _begin(self, event: MarketEvent, key: Hashable, params: str, at: int, out: list[MarketEvent]) -> None:
        session = self._session
        data_type = DATA_TYPE_OF[event.__class__]
        if session.asking.unwanted(data_type, event.symbol, params):
            return
        channels = self.channels(data_type, event.symbol)
        if params:
            channels = [channel for channel in channels if channel.params == params] or channels
        if channels:
            params = channels[0].params
        resumed = session.feed.continuity.begin(session.line, event, key, data_type, params, at)
        if resumed is not None:
            if resumed.known and self._was_delivered(event, resumed.before):
                return
            if resumed.gap is not None and not session.finder.interrupted(resumed.gap, resumed.before, event, at):
                session.tell_of(resumed.gap, out)
        elif session.feed.continuity.unheard:
            self._heard_at_last(event, key, channels, params, at, out)
        if not isinstance(event, Candle) or session.finder.candle(event, at, out):
            out.append(event)
        for channel in channels:
            session.asking.received(channel, at)

    def _heard_at_last(
        self,
        event: MarketEvent,
        key: Hashable,
        channels: Sequence[Channel],
        params: str,
        at: int,
        out: list[MarketEvent],
    ) -> None:
        """Tell of the time between two sockets where a stream had brought nothing before."""
        session = self._session
        since = session.feed.continuity.heard((event.__class__, key))
        if since is None:
            return
        start, cause = since
        ends = [carried.since for each in channels if (carried := session.asking.channels.get(each)) is not None]
        end = min(ends, default=at)
        if start < end:
            exchange, symbol, data_type = event.exchange, event.symbol, DATA_TYPE_OF[event.__class__]
            session.tell_of(Gap(exchange, symbol, None, at, data_type, start, end, cause, params=params), out)

    def unread(self, data_type: DataType, symbol: str, cause: str, at: int, out: list[MarketEvent]) -> None:
        """Something of a stream could not be read. Candles and numbered trades show by what follows what is missing."""
        session = self._session
        if data_type is DataType.CANDLE or (data_type is DataType.TRADE and session.feed.trade_ids.consecutive(symbol)):
            return
        symbol = symbol or EVERY
        channels = self.channels(data_type, symbol)
        if not channels:
            return
        last = session.line.last[CLASS_OF[data_type]].get(symbol)
        start = moment(last) if last is not None else None
        params = channels[0].params
        session.tell_of(Gap(session.exchange, symbol, None, at, data_type, start, at, cause, params=params), out)

    def quiet(self, cause: str, heard_at: int) -> None:
        """The socket is gone: what its channels that had brought nothing yet would have brought is not known."""
        asking, continuity = self._session.asking, self._session.feed.continuity
        for channel in asking.channels:
            kind = CLASS_OF.get(channel.data_type)
            if kind is None or kind is InstrumentUpdate:
                continue
            if asking.confirmed(channel, heard_at):
                continuity.quiet((kind, stream_key(channel)), cause, heard_at)

    def ended(self, endings: Iterable[Ending], cause: str, at: int, out: list[MarketEvent]) -> None:
        """Tell of holes that the end of this socket reveals, in streams another one has taken up since."""
        feed = self._session.feed
        for ending in endings:
            kind, key = ending.stream
            before, first = ending.before, ending.first
            companion = next((each for each in feed.sessions if each.line is ending.line), None)
            if companion is None or first is None:
                if kind is Trade:
                    feed.trade_ids.pause(str(key))
                continue
            if kind is InstrumentUpdate or (kind is Trade and feed.trade_ids.consecutive(before.symbol)):
                continue  # states that hold until the next one, and ids that told of it already
            data_type = DATA_TYPE_OF[kind]
            channels = companion.streams.channels(data_type, before.symbol)
            params = str(key[1]) if isinstance(key, tuple) else channels[0].params if channels else ""
            if isinstance(before, Trade) and isinstance(first, Trade) and trade_step(before, first) is not APART:
                continue
            gap = interruption_gap(before, first, data_type, params, cause, at)
            if not companion.finder.interrupted(gap, before, first, at):
                self._session.tell_of(gap, out)

    def leave(
        self, channel: Channel, since: int, at: int, out: list[MarketEvent], cause: str = "given up on its socket"
    ) -> None:
        """A channel was given up on this socket, at ``since`` (ns UTC) or later: for good while others carry it, or to
        be asked for again.
        """
        session = self._session
        since = min(since, session.pulse.heard_at)  # a socket that hung half open vouches for nothing after that
        kind = CLASS_OF[channel.data_type]
        keys = list(session.line.last[kind]) if channel.symbol == EVERY else [stream_key(channel)]
        for key in keys:
            ending = session.feed.continuity.leave(session.line, (kind, key), cause, since)
            if ending is not None:
                self.ended([ending], cause, at, out)

    def interrupted(self, channel: Channel, since: int, at: int) -> None:
        """A channel is asked for again on this socket, because it fell silent or came wrong: from its last event on, or
        from ``since`` (ns UTC) where others carry it, nobody knows that nothing was missed. Books know by themselves.
        """
        carried = self._session.asking.channels.get(channel)
        if carried is not None and channel.data_type is not DataType.ORDERBOOK:
            reason = carried.entry.reason
            cause = f"{reason}; it was asked for again" if reason else "it was asked for again"
            self.leave(channel, since, at, self._session.feed.ledger.news, cause)

    def _was_delivered(self, event: MarketEvent, last: MarketEvent) -> bool:
        """Whether a trade that is not later than the last one was surely handed out: it is that very one, or each id
        is a trade.
        """
        if not isinstance(event, Trade) or not isinstance(last, Trade):
            return False
        if evolve(event, received=last.received, late=last.late) == last:
            return True
        number = trade_number(event)
        feed = self._session.feed
        return number is not None and feed.trade_ids.consecutive(event.symbol) and not feed.lacks(event.symbol, number)

    def channels(self, data_type: DataType, symbol: str) -> Sequence[Channel]:
        """The channels of this socket that bring a symbol's events: its own, or the one for every symbol."""
        asking = self._session.asking
        return asking.topic(data_type, symbol) or asking.topic(data_type, EVERY)

    def covers(self, stream: StreamKey, by: int) -> bool:
        """Whether the venue had confirmed on this socket, by then (ns UTC), what brings a stream."""
        kind, key = stream
        symbol, params = key if isinstance(key, tuple) else (key, None)
        asking = self._session.asking
        return any(
            asking.confirmed(channel, by)
            for channel in self.channels(DATA_TYPE_OF[kind], str(symbol))
            if params is None or channel.params == params
        )

    def last_received(self, channel: Channel) -> int | None:
        """When a channel's data last came on this socket, ns UTC."""
        streams = self._session.line.last[CLASS_OF[channel.data_type]]
        if channel.symbol == EVERY:
            return max((event.received for event in streams.values()), default=None)
        event = streams.get(stream_key(channel))
        return None if event is None else event.received

    def lost_frames(self, cause: str, heard_at: int, at: int, out: list[MarketEvent]) -> None:
        """Frames of this socket went missing after ``heard_at``: every stream on it may have a hole, if no other socket
        carried it by then.
        """
        feed = self._session.feed
        for stream, before in list(self._session.line.streams()):
            kind, key = stream
            if kind is InstrumentUpdate or any(
                line.carried(stream, heard_at) for line in feed.continuity.lines if line is not self._session.line
            ):
                continue
            if kind is Trade and feed.trade_ids.consecutive(before.symbol):
                continue  # the ids tell which trades were lost, and whether any were
            params = key[1] if isinstance(key, tuple) else ""
            exchange, symbol, data_type = before.exchange, before.symbol, DATA_TYPE_OF[kind]
            gap = Gap(exchange, symbol, None, at, data_type, moment(before), at, cause, params=params)
            self._session.tell_of(gap, out)
