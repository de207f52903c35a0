"""PluginCollector drives any exchange plugin: instruments, channels, sockets, polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from tickhive.channels import Channel, is_pattern
from tickhive.clock import Clock
from tickhive.collector.access import VenueAccess, shared_access
from tickhive.collector.base import BaseDataCollector
from tickhive.collector.complaints import Complaints
from tickhive.collector.connection import ConnectionManager
from tickhive.collector.guard import GUARD, LoopGuard
from tickhive.collector.listings import Listings
from tickhive.collector.plan import Plan, difference, make_plan, refusals
from tickhive.collector.polls import Polls
from tickhive.collector.recorded import RECORDED, Recorded, Tape
from tickhive.collector.silence import silence_limit
from tickhive.collector.symptoms import Symptoms
from tickhive.collector.telemetry import CollectorStatus
from tickhive.collector.totals import add_up, no_totals
from tickhive.collector.wanted import listed, resolve
from tickhive.credentials import CredentialSource
from tickhive.errors import ConfigurationError, CredentialsError
from tickhive.events import Gap, MarketEvent
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Dial
from tickhive.plugin.stack import ExchangeStack
from tickhive.redaction import _sanitize_error
from tickhive.session.book_view import BookView
from tickhive.session.feed import Feed
from tickhive.session.resumption import resume, standing
from tickhive.session.session import Session

CONNECT_PATIENCE_SECONDS = 15.0
"""A link may take so long to connect before that is a reason to be unhealthy, and before a start waits no longer."""


class PluginCollector(BaseDataCollector):
    """Collects what a plugin's hooks describe; one feed (ledger, books, continuity) over as many sockets as it takes.

    ``start`` learns the venue's instruments, resolves the configured symbols (either name is accepted; unknown ones are
    set aside and named, the others run), asks ``connect`` for the sockets and keeps them open.
    """

    def __init__(
        self,
        stack: ExchangeStack,
        config: ExchangeCollectorConfig,
        settings: Any,
        *,
        clock: Clock | None = None,
        credentials: CredentialSource | None = None,
    ) -> None:
        super().__init__(config, clock=clock, credentials=credentials)
        self.stack = stack
        self.settings = settings
        self._guard = LoopGuard(
            stack,
            self._telemetry,
            config.blocked_seconds,
            config.blocked_times,
            self._give_up,
            config.hook_deadline_seconds,
        )
        self._plan = Plan()
        self._changing = asyncio.Lock()
        self._complaints = Complaints(stack, self._telemetry)
        self._tape: Tape | None = None
        self._recorded: Recorded | None = None
        self._access: VenueAccess | None = None
        self._connections: ConnectionManager | None = None
        self._feed: Feed | None = None
        self._reading_paused = False
        self._totals = no_totals()
        self._earlier: tuple[list[MarketEvent], str] | None = None
        self._hole_watcher: Callable[[Gap], None] | None = None
        self._polls = Polls(self._telemetry, self._tasks, self.clock, self.deliver)
        self._listings = Listings(self._telemetry, self._tasks, self.clock, self._change_nothing)

    # The four steps

    async def _actual_connect(self) -> None:
        """Learn the instruments, resolve the symbols, have the sockets that ``connect`` asks for."""
        self._guard.begin()
        credentials = await self._obtain_credentials()
        access = self._access = shared_access(
            self.stack, self.settings, self.clock, proxy=self.config.proxy, credentials=credentials
        )
        self._recorded = None if self._tape is None else Recorded(self._tape, credentials, access.signs)
        RECORDED.set(self._recorded)
        access.join(self)
        await access.learn_instruments()
        for refusal in access.refused:
            self._telemetry.record_error("instruments", refusal)
        if self._feed is None:
            self._feed = Feed(
                self.stack,
                self.exchange,
                self.settings,
                access.instruments,
                verify_checksums=self.config.verify_checksums,
                silence_limit=lambda channel: silence_limit(channel.data_type, self.config.silence_seconds),
            )
            self._feed.on_hole = self._hole_watcher
        async with self._changing:
            plan = await self._make_plan(access, ())
        if self._earlier is not None:
            resume(self._feed, *self._earlier, [channel for channel in plan.channels if channel not in plan.polls])
            self._earlier = None
        self._connections = ConnectionManager(
            self,
            self._telemetry,
            self._tasks,
            self.clock,
            access.budget,
            access.fetch,
            transport=self.config.transport,
            proxy=self.config.proxy,
            redundancy=self.config.redundancy,
            on_change=self._link_has_changed,
            fetch_all=access.fetch_all,
            recorded=self._recorded,
        )
        self._feed.paused = self._reading_paused
        if self._reading_paused:
            self._connections.pause_reading()
        self._connections.set_dials(plan.dials)
        await self._connections.first_attempt(CONNECT_PATIENCE_SECONDS)

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None:
        """Begin what no socket carries; a socket's channels are asked for by its session whenever it opens."""
        assert self._access is not None
        self.deliver(self._access.known(channels))
        self._polls.set(self._access, self._plan.polls)
        if self._follows:
            self._listings.keep(self._access)

    def _process_message(self, message: tuple[Session, list[bytes]], at: int) -> list[MarketEvent]:
        """One read of one socket: its session and its frames."""
        session, frames = message
        return session.receive(frames, at)

    async def _actual_disconnect(self) -> None:
        """Close the sockets and end the polls."""
        self._polls.stop()
        self._listings.stop()
        connections = self._connections
        try:
            if connections is not None:
                await connections.stop()
                self._connections = None
                add_up(self._totals, connections.statistics())
            if self._feed is not None:
                self.deliver(self._feed.finish())
            if self._access is not None:
                await self._access.leave(self)
        finally:
            self._guard.end()

    async def _replace_connections(self, reason: str, timeout_seconds: float) -> bool:
        """Roll every link over; not where the account's secrets are others than those its sockets use."""
        if self._connections is None or self._access is None:
            return False
        try:
            if await self._obtain_credentials() != self._access.credentials:
                return False
        except ConfigurationError as error:
            # What runs goes on with what it has.
            self._telemetry.warn_of("looking up the credentials", error)
        return self._connections is not None and await self._connections.roll_over(reason, timeout_seconds)

    # What a link asks of its owner

    def make_session(self, dial: Dial) -> Session:
        """A fresh session for one more socket of this dial."""
        assert self._feed is not None
        assert self._access is not None
        credentials = self._access.credentials
        # Without secrets there is nothing to take out of what a venue says.
        sanitize = str if credentials is None else _sanitize_error
        return Session(self.stack, dial, self._feed, credentials=credentials, sanitize=sanitize)

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        """The road of a frame: from the read to the callbacks."""
        events = self._guard.receive(session, frames, at)
        if events:
            self._dispatcher.deliver(events)

    def deliver(self, events: list[MarketEvent]) -> None:
        """Hand out events that came from elsewhere than a read."""
        if events:
            self._dispatcher.deliver(events)

    # Details

    def channels(self) -> Sequence[Channel]:
        """The channels that exist; before the first start the configured ones, unresolved."""
        return self._plan.channels or super().channels()

    async def _make_plan(self, access: VenueAccess, dials: Sequence[Dial]) -> Plan:
        """Plan what the configuration takes; what cannot be had is named, and ends the start when nothing is left."""
        assert self._feed is not None
        plan = await make_plan(self.config, access, dials, self._plan)
        if not plan.channels and not self._follows:
            raise ConfigurationError(list(plan.set_aside.values()), source=self.name)
        for what, why in plan.set_aside.items():
            if self._plan.set_aside.get(what) != why:
                self._telemetry.log.warning("set aside", what=what, reason=self._telemetry.record_error("symbol", why))
        self._plan = plan
        self._feed.unseen = plan.listings
        return plan

    def _link_has_changed(self) -> None:
        """When no socket is left because the venue will not have us, end the work."""
        links = self._connections.links if self._connections is not None else ()
        if links and not self._plan.polls and all(link.hopeless is not None for link in links):
            credentials = self._access.credentials if self._access is not None else None
            account = credentials.account if credentials is not None else None
            self._give_up(CredentialsError(account, str(links[0].hopeless)))

    # Change while running

    def _check(self, config: ExchangeCollectorConfig, symbols: Sequence[str]) -> None:
        """Refuse what can be known to be wrong before anything is changed."""
        access = self._access
        if access is None or not access.knows_instruments:
            return
        wanted = resolve(config, access.instruments)
        problems = [wanted.set_aside[each] for each in symbols if each in wanted.set_aside and not is_pattern(each)]
        problems += refusals(access, [channel for channel in wanted.channels if channel not in self._plan.channels])
        if problems:
            raise ConfigurationError(problems, source=self.name)

    async def _change(self, change: Callable[[ExchangeCollectorConfig], ExchangeCollectorConfig]) -> None:
        """Change the configuration; a running collector asks for what is missing and gives up what is not wanted."""
        before, recorded = GUARD.set(self._guard), RECORDED.set(self._recorded)
        try:
            await self._change_guarded(change)
        finally:
            GUARD.reset(before)
            RECORDED.reset(recorded)

    async def _change_guarded(self, change: Callable[[ExchangeCollectorConfig], ExchangeCollectorConfig]) -> None:
        async with self._changing:
            config = change(self.config)
            access, connections, feed = self._access, self._connections, self._feed
            if access is None or connections is None or feed is None:
                self.config = config
                return
            before, followed, old = self.config, self._follows, self._plan
            self.config = config
            try:
                plan = await self._make_plan(access, connections.dials)
            except BaseException:
                self.config = before
                raise
            if self._connections is not connections:
                return  # stopped meanwhile: the next start begins with this
            if set(old.channels) != set(plan.channels):
                self._telemetry.log.info("channels changed", channels=len(plan.channels), **difference(old, plan))
            connections.set_dials(plan.dials)
            now = self.clock.time_ns()
            kept = {*plan.channels, *plan.listings}
            for channel in (each for each in (*old.channels, *old.listings) if each not in kept):
                for session in feed.carriers(channel):
                    session.remove([channel], now)
                if not feed.carriers(channel):
                    feed.forget(channel)
            connections.poke()
            self.deliver(access.known([channel for channel in plan.channels if channel not in old.channels]))
            self._polls.set(access, plan.polls)
            if followed and not self._follows:
                self._listings.leave()
            elif self._follows and not followed:
                self._listings.keep(access)

    async def _change_nothing(self) -> None:
        """Take the configuration again: its patterns may mean other instruments."""
        await self._change(lambda config: config)

    @property
    def _follows(self) -> bool:
        """Whether listings change what is collected."""
        return any(map(is_pattern, self.config.symbols)) and self.stack.offers("instruments")

    # What users ask for

    def book(self, symbol: str, depth: int = 0) -> BookView:
        """The order book of a symbol, by either name; the view raises BookNotLive while the book is not known right."""
        if self._feed is None:
            return super().book(symbol, depth)
        instruments = self._feed.instruments
        return self._feed.book(instruments.find(symbol).symbol if len(instruments) else symbol, depth)

    def resume_from(self, events: Sequence[MarketEvent], cause: str) -> None:
        """Begin where an earlier run of the process ended; events of another account or of no channel are left out."""
        mine = (None, self.config.account)
        self._earlier = [event for event in events if getattr(event, "account", None) in mine], cause

    def standing(self) -> list[MarketEvent]:
        """Where every stream stands after what was delivered so far; nothing before the first connect."""
        return standing(self._feed) if self._feed is not None and self._earlier is None else []

    def watch_holes(self, watcher: Callable[[Gap], None] | None) -> None:
        """Tell ``watcher`` of every hole that begins to be filled, before what revealed it is delivered."""
        self._hole_watcher = watcher
        if self._feed is not None:
            self._feed.on_hole = watcher

    def record(self, tape: Tape | None) -> None:
        """Record into ``tape``, a ``tickhive.recording.Recorder``, from the next start on; None: no more."""
        self._tape = tape

    def pause_reading(self) -> None:
        """Stop taking in frames: the venue's send buffers fill instead of our memory."""
        self._reading_paused = True
        if self._feed is not None:
            self._feed.paused = True
        if self._connections is not None:
            self._connections.pause_reading()

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""
        self._reading_paused = False
        if self._feed is not None:
            self._feed.paused = False
        if self._connections is not None:
            self._connections.resume_reading()

    def get_status(self) -> dict[str, Any]:
        """The collector's status with its connections and subscriptions."""
        status = super().get_status()
        now = self.clock.time_ns()
        feed = self._feed
        status["plugin"] = {
            "distribution": self.stack.distribution,
            "version": self.stack.version,
            **self._guard.status(),
        }
        status["instruments"] = len(self._access.instruments) if self._access is not None else 0
        status["set_aside"] = dict(self._plan.set_aside)
        status["reading_paused"] = self._reading_paused
        status["recording"] = self._tape.status() if self._tape is not None else None
        status["connections"] = self._connections.status() if self._connections is not None else []
        status["subscriptions"] = feed.ledger.status(now) if feed is not None else []
        status["statistics"] = self._statistics()
        status["budget"] = self._access.budget_status() if self._access is not None else {}
        return status

    def _symptoms(self) -> Symptoms:
        reasons: list[str] = []
        refused, queued = len(self._polls.refused), 0
        if self._connections is not None:
            reasons += self._connections.unhealthy(CONNECT_PATIENCE_SECONDS)
            refused += sum(link.hopeless is not None for link in self._connections.links)
            queued = self._connections.queued(CONNECT_PATIENCE_SECONDS) if reasons else 0
        reasons += [f"{channel} is not asked for any more: {why}" for channel, why in self._polls.refused.items()]
        reasons += [f"{channel}: {why}" for channel, why in self._polls.failing.items()]
        if self._feed is not None and self.status is CollectorStatus.RUNNING:
            summary = self._feed.ledger.summary()
            reasons += [f"no data: {listed(summary['silent_channels'])}"] if summary["silent_channels"] else []
            if summary["channels"] and summary["rejected"] == summary["channels"]:
                why = self._statistics()["last_hook_error"]
                blame = f"; {self.stack.package}: {why}" if why else ""
                reasons.append(f"every subscription was rejected: {listed(summary['rejected_channels'])}{blame}")
            if self._complaints.misread:
                reasons.append(self._complaints.misreading(self._statistics()))
        # The venue refuses for good: restarting would make the others suffer. Hundreds of collectors that start
        # together have their sockets one after the other.
        found = len(reasons)
        return Symptoms(reasons, needs_operator=0 < found <= refused, waits=0 < found == queued)

    def _look_around(self) -> None:
        """Follow listings; say once for every tenfold how much of what came could not be used."""
        GUARD.set(self._guard)
        access, busy = self._access, self._changing.locked() or self._listings.following
        if access and self._follows and not busy and access.instruments.version != self._plan.version:
            self._plan.version = access.instruments.version
            self._listings.follow()
        self._complaints.look(self._statistics())

    def _statistics(self) -> dict[str, Any]:
        """What was received, over all sockets there have been."""
        totals = self._totals.copy()
        return totals if self._connections is None else add_up(totals, self._connections.statistics())
