"""Many collectors of one venue start, restart and stop together: within its dial limit, and without holding up the
process.

They talk to the simulated OKX over real sockets, by one clock that the test moves. ``TICKHIVE_CONFORMANCE=long`` takes
500 collectors instead of 75. With ``-s`` the figures are printed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
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
from tickhive.manager.answers import PER_TURN
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

PATIENCE_SECONDS = 5.0
"""A collector unhealthy for so long is restarted by the manager, unless it waits: the last ones wait much longer."""

STATISTICS_SECONDS = 5.0 if LONG else 1.0
"""How often the manager asks every collector how it is: in the long form the dearest thing that happens."""

SPEED = 0.02
"""The market goes slower than the clock: it is to reach everybody, and costs more than the collectors do."""


class Collector(PluginCollector):
    """Counts how often any of its kind is asked for its status."""

    asked = 0

    def get_status(self) -> dict[str, Any]:
        Collector.asked += 1
        return super().get_status()


@define
class Pulse:
    """The longest time (s) the event loop did not come round, with and without what Python's garbage collector took of
    it, how often that went through the whole process, and the most statuses that were asked for meanwhile.
    """

    longest: float = 0.0
    longest_of_ours: float = 0.0
    collecting: float = 0.0
    collections: int = 0
    asked: int = 0

    async def beat(self) -> None:
        """Look again and again."""
        while True:
            before, collecting, asked = time.perf_counter(), self.collecting, Collector.asked
            await asyncio.sleep(0)
            took = time.perf_counter() - before
            self.longest = max(self.longest, took)
            self.longest_of_ours = max(self.longest_of_ours, took - (self.collecting - collecting))
            self.asked = max(self.asked, Collector.asked - asked)

    def collected(self, phase: str, info: dict[str, int]) -> None:
        """The garbage collector begins or ends."""
        self.collecting += time.perf_counter() * (1 if phase == "stop" else -1)
        self.collections += phase == "stop" and info["generation"] == 2


@define
class Footprint:
    """What the process holds: tasks and file descriptors."""

    tasks: int
    descriptors: int

    @classmethod
    def take(cls) -> Footprint:
        """Look now."""
        process = psutil.Process()
        descriptors = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
        return cls(len(asyncio.all_tasks()), descriptors)


@define
class Crowd:
    """A manager with its collectors, and the venue they all collect from."""

    manager: CollectorManager
    collectors: list[Collector]
    access: VenueAccess
    venue: Any
    server: VenueServer
    clock: ManualClock
    pulse: Pulse
    begun: float = 0.0
    cpu: float = 0.0

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

    async def receive(self) -> None:
        """Let the market go on until every symbol's data flows on the socket that is open now, and the manager has
        heard of it.
        """
        missing = list(self.collectors)

        def all_receive() -> bool:
            while missing and _receives(missing[-1]):
                missing.pop()
            return not missing

        self.server.pause(False)
        await self.until(all_receive)
        self.server.pause()
        heard = self.clock.monotonic() + 2 * STATISTICS_SECONDS
        await self.until(lambda: self.clock.monotonic() >= heard)

    def begin(self) -> None:
        """Begin to measure something."""
        self.pulse.longest = self.pulse.longest_of_ours = 0.0
        self.pulse.collections = 0
        self.cpu, self.begun = sum(psutil.Process().cpu_times()[:2]), self.clock.monotonic()

    def seconds(self, what: str) -> float:
        """Print what was measured; answers the seconds it took by the clock."""
        seconds = self.clock.monotonic() - self.begun
        cpu = sum(psutil.Process().cpu_times()[:2]) - self.cpu
        pause = (
            f"longest pause {self.pulse.longest * 1000:.0f} ms, {self.pulse.longest_of_ours * 1000:.0f} ms without the"
            f" garbage collector, which went {self.pulse.collections} times through all"
        )
        print(f"{what} after {seconds:.0f} s; {cpu:.1f} s CPU, the venue's among them; {pause}")
        return seconds

    def dials(self) -> int:
        """How many dials were let through."""
        return int(self.access.budget._scopes["dial"].acquired)

    def states(self) -> dict[str, int]:
        """How many collectors are in which state, by the manager's account."""
        found: dict[str, int] = {}
        for entry in self.manager.get_status()["collectors"].values():
            state = f"{entry['state']}, {'healthy' if entry['healthy'] else 'unhealthy'}"
            found[state] = found.get(state, 0) + 1
        return found

    def connects(self) -> list[int]:
        """How often each collector's links connected."""
        managers = [each._connections for each in self.collectors]
        return [sum(link.journal.connects for link in each.links) if each is not None else 0 for each in managers]

    def restarts(self) -> int:
        """How often collectors were restarted."""
        return sum(each._telemetry.restarts for each in self.collectors)


