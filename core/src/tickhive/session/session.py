"""One socket's conversation with a venue, without I/O: frames go in, market events and requests come out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
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
)
from tickhive.plugin.contract import (
    Accepted,
    Alive,
    Answer,
    BookChecksum,
    Credentials,
    Dial,
    Fetch,
    Goodbye,
    Malformed,
    Numbered,
    Ready,
    Rejected,
    Reply,
    Request,
    Unknown,
    Unsubscribed,
)
from tickhive.session.asking import Asking
from tickhive.session.continuity import Line, StreamKey
from tickhive.session.desk import BookDesk
from tickhive.session.faults import describe, tidy
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

Handler: TypeAlias = Callable[[Any, bytes, int, list[MarketEvent]], None]

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
        "_ack",
        "_check",
        "_ids",
        "_news",
        "_number",
        "_parse",
        "_pulse",
        "_purposes",
        "_routes",
        "_sanitize",
        "_snapshots_asked",
        "_streams",
        "announced",
        "asking",
        "close_reason",
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
        self._sanitize = sanitize
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
        self._ack = int(ack_seconds * SECOND)
        self._number: int | None = None
        self._pulse = Pulse(dial.heartbeat)
        self.hooks = Hooks(stack.call, self.statistics, secret=credentials is not None)
        self._purposes: dict[int, tuple[Fetch, BookKey | Hole | None]] = {}
        self._snapshots_asked: set[Channel] = set()
        self._news = feed.ledger.news
        self.memory: Any = self.hooks.one("memory")
        self.asking = Asking(self, dial.channels, ack_seconds)
        self.watch = Watch(self)
        self.line = Line(STREAM_TYPES, self._covers)
        self.streams = StreamDesk(self)
        self.desk = BookDesk(self)
        self.refill = RefillDesk(self)
        self._check = feed.trade_ids.check
        self._parse: Callable[[Session, bytes, int], Iterable[Any]] = stack.bound("parse")
        # Streams whose events need no thought but "when was the last one": class to key to event. See `receive`.
        self._streams: dict[type, dict[Any, Any]] = {
            kind: self.line.last[kind] for kind in STREAM_TYPES if kind not in (Candle, InstrumentUpdate, Fill)
        }
        self._routes: dict[type, Handler] = {
            **dict.fromkeys(self._streams, self.streams.first),
            Candle: self.streams.candle,
            InstrumentUpdate: self.streams.instrument,
            Fill: self.streams.fill,
            BookSnapshot: self.desk.snapshot,
            BookDelta: self.desk.delta,
            BookChecksum: self.desk.checksum,
            Gap: _pass_on,
            Alive: _ignore,
            Ready: self._on_ready,
            Accepted: self._on_accepted,
            Unsubscribed: self._on_unsubscribed,
            Rejected: self._on_rejected,
            Numbered: self._on_numbered,
            Reply: self._on_reply,
            Goodbye: self._on_goodbye,
            Unknown: self._on_unknown,
            Malformed: self._on_malformed,
        }

    def _tidy(self, words: str) -> str:
        """Words of the venue or the plugin, fit to be shown: they may quote what was sent, so they are sanitized."""
        return tidy(self._sanitize(words))

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
            except Exception as error:
                self._misread(error, frame)
        if self.overlaps:
            out = self.feed.doubles.drop(out, self.line, at)
        if odd := self._check(out):
            self.refill.odd(odd, at, out)
        statistics = self.statistics
        statistics.frames += len(frames)
        statistics.events += len(out)
        if self._news:
            self._tell(out)
        statistics.last_received = self._pulse.heard_at = at
        return out

    def _tell(self, out: list[MarketEvent]) -> None:
        """Hand out what became of subscriptions."""
        out += self._news
        self._news.clear()

    def _misread(self, error: Exception, frame: bytes) -> None:
        """A frame whose parsing failed; what it held before that was delivered."""
        if isinstance(error, KeyError) and error.args and isinstance(error.args[0], type):
            why = f"parse answered {tidy(error.args[0].__name__, 60)}, which is no event"
        else:
            why = f"parse failed: {describe(error)}"
        self._count_malformed(why, frame)

    def _count_malformed(self, why: str, frame: bytes) -> None:
        if self._pulse.is_reply(frame):
            return
        self.statistics.malformed += 1
        self.statistics.last_malformed = self._tidy(why)

    # The conversation

    def opened(self, at: int) -> None:
        """The socket is up. What this says of subscriptions is handed out by the next call that answers events."""
        self.feed.join(self, at)
        if self.feed.fills.since is None:
            self.feed.fills.since = at
        self.statistics.connected_at = self._pulse.heard_at = at
        dial = self.dial
        if dial.upkeep is not None:
            self.timers.set(self._upkeep, None, at + int(dial.upkeep * SECOND))
        if dial.lifetime is not None:
            early = min(_LEAVE_EARLY_SECONDS, dial.lifetime / 10)
            self.timers.set(self._outlived, None, at + int((dial.lifetime - early) * SECOND))
        if not dial.login:
            self._open(at)
            return
        self.state = SessionState.LOGIN
        answers, fault = self.hooks.many("authenticate", session=self, credentials=self.credentials, at=at)
        if fault is None:
            self._send(answers)
            self.timers.set(self._login_unanswered, None, at + self._ack)
        elif self.credentials is None:
            self.fatal = "this socket needs a login and no credentials are configured"
            self.close(self.fatal)
        else:
            self.fatal = f"the login could not be prepared: {fault}"
            self.close(self.fatal)

    def _open(self, at: int) -> None:
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

    def forget(self, channel: Channel) -> None:
        """A channel was given up and the venue confirmed it."""
        if channel.data_type is DataType.ORDERBOOK:
            self.desk.leave(channel)
        if not self.feed.carriers(channel):
            self.feed.forget(channel)

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
        key = purpose
        if key is None and fetch.channel is not None and fetch.channel.data_type is DataType.ORDERBOOK:
            key = book_key(fetch.channel)
        events, fault = self.hooks.many("read", session=self, fetch=fetch, answer=answer, at=at)
        if fault is None:
            try:
                for event in events:
                    key = self.read_event(event, key, at, out)
            except Exception as error:
                self.hooks.failed("read", error)
        if key is not None:
            self.desk.fetch_ended(key, at)
        self.statistics.events += len(out)
        self._tell(out)
        return out

    def read_event(self, event: Any, key: BookKey | None, at: int, out: list[MarketEvent]) -> BookKey | None:
        """Act on one thing a REST answer said; answers the book that still waits for its snapshot."""
        if isinstance(event, BookSnapshot):
            self.desk.fetched(event, at, out)
        elif isinstance(event, Fetch):
            self.send_fetch(event, key)
            return None
        elif isinstance(event, Dial):
            self._note_unknown("read answered a Dial for a socket that is open")
        elif isinstance(event, Rejected) and event.id is None and not event.channels:
            self.refused(event)
        else:
            self._routes[event.__class__](event, b"", at, out)
        return key

    def fetch_failed(self, fetch: Fetch, reason: str, at: int) -> list[MarketEvent]:
        """One of ``fetches`` could not be made. Pass the Fetch as it was taken from there."""
        out: list[MarketEvent] = []
        if self.state is SessionState.CLOSED:
            return out
        _, purpose = self._purposes.pop(id(fetch), (fetch, None))
        if isinstance(purpose, Hole):
            self.refill.failed(purpose, fetch, reason, out)
            self.statistics.events += len(out)
        elif purpose is not None:
            self.desk.fetch_ended(purpose, at)
        if self.state is SessionState.LOGIN:
            self.close(f"the login failed: {self._tidy(reason)}")
        return out

    def send_fetch(self, fetch: Fetch, purpose: BookKey | Hole | None = None) -> None:
        """Put a request to the driver; ``purpose`` is the book whose snapshot it brings, or the hole it refills."""
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
        cause = self._tidy(reason)
        self.timers.clear()
        endings = self.feed.part(self, cause, self._pulse.heard_at, at)
        self.desk.lost(cause)
        self.refill.lost(at)
        self.streams.ended(endings, cause, at, out)
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
        silent = self._pulse.deadline()
        if silent is None or self.state is SessionState.CLOSED:
            return due
        return silent if due is None or silent < due else due

    def tick(self, at: int) -> list[MarketEvent]:
        """Do what is due."""
        out: list[MarketEvent] = []
        if self.state in (SessionState.LOGIN, SessionState.OPEN):
            beat = self._pulse.beat(at)
            if beat is Beat.DEAD:
                self.close("no answer to the heartbeat")
            elif beat is Beat.SEND and self._pulse.send is None:
                self.wants_ping = True
            elif beat is Beat.SEND and self._pulse.send is not None:
                self.outbox.append(Request(self._pulse.send))
            self.timers.run(at, out)
            self.statistics.events += len(out)
            self._tell(out)
        return out

    def ponged(self, at: int) -> None:
        """The venue answered a WebSocket ping."""
        self._pulse.heard_at = max(self._pulse.heard_at, at)

    def _upkeep(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        answers, fault = self.hooks.many("heartbeat", session=self, at=at)
        if fault is None:
            self._send(answers)
        self.timers.set(self._upkeep, None, at + max(1, int((self.dial.upkeep or 0) * SECOND)))

    def _outlived(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        self.leave(f"the venue cuts its sockets after {self.dial.lifetime:g} s", announced=True)

    def _login_unanswered(self, _about: None, at: int, _out: list[MarketEvent]) -> None:
        if self.state is SessionState.LOGIN:
            self.close("no answer to the login")

    # Session events

    def _on_ready(self, event: Ready, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        if self.state is SessionState.LOGIN:
            self.timers.cancel(self._login_unanswered, None)
            self._open(at)

    def _on_accepted(self, event: Accepted, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self.asking.accepted(event, at)
        if self.credentials is not None:
            self._ask_account()

    def _ask_account(self) -> None:
        """Fetch what an account's channels do not say by themselves, each once it is confirmed on this socket."""
        for channel in self.asking.channels:
            if (
                channel.data_type.private
                and channel not in self._snapshots_asked
                and self.asking.state(channel) in (ACKNOWLEDGED, RECEIVING)
            ):
                self._snapshots_asked.add(channel)
                answer = self.hooks.one("snapshot", session=self, channel=channel)
                if isinstance(answer, Fetch):
                    self.send_fetch(answer)

    def _on_unsubscribed(self, event: Unsubscribed, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self.asking.unsubscribed(event, at)

    def _on_rejected(self, event: Rejected, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        reason = self.refused(event)
        if event.kind == "credentials":
            return
        if self.state is SessionState.LOGIN:
            self.close(f"the login was refused: {reason}")
        else:
            self.asking.rejected(event, at)

    def refused(self, event: Rejected) -> str:
        """Note a refusal; one of the credentials ends the feed. Answers the reason, fit to be shown."""
        reason = self.statistics.last_rejection = event.reason = self._tidy(event.reason)
        self.statistics.rejected += 1
        if event.kind == "credentials":
            self.fatal = f"the venue refused the credentials ({reason})"
            self.close(self.fatal)
        return reason

    def _on_numbered(self, event: Numbered, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        expected = event.number if self._number is None else self._number + 1
        if event.number < expected:
            return  # seen before
        self._number = event.number
        if event.number == expected:
            return
        cause = f"frames of this socket were lost: expected {expected}, got {event.number}"
        self.desk.break_all(cause, at, out)
        self.streams.lost_frames(cause, at, out)

    def _on_reply(self, event: Reply, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self.outbox.append(Request(event.frame))

    def _on_goodbye(self, event: Goodbye, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self.leave(f"the venue says goodbye: {self._tidy(event.reason)}", announced=True)

    def _on_unknown(self, event: Unknown, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        if not self._pulse.is_reply(frame):
            self._note_unknown(event.what)

    def _note_unknown(self, what: str) -> None:
        self.statistics.unknown += 1
        self.statistics.last_unknown = self._tidy(what)

    def _on_malformed(self, event: Malformed, frame: bytes, at: int, out: list[MarketEvent]) -> None:
        self._count_malformed(event.why, frame)

    def _send(self, answers: Iterable[Request | Fetch]) -> None:
        for answer in answers:
            if isinstance(answer, Request):
                self.outbox.append(answer)
            else:
                self.send_fetch(answer)


def _pass_on(event: MarketEvent, frame: bytes, at: int, out: list[MarketEvent]) -> None:
    out.append(event)


def _ignore(event: Alive, frame: bytes, at: int, out: list[MarketEvent]) -> None:
    """A sign of life: that a frame came at all was noted already."""
