"""ConnectionManager keeps the sockets of one collector open: dials, backs off, rolls over, dials again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from attrs import Factory, define

from tickhive.budget import Backoff, Budget
from tickhive.clock import Clock
from tickhive.collector.bell import Bell
from tickhive.collector.journal import LinkState
from tickhive.collector.leg import LinkOwner, LinkTools
from tickhive.collector.link import Link
from tickhive.collector.recorded import Recorded
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.collector.totals import add_up, no_totals
from tickhive.collector.turn import Turn
from tickhive.plugin.contract import Answer, Dial, Event, Fetch
from tickhive.tasks import AsyncTaskManager


async def _nothing(fetch: Fetch) -> Sequence[Event | Dial]:
    """The answer where nobody makes requests that belong to no session."""
    return ()


@define(eq=False)
class _Group:
    """The links of one Dial: one, or two that are each other's spare."""

    dial: Dial
    links: list[Link] = Factory(list)


class ConnectionManager:
    """``redundancy`` links per Dial; each dials for ever, with exponential backoff and full jitter under the venue's
    dial budget.

    ``status()`` tells for every link: key (``KEY/2`` for a second one), state (``waiting``, ``dialling``, ``open``,
    ``closing``, ``failed``, ``stopped``), why it is rolling over, host, since when, how often it connected, failed and
    rolled over, its traffic and its last error.
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
        redundancy: int = 1,
        backoff: Callable[[], Backoff] = Backoff,
        on_change: Callable[[], None] = lambda: None,
        fetch_all: Callable[[Fetch], Awaitable[Sequence[Event | Dial]]] = _nothing,
        recorded: Recorded | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._tasks = tasks
        self._clock = clock
        self._redundancy = redundancy
        self._backoff = backoff
        self._on_change = on_change
        self._tools = LinkTools(
            owner, telemetry, tasks, clock, budget, fetch, transport, proxy, on_end=self.poke, on_change=self._noticed,
            fetch_all=fetch_all, recorded=recorded,
        )  # fmt: skip
        self._groups: dict[str, _Group] = {}
        self._closing: list[Link] = []
        self._totals = no_totals()
        self._changed = Bell(clock)
        self._paused = False

    @property
    def links(self) -> Sequence[Link]:
        """Every link, in the order their dials came."""
        return tuple(link for group in self._groups.values() for link in group.links)

    @property
    def dials(self) -> Sequence[Dial]:
        """The dials there are now, as the ``connect`` hook wants to see them."""
        return tuple(group.dial for group in self._groups.values())

    @property
    def open_count(self) -> int:
        """How many sockets are open."""
        return sum(link.state is LinkState.OPEN for link in self.links)

    def set_dials(self, dials: Sequence[Dial]) -> None:
        """Have exactly these sockets; may be called at any time.

        A known key goes on with its new dial: other channels are asked for and given up on the open sockets, or, where
        the plugin offers no ``subscribe`` or other things differ too, fresh sockets take over without a hole. What is
        missing is closed.
        """
        wanted = {dial.key: dial for dial in dials}
        gone = [self._groups.pop(key) for key in list(self._groups) if key not in wanted]
        for key, dial in wanted.items():
            group = self._groups.get(key)
            if group is None:
                self._groups[key] = self._open(dial)
            else:
                group.dial = dial
                for link in group.links:
                    link.change(dial)
        for link in [link for group in gone for link in group.links]:
            link.give_up()
            self._closing.append(link)
            self._tasks.add_task(f"{self._telemetry.name}: close {link.key} {id(link):x}", self._close(link))

    def _open(self, dial: Dial) -> _Group:
        group, turn = _Group(dial), Turn()
        for number in range(1, self._redundancy + 1):
            link = Link(dial, self._tools, backoff=self._backoff(), turn=turn, number=number)
            group.links.append(link)
            if self._paused:
                link.legs.pause_reading()
            link.start()
        return group

    async def _close(self, link: Link) -> None:
        await link.stop()
        if link in self._closing:
            self._closing.remove(link)
            add_up(self._totals, link.statistics())

    async def stop(self) -> None:
        """Close every socket with a closing handshake and end every link."""
        links = (*self.links, *self._closing)
        self._groups.clear()
        self._closing.clear()
        await asyncio.gather(*(link.stop() for link in links))
        for link in links:
            add_up(self._totals, link.statistics())
        self._noticed()

    async def first_attempt(self, patience_seconds: float) -> None:
        """Wait until every link has connected, or one has failed: it goes on trying by itself; at most so long: where
        many share the venue's dial limit a turn may be long in coming.
        """
        deadline = self._clock.monotonic() + patience_seconds
        while (left := deadline - self._clock.monotonic()) > 0:
            if any(link.journal.failures or link.state is LinkState.FAILED for link in self.links):
                return
            if all(link.journal.connects for link in self.links):
                return
            await self._changed.wait(left)

    async def roll_over(self, reason: str, timeout_seconds: float) -> bool:
        """Replace every socket without a hole; True when all of them were, False when one could not be in time.

        Those whose turn at the venue's limit is long in coming are replaced when it has come, and answered for as if
        they were. Where a link is not open nothing is begun: there is nothing to keep, and a fresh socket that waits
        for its turn is what was asked for.
        """
        before = {link: link.leg for link in self.links}
        if not before or not all(link.replaceable or (link.queued and not link.failing) for link in before):
            return False
        for link in before:
            link.roll_over(reason)
        deadline = self._clock.monotonic() + timeout_seconds
        while not all(link.replaced(leg) for link, leg in before.items() if leg is not None):
            if not before.keys() <= set(self.links):
                return False
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return all(link.replaced(leg) or link.on_its_way(timeout_seconds) for link, leg in before.items())
            await self._changed.wait(left)
        return True

    def poke(self) -> None:
        """A session has ended and others may have taken over what it left: let them act."""
        for link in self.links:
            link.legs.act()

    def _noticed(self) -> None:
        self._changed.ring()
        self._on_change()

    def pause_reading(self) -> None:
        """Stop taking in frames; the kernel's buffers fill and the venue feels it."""
        self._paused = True
        for link in self.links:
            link.legs.pause_reading()

    def resume_reading(self) -> None:
        """Go on after ``pause_reading``."""
        self._paused = False
        for link in self.links:
            link.legs.resume_reading()

    def unhealthy(self, patience_seconds: float) -> list[str]:
        """Which links have not been open for longer than ``patience_seconds``, with the reason.

        One of two that are each other's spare is not missed while the other is open: repairing it by force would take
        the good one down with it. ``status`` shows it.
        """
        return [reason for _, reason in self._unwell(patience_seconds)]

    def queued(self, patience_seconds: float) -> int:
        """How many of these only wait for their turn to dial, which nothing but time can help."""
        return sum(link.queued for link, _ in self._unwell(patience_seconds))

    def _unwell(self, patience_seconds: float) -> list[tuple[Link, str]]:
        unwell = []
        for group in self._groups.values():
            found = [(link, why) for link in group.links if (why := link.unhealthy(patience_seconds)) is not None]
            if not any(link.state is LinkState.OPEN for link in group.links) or len(found) == len(group.links):
                unwell += found
        return unwell

    def statistics(self) -> dict[str, Any]:
        """What all sockets have seen, those of links that are no more among them."""
        totals = self._totals.copy()
        for link in (*self.links, *self._closing):
            add_up(totals, link.statistics())
        return totals

    def status(self) -> list[dict[str, Any]]:
        """One dictionary per link, JSON-ready."""
        return [link.status() for link in self.links]
