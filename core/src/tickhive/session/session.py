"""One socket's conversation with a venue, without I/O: frames go in, market events and requests come out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import (
    BookDelta,
    BookSnapshot,
    Candle,
    Fill,
    Gap,
    InstrumentUpdate,
    MarketEvent,
    Order,
)
from tickhive.plugin.contract import (
    Answer,
    BookChecksum,
    Credentials,
    Dial,
    Fetch,
    Rejected,
    Request,
)
from tickhive.session.account import AccountDesk, LastWord, Standing
from tickhive.session.asking import Asking
from tickhive.session.continuity import Line, StreamKey
from tickhive.session.conversation import Conversation, Handler
from tickhive.session.desk import BookDesk
from tickhive.session.faults import FAULTS, StaleFrame
from tickhive.session.feed import STREAM_TYPES, BookKey, Feed, book_key
from tickhive.session.hooks import Hooks
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING, REJECTED
from tickhive.session.pulse import Beat, Pulse
from tickhive.session.refill import Hole, RefillDesk
from tickhive.session.statistics import SessionState, SessionStatistics
from tickhive.session.streams import StreamDesk
from tickhive.session.timers import SECOND, Timers
from tickhive.session.watch import Watch

if TYPE_CHECKING:
    from tickhive.plugin.stack import ExchangeStack

__all__ = ["Session", "SessionState", "SessionStatistics"]


class Upkeep(Enum):
    """The purpose of what the ``heartbeat`` hook asks for: without it the venue sends no more on this socket."""

    UPKEEP = "upkeep"


UPKEEP = Upkeep.UPKEEP

Purpose: TypeAlias = BookKey | Hole | Standing | LastWord | Upkeep
"""What a request is for: a book's snapshot, a hole to refill, how an account's channel stands, how an order ended, what
keeps the socket valid."""

ACK_SECONDS = 10.0
"""How long a request may stay unanswered."""

_LEAVE_EARLY_SECONDS = 60.0  # before the end of a dial's lifetime, or a tenth of it


_LAG = 10 * SECOND
"""By how much one socket may lag behind another."""


class Session:
    """What happens on one socket; also the ``SessionView`` its plugin's hooks are given.

    A driver owns the socket and the clock. It calls ``opened``, ``receive``, ``answered``, ``fetch_failed``, ``tick``,
    ``add``, ``remove`` and ``closed``, and after each call

    * sends what is in ``outbox`` and makes what is in ``fetches``, emptying both;
    * sends a WebSocket ping when ``wants_ping`` is set, clears it, and calls ``ponged`` when the pong comes;
    * ends the socket when ``close_reason`` is set, and dials no more when ``fatal`` is set;
    * when ``leaving`` is set, opens a successor, and ends this socket once that one is ``settled``;
    * calls ``tick`` when ``deadline`` has come.

    ``sanitize`` takes out of a text what must not be shown.

    Nothing here raises because of what a venue sends or a plugin does: both are counted in ``statistics``.
    """

    __slots__ = (
        "_check",
        "_ids",
        "_news",
        "_parse",
        "_purposes",
        "_routes",
        "_streams",
        "account_desk",
        "announced",
        "asking",
        "close_reason",
        "conversation",
        "credentials",
        "desk",
        "dial",
        "exchange",
        "fatal",
        "feed",
        "fetches",
        "hooks",
        "instruments",
        "leaving",
        "line",
        "memory",
        "outbox",
        "overlaps",
        "pulse",
        "refill",
        "settings",
        "stack",
        "state",
        "statistics",
        "streams",
        "timers",
        "wants_ping",
        "watch",
    )

    def __init__(
        self,
        stack: ExchangeStack,
        dial: Dial,
        feed: Feed,
        *,
        credentials: Credentials | None = None,
        sanitize: Callable[[str], str] = str,
        ids: Iterator[int] | None = None,
        ack_seconds: float = ACK_SECONDS,
    ) -> None:
        self.stack = stack
        self.dial: Dial = dial
        self.feed = feed
        self.exchange: str = feed.exchange
        self.settings: Any = feed.settings
        self.instruments: InstrumentTable = feed.instruments
        self.credentials = credentials
        self.state = SessionState.OPENING
        self.outbox: list[Request] = []
        self.fetches: list[Fetch] = []
        self.wants_ping = False
        self.close_reason: str | None = None
        self.leaving: str | None = None
        self.announced = False
        self.overlaps = False
        self.fatal: str | None = None
        self.statistics = SessionStatistics()
        self.timers = Timers()
        self._ids = itertools.count(1) if ids is None else ids
        self.pulse = Pulse(dial.heartbeat)
        self.hooks = Hooks(stack.call, self.statistics, secret=credentials is not None)
        self._purposes: dict[int, tuple[Fetch, Purpose | None]] = {}
        self._news = feed.ledger.news
        self.memory: Any = self.hooks.one("memory")
        self.conversation = Conversation(self, sanitize, ack_seconds)
        self.asking = Asking(self, dial.channels, ack_seconds)
        self.watch = Watch(self)
        self.line = Line(STREAM_TYPES, self._covers)
        self.streams = StreamDesk(self)
        self.desk = BookDesk(self)
        self.refill = RefillDesk(self)
        self.account_desk = AccountDesk(self)
        self._check = feed.trade_ids.check
        self._parse: Callable[[Session, bytes, int], Iterable[Any]] = stack.bound("parse")
        # Streams whose events need no thought but "when was the last one": class to key to event. See `receive`.
        self._streams: dict[type, dict[Any, Any]] = {
            kind: self.line.last[kind] for kind in STREAM_TYPES if kind not in (Candle, InstrumentUpdate, Order, Fill)
        }
        self._routes: dict[type, Handler] = {
            **dict.fromkeys(self._streams, self.streams.first),
            Candle: self.streams.candle,
            InstrumentUpdate: self.streams.instrument,
            Order: self.account_desk.order,
            Fill: self.streams.fill,
            BookSnapshot: self.desk.snapshot,
            BookDelta: self.desk.delta,
            BookChecksum: self.desk.checksum,
            Gap: _pass_on,
            **self.conversation.routes,
        }

    def next_id(self) -> str:
        """A request id that this socket has not used."""
        return str(next(self._ids))

    @property
    def account(self) -> str:
        """Whose credentials it uses, as events carry it; "" without any."""
        return self.credentials.account if self.credentials is not None else ""

    @property
    def channels(self) -> list[Channel]:
        """The channels this socket carries now."""
        return list(self.asking.channels)

    @property
    def is_open(self) -> bool:
        """Whether subscriptions may be sent."""
        return self.state is SessionState.OPEN

    @property
    def settled(self) -> bool:
        """Whether this socket carries all it is there for: each channel confirmed or refused, each book begun."""
        return self.is_open and all(
            self.feed.ledger.state(channel) is REJECTED
            or (state := self.asking.state(channel)) is RECEIVING
            or (state is ACKNOWLEDGED and (channel.data_type is not DataType.ORDERBOOK or self.desk.begun(channel)))
            for channel in self.asking.channels
        )

    def share(self, shares: bool, at: int) -> None:
        """Note whether another open socket carries a channel of this one. What the other brought before it went may
        still be on its way here: the two count as overlapping for a while after.
        """
        if shares:
            self.overlaps = True
            self.timers.cancel(self._alone, None)
        elif self.overlaps:
            self.timers.set(self._alone, None, at + _LAG)

    def _alone(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        self.overlaps = False
        self.feed.compare(at)

    def last_received(self, channel: Channel) -> int | None:
        """When a channel's data last came on this socket, ns UTC."""
        if channel.data_type is DataType.ORDERBOOK:
            return self.desk.heard(book_key(channel))
        return self.streams.last_received(channel)

    # The hot road

    def receive(self, frames: Sequence[bytes], at: int) -> list[MarketEvent]:
        """Read frames in the order they came; answers the market events they hold, gaps before what follows them.

        Only the gap of a hole in the trades that is being refilled comes later, with what was in it.
        """
        out: list[MarketEvent] = []
        append = out.append
        parse = self._parse
        streams = self._streams
        routes = self._routes
        # Events of one kind come in runs: what the kind means is looked up once for each run.
        kind: type | None = None
        stream: dict[Any, Any] | None = None
        for frame in frames:
            try:
                for event in parse(self, frame, at):
                    if event.__class__ is not kind:
                        kind = event.__class__
                        stream = streams.get(kind)
                    if stream is not None and (symbol := event.symbol) in stream:
                        stream[symbol] = event
                        append(event)
                    else:
                        routes[kind](event, frame, at, out)
            except StaleFrame:
                pass
            except FAULTS as error:
                self.conversation.misread(error, frame)
        if self.overlaps:
            out = self.feed.doubles.drop(out, self.line, at)
        if odd := self._check(out):
            self.refill.odd(odd, at, out)
        statistics = self.statistics
        statistics.frames += len(frames)
        statistics.events += len(out)
        if self._news:
            self._tell(out)
        statistics.last_received = self.pulse.heard_at = at
        return out

    def _tell(self, out: list[MarketEvent]) -> None:
        """Hand out what became of subscriptions."""
        out += self._news
        self._news.clear()

    # The conversation

    def opened(self, at: int) -> None:
        """The socket is up. What this says of subscriptions is handed out by the next call that answers events."""
        self.feed.join(self, at)
        if self.feed.fills.since is None:
            self.feed.fills.since = at
        self.statistics.connected_at = self.pulse.heard_at = at
        dial = self.dial
        if dial.upkeep is not None:
            self.timers.set(self._upkeep, None, at + int(dial.upkeep * SECOND))
        if dial.lifetime is not None:
            early = min(_LEAVE_EARLY_SECONDS, dial.lifetime / 10)
            self.timers.set(self._outlived, None, at + int((dial.lifetime - early) * SECOND))
        if dial.login:
            self.conversation.login(at)
        else:
            self.ready(at)

    def ready(self, at: int) -> None:
        """Subscriptions may be sent."""
        self.state = SessionState.OPEN
        self.watch.begin(at)
        self.asking.subscribe(list(self.asking.channels), at)
        self.refill.resume(at)

    def add(self, channels: Iterable[Channel], at: int) -> None:
        """Carry more channels."""
        added = self.asking.take(channels, at)
        self.feed.compare(at)
        if self.is_open:
            self.asking.subscribe(added, at)

    def remove(self, channels: Iterable[Channel], at: int) -> None:
        """Carry these no more. Where the venue knows no way to say so, ``leaving`` asks for a fresh socket."""
        if not self.asking.leave(channels, at) and self.is_open:
            self.leave("channels were given up, which takes a fresh socket here")
        self.feed.compare(at)

    def forget(self, channel: Channel, at: int) -> None:
        """A channel was given up for good on this socket."""
        if channel.data_type is DataType.ORDERBOOK:
            self.desk.leave(channel)
        if not self.feed.carriers(channel):
            self.feed.forget(channel)
        elif channel.data_type is not DataType.ORDERBOOK:
            self.streams.leave(channel, at, at, self.feed.ledger.news)

    def interrupted(self, channel: Channel, since: int, at: int) -> None:
        """A channel is asked for again on this socket, because it fell silent or came wrong: from its last event on, or
        from ``since`` (ns UTC) where others carry it, nobody knows that nothing was missed. Books know by themselves.
        """
        carried = self.asking.channels.get(channel)
        if carried is not None and channel.data_type is not DataType.ORDERBOOK:
            reason = carried.entry.reason
            cause = f"{reason}; it was asked for again" if reason else "it was asked for again"
            self.streams.leave(channel, since, at, self.feed.ledger.news, cause)

    def answered(self, fetch: Fetch, answer: Answer, at: int) -> list[MarketEvent]:
        """The answer to one of ``fetches`` came. Pass the Fetch as it was taken from there."""
        out: list[MarketEvent] = []
        if self.state is SessionState.CLOSED:
            return out  # whoever needs it still has asked again elsewhere
        _, purpose = self._purposes.pop(id(fetch), (fetch, None))
        if isinstance(purpose, Hole):
            self.refill.answered(purpose, fetch, answer, at, out)
            self.statistics.events += len(out)
            self._tell(out)
            return out
        key: Purpose | None = purpose
        if key is None and fetch.channel is not None and fetch.channel.data_type is DataType.ORDERBOOK:
            key = book_key(fetch.channel)
        events, fault = self.hooks.many("read", session=self, fetch=fetch, answer=answer, at=at)
        if fault is None:
            try:
                for event in events:
                    if isinstance(key, Standing):
                        key.note(event)
                    key = self.read_event(event, key, at, out)
            except Exception as error:
                fault = self.hooks.failed("read", error)
        if fault is not None and isinstance(purpose, Standing):
            purpose.whole = False
        if isinstance(key, Standing | LastWord):
            self.account_desk.ended(key, at, out)
        elif isinstance(key, tuple):
            self.desk.fetch_ended(key, at)
        self.statistics.events += len(out)
        self._tell(out)
        return out

    def read_event(self, event: Any, key: Purpose | None, at: int, out: list[MarketEvent]) -> Purpose | None:
        """Act on one thing a REST answer said; answers the purpose unless a further request has it now."""
        if isinstance(event, BookSnapshot):
            self.desk.fetched(event, at, out)
        elif isinstance(event, Fetch):
            self.send_fetch(event, key)
            return None
        elif isinstance(event, Dial):
            self.conversation.note_unknown("read answered a Dial for a socket that is open")
        elif isinstance(event, Rejected) and event.id is None and not event.channels:
            self.conversation.refused(event)
        else:
            self._routes[event.__class__](event, b"", at, out)
        return key

    def fetch_failed(self, fetch: Fetch, reason: str, at: int, *, unauthorised: bool = False) -> list[MarketEvent]:
        """One of ``fetches`` could not be made. Pass the Fetch as it was taken from there. ``unauthorised``: because
        the venue does not accept who signed it, which ends the feed.
        """
        out: list[MarketEvent] = []
        if self.state is SessionState.CLOSED:
            return out
        _, purpose = self._purposes.pop(id(fetch), (fetch, None))
        if isinstance(purpose, Hole):
            self.refill.failed(purpose, fetch, reason, out)
        elif isinstance(purpose, Standing | LastWord):
            self.account_desk.failed(purpose, at, out)
        elif isinstance(purpose, Upkeep):
            self.leave(f"what keeps this socket valid failed: {self.conversation.fit(reason)}", announced=True)
        elif purpose is not None:
            self.desk.fetch_ended(purpose, at)
        if unauthorised:
            self.conversation.refused(Rejected(reason, "credentials"))
        elif self.state is SessionState.LOGIN:
            self.close(f"the login failed: {self.conversation.fit(reason)}")
        self.statistics.events += len(out)
        self._tell(out)
        return out

    def send_fetch(self, fetch: Fetch, purpose: Purpose | None = None) -> None:
        """Put a request to the driver."""
        # Keyed by identity, the object kept alive: two equal requests are two requests.
        self._purposes[id(fetch)] = (fetch, purpose)
        self.fetches.append(fetch)

    def closed(self, reason: str, at: int) -> list[MarketEvent]:
        """The socket is gone. The streams no other socket carries stand interrupted: the first event of each, on
        whatever socket, will be preceded by a Gap from the last one, with ``reason`` as its cause.
        """
        if self.state is SessionState.CLOSED:
            return []
        out: list[MarketEvent] = []
        self.state = SessionState.CLOSED
        cause = self.conversation.fit(reason)
        self.timers.clear()
        endings = self.feed.part(self, cause, self.pulse.heard_at, at)
        self.desk.lost(cause)
        self.refill.lost(at)
        self.streams.ended(endings, cause, at, out)
        self.streams.quiet(cause, self.pulse.heard_at)
        self.asking.lost(cause, at)
        for companion in self.feed.sessions:
            if companion.is_open:
                companion.refill.resume(at)
        self.outbox.clear()
        self.fetches.clear()
        self._purposes.clear()
        self.wants_ping = False
        self._tell(out)
        return out

    def close(self, reason: str) -> None:
        """Ask the driver to end the socket; the first reason stays."""
        if self.close_reason is None:
            self.close_reason = reason

    def leave(self, reason: str, *, announced: bool = False) -> None:
        """Ask the driver to have another socket take over before it ends this one; the first reason stays.

        ``announced``: the venue will end this socket by itself. Such a reason goes before a mere wish.
        """
        if self.leaving is None or (announced and not self.announced):
            self.leaving = reason
            self.announced = announced

    def _covers(self, stream: StreamKey, by: int) -> bool:
        return self.streams.covers(stream, by)

    # Time

    def deadline(self) -> int | None:
        """When ``tick`` wants to be called, ns UTC; None for never. Being called earlier or later is harmless."""
        due = self.timers.next
        silent = self.pulse.deadline()
        if silent is None or self.state is SessionState.CLOSED:
            return due
        return silent if due is None or silent < due else due

    def tick(self, at: int) -> list[MarketEvent]:
        """Do what is due."""
        out: list[MarketEvent] = []
        if self.state in (SessionState.LOGIN, SessionState.OPEN):
            beat = self.pulse.beat(at)
            if beat is Beat.DEAD:
                self.close("no answer to the heartbeat")
            elif beat is Beat.SEND and self.pulse.send is None:
                self.wants_ping = True
            elif beat is Beat.SEND and self.pulse.send is not None:
                self.outbox.append(Request(self.pulse.send))
            self.timers.run(at, out)
            self.statistics.events += len(out)
            self._tell(out)
        return out

    def ponged(self, at: int) -> None:
        """The venue answered a WebSocket ping."""
        self.pulse.heard_at = max(self.pulse.heard_at, at)

    def _upkeep(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        answers, fault = self.hooks.many("heartbeat", session=self, at=at)
        if fault is None:
            self.send(answers, UPKEEP)
        self.timers.set(self._upkeep, None, at + max(1, int((self.dial.upkeep or 0) * SECOND)))

    def _outlived(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        self.leave(f"the venue cuts its sockets after {self.dial.lifetime:g} s", announced=True)

    def send(self, answers: Iterable[Request | Fetch], purpose: Purpose | None = None) -> None:
        """Put what a hook answered to the driver."""
        for answer in answers:
            if isinstance(answer, Request):
                self.outbox.append(answer)
            else:
                self.send_fetch(answer, purpose if answer.channel is None else None)


def _pass_on(event: MarketEvent, frame: bytes, at: int, out: list[MarketEvent]) -> None:
    out.append(event)
