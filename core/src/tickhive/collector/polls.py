"""Data that exists only by REST: asked for again and again, each channel by a task of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tickhive.channels import Channel
from tickhive.clock import Clock
from tickhive.collector.access import VenueAccess
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.errors import CredentialsError, FetchError, PluginError
from tickhive.events import MarketEvent
from tickhive.plugin.contract import Poll
from tickhive.tasks import AsyncTaskManager


class Polls:
    """The polls of one collector. ``refused`` names the channels that are not asked for any more, with the reason,
    ``failing`` those whose answers the plugin cannot read.
    """

    def __init__(
        self,
        telemetry: CollectorStateAndTelemetry,
        tasks: AsyncTaskManager,
        clock: Clock,
        deliver: Callable[[list[MarketEvent]], None],
    ) -> None:
        self.refused: dict[Channel, str] = {}
        self.failing: dict[Channel, str] = {}
        self._telemetry = telemetry
        self._tasks = tasks
        self._clock = clock
        self._deliver = deliver
        self._running: dict[Channel, str] = {}

    def set(self, access: VenueAccess, polls: Mapping[Channel, Poll]) -> None:
        """Ask for exactly these; those that run already go on as they are."""
        for channel in [channel for channel in self._running if channel not in polls]:
            self._tasks.remove_task(self._running.pop(channel))
            self.failing.pop(channel, None)
        for channel, poll in polls.items():
            if channel not in self._running:
                name = self._running[channel] = f"{self._telemetry.name}: poll {channel}"
                self._tasks.add_task(name, self._keep_asking(access, channel, poll))

    def stop(self) -> None:
        """Ask for nothing more; what was refused may be tried again later."""
        for name in self._running.values():
            self._tasks.remove_task(name)
        self._running.clear()
        self.refused.clear()
        self.failing.clear()

    async def _keep_asking(self, access: VenueAccess, channel: Channel, poll: Poll) -> None:
        while True:
            try:
                found = await access.fetch_all(poll.fetch)
            except CredentialsError as error:
                text = self.refused[channel] = self._telemetry.record_error(f"poll {channel}", error)
                self._telemetry.log.error("a poll ended: asking again cannot help", channel=str(channel), error=text)
                return
            except FetchError as error:
                text = self._telemetry.record_error(f"poll {channel}", error)
                self._telemetry.log.warning("a poll failed; asking again", channel=str(channel), error=text)
            except PluginError as error:
                self.failing[channel] = self._telemetry.warn_of(f"poll {channel}", error)
            else:
                self.failing.pop(channel, None)
                self._deliver([event for event in found if isinstance(event, MarketEvent)])
            await self._clock.sleep(poll.every)
