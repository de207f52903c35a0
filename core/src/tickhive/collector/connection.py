"""ConnectionManager keeps the sockets of one collector open: dials, backs off, drives their sessions, dials again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from tickhive.budget import Backoff, Budget
from tickhive.clock import Clock
from tickhive.collector.link import Link, LinkOwner, LinkState
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.plugin.contract import Answer, Dial, Fetch
from tickhive.tasks import AsyncTaskManager


class ConnectionManager:
    """One link per Dial; each dials for ever, with exponential backoff and full jitter under the venue's dial budget.

    ``status()`` tells for every link: key, state (``waiting``, ``dialling``, ``open``, ``closing``, ``failed``,
    ``stopped``), host, since when, how often it connected and failed, its traffic and its last error.
    """

    def __init__(
        self,
        owner: LinkOwner,
        telemetry: CollectorStateAndTelemetry,
        tasks: AsyncTaskManager,
        clock: Clock,
        budget: Budget,
        fetch: Callable[[Fetch], Awaitable[Answer]],
        *,
        transport: Literal["fast", "plain"] = "fast",
        proxy: str | None = None,
        backoff: Callable[[], Backoff] = Backoff,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._telemetry = telemetry
        self._tasks = tasks
        self._backoff = backoff
        self._make_link = functools.partial(
            Link,
            owner=owner,
            telemetry=telemetry,
            tasks=tasks,
            clock=clock,
            budget=budget,
            fetch=fetch,
            transport=transport,
            proxy=proxy,
            on_change=on_change,
        )
        self._links: dict[str, Link] = {}
        self._paused = False

    @property
    def links(self) -> Sequence[Link]:
        """Every link, in the order their dials came."""
        return tuple(self._links.values())

    @property
    def dials(self) -> Sequence[Dial]:
        """The dials there are now, as the ``connect`` hook wants to see them."""
        return tuple(link.dial for link in self._links.values())

    @property
    def open_count(self) -> int:
        """How many sockets are open."""
        return sum(link.state is LinkState.OPEN for link in self._links.values())

    def set_dials(self, dials: Sequence[Dial]) -> None:
        """Have exactly these sockets: a known key is kept as it is, a missing one is closed."""
        wanted = {dial.key: dial for dial in dials}
        for key in [key for key in self._links if key not in wanted]:
            link = self._links.pop(key)
            self._tasks.add_task(f"{self._telemetry.name}: close {key}", link.stop())
        for key, dial in wanted.items():
            if key not in self._links:
                link = self._links[key] = self._make_link(dial, backoff=self._backoff())
                if self._paused:
                    link.pause_reading()
                link.start()

    async def stop(self) -> None:
        """Close every socket with a closing handshake and end every link."""
        links, self._links = list(self._links.values()), {}
        await asyncio.gather(*(link.stop() for link in links))

    def pause_reading(self) -> None:
        """Stop taking in frames; the kernel's buffers fill and the venue feels it."""
        self._paused = True
        for link in self._links.values():
            link.pause_reading()

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""
        self._paused = False
        for link in self._links.values():
            link.resume_reading()

    def unhealthy(self, patience_seconds: float) -> list[str]:
        """Which links have not been open for longer than ``patience_seconds``, with the reason."""
        return [reason for link in self._links.values() if (reason := link.unhealthy(patience_seconds)) is not None]

    def status(self) -> list[dict[str, Any]]:
        """One dictionary per link, JSON-ready."""
        return [link.status() for link in self._links.values()]