def _receives(collector: Collector) -> bool:
    sessions = collector._feed.sessions if collector._feed is not None else []
    return len(sessions) == 1 and all(
        session.settled and all(map(session.last_received, session.channels)) for session in sessions
    )


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    stack = default_registry().load("okx")
    venue = stack.call.venue(options=VenueOptions(seed=2, symbols=SYMBOLS, speed=SPEED))
    clock, pulse = ManualClock(turns=3), Pulse()
    async with VenueServer(venue, clock) as server:
        settings = stack.call.settings()(url=server.url, rest_url=server.rest_url, instrument_types=("SPOT",))
        # The stagger is no more of a brake than the venue's limit.
        policy = RestartPolicy(check_seconds=2.0, patience_seconds=PATIENCE_SECONDS, stagger_seconds=0.05)
        manager = CollectorManager(clock=clock, policy=policy, statistics_seconds=STATISTICS_SECONDS)
        collectors = []
        for symbol in SYMBOLS:
            config = ExchangeCollectorConfig(exchange="okx", symbol=symbol, data_types=["trade"])
            collectors.append(Collector(stack, config, settings, clock=clock))
            manager.add_collector(collectors[-1])
        access = shared_access(stack, settings, clock, proxy=collectors[0].config.proxy)
        await access.learn_instruments()  # before the clock goes: how long REST takes here is not what is looked at
        await access.leave(None)
        server.pause()
        beating = asyncio.ensure_future(pulse.beat())
        gc.callbacks.append(pulse.collected)
        try:
            yield Crowd(manager, collectors, access, venue, server, clock, pulse)
        finally:
            await manager.stop_all()
            gc.callbacks.remove(pulse.collected)
            beating.cancel()
            CollectorManager._forget_instance()


async def test_many_collectors_start_restart_and_stop_within_the_venues_limit() -> None:
    if LONG:
        faulthandler.cancel_dump_traceback_later()
    async with crowd() as they:
        before, memory = Footprint.take(), psutil.Process().memory_info().rss
        at_least = COLLECTORS / DIALS_PER_SECOND - 1

        they.begin()
        starting = asyncio.ensure_future(they.manager.start_all())
        await they.until(starting.done)
        assert all(starting.result().values())
        waiting = [each for each in they.collectors if each.get_health_status()["waits"]]
        assert len(waiting) > COLLECTORS / 4, "a start does not wait for a turn that is long in coming"
        await they.until(lambda: they.server.statistics.connections == COLLECTORS)
        grown = psutil.Process().memory_info().rss - memory
        seconds = they.seconds(f"\n{COLLECTORS} collectors, {grown / 1e6:.0f} MB: all connected")
        assert seconds >= at_least > 15 + PATIENCE_SECONDS
        await they.receive()
        assert they.states() == {"running, healthy": COLLECTORS}
        assert they.connects() == [1] * COLLECTORS
        assert they.restarts() == 0, "nobody is restarted for waiting"
        assert not they.venue.violations

        they.begin()
        restarting = asyncio.ensure_future(they.manager.restart_all_collectors())
        await they.until(restarting.done)
        assert they.seconds("restarted one after the other") >= at_least
        assert all(restarting.result().values())
        await they.receive()
        assert they.connects() == [2] * COLLECTORS
        assert they.states() == {"running, healthy": COLLECTORS}
        assert not they.venue.violations

        they.begin()
        together = asyncio.gather(*(they.manager.restart_collector(each.name) for each in they.collectors))
        await they.until(lambda: together.done() and they.server.statistics.connections == 3 * COLLECTORS)
        assert they.seconds("restarted together") >= at_least
        assert all(together.result())
        await they.receive()
        assert they.connects() == [3] * COLLECTORS
        assert they.states() == {"running, healthy": COLLECTORS}
        assert they.restarts() == 2 * COLLECTORS
        assert not they.venue.violations
        assert 0 < they.pulse.asked <= PER_TURN, "of all statuses a few are built at a time"

        they.begin()
        async with asyncio.timeout(60):
            assert all((await they.manager.stop_all()).values())
            while they.server.statistics.open:  # noqa: ASYNC110
                await asyncio.sleep(0)
        they.seconds("stopped")
        assert they.states() == {"stopped, unhealthy": COLLECTORS}
        assert Footprint.take() == before
        assert they.dials() == 3 * COLLECTORS
