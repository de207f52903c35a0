"""The manager with collectors as users write them: subclasses of BaseDataCollector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tickhive.channels import Channel
from tickhive.collector.base import BaseDataCollector
from tickhive.events import MarketEvent, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig


class LocalCollector(BaseDataCollector):
    """A source within the process that can be made to fail in each of its steps."""

    def __init__(self, clock: Any, name: str = "local") -> None:
        config = ExchangeCollectorConfig(exchange="acme", symbol="BTC-USDT", data_types=["trade"], name=name)
        super().__init__(config, clock=clock)
        self.failure: Exception | None = None
        self.connects = 0

    async def _actual_connect(self) -> None:
        self.connects += 1
        if self.failure is not None:
            raise self.failure

    async def _actual_disconnect(self) -> None:
        pass

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None:
        pass

    def _process_message(self, message: Any, at: int) -> list[MarketEvent]:
        return [Trade("acme", "BTC-USDT", at, at, "1", "buy", message, message)]


class LateStop(LocalCollector):
    """Leaves the venue late; who stops it again waits for the stop that is under way, as whoever cancelled it left."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.may_leave = asyncio.Event()
        self.leaving: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        if self.leaving is None:
            self.leaving = asyncio.ensure_future(super().stop())
        await asyncio.shield(self.leaving)

    async def _actual_disconnect(self) -> None:
        await self.may_leave.wait()


async def test_it_runs_counts_and_stops(manager, clock):
    collector = LocalCollector(clock)
    manager.add_collector(collector)
    await manager.start_all()
    collector._received(1)
    collector._received(2)
    await clock.advance(3)
    status = manager._stats._update_stats()
    assert status["status"] == "healthy"
    assert status["totals"]["events"] == 2
    assert status["collectors"]["local"]["details"]["status"] == "running"
    await manager.stop_all()
    assert collector.status == "stopped"


async def test_a_step_that_breaks_it_ends_in_failed_and_a_mended_one_comes_back(manager, clock, policy):
    collector, other = LocalCollector(clock), LocalCollector(clock, "other")
    collector.failure = TypeError("a bug, password=hunter2hunter2")
    manager.add_collector(collector)
    manager.add_collector(other)
    assert await manager.start_all() == {"local": False, "other": True}
    await clock.advance(500)
    assert collector.connects == 1 + policy.max_restarts
    status = manager._stats._update_stats()
    assert status["failed_collectors"] == ["local"]
    assert status["collectors"]["local"]["needs_operator"]
    assert "hunter2" not in str(status)
    assert status["collectors"]["other"]["healthy"]
    collector.failure = None
    assert await manager.restart_collector("local")
    assert manager.get_status()["status"] == "healthy"


async def test_an_outage_longer_than_the_budget_heals_without_an_operator(manager, clock, policy):
    collector = LocalCollector(clock)
    collector.failure = OSError("no route to host")
    manager.add_collector(collector)
    assert await manager.start_all() == {"local": True}
    await clock.advance(1200)
    status = manager._stats._update_stats()
    assert status["failed_collectors"] == ["local"], "shown while it lasts"
    assert collector.connects > 10, "and tried all the while"
    collector.failure = None
    await clock.advance(200)
    status = manager._stats._update_stats()
    assert (status["status"], status["failed_collectors"]) == ("healthy", [])
    assert not status["collectors"]["local"]["needs_operator"]


@pytest.mark.parametrize("wish", ["restart", "enable"])
async def test_one_whose_stop_timed_out_is_failed_and_comes_back_by_an_operators_wish(manager, clock, policy, wish):
    collector = LateStop(clock)
    manager.add_collector(collector)
    await manager.start_all()
    stopping = asyncio.ensure_future(manager.disable_collector("local"))
    await clock.advance(policy.deadline_seconds + 1)
    assert await stopping is False
    shown = manager._stats._update_stats()["collectors"]["local"]
    assert shown["state"] == "failed"
    assert "stop failed: TimeoutError" in shown["error"]
    assert collector.status == "stopping"
    if wish == "restart":
        manager._lifecycle._roster.get("local").enabled = True
        coming_back = asyncio.ensure_future(manager.restart_collector("local"))
    else:
        coming_back = asyncio.ensure_future(manager.enable_collector("local"))
    await clock.advance(1)
    assert not coming_back.done(), "it waits for the stop that is under way"
    collector.may_leave.set()
    await clock.advance(1)
    assert await coming_back
    assert collector.status == "running"
    assert manager._stats._update_stats()["collectors"]["local"]["state"] == "running"
