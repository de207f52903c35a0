"""A thousand lost sockets leave nothing behind: no memory, no task, no file descriptor.

Collector and simulated OKX talk over real sockets by one clock that the test moves, so that no dial limit and no
backoff takes real time. ``TICKHIVE_CONFORMANCE=long`` loses a thousand sockets instead of 60. With ``-s`` each run
prints its figures.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from attrs import define

from tickhive.clock import ManualClock
from tickhive.collector.leg import Leg
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.collector.telemetry import STABLE_SECONDS
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry
from tickhive.session import Session
from tickhive.simulation import VenueServer

LONG = os.environ.get("TICKHIVE_CONFORMANCE") == "long"
ROUNDS, WARM = (1000, 100) if LONG else (60, 30)
GROWTH = 2_000_000
"""Bytes that resident memory may grow by after the first rounds; looked at in the long form only."""

REHEARSAL = 500
"""Rounds of another collector before, in the long form: what the simulated market and the caches of texts and numbers,
which belong to the process, grow to is then there already.
"""

SYMBOLS = ["C00-USDT"]


@define
class Footprint:
    """What the process holds: bytes of resident memory, tasks, file descriptors, and sessions and legs alive."""

    resident: int
    tasks: int
    descriptors: int
    alive: int

    @classmethod
    def take(cls) -> Footprint:
        """Look now, after everything that can be collected is gone."""
        gc.collect()
        process = psutil.Process()
        descriptors = process.num_handles() if hasattr(process, "num_handles") else process.num_fds()
        alive = sum(isinstance(each, Session | Leg) for each in gc.get_objects())
        return cls(process.memory_info().rss, len(asyncio.all_tasks()), descriptors, alive)


class Bench:
    """A collector of trades and books that loses one socket after the other."""

    def __init__(self, collector: PluginCollector, venue: Any, server: VenueServer, clock: ManualClock) -> None:
        self.collector = collector
        self.venue = venue
        self.server = server
        self.clock = clock
        self.sockets = collector.config.redundancy
        self.lost = 0

    def links(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.collector.get_status()["connections"]
        return found

    async def until(self, predicate: Callable[[], object]) -> None:
        """Let time pass until something is so, in steps that leave an answer the time to arrive."""
        ends = self.clock.monotonic() + 600
        while not predicate():
            assert self.clock.monotonic() < ends, f"it did not happen: {self.collector.get_status()}"
            await self.clock.advance(0.1)

    async def settled(self) -> None:
        """Wait until every socket carries everything, data comes on it, and nothing is being refilled."""
        await self.until(self._settled)

    def _settled(self) -> bool:
        feed = self.collector._feed
        assert feed is not None
        sessions = feed.sessions
        return (
            len(sessions) == self.sockets
            and len(list(self.server.connections)) == self.sockets
            and all(session.settled and all(map(session.last_received, session.channels)) for session in sessions)
            and not feed.holes
            and not any(session.refill.holes for session in sessions)
            and all(row["state"] == "receiving" for row in self.collector.get_status()["subscriptions"])
        )

    async def replace(self, end: Callable[[int], object]) -> None:
        """End one socket and have its successor. What the venue announces again and again is followed with ever more
        patience, except on sockets that lived long enough; nobody has to see the market meanwhile.
        """
        connections = list(self.server.connections)
        connects = sum(link["connects"] for link in self.links())
        if end == self.venue.notice:
            self.server.pause()
            await self.clock.advance(STABLE_SECONDS)
        end(connections[self.lost % len(connections)])
        self.lost += 1
        self.server.pause(False)
        await self.until(lambda: sum(link["connects"] for link in self.links()) > connects)
        await self.settled()


ENDS: dict[str, Callable[[Bench], Callable[[int], object]]] = {
    "cut": lambda bench: bench.server.cut,
    "goodbye": lambda bench: bench.venue.notice,
}


async def lose(end: str, redundancy: int, warm: int, rounds: int) -> tuple[Footprint, Footprint]:
    """Lose so many sockets; answers what the process held after the first ``warm`` of them, and after all."""
    stack = default_registry().load("okx")
    venue, clock = stack.call.venue(options=VenueOptions(seed=3, symbols=SYMBOLS)), ManualClock()
    async with VenueServer(venue, clock) as server:
        settings = stack.call.settings()(url=server.url, rest_url=server.rest_url, instrument_types=("SPOT",))
        config = ExchangeCollectorConfig(
            exchange="okx", symbols=SYMBOLS, data_types=["trade", "orderbook"], redundancy=redundancy
        )
        bench = Bench(PluginCollector(stack, config, settings, clock=clock), venue, server, clock)
        starting = asyncio.ensure_future(bench.collector.start())
        try:
            await bench.until(starting.done)
            await bench.settled()
            for _ in range(warm):
                await bench.replace(ENDS[end](bench))
            before = Footprint.take()
            for _ in range(rounds - warm):
                await bench.replace(ENDS[end](bench))
            after = Footprint.take()
            status = bench.collector.get_status()
        finally:
            await bench.collector.stop()
    assert [row["trades_seen"] for row in status["subscriptions"]] == [
        row["trades_expected"] for row in status["subscriptions"]
    ]
    assert bench.lost == rounds
    assert not venue.violations
    return before, after


@pytest.mark.parametrize("redundancy", [1, 2])
@pytest.mark.parametrize("end", ENDS)
async def test_lost_sockets_leave_nothing_behind(end: str, redundancy: int) -> None:
    if LONG:
        faulthandler.cancel_dump_traceback_later()
        await lose(end, redundancy, REHEARSAL, REHEARSAL)
    before, after = await lose(end, redundancy, WARM, ROUNDS)
    print(
        f"\n{end}, {redundancy} socket(s): {ROUNDS} lost; memory {(after.resident - before.resident) / 1e6:+.2f} MB"
        f" of {after.resident / 1e6:.0f}, tasks {before.tasks} and {after.tasks},"
        f" descriptors {before.descriptors} and {after.descriptors}"
    )
    assert (after.tasks, after.descriptors) == (before.tasks, before.descriptors)
    assert after.alive == before.alive
    if LONG:
        assert after.resident - before.resident < GROWTH
