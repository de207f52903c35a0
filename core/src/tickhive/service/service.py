"""DataCollectionService: a configuration at work, from the first connection to the last drained event."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from tickhive.clock import Clock, SystemClock
from tickhive.collector.watchdog import WATCHDOG
from tickhive.errors import CollectorError, ConfigurationError
from tickhive.logs import get_logger
from tickhive.manager import CollectorManager, ManagerStatus
from tickhive.manager.status import json_ready
from tickhive.redaction import _sanitize_error
from tickhive.service.config import ServiceConfig
from tickhive.service.factory import CollectorFactory, Refusal
from tickhive.service.recording import ServiceRecording
from tickhive.service.signals import stop_signals
from tickhive.service.status import ServiceState, ServiceStatus
from tickhive.service.storage import FORCED_SECONDS, Storage, build_sinks

if TYPE_CHECKING:
    from types import TracebackType

    from tickhive.collector.base import BaseDataCollector
    from tickhive.recording import Recorder
    from tickhive.sinks import Sink

_log = get_logger("tickhive.service")

EXIT_DRAINED = 0
"""Stopped in order: everything received is stored, or waits in the spool for the next start."""

EXIT_FORCED = 1
"""Stopped by force, or events were lost at the end; the log says which."""


class DataCollectionService:
    """Collects what a ServiceConfig says and brings it to its sinks until it is told to stop.

    ::

        service = DataCollectionService(ServiceConfig.load("tickhive.toml"))
        exit_code = await service.run(install_signals=True)

    ``sinks`` are further stores by name, made by the application, ``recorder`` is where its collectors are recorded.
    Also an async context manager: it runs inside the block and is drained at its end. A service runs once.
    """

    def __init__(
        self,
        config: ServiceConfig,
        *,
        clock: Clock | None = None,
        manager: CollectorManager | None = None,
        sinks: Mapping[str, Sink] | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.config = config
        self._clock: Clock = clock if clock is not None else SystemClock()
        self.manager = manager if manager is not None else CollectorManager(clock=self._clock, policy=config.restarts)
        self.collectors: list[BaseDataCollector] = []
        self._own_sinks = dict(sinks or {})
        self._recording = ServiceRecording(config.service, recorder)
        self._storage: Storage | None = None
        self._refused: list[Refusal] = []
        self._state: ServiceState = "new"
        self._started_at: int | None = None
        self._exit_seconds: float | None = None
        self._stop_asked = asyncio.Event()
        self._force_asked = asyncio.Event()
        self._ended = asyncio.Event()
        self._exit_code = EXIT_DRAINED
        self._running = False
        self._forced = False
        self._last_stop: asyncio.Future[Any] | None = None

    async def run(self, *, for_seconds: float | None = None, install_signals: bool = False) -> int:
        """Collect until ``stop``, a signal, or the end of ``for_seconds``; answer the exit code of the process.

        0 after an orderly stop, 1 when it was forced or events were lost. What cannot start raises, after everything
        that had begun was taken back: ConfigurationError (no collector or not every sink can be made), SpoolError (the
        spool cannot be used), CollectorError (no collector can ever run as configured). With ``install_signals``
        SIGTERM and SIGINT (Ctrl-C) stop it in order and a second one by force; main thread only.

        An exchange that cannot be reached ends nothing: its collector keeps trying and the status says so.
        """
        if self._running:
            raise CollectorError(f"The service {self.config.service.name} runs already")
        self._running = True
        with stop_signals(self._on_signal) if install_signals else nullcontext():
            try:
                if await self._unless(self._stop_asked, self.start()):
                    if for_seconds is None:
                        await self._stop_asked.wait()
                    else:
                        await self._unless(self._stop_asked, self._clock.sleep(for_seconds))
            finally:
                await self._end()
                self._running = False
        return self._exit_code

    async def start(self) -> None:
        """Open the sinks and start the collectors; raises as ``run`` does. Whoever calls this also calls ``stop``."""
        if self._state != "new":
            raise CollectorError(
                f"The service {self.config.service.name} is {self._state}; make another one to run again"
            )
        self._state = "starting"
        try:
            await self._begin()
        except Exception:
            self._state = "failed"
            await self._end()
            raise
        self._state = "running"
        if self._stop_asked.is_set() and not self._running:
            await self._end()

    async def stop(self, force: bool = False) -> int:
        """Stop and wait until it has: collectors first, then the spool is flushed and the sinks drained.

        A second call with ``force`` gives up waiting; what is committed is kept in the spool, nothing else is. While
        ``run`` is at work this asks it to end and waits for it.
        Answers the exit code. Safe to call at any time, also twice.
        """
        self.ask_to_stop(force=force)
        if self._state == "new" and not self._running:
            self._state = "stopped"
            self._ended.set()
        elif self._state == "running" and not self._running:
            await self._end()
        await self._ended.wait()
        return self._exit_code

    def ask_to_stop(self, *, force: bool = False) -> None:
        """Ask for a stop without waiting for it; a request after the first is one by force when it says so."""
        self._stop_asked.set()
        if force:
            self._force_asked.set()

    def get_status(self) -> ServiceStatus:
        """Everything the service knows, JSON-ready; see ServiceStatus for its fields."""
        manager = self.manager.get_status()
        spool, sinks = self._storage.status() if self._storage is not None else (None, {})
        running = self._state == "running"
        spool_works = spool is None or bool(spool["healthy"])
        reasons = [] if running else [f"the service is {self._state}"]
        reasons += _storage_faults(spool, sinks)
        reasons += [f"{refused.name} was refused: {refused.reason}" for refused in self._refused]
        reasons += _unhealthy(manager) if running else []
        at = self._clock.time_ns()
        ready = running and spool_works and any(each["healthy"] for each in manager["collectors"].values())
        started_at = self._started_at
        return {
            "name": self.config.service.name,
            "state": self._state,
            "live": not running or self.manager.watching,
            "ready": ready,
            "healthy": ready and not reasons,
            "reasons": reasons,
            "at": at,
            "started_at": started_at,
            "uptime_seconds": (at - started_at) / 1e9 if started_at is not None and running else 0.0,
            "manager": manager,
            "refused": [
                {"name": refused.name, "exchange": refused.exchange, "reason": refused.reason}
                for refused in self._refused
            ],
            "spool": json_ready(spool),
            "sinks": json_ready(sinks),
        }

    def storage_faults(self) -> list[str]:
        """A sentence for everything that is wrong with the spool and the sinks; empty without any."""
        return _storage_faults(*self._storage.status()) if self._storage is not None else []

    @property
    def ready(self) -> bool:
        """Whether it runs, at least one collector is healthy and the spool accepts events."""
        return self.get_status()["ready"]

    async def __aenter__(self) -> DataCollectionService:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _begin(self) -> None:
        self._started_at = self._clock.time_ns()
        sinks = {**build_sinks(self.config), **self._own_sinks}
        WATCHDOG.stalled_seconds = self.config.service.stalled_seconds
        WATCHDOG.exit_seconds = self._exit_seconds = self.config.service.exit_when_stalled_seconds or None
        self.collectors, self._refused = CollectorFactory(self.config).create_all()
        told = "a collector was refused; the others run" if self.collectors else "a collector was refused"
        for refused in self._refused:
            _log.error(told, collector=refused.name, reason=refused.reason)
        if not self.collectors:
            source = str(self.config.source) if self.config.source else None
            problems = [f"{refused.name}: {refused.reason}" for refused in self._refused]
            raise ConfigurationError(problems or "collectors: nothing to collect", source)
        if sinks:
            storage = Storage(self.config, sinks, self._clock, self._on_pressure, self.collectors)
            self._storage = storage
            await storage.open()
            for collector in self.collectors:
                collector.add_tap(storage.append)
        self._recording.begin(self.collectors, self._started_at)
        for collector in self.collectors:
            self.manager.add_collector(collector)
        await self.manager.start_all()
        self._refuse_if_hopeless()

    def _refuse_if_hopeless(self) -> None:
        entries = self.manager.get_status()["collectors"]
        mine = [entries[collector.name] for collector in self.collectors]
        if all(entry["state"] == "failed" and entry["needs_operator"] for entry in mine):
            causes = "; ".join(f"{entry['name']}: {entry['error']}" for entry in mine)
            raise CollectorError(f"No collector can run as configured: {causes}")

    def _on_pressure(self, pressed: bool) -> None:
        """Hold the sockets while the spool is filling up, and let them go on when it has room."""
        _log.warning("the spool is filling up; reading pauses" if pressed else "the spool has room; reading goes on")
        for collector in self.collectors:
            try:
                collector.pause_reading() if pressed else collector.resume_reading()
            except Exception as error:
                _log.error("a collector did not pause", collector=collector.name, error=_sanitize_error(error))

    def _on_signal(self, name: str) -> None:
        # One that comes while it stops for another reason (its time is over) finds a user who waits already.
        force = self._stop_asked.is_set() or self._state == "stopping"
        _log.warning("stopping by force" if force else "stopping; once more stops by force", signal=name)
        self.ask_to_stop(force=force)

    async def _end(self) -> None:
        """Stop in order, or by force once that is asked for. Later calls wait for the first."""
        if self._state in ("stopping", "stopped") or self._ended.is_set():
            await self._ended.wait()
            return
        failed = self._state == "failed"
        self._state = "stopping"
        try:
            if not await self._unless(self._force_asked, self._drain()):
                await self._abandon()
        except asyncio.CancelledError:
            await self._abandon()
            raise
        finally:
            try:
                await self._recording.end()
            finally:
                if WATCHDOG.exit_seconds == self._exit_seconds:  # else another service has said what it wants
                    WATCHDOG.exit_seconds = None
                self._state = "failed" if failed else "stopped"
                self._ended.set()
                self._tell_how_it_ended()

    async def _drain(self) -> None:
        """Collectors first, so that nothing arrives after the spool's last commit."""
        await self.manager.stop_all()
        self._let_go()
        if self._storage is not None and not await self._storage.drain(self.config.service.drain_seconds):
            self._exit_code = EXIT_FORCED

    def _tell_how_it_ended(self) -> None:
        """Log it, without the exit code: the process may have reasons of its own for another one."""
        if self._forced:
            _log.warning("stopped by force; what was not committed to the spool is lost")
        elif self._exit_code != EXIT_DRAINED:
            _log.error("stopped; events were lost at the end")
        else:
            _log.info("stopped in order")

    async def _abandon(self) -> None:
        self._forced = True
        self._exit_code = EXIT_FORCED
        self._let_go()
        # Collectors that stop promptly still do so in order; the others end with the process.
        self._last_stop = asyncio.ensure_future(self.manager.stop_all())
        await asyncio.wait({self._last_stop}, timeout=FORCED_SECONDS)
        if self._storage is not None:
            await self._storage.abandon()

    def _let_go(self) -> None:
        if self._storage is not None:
            for collector in self.collectors:
                collector.remove_tap(self._storage.append)

    async def _unless(self, asked: asyncio.Event, operation: Coroutine[Any, Any, Any]) -> bool:
        """Await the operation; False when ``asked`` was set before it ended, which cancels it."""
        work = asyncio.ensure_future(operation)
        wish = asyncio.ensure_future(asked.wait())
        try:
            await asyncio.wait({work, wish}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            return False
        finally:
            wish.cancel()
            work.cancel()
            await asyncio.wait({work})


def _storage_faults(spool: Mapping[str, Any] | None, sinks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    faults = [f"spool: {spool['reason']}"] if spool is not None and not spool["healthy"] else []
    return faults + [f"sink {name}: {sink['error']}" for name, sink in sinks.items() if not sink["healthy"]]


def _unhealthy(manager: ManagerStatus) -> list[str]:
    entries = manager["collectors"]
    return [f"{name}: {'; '.join(entries[name]['reasons'])}" for name in manager["unhealthy_collectors"]]
