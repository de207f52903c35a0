"""The time between two runs of a process: collectors are told where streams ended, the spool where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tickhive.clock import NANOSECONDS, Clock
from tickhive.events import Gap
from tickhive.logs import get_logger
from tickhive.redaction import _sanitize_error
from tickhive.spool import Spool, Standing, stream_of
from tickhive.tasks import AsyncTaskManager

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector
    from tickhive.events import MarketEvent

_log = get_logger("tickhive.service")

CAUSE = "the process was not running"
"""What the Gaps say of the time between two runs."""

CHECKPOINT_SECONDS = 5.0
"""How often the spool is told where the streams stand; between two times it finds that out from the events."""

REMEMBERED_SECONDS = 7 * 86400.0
"""A stream nobody collects any more is forgotten so long after its last event."""


class Absence:
    """Sees to it that what was missed while no process ran is told of and refilled, whether the last one was stopped,
    killed or cut off from its power.
    """

    def __init__(self, spool: Spool, collectors: Sequence[BaseDataCollector], clock: Clock) -> None:
        self._spool = spool
        self._collectors = collectors
        self._clock = clock
        self._earlier: list[MarketEvent] = []
        self._tasks = AsyncTaskManager("absence", clock=clock)

    async def begin(self) -> None:
        """Hand every collector where its streams ended, and keep the standing from here on; the spool is open."""
        oldest = self._clock.time_ns() - int(REMEMBERED_SECONDS * NANOSECONDS)
        self._earlier = [event for event in self._spool.standing() if event.received >= oldest]
        for collector in self._collectors:
            events = [event for event in self._earlier if event.exchange == collector.exchange]
            try:
                collector.watch_holes(self._spool.expect)
                if events:
                    collector.resume_from(events, CAUSE)
            except Exception as error:
                _log.error("a collector cannot go on", collector=collector.name, error=_sanitize_error(error))
        await self._spool.keep_standing(self._earlier)
        self._tasks.add_task("standing", self._keep())

    def checkpoint(self) -> None:
        """Tell the spool where every stream stands."""
        now = Standing()
        for collector in self._collectors:
            try:
                now.begin(collector.standing())
            except Exception as error:
                _log.error(
                    "a collector cannot say where it stands", collector=collector.name, error=_sanitize_error(error)
                )
        now.begin(_unspoken(self._earlier, now))
        self._spool.checkpoint(now.events())

    async def end(self) -> None:
        """The collectors have stopped, or are given up."""
        for collector in self._collectors:
            collector.watch_holes(None)
        await self._tasks.cancel_all_tasks()

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(CHECKPOINT_SECONDS)
            self.checkpoint()


def _unspoken(earlier: Sequence[MarketEvent], now: Standing) -> list[MarketEvent]:
    """What is known of streams that no collector speaks of: it has not connected yet, or is not configured now."""
    spoken = {stream[:3] for stream in now.streams}
    return [
        event
        for event in earlier
        if (
            (event.exchange, event.symbol, event.data_type) not in spoken
            if isinstance(event, Gap)
            else stream_of(event) not in now.streams
        )
    ]
