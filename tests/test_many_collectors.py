"""Many collectors of one venue start and restart together: within its dial limit, and without holding up the process.

They talk to the simulated OKX over real sockets, by one clock that the test moves. ``TICKHIVE_CONFORMANCE=long`` takes
500 collectors instead of 75. With ``-s`` the figures are printed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psutil
from attrs import define

from tickhive.clock import ManualClock
from tickhive.collector.access import VenueAccess, shared_access
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.manager import CollectorManager
from tickhive.manager.restart_budget import RestartPolicy
from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"
COLLECTORS = 500 if LONG else 75
SYMBOLS = [f"C{number:03}-USDT" for number in range(COLLECTORS)]
DIALS_PER_SECOND = 3
SECOND = 1_000_000_000
STEP = SECOND // 10


@define
class Pulse:
    """The longest time (s) the event loop did not come round."""

    longest: float = 0.0

    async def beat(self) -> None:
        """Look again and again."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.perf_counter() - before)


@define
class Crowd:
    """A manager with its collectors, and the venue they all collect from."""

    manager: CollectorManager
    collectors: list[PluginCollector]
    access: VenueAccess
    venue: Any
    server: VenueServer
    clock: ManualClock
    pulse: Pulse

    async def until(self, predicate: Callable[[], object], limit_seconds: float = 3600) -> None:
        """Let time pass until something is so, from deadline to deadline; it stands still while a dial is on its way:
        the venue is to see when each was let through.
        """
        clock = self.clock
        ends = clock.time_ns() + int(limit_seconds * SECOND)
        while not predicate():
            assert clock.time_ns() < ends, f"it did not happen: {self.states()}"
            for step in (0, STEP):  # whoever has just been woken first sets its next deadline
                await clock.advance_to(min(clock.next_deadline() or ends, clock.time_ns() + step))
                async with asyncio.timeout(10):
                    while self.dials() > self.server.statistics.connections:  # noqa: ASYNC110
                        await asyncio.sleep(0)

    def dials(self) -> int:
        """How many dials were let through."""
        return int(self.access.budget.status()["dial"]["acquired"])

    def states(self) -> dict[str, int]:
        """How many collectors are in which state, by the manager's account."""
        found: dict[str, int] = {}
        for each in self.collectors:
            state = str(self.manager.get_status()["collectors"][each.name]["state"])
            found[state] = found.get(state, 0) + 1
        return found

    def connects(self) -> list[int]:
        """How often each collector's links connected."""
        managers = [each._connections for each in self.collectors]
        return [sum(link.connects for link in each.links) if each is not None else 0 for each in managers]

    def restarts(self) -> int:
        """How often collectors were restarted."""
        return sum(each.get_status()["restarts"] for each in self.collectors)

    def receiving(self) -> bool:
        """Whether every symbol's data flows."""
        feeds = [each._feed for each in self.collectors]
        return all(feed is not None and feed.ledger.summary()["receiving"] == len(feed.ledger) for feed in feeds)


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    stack = default_registry().load("okx")
    venue, clock, pulse = stack.call.venue(options=VenueOptions(seed=2, symbols=SYMBOLS)), ManualClock(), Pulse()
    beating = asyncio.ensure_future(pulse.beat())
    async with VenueServer(venue, clock) as server:
        settings = stack.call.settings()(url=server.url, rest_url=server.rest_url, instrument_types=("SPOT",))
        # The last of them wait longer for their turn to dial than a start may take; none is unhealthy long enough to be
        # restarted meanwhile, and the stagger is no more of a brake than the venue's limit.
        policy = RestartPolicy(deadline_seconds=60.0 if LONG else 20.0, patience_seconds=600.0, stagger_seconds=0.05)
        manager = CollectorManager(clock=clock, policy=policy)
        collectors = []
        for symbol in SYMBOLS:
            config = ExchangeCollectorConfig(exchange="okx", symbol=symbol, data_types=["trade"])
            collectors.append(PluginCollector(stack, config, settings, clock=clock))
            manager.add_collector(collectors[-1])
        access = shared_access(stack, settings, clock, proxy=collectors[0].config.proxy)
        await access.learn_instruments()  # before the clock goes: how long REST takes here is not what is looked at
        try:
            yield Crowd(manager, collectors, access, venue, server, clock, pulse)
        finally:
            server.pause()
            stopping = asyncio.ensure_future(manager.stop_all())
            await clock.run_until(stopping.done, io_seconds=0.001)
            beating.cancel()
            CollectorManager._forget_instance()


async def test_many_collectors_start_and_restart_within_the_venues_limit() -> None:
    if LONG:
        faulthandler.cancel_dump_traceback_later()
    process = psutil.Process()
    async with crowd() as they:
        memory, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
        they.server.pause()
        begun = they.clock.monotonic()
        starting = asyncio.ensure_future(they.manager.start_all())
        await they.until(lambda: all(they.connects()))
        seconds = they.clock.monotonic() - begun
        await they.until(starting.done)
        grown, used = process.memory_info().rss - memory, sum(process.cpu_times()[:2]) - cpu
        print(
            f"\n{COLLECTORS} collectors: all connected after {seconds:.0f} s; {grown / 1e6:.0f} MB, {used:.1f} s CPU,"
            f" the venue's among them; longest pause {they.pulse.longest * 1000:.0f} ms"
        )
        assert set(they.states()) == {"running"}
        assert all(starting.result().values())
        assert they.connects() == [1] * COLLECTORS
        assert they.restarts() == 0
        assert seconds >= COLLECTORS / DIALS_PER_SECOND - 1
        assert not they.venue.violations

        they.pulse.longest, cpu = 0.0, sum(process.cpu_times()[:2])
        begun = they.clock.monotonic()
        restarting = asyncio.ensure_future(they.manager.restart_all_collectors())
        await they.until(restarting.done)
        print(
            f"restarted after {they.clock.monotonic() - begun:.0f} s; {sum(process.cpu_times()[:2]) - cpu:.1f} s CPU;"
            f" longest pause {they.pulse.longest * 1000:.0f} ms"
        )
        assert all(restarting.result().values())
        assert they.connects() == [2] * COLLECTORS
        they.server.pause(False)
        await they.until(they.receiving)
        assert set(they.states()) == {"running"}
        assert not they.venue.violations
