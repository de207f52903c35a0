"""One open socket and its session: frames in, what the session asks for out, until the socket is gone."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from attrs import frozen

from tickhive.budget import Budget
from tickhive.clock import Clock, Handle
from tickhive.collector.recorded import Recorded, RecordedSocket
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.errors import ConnectionLost, FetchError, PluginError
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Answer, Dial, Event, Fetch, Request
from tickhive.session.session import Session
from tickhive.tasks import AsyncTaskManager
from tickhive.transport import Connection

SLICE = 100
"""Frames of one read are handed on this many at a time. Their events are then gone before the garbage collector, which
counts living objects, has a reason to look at them: a tenth of the whole cost when a read brings a thousand."""

_numbers = itertools.count(1)


class LinkOwner(Protocol):
    """What links and their legs need of the collector they work for."""

    def make_session(self, dial: Dial) -> Session:
        """A fresh session for one more socket of this dial."""

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        """Take in what one read brought."""

    def deliver(self, events: list[MarketEvent]) -> None:
        """Hand out events that came from elsewhere than a read."""


@frozen
class LinkTools:
    """What all links of one collector work with. ``on_end`` is called when a session has ended: what it left undone may
    have gone to its companions, which have something to send or to fetch then. ``on_change``: a link looks different.
    ``fetch_all`` answers what the plugin reads in the answer to a request that belongs to no session.
    """

    owner: LinkOwner
    telemetry: CollectorStateAndTelemetry
    tasks: AsyncTaskManager
    clock: Clock
    budget: Budget
    fetch: Callable[[Fetch], Awaitable[Answer]]
    transport: Literal["fast", "plain"]
    proxy: str | None
    on_end: Callable[[], None]
    on_change: Callable[[], None]
    fetch_all: Callable[[Fetch], Awaitable[Sequence[Event | Dial]]]
    recorded: Recorded | None = None


class LegKeeper(Protocol):
    """Who is told what becomes of a leg."""

    def leaving(self, leg: Leg) -> None:
        """Its session wants a successor, or has a weightier reason to want one."""

    def settled(self, leg: Leg) -> None:
        """Its session carries all it is there for; told once, when ``settling`` was set."""

    def ended(self, leg: Leg, session: Session, reason: str, lost: ConnectionLost | None) -> None:
        """Its session has ended. ``lost``: because the socket did."""

    def gone(self, leg: Leg) -> None:
        """Its socket is gone too; nothing more comes of it."""

    def broke(self, error: BaseException) -> None:
        """A defect showed when its socket ended."""


class Leg:
    """Drives one session on one socket.

    The road of a frame runs through ``frames``: it is called from the read itself, hands the frames to the collector
    and does nothing else unless the session asks for something. A session that asks to be ended is ended at once, and
    its line closed behind it: a line that is dead anyway must not hold up the next one. ``retire`` leaves in order:
    what still comes during the closing handshake is taken in.
    """

    __slots__ = (
        "_alarm", "_alarm_at", "_ended", "_fetched", "_fetches", "_keeper", "_noted", "_now", "_pending", "_process",
        "_record", "_sending", "_sends", "_tools", "carried", "closing", "connection", "dial", "name", "opened_at",
        "session", "settling", "url",
    )  # fmt: skip

    def __init__(self, keeper: LegKeeper, dial: Dial, url: str, tools: LinkTools) -> None:
        self.dial = dial
        self.url = url
        self.name = f"{tools.telemetry.name}: {dial.key} #{next(_numbers)}"
        """Unique in the process; the venue's limits per connection are counted by it."""
        self.session: Session | None = None
        """None before it began and after it ended."""
        self.connection: Connection | None = None
        self.opened_at = 0.0
        """When it was opened, seconds of the monotonic clock."""
        self.settling = False
        self.carried = False
        """Whether it carried all it was there for, and data came, when its session ended."""
        self.closing: str | None = None
        """Why its socket is being closed by us."""
        self._keeper = keeper
        self._tools = tools
        self._process = tools.owner.process
        self._now = tools.clock.time_ns
        self._record: RecordedSocket | None = None
        self._noted: str | None = None
        self._pending: list[Request] = []
        self._sending: str | None = None
        self._sends = 0
        self._fetches: set[str] = set()
        self._fetched = 0
        self._ended: Session | None = None
        self._alarm: Handle | None = None
        self._alarm_at: int | None = None

    # Life

    def begin(self, connection: Connection) -> None:
        """Drive a fresh session on this socket. Whatever a defect raises, the socket is given back first."""
        self.connection = connection
        try:
            self.session = self._tools.owner.make_session(self.dial)
            self.opened_at = self._tools.clock.monotonic()
            connection.closed.add_done_callback(self._lost)
            at = self._now()
            if self._tools.recorded is not None:
                self._record = self._tools.recorded.socket(self.dial, self.url, self._process, at)
                self._process = self._record.process
            self.session.opened(at)
            self.act()
        except Exception:
            connection.abort()
            raise

    def retire(self, reason: str) -> None:
        """Close the socket with a closing handshake; the session goes on until it is done."""
        if self.closing is None:
            self._close(reason)

    async def shut(self, reason: str) -> None:
        """Close the socket with a closing handshake and wait until it is gone."""
        self._set_alarm(None)
        if self.closing is None:
            self.closing = reason
        if self.connection is not None:
            await self.connection.close()
        self.end(reason, None)

    def end(self, reason: str, lost: ConnectionLost | None) -> None:
        """End the session; harmless when it has ended."""
        session = self.session
        if session is None:
            return
        self.session, self._ended = None, session
        tools = self._tools
        self._set_alarm(None)
        self._pending.clear()
        if self._sending:
            tools.tasks.remove_task(self._sending)
        for name in self._fetches:
            tools.tasks.remove_task(name)
        self._fetches.clear()
        tools.budget.forget(self.name)
        self.carried = session.settled and any(session.last_received(each) is not None for each in session.channels)
        at = self._now()
        if self._record is not None:
            self._record.closed(reason, at)
        events = session.closed(reason, at)
        if events:
            tools.owner.deliver(events)
        self._keeper.ended(self, session, reason, lost)
        tools.on_end()

    def _lost(self, closed: asyncio.Future[ConnectionLost]) -> None:
        try:
            lost = closed.result()
            self.end(self.closing or str(lost), lost)
            self._keeper.gone(self)
            # Not before: the socket's last frames may just be on their way through the session.
            if self._ended is not None:
                self._ended.dissolve()
                self._ended = None
        except Exception as error:
            self._keeper.broke(error)

    def _close(self, reason: str) -> None:
        assert self.connection is not None
        self._set_alarm(None)
        self.closing = reason
        self._tools.tasks.add_task(f"{self.name}: close", self.connection.close())

    # The road of a frame

    def frames(self, frames: list[bytes]) -> None:
        """Take in what one read brought."""
        session = self.session
        if session is None:
            return
        at = self._now()
        if len(frames) <= SLICE:
            self._process(session, frames, at)
        else:
            for begin in range(0, len(frames), SLICE):
                self._process(session, frames[begin : begin + SLICE], at)
        if (
            session.outbox
            or session.fetches
            or session.close_reason is not None
            or session.leaving is not self._noted
            or self.settling
        ):
            self.act()

    def ponged(self) -> None:
        """The venue answered a WebSocket ping."""
        if self.session is None:
            return
        at = self._now()
        if self._record is not None:
            self._record.ponged(at)
        self.session.ponged(at)

    # What a session asks for

    def act(self) -> None:
        """Do what the session asks: send, ping, fetch, close; then set its next deadline."""
        session, connection = self.session, self.connection
        if session is None or connection is None or self.closing is not None:
            return
        if self._record is not None:
            self._record.carries(self.dial, session.channels, self._now())
        try:
            if session.outbox:
                self._send(session, connection)
            if session.wants_ping:
                session.wants_ping = False
                connection.ping()
        except ConnectionLost:
            return  # its end is on the way to us; the session asks again on the next socket
        if session.fetches:
            fetches = session.fetches.copy()
            session.fetches.clear()
            for fetch in fetches:
                self._fetched += 1
                name = f"{self.name}: fetch {self._fetched}"
                self._fetches.add(name)
                self._tools.tasks.add_task(name, self._answer(session, fetch, name))
        if session.close_reason is not None:
            self._close(session.close_reason)
            self.end(session.close_reason, None)
            return
        self._set_alarm(session.deadline())
        if session.leaving is not self._noted:
            self._noted = session.leaving
            self._keeper.leaving(self)
        if self.settling and session.settled:
            self.settling = False
            self._keeper.settled(self)

    def _send(self, session: Session, connection: Connection) -> None:
        """Send signs of life at once; what asks the venue for something waits its turn in a task."""
        for request in session.outbox:
            if request.channels or request.id is not None:
                self._pending.append(request)
            else:
                self._put(connection, request)
        session.outbox.clear()
        if self._pending and not self._sending:
            self._sends += 1
            self._sending = f"{self.name}: send {self._sends}"
            self._tools.tasks.add_task(self._sending, self._send_paced(connection))

    async def _send_paced(self, connection: Connection) -> None:
        """Send what waits, as fast as the venue's limits allow; ends with its socket."""
        try:
            while self._pending:
                await self._tools.budget.acquire("request", connection=self.name)
                self._put(connection, self._pending.pop(0))
        except ConnectionLost:
            pass  # the session asks again on the next socket
        finally:
            self._sending = None

    def _put(self, connection: Connection, request: Request) -> None:
        connection.send(request.frame)
        if self._record is not None:
            self._record.sent(request.frame, self._now())

    async def _answer(self, session: Session, fetch: Fetch, name: str) -> None:
        try:
            answer = await self._tools.fetch(fetch)
        except (FetchError, PluginError) as fault:
            self._tools.telemetry.warn_of("fetch", fault)
            # One the plugin could not sign was never sent, and would not be the next time.
            error = fault if isinstance(fault, FetchError) else FetchError(str(fault), retryable=False)
            at = self._now()
            if self._tools.recorded is not None:
                self._tools.recorded.failed(fetch, error, at)
            events = session.fetch_failed(fetch, str(error), at, unauthorised=error.unauthorised)
        else:
            at = self._now()
            if self._tools.recorded is not None:
                self._tools.recorded.answered(fetch, answer, at)
            events = session.answered(fetch, answer, at)
        finally:
            self._fetches.discard(name)
        if events:
            self._tools.owner.deliver(events)
        self.act()

    def _tick(self) -> None:
        self._alarm = self._alarm_at = None
        session = self.session
        if session is None:
            return
        at = self._now()
        if self._record is not None:
            self._record.ticked(at)
        events = session.tick(at)
        if events:
            self._tools.owner.deliver(events)
        self.act()

    def _set_alarm(self, at: int | None) -> None:
        if at == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = None if at is None else self._tools.clock.call_at(at, self._tick)
