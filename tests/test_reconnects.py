"""A thousand lost sockets leave nothing behind: no memory, no task, no file descriptor.

Collector and simulated OKX talk over real sockets, each in a process of its own, so that nothing of pytest is counted,
by clocks that are moved by hand, so that no dial limit and no backoff takes real time. ``TICKHIVE_CONFORMANCE=long``
loses a thousand sockets instead of 60. With ``-s`` each run prints its figures.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import sys
from collections.abc import Callable

import psutil
import pytest
from attrs import asdict, define
from venue_process import VenueProcess

from tickhive.clock import ManualClock
from tickhive.collector.leg import Leg
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.collector.telemetry import STABLE_SECONDS
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.registry import default_registry
from tickhive.session import Session

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"
ROUNDS, WARM = (1000, 100) if LONG else (60, 30)
GROWTH = 2_000_000
"""Bytes that resident memory may grow by after the first rounds; looked at in the long form only."""

BLOCKS = 4000
"""How many more blocks Python's own allocator may hold then; five that every lost socket left would be 4,500."""

LOSING_SECONDS = 400 if LONG else 100
"""How long losing them may take."""

SYMBOLS = ["C00-USDT"]


@define
class Footprint:
    """What the process holds: bytes of resident memory, blocks of Python's own allocator, tasks, file descriptors, and
    sessions and legs alive.
    """

    resident: int
    blocks: int
    tasks: int
    descriptors: int
    alive: int

    @classmethod
    def take(cls) -> Footprint:
        """Look now, after everything that can be collected is gone, and at memory first: the list of all objects is a
        megabyte itself, which the C library may keep for the next one.
        """
        gc.collect()
        process = psutil.Process()
        resident, blocks = process.memory_info().rss, sys.getallocatedblocks()
        descriptors = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
        return cls(resident, blocks, len(asyncio.all_tasks()), descriptors, alive())


def alive() -> int:
    """How many sessions and legs there are."""
    return sum(type(each) in (Session, Leg) for each in gc.get_objects())


class Bench:
    """A collector of trades and books that loses one socket after the other."""

    def __init__(self, collector: PluginCollector, venue: VenueProcess, clock: ManualClock) -> None:
        self.collector = collector
        self.venue = venue
        self.clock = clock
        self.sockets = collector.config.redundancy
        self.connections: list[int] = []
        self.lost = 0

    def connects(self) -> int:
        return sum(link["connects"] for link in self.collector.get_status()["connections"])

    async def until(self, predicate: Callable[[], object]) -> None:
        """Let time pass until something is so, in steps that leave an answer the time to arrive."""
        ends = self.clock.monotonic() + 600
        while not predicate():
            assert self.clock.monotonic() < ends, f"it did not happen: {self.collector.get_status()}"
            await self.step(0.1)

    async def step(self, seconds: float) -> None:
        """Let time pass, first where the venue is."""
        self.connections = await self.venue.advance(seconds)
        await self.clock.advance(seconds)

    async def settled(self) -> None:
        """Wait until every socket carries everything, data comes on it, and nothing is being refilled."""
        await self.until(self._settled)

    def _settled(self) -> bool:
        feed = self.collector._feed
        assert feed is not None
        sessions = feed.sessions
        return (
            len(sessions) == self.sockets
            and len(self.connections) == self.sockets
            and all(session.settled and all(map(session.last_received, session.channels)) for session in sessions)
            and not any(feed.open_holes())
            and all(row["state"] == "receiving" for row in self.collector.get_status()["subscriptions"])
        )

    async def replace(self, end: str) -> None:
        """End one socket and have its successor. What the venue announces again and again is followed with ever more
        patience, except on sockets that lived long enough; nobody has to see the market meanwhile.
        """
        connects = self.connects()
        if end == "notice":
            await self.venue.pause(True)
            await self.step(STABLE_SECONDS)
        await self.venue.end(end, self.connections[self.lost % len(self.connections)])
        self.lost += 1
        await self.venue.pause(False)
        await self.until(lambda: self.connects() > connects)
        await self.settled()


async def lose(end: str, redundancy: int) -> tuple[Footprint, Footprint]:
    """Lose so many sockets; answers what the process held after the first ``WARM`` of them, and after all."""
    stack, clock = default_registry().load("okx"), ManualClock()
    async with VenueProcess("okx", SYMBOLS) as venue:
        settings = stack.call.settings()(url=venue.url, rest_url=venue.rest_url, instrument_types=("SPOT",))
        config = ExchangeCollectorConfig(
            exchange="okx", symbols=SYMBOLS, data_types=["trade", "orderbook"], redundancy=redundancy
        )
        bench = Bench(PluginCollector(stack, config, settings, clock=clock), venue, clock)
        starting = asyncio.ensure_future(bench.collector.start())
        try:
            await bench.until(starting.done)
            await bench.settled()
            Footprint.take()  # what looking takes the first time is no growth
            for _ in range(WARM):
                await bench.replace(end)
            before = Footprint.take()
            for _ in range(ROUNDS - WARM - 1):
                await bench.replace(end)
            gc.disable()  # what is lost is gone without it: in a large process it comes seldom
            await bench.replace(end)
            await bench.until(lambda: alive() == before.alive)
            gc.enable()
            after = Footprint.take()
            status = bench.collector.get_status()
        finally:
            await bench.collector.stop()
        assert not await venue.violations()
    assert [row["trades_seen"] for row in status["subscriptions"]] == [
        row["trades_expected"] for row in status["subscriptions"]
    ]
    assert bench.lost == ROUNDS
    return before, after


@pytest.mark.parametrize("redundancy", [1, 2])
@pytest.mark.parametrize("end", ["cut", "notice"])
async def test_lost_sockets_leave_nothing_behind(end: str, redundancy: int) -> None:
    if LONG:
        faulthandler.cancel_dump_traceback_later()
    command = [sys.executable, __file__, end, str(redundancy)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        told, _ = await asyncio.wait_for(process.communicate(), LOSING_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, "the collector's process failed; its error is above"
    before, after = (Footprint(**each) for each in json.loads(told))
    grown, blocks = (after.resident - before.resident) / 1e6, after.blocks - before.blocks
    print(
        f"\n{end}, {redundancy} socket(s): {ROUNDS} lost; memory {grown:+.2f} MB of {after.resident / 1e6:.0f}"
        f" ({blocks:+,} blocks of {after.blocks:,}), tasks {before.tasks} and {after.tasks},"
        f" descriptors {before.descriptors} and {after.descriptors}"
    )
    assert (after.tasks, after.descriptors) == (before.tasks, before.descriptors)
    assert after.alive == before.alive
    if LONG:
        assert after.resident - before.resident < GROWTH
        assert blocks < BLOCKS


if __name__ == "__main__":
    print(json.dumps([asdict(each) for each in asyncio.run(lose(sys.argv[1], int(sys.argv[2])))]))
