"""BaseDataCollector: the life of a collector, whatever its venue speaks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tickhive.budget import Backoff
from tickhive.channels import Channel
from tickhive.clock import Clock, SystemClock
from tickhive.collector.changes import several, with_fewer, with_more
from tickhive.collector.consumers import EventSource
from tickhive.collector.symptoms import NONE, Symptoms
from tickhive.collector.telemetry import STABLE_SECONDS, CollectorStateAndTelemetry, CollectorStatus
from tickhive.credentials import CredentialSource, obtain
from tickhive.errors import BookNotLive, CollectorError, CredentialsError, TickhiveError
from tickhive.events import Gap, MarketEvent
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Credentials
from tickhive.redaction import _sanitize_error
from tickhive.tasks import AsyncTaskManager

if TYPE_CHECKING:
    from tickhive.collector.recorded import Tape
    from tickhive.session.book_view import BookView

BEAT_SECONDS = 1.0

RESTART_SECONDS = 40.0
"""How long a restart may take to replace every socket before the collector is stopped and started instead."""

REPEAT_SECONDS = 600.0
"""Within so long an unhealthy collector is not restarted twice in the gentle way."""


class BaseDataCollector(EventSource, ABC):
    """Collects market data of one exchange: connects, subscribes, delivers, and starts over when the line is lost.

    A subclass fills four methods: ``_actual_connect`` reaches the venue, ``_subscribe_channels`` asks for the channels,
    ``_process_message`` turns what arrives into events, ``_actual_disconnect`` takes leave. It passes what arrives to
    ``_received`` and calls ``_connection_lost`` when the line is gone; the base dials again for ever, with capped
    exponential backoff and full jitter.

    Whatever has gone wrong, ``get_status`` and ``get_health_status`` say so and never raise.
    """

    def __init__(
        self,
        config: ExchangeCollectorConfig,
        *,
        clock: Clock | None = None,
        credentials: CredentialSource | None = None,
    ) -> None:
        self.name = config.name or config.default_name
        self._tasks = AsyncTaskManager(self.name)
        super().__init__(self.name, self._tasks)
        self.config = config
        self._credentials = credentials
        self.exchange = config.exchange
        self.auto_restart = config.auto_restart
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._telemetry = CollectorStateAndTelemetry(self.name, self.exchange, self.clock)
        self._backoff = Backoff()
        self._lost: asyncio.Event | None = None
        self._lost_reason = ""
        self._settled: asyncio.Event | None = None
        self._fatal: BaseException | None = None
        self._hopeless: Exception | None = None
        self._running: asyncio.Task[None] | None = None
        self._replaced_at: float | None = None
        self._stopping: asyncio.Task[None] | None = None

    # What a subclass fills

    @abstractmethod
    async def _actual_connect(self) -> None:
        """Reach the venue. Raise ``TickhiveError`` or ``OSError`` when that fails: it is tried again."""

    @abstractmethod
    async def _actual_disconnect(self) -> None:
        """Take leave of the venue; also called after a failed connect."""

    @abstractmethod
    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None:
        """Ask for these channels; called after every connect."""

    @abstractmethod
    def _process_message(self, message: Any, at: int) -> list[MarketEvent]:
        """Turn what arrived at ``at`` (ns UTC) into events. What cannot be understood is counted, not raised."""

    def _received(self, message: Any) -> None:
        """Take in a message: process and deliver it."""
        events = self._process_message(message, self.clock.time_ns())
        if events:
            self._dispatcher.deliver(events)

    def _connection_lost(self, reason: str) -> None:
        """Say that the line is gone: the collector connects again after a pause."""
        self._lost_reason = reason
        if self._lost is not None:
            self._lost.set()

    def _give_up(self, error: Exception) -> None:
        """Say that going on cannot help: the collector leaves and stands in ERROR until it is started again."""
        self._hopeless = error
        self._connection_lost(str(error))

    async def _obtain_credentials(self) -> Credentials | None:
        """The account's secrets as their source gives them now; None without an account.

        ConfigurationError when they cannot be had, each source named.
        """
        if self._credentials is None:
            return None
        # A keyring may take its time, or ask the user.
        return await asyncio.to_thread(obtain, self._credentials)

    def channels(self) -> Sequence[Channel]:
        """The channels this collector is for: every symbol with every data type, an account's data once."""
        return self.config.channels()

    # Life

    @property
    def status(self) -> CollectorStatus:
        """What the collector is doing."""
        return self._telemetry.status

    async def start(self) -> None:
        """Start collecting.

        Returns when the venue has been reached, or when the first attempt failed and the next is on its way: being
        unreachable is a state the collector goes on from, not an error. CollectorError when it cannot ever work as
        configured (no symbol that exists, credentials refused). Starting a running collector does nothing.
        """
        if self.status in (CollectorStatus.STARTING, CollectorStatus.RUNNING, CollectorStatus.RESTARTING):
            return
        if self._stopping is not None:
            await asyncio.shield(self._stopping)
        if self.status in (CollectorStatus.STARTING, CollectorStatus.RUNNING, CollectorStatus.RESTARTING):
            return
        self._fatal = self._hopeless = None
        self._settled = asyncio.Event()
        self._lost = asyncio.Event()
        self._telemetry.set_status(CollectorStatus.STARTING)
        self._running = self._tasks.add_task(f"{self.name}: run", self._run(), on_error=self._broken)
        self._tasks.add_task(f"{self.name}: heartbeat", self._beat())
        await self._settled.wait()
        if self._fatal is not None:
            raise CollectorError(f"{self.name} cannot start: {self._fatal}") from self._fatal

    async def stop(self) -> None:
        """Stop collecting: close the connections, deliver what is queued, end every task. Safe to call twice.

        Whoever stops waiting (a deadline, a cancellation) does not stop the stop: it goes on, and the next call waits
        for the same one.
        """
        if self._stopping is None:
            if self.status is CollectorStatus.STOPPED:
                return
            self._stopping = asyncio.get_running_loop().create_task(self._stop(), name=f"{self.name}: stop")
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self._telemetry.set_status(CollectorStatus.STOPPING)
        try:
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait({self._running})
            self._tasks.remove_task(f"{self.name}: heartbeat")
            await self._leave()
            await self._dispatcher.close()
            await self._tasks.cancel_all_tasks()
        finally:
            if self._settled is not None:
                self._settled.set()
            self._telemetry.set_status(CollectorStatus.STOPPED)
            self._stopping = None

    async def restart(self) -> None:
        """Have every connection afresh; callbacks and counters stay.

        Where all connections are open each is replaced without a hole: the fresh one receives before the other closes.
        Otherwise, and when that takes longer than ``RESTART_SECONDS``, the collector is stopped and started: so it is
        too when it is unhealthy though its connections were replaced within the last ``REPEAT_SECONDS``. Where many
        share the venue's dial limit and a connection's turn is long in coming, it is replaced when that has come.
        """
        self._telemetry.restarts += 1
        now = self.clock.monotonic()
        in_vain = self._replaced_at is not None and now - self._replaced_at < REPEAT_SECONDS
        if self.status is CollectorStatus.RUNNING and not (in_vain and not self.get_health_status()["healthy"]):
            # Kept from before: concurrent restarts are one and must not take each other for a repetition.
            running = self._running
            if await self._replace_connections("restart", RESTART_SECONDS):
                self._replaced_at = now
                return
            if self._running is not running or self.status in (CollectorStatus.STOPPING, CollectorStatus.STOPPED):
                return  # somebody has stopped it meanwhile, or restarted it from scratch
        self._replaced_at = None
        await self.stop()
        await self.start()

    async def _replace_connections(self, reason: str, timeout_seconds: float) -> bool:
        """Replace every connection without a hole; False where that cannot be done, or not in time."""
        return False

    async def _run(self) -> None:
        assert self._lost is not None
        assert self._settled is not None
        while True:
            self._lost.clear()
            try:
                await self._actual_connect()
                await self._subscribe_channels(self.channels())
                if self._hopeless is not None:
                    raise self._hopeless
            except Exception as error:
                if self._hopeless is not None or not self._may_pass(error):
                    await self._leave()
                    raise self._hopeless or error from error
                await self._retry("connect", error)
                continue
            self._telemetry.set_status(CollectorStatus.RUNNING)
            self._settled.set()
            connected_at = self.clock.monotonic()
            await self._lost.wait()
            if self._hopeless is not None:
                await self._leave()
                raise self._hopeless
            if self.clock.monotonic() - connected_at >= STABLE_SECONDS:
                self._backoff.reset()
            await self._retry("connection", self._lost_reason)

    async def _retry(self, what: str, error: BaseException | str) -> None:
        """Note a failure, leave, and wait before the next attempt."""
        assert self._settled is not None
        text = self._telemetry.record_error(what, error)
        wait = self._backoff.next()
        self._telemetry.log.warning("not connected; trying again", error=text, wait_seconds=round(wait, 1))
        if self.status is CollectorStatus.RUNNING:
            self._telemetry.set_status(CollectorStatus.RESTARTING, text)
        else:
            self._telemetry.set_status(self.status, text)
        await self._leave()
        self._settled.set()
        await self.clock.sleep(wait)

    async def _leave(self) -> None:
        try:
            await self._actual_disconnect()
        except Exception as error:
            self._telemetry.log.warning(
                "leaving the venue failed", error=self._telemetry.record_error("disconnect", error)
            )

    async def _beat(self) -> None:
        while True:
            self._telemetry.beat()
            self._look_around()
            await self.clock.sleep(BEAT_SECONDS)

    def _look_around(self) -> None:
        """Asked at every heartbeat: say what deserves a line in the log."""

    def _may_pass(self, error: Exception) -> bool:
        """Whether trying again may help: the network may come back, a wrong configuration or a defect stays."""
        return isinstance(error, TickhiveError | OSError) and not isinstance(error, ValueError | CollectorError)

    def _broken(self, error: BaseException) -> None:
        """The run task ended with an error: the collector stands in ERROR until it is started again."""
        self._fatal = error
        self._telemetry.set_status(CollectorStatus.ERROR, self._telemetry.record_error("run", error))
        self._tasks.remove_task(f"{self.name}: heartbeat")
        if self._settled is not None:
            self._settled.set()

    # Change

    async def add(self, *, symbols: Iterable[str] = (), data_types: Iterable[str] = ()) -> None:
        """Collect more symbols (names or patterns), or more data types of all symbols; the rest runs on untouched.

        Raises ConfigurationError, and changes nothing, when a name means nothing to the venue or it does not have a
        data type. A stopped collector takes it up when it starts.
        """
        more, types = several("symbols", symbols), several("data_types", data_types)

        def change(config: ExchangeCollectorConfig) -> ExchangeCollectorConfig:
            changed = with_more(config, more, types)
            self._check(changed, more)
            return changed

        await self._change(change)

    async def remove(self, *, symbols: Iterable[str] = (), data_types: Iterable[str] = ()) -> None:
        """Collect these symbols (as they were configured), or these data types, no more; the rest runs on untouched.

        Raises ConfigurationError, and changes nothing, when one of them is not collected, or nothing would be left.
        """
        gone, types = several("symbols", symbols), several("data_types", data_types)
        await self._change(lambda config: with_fewer(config, gone, types, self.name))

    def _check(self, config: ExchangeCollectorConfig, symbols: Sequence[str]) -> None:
        """Refuse with ConfigurationError what can be known to be wrong with a change, which named these symbols."""

    async def _change(self, change: Callable[[ExchangeCollectorConfig], ExchangeCollectorConfig]) -> None:
        """Take over a changed configuration; a collector that cannot do so while it runs starts again."""
        self.config = change(self.config)
        if self.status in (CollectorStatus.STARTING, CollectorStatus.RUNNING, CollectorStatus.RESTARTING):
            await self.restart()

    # What users ask for

    def resume_from(self, events: Sequence[MarketEvent], cause: str) -> None:
        """Begin where an earlier run of the process ended; to be called before the first start.

        ``events`` are the last of every stream of this exchange, a Gap among them is a hole that was being filled;
        ``cause`` says why nothing came since. A collector that can tells of the time between in Gaps and fills them.
        """

    def standing(self) -> list[MarketEvent]:
        """Where every stream stands after what was delivered, in the form of ``resume_from``; none: not known."""
        return []

    def watch_holes(self, watcher: Callable[[Gap], None] | None) -> None:
        """Tell ``watcher`` of every hole that begins to be filled, before what revealed it is delivered."""

    def book(self, symbol: str, depth: int = 0) -> BookView:
        """The live order book of a symbol; collectors that keep none raise BookNotLive."""
        raise BookNotLive(self.exchange, symbol, "not kept by this collector")

    def record(self, tape: Tape | None) -> None:
        """Record what is sent and received from the next start on; collectors that cannot raise CollectorError."""
        raise CollectorError(f"{self.name} cannot be recorded: its class keeps its sockets to itself")

    def pause_reading(self) -> None:
        """Stop taking in data because a consumer asks for a pause; does nothing where a venue cannot be held."""

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""

    def get_status(self) -> dict[str, Any]:
        """Everything known of this collector, JSON-ready; ``docs/reference/status.md`` explains it field by field."""
        telemetry = self._telemetry
        return {
            "name": self.name,
            "exchange": self.exchange,
            "status": telemetry.status.value,
            "reason": telemetry.reason,
            "auto_restart": self.auto_restart,
            "symbols": list(self.config.symbols),
            "data_types": [str(subscription) for subscription in self.config.subscriptions],
            "started_at": telemetry.started_at,
            "uptime_seconds": telemetry.uptime_seconds,
            "heartbeat_age_seconds": telemetry.heartbeat_age_seconds,
            "restarts": telemetry.restarts,
            "errors": telemetry.errors,
            "recent_errors": list(telemetry.recent_errors),
            "events": self.event_counts(),
            "callbacks": self._dispatcher.status(),
            "filters": self._dispatcher.filter_status(),
            "tasks": self._tasks.status(),
            "health": self.get_health_status(),
        }

    def get_health_status(self) -> dict[str, Any]:
        """``healthy``, and in ``reasons`` a sentence for everything that is wrong.

        ``needs_operator``: it is unhealthy, and starting again cannot help until somebody has mended the cause.
        ``waits``: all that is wrong is that it waits for its turn to dial, and starting again would lose that.
        """
        symptoms = self._symptoms()
        reasons = [*self._telemetry.health_reasons(), *map(_sanitize_error, symptoms.reasons)]
        for_good = self.status is CollectorStatus.ERROR and isinstance(self._fatal, ValueError | CredentialsError)
        return {
            "healthy": not reasons,
            "reasons": reasons,
            "status": self.status.value,
            "heartbeat_age_seconds": self._telemetry.heartbeat_age_seconds,
            "restarts": self._telemetry.restarts,
            "needs_operator": bool(reasons) and (for_good or symptoms.needs_operator),
            "waits": bool(reasons) and self.status is CollectorStatus.RUNNING and symptoms.waits,
        }

    def _symptoms(self) -> Symptoms:
        """What is wrong with connections and data flow; a subclass that knows says so."""
        return NONE

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.status.value}>"
