"""PluginCollector drives any exchange plugin: instruments, channels, sockets, polls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from tickhive.channels import Channel, DataType
from tickhive.clock import Clock
from tickhive.collector.access import VenueAccess, shared_access
from tickhive.collector.base import BaseDataCollector
from tickhive.collector.connection import ConnectionManager
from tickhive.collector.link import LinkState
from tickhive.collector.telemetry import CollectorStatus
from tickhive.collector.totals import add_up, no_totals
from tickhive.errors import ConfigurationError, FetchError, PluginError, UnknownSymbolError
from tickhive.events import MarketEvent
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Dial, Poll
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.books import BookView
from tickhive.session.feed import Feed
from tickhive.session.session import Session

CONNECT_PATIENCE_SECONDS = 15.0

WORTH_SAYING = {
    "malformed": "last_malformed",
    "unknown": "last_unknown",
    "hook_errors": "last_hook_error",
    "checksums_failed": None,
}
"""Counters that should stay at zero, and where the latest cause stands."""

SILENCE_FACTORS: dict[DataType, float | None] = {
    DataType.TRADE: 10.0,
    DataType.CANDLE: 10.0,
    DataType.FUNDING_RATE: 10.0,
    DataType.OPEN_INTEREST: 10.0,
    DataType.PRICE_LIMIT: 10.0,
    DataType.LIQUIDATION: None,
    DataType.INSTRUMENT: None,
}
"""By how much a data type may be quieter than ``silence_seconds``; None: it only speaks when something happens."""


class PluginCollector(BaseDataCollector):
    """Collects what a plugin's hooks describe; one feed (ledger, books, continuity) over as many sockets as it takes.

    ``start`` learns the venue's instruments, resolves the configured symbols (either name is accepted; unknown ones are
    set aside and named, the others run), asks ``connect`` for the sockets and keeps them open.
    """

    def __init__(
        self, stack: ExchangeStack, config: ExchangeCollectorConfig, settings: Any, *, clock: Clock | None = None
    ) -> None:
        super().__init__(config, clock=clock)
        self.stack = stack
        self.settings = settings
        self.set_aside: dict[str, str] = {}
        self._channels: tuple[Channel, ...] = ()
        self._polls: dict[Channel, Poll] = {}
        self._said: dict[str, int] = {}
        self._access: VenueAccess | None = None
        self._connections: ConnectionManager | None = None
        self._feed: Feed | None = None
        self._reading_paused = False
        self._link_changed: asyncio.Event | None = None
        self._totals = no_totals()

    # The four steps

    async def _actual_connect(self) -> None:
        """Learn the instruments, resolve the symbols, have the sockets that ``connect`` asks for."""
        access = self._access = shared_access(self.stack, self.settings, self.clock, proxy=self.config.proxy)
        access.join(self)
        await access.learn_instruments()
        for refusal in access.refused:
            self._telemetry.record_error("instruments", refusal)
        self._channels = self._resolve(access)
        if self._feed is None:
            self._feed = Feed(
                self.stack,
                self.exchange,
                self.settings,
                access.instruments,
                verify_checksums=self.config.verify_checksums,
            )
        polls = ((channel, self._poll(channel)) for channel in self._channels)
        self._polls = {channel: poll for channel, poll in polls if poll is not None}
        streamed = [channel for channel in self._channels if channel not in self._polls]
        dials = await self._ask_dials(access, streamed)
        self._link_changed = asyncio.Event()
        self._connections = ConnectionManager(
            self,
            self._telemetry,
            self._tasks,
            self.clock,
            access.budget,
            access.fetch,
            transport=self.config.transport,
            proxy=self.config.proxy,
            on_change=self._link_changed.set,
        )
        if self._reading_paused:
            self._connections.pause_reading()
        self._connections.set_dials(dials)
        await self._first_attempt(self._connections)

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None:
        """Begin what no socket carries; a socket's channels are asked for by its session whenever it opens."""
        assert self._access is not None
        if self._access.instrument_events:
            wanted = {channel.symbol for channel in channels if channel.data_type is DataType.INSTRUMENT}
            self.deliver([event for event in self._access.instrument_events if event.symbol in wanted])
        for channel, poll in self._polls.items():
            self._tasks.add_task(f"{self.name}: poll {channel}", self._keep_polling(self._access, channel, poll))

    def _process_message(self, message: tuple[Session, list[bytes]], at: int) -> list[MarketEvent]:
        """One read of one socket: its session and its frames."""
        session, frames = message
        return session.receive(frames, at)

    async def _actual_disconnect(self) -> None:
        """Close the sockets and end the polls."""
        for channel in self._polls:
            self._tasks.remove_task(f"{self.name}: poll {channel}")
        connections = self._connections
        if connections is not None:
            links = connections.links
            await connections.stop()
            self._connections = None
            for link in links:
                add_up(self._totals, link.statistics())
        if self._feed is not None:
            self.deliver(self._feed.finish())
        if self._access is not None:
            await self._access.leave(self)

    # What a link asks of its owner

    def make_session(self, dial: Dial) -> Session:
        """A fresh session for one more socket of this dial."""
        assert self._feed is not None
        return Session(self.stack, dial, self._feed)

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        """The road of a frame: from the read to the callbacks."""
        events = session.receive(frames, at)
        if events:
            self._dispatcher.deliver(events)

    def deliver(self, events: list[MarketEvent]) -> None:
        """Hand out events that came from elsewhere than a read."""
        if events:
            self._dispatcher.deliver(events)

    # Details

    def channels(self) -> Sequence[Channel]:
        """The channels that exist; before the first start the configured ones, unresolved."""
        return self._channels or super().channels()

    def _resolve(self, access: VenueAccess) -> tuple[Channel, ...]:
        """Turn the configured symbols into channels; unknown ones are set aside and named."""
        names: dict[str, str] = {}
        self.set_aside.clear()
        for symbol in self.config.symbols:
            if not len(access.instruments):
                names[symbol] = symbol
                continue
            try:
                instrument = access.instruments.find(symbol)
            except UnknownSymbolError as error:
                self.set_aside[symbol] = str(error)
                self._telemetry.record_error("symbol", error)
                self._telemetry.log.warning("symbol set aside", symbol=symbol, reason=str(error))
            else:
                names[instrument.symbol] = instrument.native
        if not names:
            raise ConfigurationError(list(self.set_aside.values()), source=self.name)
        return tuple(
            Channel(symbol, native, wanted.data_type, wanted.params)
            for symbol, native in names.items()
            for wanted in self.config.subscriptions
        )

    async def _ask_dials(self, access: VenueAccess, channels: Sequence[Channel]) -> list[Dial]:
        """Ask ``connect`` for the sockets, making the requests it needs first."""
        if not channels:
            return []
        answer = self.stack.call.connect(
            channels=tuple(channels), settings=self.settings, credentials=access.credentials, dials=()
        )
        dials: list[Dial] = []
        for item in answer or ():
            if isinstance(item, Dial):
                dials.append(item)
            else:
                dials += [found for found in await access.fetch_all(item) if isinstance(found, Dial)]
        carried = {channel for dial in dials for channel in dial.channels}
        forgotten = [str(channel) for channel in channels if channel not in carried]
        if forgotten:
            raise PluginError(
                self.exchange,
                f"its connect hook gave no socket to {', '.join(forgotten[:5])}",
                "Report this to its author",
                distribution=self.stack.distribution,
                version=self.stack.version,
            )
        return dials

    async def _first_attempt(self, connections: ConnectionManager) -> None:
        """Wait until every link has connected, or one has failed: it goes on trying by itself."""
        assert self._link_changed is not None
        while True:
            self._link_changed.clear()
            waiting = [link for link in connections.links if not link.connects and not link.failures]
            if not waiting or any(link.failures or link.state is LinkState.FAILED for link in connections.links):
                return
            await self._link_changed.wait()

    def _poll(self, channel: Channel) -> Poll | None:
        if not self.stack.offers("poll"):
            return None
        poll: Poll | None = self.stack.call.poll(channel=channel, settings=self.settings)
        return poll

    async def _keep_polling(self, access: VenueAccess, channel: Channel, poll: Poll) -> None:
        while True:
            try:
                found = await access.fetch_all(poll.fetch)
            except FetchError as error:
                text = self._telemetry.record_error(f"poll {channel}", error)
                self._telemetry.log.warning("a poll failed; asking again", channel=str(channel), error=text)
            else:
                self.deliver([event for event in found if isinstance(event, MarketEvent)])
            await self.clock.sleep(poll.every)

    # What users ask for

    def book(self, symbol: str, depth: int = 0) -> BookView:
        """The order book of a symbol, by either name; the view raises BookNotLive while the book is not known right."""
        if self._feed is None:
            return super().book(symbol, depth)
        instruments = self._feed.instruments
        return self._feed.book(instruments.find(symbol).symbol if len(instruments) else symbol, depth)

    def pause_reading(self) -> None:
        """Stop taking in frames: the venue's send buffers fill instead of our memory."""
        self._reading_paused = True
        if self._connections is not None:
            self._connections.pause_reading()

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""
        self._reading_paused = False
        if self._connections is not None:
            self._connections.resume_reading()

    def get_status(self) -> dict[str, Any]:
        """The collector's status with its connections and subscriptions."""
        status = super().get_status()
        now = self.clock.time_ns()
        feed = self._feed
        status["plugin"] = {"distribution": self.stack.distribution, "version": self.stack.version}
        status["instruments"] = len(self._access.instruments) if self._access is not None else 0
        status["set_aside"] = dict(self.set_aside)
        status["reading_paused"] = self._reading_paused
        status["connections"] = self._connections.status() if self._connections is not None else []
        status["subscriptions"] = feed.ledger.status(now, self._silence_limit) if feed is not None else []
        status["statistics"] = self._statistics()
        status["budget"] = self._access.budget.status() if self._access is not None else {}
        return status

    def _unhealthy_data(self) -> list[str]:
        reasons: list[str] = []
        if self._connections is not None:
            reasons += self._connections.unhealthy(CONNECT_PATIENCE_SECONDS)
        if self._feed is not None and self.status is CollectorStatus.RUNNING:
            summary = self._feed.ledger.summary(self.clock.time_ns(), self._silence_limit)
            reasons += [f"no data: {_listed(summary['silent_channels'])}"] if summary["silent_channels"] else []
            if summary["channels"] and summary["rejected"] == summary["channels"]:
                reasons.append(f"every subscription was rejected: {_listed(summary['rejected_channels'])}")
        return reasons

    def _look_around(self) -> None:
        """Say once for every tenfold how much of what came could not be used."""
        statistics = self._statistics()
        for name, latest in WORTH_SAYING.items():
            count = statistics[name]
            if count >= self._said.get(name, 1):
                self._said[name] = 10 ** len(str(count))
                last = statistics[latest] if latest else None
                self._telemetry.log.warning(f"{name.replace('_', ' ')}: {count}", **({"last": last} if last else {}))

    def _silence_limit(self, channel: Channel) -> float | None:
        """How long this channel may be quiet before that is a fault: what trades seldom is not dead."""
        factor = SILENCE_FACTORS.get(channel.data_type, 1.0)
        return None if factor is None else factor * self.config.silence_seconds

    def _statistics(self) -> dict[str, Any]:
        """What was received, over all sockets there have been."""
        totals = self._totals.copy()
        for link in self._connections.links if self._connections is not None else ():
            add_up(totals, link.statistics())
        return totals


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
