"""Keeps a collector up with its venue's list: what a pattern of symbols means changes with what is listed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tickhive.clock import Clock
from tickhive.collector.access import VenueAccess
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.errors import ConfigurationError, FetchError, PluginError
from tickhive.tasks import AsyncTaskManager

LISTING_SECONDS = 600.0
"""How often the venue's list is read again for patterns, beside the channel that tells of listings at once."""

FOLLOW_AGAIN_SECONDS = 10.0
"""How long a change of listings waits that could not be followed."""


class Listings:
    """Reads the list again from time to time; ``follow`` has ``change`` take over what is different."""

    def __init__(
        self,
        telemetry: CollectorStateAndTelemetry,
        tasks: AsyncTaskManager,
        clock: Clock,
        change: Callable[[], Awaitable[None]],
    ) -> None:
        self._telemetry = telemetry
        self._tasks = tasks
        self._clock = clock
        self._change = change
        self._reading = f"{telemetry.name}: listings"
        self._following = f"{telemetry.name}: follow listings"

    @property
    def following(self) -> bool:
        """Whether a change of the list is being followed."""
        return self._following in self._tasks

    def keep(self, access: VenueAccess) -> None:
        """Begin to read the list again and again."""
        self._tasks.add_task(self._reading, self._read(access))

    def leave(self) -> None:
        """Read it no more."""
        self._tasks.remove_task(self._reading)

    def follow(self) -> None:
        """The list has changed."""
        self._tasks.add_task(self._following, self._follow())

    def stop(self) -> None:
        """Read and follow it no more."""
        self.leave()
        self._tasks.remove_task(self._following)

    async def _read(self, access: VenueAccess) -> None:
        while True:
            await self._clock.sleep(LISTING_SECONDS)
            try:
                await access.learn_instruments(again_after=LISTING_SECONDS / 2)
            except (FetchError, PluginError) as error:
                text = self._telemetry.record_error("instruments", error)
                self._telemetry.log.warning("the list of instruments could not be read", error=text)

    async def _follow(self) -> None:
        while True:
            try:
                return await self._change()
            except (FetchError, PluginError) as error:
                self._telemetry.warn_of("following the listings", error)
            except ConfigurationError as error:
                self._telemetry.warn_of("following the listings", error)
                return None
            await self._clock.sleep(FOLLOW_AGAIN_SECONDS)
