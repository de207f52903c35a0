"""A collector whose turn at the venue's dial limit is long in coming says so, and a restart does not lose its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tickhive.clock import ManualClock
from tickhive.collector.access import shared_access
from tickhive.collector.plugin_collector import CONNECT_PATIENCE_SECONDS, PluginCollector
from tickhive.collector.telemetry import CollectorStatus
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin import ExchangeSettings
from tickhive.plugin.stack import ExchangeStack

LONG_SECONDS = 300.0


@pytest.fixture
async def waiting(venue: Any, stack: ExchangeStack) -> AsyncIterator[PluginCollector]:
    """A collector of a venue that just asked everybody to stay away for five minutes."""
    clock, settings = ManualClock(), ExchangeSettings(url=venue.settings["url"])
    config = ExchangeCollectorConfig(exchange="acme", symbol="BTC-USDT", data_types=["trade"])
    collector = PluginCollector(stack, config, settings, clock=clock)
    access = shared_access(stack, settings, clock, proxy=config.proxy)
    access.budget.penalise("dial", LONG_SECONDS)
    starting = asyncio.ensure_future(collector.start())
    await clock.run_until(starting.done)
    assert clock.monotonic() == CONNECT_PATIENCE_SECONDS
    yield collector
    await collector.stop()


def dials(collector: PluginCollector) -> float:
    return float(collector.get_status()["budget"]["dial"]["acquired"])


async def test_it_runs_is_unhealthy_and_says_that_it_waits(waiting: PluginCollector) -> None:
    assert waiting.status is CollectorStatus.RUNNING
    health = waiting.get_health_status()
    assert health["reasons"] == ["connection main waits for its turn to dial"]
    assert (health["healthy"], health["waits"], health["needs_operator"]) == (False, True, False)
    waiting._polls.refused[waiting.channels()[0]] = "no such path"
    assert not waiting.get_health_status()["waits"], "more is wrong than that"
    waiting._polls.refused.clear()
    assert isinstance(waiting.clock, ManualClock)
    await waiting.clock.run_until(lambda: waiting.get_health_status()["healthy"], io_seconds=0.002)
    assert not waiting.get_health_status()["waits"]


async def test_a_restart_does_not_lose_its_place(waiting: PluginCollector) -> None:
    clock, connections = waiting.clock, waiting._connections
    assert isinstance(clock, ManualClock)
    assert connections is not None
    await waiting.restart()
    assert waiting._connections is connections
    await clock.run_until(lambda: connections.open_count, io_seconds=0.002)
    assert clock.monotonic() == pytest.approx(LONG_SECONDS, abs=1)
    assert dials(waiting) == 1
    assert waiting.get_status()["restarts"] == 1
