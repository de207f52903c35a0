"""One socket's life: dial, drive its session, close, wait, dial again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from tickhive.budget import Backoff, Budget
from tickhive.clock import Clock
from tickhive.collector.telemetry import STABLE_SECONDS, CollectorStateAndTelemetry
from tickhive.collector.totals import add_up, no_totals
from tickhive.errors import ConnectionFailed, ConnectionLost, FetchError
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Answer, Dial, Fetch, Request
from tickhive.session.session import Session
from tickhive.tasks import AsyncTaskManager
from tickhive.transport import Connection, open_connection

SLICE = 100
"""Frames of one read are handed on this many at a time. Their events are then gone before the garbage collector, which
counts living objects, has a reason to look at them: a tenth of the whole cost when a read brings a thousand."""


class LinkState(StrEnum):
    """Where a link is in its life."""

    WAITING = "waiting"
    DIALLING = "dialling"
    OPEN = "open"
    CLOSING = "closing"
    FAILED = "failed"
    STOPPED = "stopped"


class LinkOwner(Protocol):
    """What a link needs of the collector it works for."""

    def make_session(self, dial: Dial) -> Session:
        """A fresh session for one more socket of this dial."""

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        """Take in what one read brought."""

    def deliver(self, events: list[MarketEvent]) -> None:
        """Hand out events that came from elsewhere than a read."""


class Link:
    """Keeps the socket of one Dial open and drives a fresh Session on every socket.

    The road of a frame runs through ``_frames``: it is called from the read itself, hands the frames to the collector
    and does nothing else unless the session asks for something. ``failed`` is final: dialling again cannot help.
    """

    def __init__(
        self,
        dial: Dial,
        owner: LinkOwner,
        telemetry: CollectorStateAndTelemetry,
        tasks: AsyncTaskManager,
        clock: Clock,
        budget: Budget,
        fetch: Callable[[Fetch], Awaitable[Answer]],
        *,
        transport: Literal["fast", "plain"],
        proxy: str | None,
        backoff: Backoff,
        on_change: Callable[[], None],
    ) -> None:
        self.dial = dial
        self.session: Session | None = None
        self.state = LinkState.WAITING
        self.state_since = clock.time_ns()
        self.connects = 0
        self.failures = 0
        self.last_error: str | None = None
        self.failing = 0
        self._owner = owner
        self._telemetry = telemetry
        self._tasks = tasks
        self._clock = clock
        self._budget = budget
        self._fetch = fetch
        self._transport: Literal["fast", "plain"] = transport
        self._proxy = proxy
        self._backoff = backoff
        self._on_change = on_change
        self._name = f"{telemetry.name}: {dial.key}"
        self._connection: Connection | None = None
        self._paused = False
        self._pending: list[Request] = []
        self._sending: str | None = None
        self._timer: Any = None
        self._timer_at: int | None = None
        self._totals = no_totals()
        self._bytes_before = 0

    # Life

    def start(self) -> None:
        """Begin dialling."""
        self._tasks.add_task(self._name, self._run(), on_error=self._broke)

    async def stop(self) -> None:
        """Close the socket with a closing handshake and dial no more."""
        self._set_state(LinkState.CLOSING)
        connection = self._connection
        self._tasks.remove_task(self._name)
        if connection is not None:
            await connection.close()
            self._ended(connection, "stopped")
        self._set_state(LinkState.STOPPED)

    def pause_reading(self) -> None:
        """Stop taking in frames."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Take in frames again."""
        self._paused = False
        if self._connection is not None:
            self._connection.resume_reading()

    async def _run(self) -> None:
        addresses = 0
        while not self._failed_for_good:
            self._set_state(LinkState.WAITING)
            await self._budget.acquire("dial")
            self._set_state(LinkState.DIALLING)
            url = self.dial.urls[addresses % len(self.dial.urls)]
            addresses += 1
            try:
                connection = await self._open(url)
            except ConnectionFailed as error:
                await self._failed(error)
                continue
            opened_at = self._clock.monotonic()
            lost = await self._serve(connection)
            reason = self._ended(connection, str(lost))
            if self._failed_for_good:
                break
            if self._clock.monotonic() - opened_at >= STABLE_SECONDS:
                self._backoff.reset()
            self._telemetry.log.info("connection lost; dialling again", link=self.dial.key, reason=reason)
            self._set_state(LinkState.WAITING)
            await self._clock.sleep(self._backoff.next())

    @property
    def _failed_for_good(self) -> bool:
        return self.state is LinkState.FAILED

    async def _open(self, url: str) -> Connection:
        self.session = None
        connection = await open_connection(
            url,
            on_frames=self._frames,
            headers=dict(self.dial.headers),
            max_size=self.dial.max_size,
            proxy=self._proxy,
            mode=self._transport,
            on_pong=self._ponged,
        )
        if self._paused:
            connection.pause_reading()
        return connection

    async def _serve(self, connection: Connection) -> ConnectionLost:
        """Drive a session until the socket ends."""
        try:
            session = self._owner.make_session(self.dial)
            self.session, self._connection = session, connection
            self.connects += 1
            self.failing = 0
            self.last_error = None
            self._set_state(LinkState.OPEN)
            self._telemetry.log.info("connected", link=self.dial.key, peer=connection.peer)
            session.opened(self._clock.time_ns())
            self._act()
            return await asyncio.shield(connection.closed)
        except Exception:
            connection.abort()
            raise

    def _broke(self, error: BaseException) -> None:
        """The link's own task ended with a defect: it stands failed, for all to see, instead of waiting for ever."""
        self.last_error = self._telemetry.record_error(f"link {self.dial.key}", error)
        connection = self._connection
        if connection is not None:
            self._ended(connection, self.last_error)
        self._set_state(LinkState.FAILED)

    async def _failed(self, error: ConnectionFailed) -> None:
        """Note a dial that did not succeed, and wait as long as the venue and the backoff ask."""
        self.failures += 1
        self.failing += 1
        self.last_error = self._telemetry.record_error(f"dial {self.dial.key}", error)
        wait = max(self._backoff.next(), error.retry_after or 0.0)
        if error.retry_after:
            self._budget.penalise("dial", error.retry_after)
        if self.failing in (1, 3, 10) or self.failing % 100 == 0:
            self._telemetry.log.warning(
                "cannot connect; trying again",
                link=self.dial.key,
                error=self.last_error,
                failures=self.failing,
                wait_seconds=round(wait, 1),
            )
        self._set_state(LinkState.WAITING)
        await self._clock.sleep(wait)

    @property
    def _socket_name(self) -> str:
        """What the venue's limits per connection are counted by."""
        return f"{self._name} #{self.connects}"

    def _ended(self, connection: Connection, reason: str) -> str:
        """Tell the session that its socket is gone; answers why."""
        session = self.session
        if session is None or self._connection is not connection:
            return reason
        self._connection = None
        self._set_timer(None)
        self._pending.clear()
        if self._sending is not None:
            self._tasks.remove_task(self._sending)
            self._sending = None
        self._bytes_before += connection.bytes_received
        self._budget.forget(self._socket_name)
        reason = session.fatal or session.close_reason or reason
        self.last_error = self._telemetry.record_error(f"link {self.dial.key}", reason) if reason != "stopped" else None
        events = session.closed(reason, self._clock.time_ns())
        add_up(self._totals, session.statistics)
        self.session = None
        if events:
            self._owner.deliver(events)
        if session.fatal is not None:
            self._set_state(LinkState.FAILED)
            self._telemetry.log.error("gave up: dialling again cannot help", link=self.dial.key, reason=reason)
        return reason

    # The road of a frame

    def _frames(self, frames: list[bytes]) -> None:
        session = self.session
        if session is None:
            return
        at = self._clock.time_ns()
        if len(frames) <= SLICE:
            self._owner.process(session, frames, at)
        else:
            for begin in range(0, len(frames), SLICE):
                self._owner.process(session, frames[begin : begin + SLICE], at)
        if session.outbox or session.fetches or session.close_reason is not None or session.fatal is not None:
            self._act()

    def _ponged(self) -> None:
        if self.session is not None:
            self.session.ponged(self._clock.time_ns())

    # What a session asks for

    def _act(self) -> None:
        """Do what the session asks: send, fetch, ping, close; then set its next deadline."""
        session, connection = self.session, self._connection
        if session is None or connection is None or self.state is LinkState.CLOSING:
            return
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
                self._tasks.add_task(f"{self._name}: fetch {id(fetch):x}", self._answer(session, fetch))
        if session.close_reason is not None or session.fatal is not None:
            self._set_timer(None)
            self._set_state(LinkState.CLOSING)
            self._tasks.add_task(f"{self._name}: close #{self.connects}", connection.close())
            return
        self._set_timer(session.deadline())

    def _send(self, session: Session, connection: Connection) -> None:
        """Send signs of life at once; what asks the venue for something waits its turn in a task."""
        for request in session.outbox:
            if request.channels or request.id is not None:
                self._pending.append(request)
            else:
                connection.send(request.frame)
        session.outbox.clear()
        if self._pending and self._sending is None:
            self._sending = f"{self._name}: send #{self.connects}"
            self._tasks.add_task(self._sending, self._send_paced(connection, self._sending))

    async def _send_paced(self, connection: Connection, name: str) -> None:
        """Send what waits, as fast as the venue's limits allow; ends with its socket."""
        try:
            while self._pending:
                await self._budget.acquire("request", connection=self._socket_name)
                connection.send(self._pending.pop(0).frame)
        except ConnectionLost:
            pass  # the session asks again on the next socket
        finally:
            if self._sending == name:
                self._sending = None

    async def _answer(self, session: Session, fetch: Fetch) -> None:
        try:
            answer = await self._fetch(fetch)
        except FetchError as error:
            self._telemetry.record_error("fetch", error)
            events = session.fetch_failed(fetch, str(error), self._clock.time_ns())
        else:
            events = session.answered(fetch, answer, self._clock.time_ns())
        if session is self.session and self._connection is not None:
            if events:
                self._owner.deliver(events)
            self._act()

    def _tick(self) -> None:
        self._timer = self._timer_at = None
        session = self.session
        if session is None or self._connection is None:
            return
        events = session.tick(self._clock.time_ns())
        if events:
            self._owner.deliver(events)
        self._act()

    def _set_timer(self, at: int | None) -> None:
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = None if at is None else self._clock.call_at(at, self._tick)

    # What can be said of it

    def _set_state(self, state: LinkState) -> None:
        if state is not self.state:
            self.state = state
            self.state_since = self._clock.time_ns()
            self._on_change()

    def unhealthy(self, patience_seconds: float) -> str | None:
        """Why this link is not well; None when it is, or has been troubled for less than ``patience_seconds``."""
        if self.state is LinkState.OPEN:
            return None
        if self.state is LinkState.FAILED:
            return f"connection {self.dial.key} gave up: {self.last_error}"
        if (self._clock.time_ns() - self.state_since) / 1e9 < patience_seconds and not self.failing:
            return None
        return f"connection {self.dial.key} is {self.state.value}" + (f": {self.last_error}" if self.last_error else "")

    def statistics(self) -> dict[str, Any]:
        """What its sockets have seen, all together."""
        totals = self._totals.copy()
        return totals if self.session is None else add_up(totals, self.session.statistics)

    def status(self) -> dict[str, Any]:
        """The link's state and statistics, JSON-ready."""
        connection = self._connection
        statistics = self.statistics()
        return {
            "key": self.dial.key,
            "state": self.state.value,
            "since": self.state_since,
            "host": _host(self.dial.urls[0]),
            "channels": len(self.dial.channels),
            "connects": self.connects,
            "failures": self.failures,
            "frames": statistics["frames"],
            "bytes": self._bytes_before + (connection.bytes_received if connection is not None else 0),
            "last_received": statistics["last_received"],
            "last_error": self.last_error,
        }


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
