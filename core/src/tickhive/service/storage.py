"""The way from the collectors to the stores: the spool and the sinks that empty it, opened and drained as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tickhive.clock import Clock
from tickhive.errors import ConfigurationError
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error
from tickhive.service.absence import Absence
from tickhive.service.config import ServiceConfig
from tickhive.sinks import Sink, SinkRunner, create_sink
from tickhive.spool import Spool

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector
    from tickhive.events import MarketEvent

_log = get_logger("tickhive.service")

FORCED_SECONDS = 1.0


def build_sinks(config: ServiceConfig) -> dict[str, Sink]:
    """Make every configured sink, unopened; one ConfigurationError lists what is wrong with any of them."""
    sinks: dict[str, Sink] = {}
    problems: list[str] = []
    for index, each in enumerate(config.sinks):
        try:
            sinks[each.name] = create_sink(each.type, each.settings, path=f"sinks[{index}]")
        except ConfigurationError as error:
            at = f"sinks[{index}]"
            problems += [text if text.startswith(at) else f"{at}.type: {text}" for text in error.problems]
        except Exception as error:
            problems.append(f"sinks[{index}]: {each.type} cannot be made: {_sanitize_error(error)}")
    if problems:
        raise ConfigurationError(problems, str(config.source) if config.source else None)
    return sinks


class Storage:
    """A spool and its sinks: collectors are tapped with ``append``; ``on_pressure`` holds them when it fills.

    ``collectors`` are told where an earlier process ended, before they are started.
    """

    def __init__(
        self,
        config: ServiceConfig,
        sinks: Mapping[str, Sink],
        clock: Clock,
        on_pressure: Callable[[bool], None],
        collectors: Sequence[BaseDataCollector] = (),
    ) -> None:
        limits = config.spool
        self.spool = Spool(
            config.service.data_dir / "spool",
            clock=clock,
            max_bytes=limits.max_bytes,
            commit_seconds=limits.commit_seconds,
            commit_events=limits.commit_events,
            buffer_events=limits.buffer_events,
            on_pressure=on_pressure,
        )
        self._clock = clock
        self._absence = Absence(self.spool, collectors, clock)
        self._runners = [SinkRunner(self.spool, name, sink) for name, sink in sinks.items()]
        self._is_open = False

    async def open(self) -> None:
        """Open the spool, then let the sinks begin; SpoolError when the spool cannot be used.

        A cancellation takes effect once all of it is open: what is half open could not be closed in order.
        """
        opening = asyncio.ensure_future(self._open())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait({opening})
            raise

    async def _open(self) -> None:
        await self.spool.open()
        self._is_open = True
        await self._absence.begin()
        for runner in self._runners:
            await runner.start()

    def append(self, events: Sequence[MarketEvent]) -> None:
        """Take events of a collector."""
        self.spool.append(events)

    async def drain(self, seconds: float) -> bool:
        """Commit what was taken, give the sinks so long to store it, close. False when events were lost.

        What the sinks have not taken by then is not lost: it waits in the spool for the next start.
        """
        if not self._is_open:
            return True
        begin = self._clock.monotonic()
        self._absence.checkpoint()
        await self._absence.end()
        await self._flush(seconds)
        left = max(0.0, seconds - (self._clock.monotonic() - begin))
        await self._stop_sinks(drain=True, seconds=left)
        return await self._close(max(FORCED_SECONDS, seconds))

    async def abandon(self) -> bool:
        """Stop the sinks where they are and close the spool at once; False when events were lost."""
        if not self._is_open:
            return True
        await self._absence.end()
        await self._stop_sinks(drain=False, seconds=FORCED_SECONDS)
        return await self._close(FORCED_SECONDS)

    def status(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """The spool's status and each sink's by name."""
        return self.spool.status(), {runner.name: runner.status() for runner in self._runners}

    async def _flush(self, seconds: float) -> None:
        try:
            await self.spool.flush(max(FORCED_SECONDS, seconds))
        except Exception as error:
            _log.error("the spool could not be flushed", error=_sanitize_error(error))

    async def _stop_sinks(self, *, drain: bool, seconds: float) -> None:
        stops = (runner.stop(drain=drain, timeout_seconds=seconds) for runner in self._runners)
        for runner, left in zip(self._runners, await asyncio.gather(*stops, return_exceptions=True), strict=True):
            if isinstance(left, BaseException):
                _log.error("a sink could not be stopped", sink=runner.name, error=_sanitize_error(left))
            elif left:
                _log.warning("events wait in the spool for the next start", sink=runner.name, events=left)

    async def _close(self, seconds: float) -> bool:
        try:
            await self.spool.close(seconds)
        except Exception as error:
            _log.error("the spool could not be closed", error=_sanitize_error(error))
            return False
        finally:
            # A close that was cancelled is repeated by force.
            self._is_open = self.spool.is_open
        return True
