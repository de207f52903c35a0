"""One socket's conversation with a venue, without I/O: frames go in, market events and requests come out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.events import Gap, MarketEvent
from tickhive.plugin.contract import Answer, Credentials, Dial, Fetch, Request
from tickhive.session.account import AccountDesk
from tickhive.session.asking import Asking
from tickhive.session.continuity import Line, StreamKey
from tickhive.session.conversation import Conversation
from tickhive.session.desk import BookDesk
from tickhive.session.faults import FAULTS, HookEnded, StaleFrame
from tickhive.session.feed import STREAM_TYPES, Feed, book_key
from tickhive.session.fetches import FetchDesk, Purpose
from tickhive.session.finding import HoleFinder
from tickhive.session.hooks import Hooks
from tickhive.session.ledger import ACKNOWLEDGED, RECEIVING, REJECTED
from tickhive.session.lifetime import Lifetime
from tickhive.session.pulse import Beat, Pulse
from tickhive.session.refill import RefillDesk
from tickhive.session.routes import handlers, plain_streams
from tickhive.session.statistics import SessionState, SessionStatistics
from tickhive.session.streams import StreamDesk
from tickhive.session.struck import disbelieve
from tickhive.session.timers import SECOND, Timers
from tickhive.session.watch import Watch

if TYPE_CHECKING:
    from tickhive.plugin.stack import ExchangeStack

ACK_SECONDS = 10.0
"""How long a request may stay unanswered."""

_LAG = 10 * SECOND
"""So long after another socket went, what it brought may still be on its way on this one (ns)."""


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
        "fetch_desk",
        "fetches",
        "finder",
        "hooks",
        "instruments",
        "leaving",
        "lifetime",
        "line",
        "memory",
        "outbox",
        "overlaps",
        "pulse",
        "refill",
        "routes",
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
        self._news = feed.ledger.news
        self.memory: Any = self.hooks.one("memory")
        self.conversation = Conversation(self, sanitize, ack_seconds)
        self.asking = Asking(self, dial.channels, ack_seconds)
        self.watch = Watch(self)
        self.line = Line(STREAM_TYPES, self._covers)
        self.streams = StreamDesk(self)
        self.desk = BookDesk(self)
        self.refill = RefillDesk(self)
        self.finder = HoleFinder(self)
        self.account_desk = AccountDesk(self)
        self.fetch_desk = FetchDesk(self)
        self.lifetime = Lifetime(self)
        self._check = feed.trade_ids.check
        self._parse: Callable[[Session, bytes, int], Iterable[Any]] = stack.bound("parse")
        self._streams = plain_streams(self.line)
        self.routes = handlers(self, self._streams)

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
        routes = self.routes
        # Events of one kind come in runs: what the kind means is looked up once for each run.
        kind: type | None = None
        stream: dict[Any, Any] | None = None
        event: Any = None
        for frame in frames:
            before = event
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
            except HookEnded as error:
                # Who asked for this condemns the plugin; what the frames before brought goes out.
                self.conversation.misread(error, frame)
                disbelieve(out, before, self.line, self.pulse.heard_at)
                break
        if self.overlaps:
            out = self.feed.doubles.drop(out, self.line, at)
            if self.credentials is not None:
                self.account_desk.handed_out(out)
        if odd := self._check(out):
            self.finder.odd(odd, at, out)
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

    def tell_of(self, gap: Gap, out: list[MarketEvent]) -> None:
        """Hand out a hole, counted."""
        self.statistics.gaps += 1
        out.append(gap)

    def _hand_out(self, out: list[MarketEvent]) -> None:
        """Count what goes out, and tell what became of subscriptions."""
        self.statistics.events += len(out)
        self._tell(out)

    # The conversation

    def opened(self, at: int) -> None:
        """The socket is up. What this says of subscriptions is handed out by the next call that answers events."""
        self.feed.join(self, at)
        if self.feed.fills.since is None:
            self.feed.fills.since = at
        self.statistics.connected_at = self.pulse.heard_at = at
        self.lifetime.begin(at)
        if self.dial.login:
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
        channels = tuple(channels)
        if not self.asking.leave(channels, at) and self.is_open:
            self.leave("channels were given up, which takes a fresh socket here")
        for channel in channels:
            self.account_desk.forget(channel, at)
        self.feed.compare(at)

    def forget(self, channel: Channel, at: int) -> None:
        """A channel was given up for good on this socket."""
        if channel.data_type is DataType.ORDERBOOK:
            self.desk.leave(channel)
        self.account_desk.forget(channel, at)
        if not self.feed.carriers(channel):
            self.feed.forget(channel)
        elif channel.data_type is not DataType.ORDERBOOK:
            self.streams.leave(channel, at, at, self.feed.ledger.news)

    def answered(self, fetch: Fetch, answer: Answer, at: int) -> list[MarketEvent]:
        """The answer to one of ``fetches`` came. Pass the Fetch as it was taken from there."""
        out: list[MarketEvent] = []
        if self.state is not SessionState.CLOSED:  # whoever needs it still has asked again elsewhere
            self.fetch_desk.answered(fetch, answer, at, out)
            self._hand_out(out)
        return out

    def fetch_failed(self, fetch: Fetch, reason: str, at: int, *, unauthorised: bool = False) -> list[MarketEvent]:
        """One of ``fetches`` could not be made. Pass the Fetch as it was taken from there. ``unauthorised``: because
        the venue does not accept who signed it, which ends the feed.
        """
        out: list[MarketEvent] = []
        if self.state is not SessionState.CLOSED:
            self.fetch_desk.failed(fetch, reason, at, out, unauthorised=unauthorised)
            self._hand_out(out)
        return out

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
        self.account_desk.lost(at, out)
        self.streams.quiet(cause, self.pulse.heard_at)
        self.asking.lost(cause, at)
        for companion in self.feed.sessions:
            if companion.is_open:
                companion.refill.resume(at)
        self.outbox.clear()
        self.fetches.clear()
        self.fetch_desk.clear()
        self.wants_ping = False
        self._hand_out(out)
        return out

    def dissolve(self) -> None:
        """Let go of all but ``state`` and ``statistics``: the last thing a driver may do with a closed session. Its
        parts refer to it as it does to them, and would else stay until the garbage collector goes through the process.
        """
        self.conversation.routes.clear()
        del self.desk.repair
        for name in Session.__slots__:
            if name not in ("state", "statistics"):
                delattr(self, name)

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
            self._hand_out(out)
        return out

    def ponged(self, at: int) -> None:
        """The venue answered a WebSocket ping."""
        self.pulse.heard_at = max(self.pulse.heard_at, at)

    def send(self, answers: Iterable[Request | Fetch], purpose: Purpose | None = None) -> None:
        """Put what a hook answered to the driver."""
        for answer in answers:
            if isinstance(answer, Request):
                self.outbox.append(answer)
            else:
                self.fetch_desk.send(answer, purpose if answer.channel is None else None)
