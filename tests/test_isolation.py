"""One broken exchange package harms nobody else: it raises, exits or blocks in every hook while its neighbour works.

Both talk to simulated venues over real sockets. What the neighbour received is compared with what its venue sent.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import define

from tickhive import BaseDataCollector, CollectorManager, ExchangeCollectorConfig, ExchangeFactory
from tickhive.collector import watchdog
from tickhive.collector.watchdog import WATCHDOG
from tickhive.errors import CollectorError, ConfigurationError, PluginError, UnknownExchangeError
from tickhive.plugin import VenueOptions
from tickhive.plugin.registry import default_registry

TROUBLE = '''
"""Acme by another name, which does harm where a test tells it to."""
from time import sleep

from tickhive_acme import plugin as acme

from tickhive.plugin import Limit, hookimpl

TICKHIVE_API = 1
raising = {}
blocking = {}
endless = set()
fetches = []
asked = []


def act(hook):
    asked.append(hook)
    if hook in raising:
        raise raising[hook]
    if hook in blocking:
        sleep(blocking[hook])  # this line holds the loop
    while hook in endless:
        pass  # for ever


@hookimpl
def settings():
    act("settings")
    return acme.ExchangeSettings


@hookimpl
def limits():
    act("limits")
    return [Limit("dial", 100, 1.0)]


@hookimpl
def instruments():
    act("instruments")
    return fetches


@hookimpl
def connect(channels, settings):
    act("connect")
    return acme.connect(channels, settings)


@hookimpl
def poll():
    act("poll")


@hookimpl
def memory():
    act("memory")


@hookimpl
def subscribe(session, channels):
    act("subscribe")
    return acme.subscribe(session, channels)


@hookimpl
def read():
    act("read")
    return []


@hookimpl
def parse(frame, at):
    act("parse")
    return acme.parse(frame, at)
'''

TYPES = ["trade", "orderbook"]


@define
class House:
    """Two packages, acme and trouble, each with a venue of its own that runs beside us."""

    trouble: ModuleType
    servers: dict[str, Any]
    beside: Any

    def config(self, exchange: str, **options: Any) -> ExchangeCollectorConfig:
        settings = {"url": self.servers[exchange].url}
        return ExchangeCollectorConfig(
            exchange=exchange, symbol="BTC-USDT", data_types=TYPES, settings=settings, **options
        )

    async def equal(self, collector: BaseDataCollector, exchange: str) -> int:
        """Wait until the collector has what its venue sent, which says no more; answers how much that was."""
        server = self.servers[exchange]
        server._do_on_loop(server.pause)
        async with asyncio.timeout(10):
            while (received := market_events(collector)) != (sent := sum(server.venue.log.sent.values())):
                assert received < sent
                await asyncio.sleep(0.01)
        return received


def market_events(collector: BaseDataCollector) -> int:
    counts = collector.event_counts()
    return sum(counts.get(kind, 0) for kind in ("Trade", "BookSnapshot", "BookDelta"))


@pytest.fixture
def house(acme: Path, beside_us: Any) -> House:
    (acme / "tickhive_trouble.py").write_text(TROUBLE, encoding="utf-8")
    info = acme / "tickhive_trouble-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tickhive-trouble\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[tickhive.exchanges]\ntrouble = tickhive_trouble\n", encoding="utf-8")
    sys.modules.pop("tickhive_trouble", None)
    default_registry().refresh()
    import tickhive_trouble  # type: ignore[import-not-found]
    from tickhive_acme.venue import AcmeVenue

    servers = {name: beside_us.serve(AcmeVenue(VenueOptions(speed=10))) for name in ("acme", "trouble")}
    for server in servers.values():
        server._do_on_loop = lambda function: beside_us._loop.call_soon_threadsafe(function)
    return House(tickhive_trouble, servers, beside_us)


@asynccontextmanager
async def running(*collectors: BaseDataCollector) -> AsyncIterator[None]:
    """Start collectors, whether they can or not, and stop them."""
    try:
        for collector in collectors:
            try:
                await collector.start()
            except CollectorError:
                assert collector.status == "error"
        yield
    finally:
        for collector in collectors:
            await collector.stop()


async def until(predicate: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def lines(caplog: pytest.LogCaptureFixture, exchange: str) -> list[str]:
    return [each.getMessage() for each in caplog.records if f"exchange={exchange}" in each.getMessage()]


# Gone


async def test_removing_a_package_removes_its_exchange_and_nothing_else(house: House, acme: Path) -> None:
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good):
        before = set(ExchangeFactory.get_supported_exchanges())
        shutil.rmtree(acme / "tickhive_trouble-1.0.dist-info")
        (acme / "tickhive_trouble.py").unlink()
        default_registry().refresh()
        assert before - set(ExchangeFactory.get_supported_exchanges()) == {"trouble"}
        with pytest.raises(UnknownExchangeError, match="pip install tickhive-trouble"):
            ExchangeFactory.create_collector(house.config("trouble"))
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        assert await house.equal(good, "acme") > 10


# Raising


@pytest.mark.parametrize("error", [KeyError("acme"), SystemExit("acme")], ids=["raises", "exits"])
@pytest.mark.parametrize("hook", ["limits", "instruments", "connect", "poll"])
async def test_a_hook_that_fails_before_anything_flows_ends_its_collector_alone(
    house: House, hook: str, error: BaseException
) -> None:
    bad, good = (ExchangeFactory.create_collector(house.config(name)) for name in ("trouble", "acme"))
    house.trouble.raising[hook] = error
    async with running(bad, good):
        status = bad.get_status()
        assert status["status"] == "error"
        assert f"its {hook} hook failed: {type(error).__name__}" in status["reason"]
        assert status["reason"].startswith("PluginError: Exchange plugin 'trouble' (tickhive-trouble 1.0): its")
        assert status["health"]["needs_operator"] is True
        await until(lambda: market_events(good) > 10)
        assert good.get_health_status()["healthy"]
        assert await house.equal(good, "acme") > 10


@pytest.mark.parametrize("error", [KeyError("acme"), SystemExit("acme")], ids=["raises", "exits"])
@pytest.mark.parametrize("hook", ["subscribe", "parse"])
async def test_a_hook_that_fails_on_the_socket_is_named_and_the_log_stays_short(
    house: House, hook: str, error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tickhive.collector.base.BEAT_SECONDS", 0.05)
    caplog.set_level(logging.INFO)
    bad, good = (ExchangeFactory.create_collector(house.config(name)) for name in ("trouble", "acme"))
    if hook == "parse":
        await bad.start()  # what is confirmed goes on coming
        await until(lambda: market_events(bad) > 10)
    house.trouble.raising[hook] = error
    async with running(bad, good):
        await until(lambda: not bad.get_health_status()["healthy"])
        [reason] = bad.get_health_status()["reasons"]
        assert "tickhive-trouble 1.0" in reason
        assert f"{hook} failed: {type(error).__name__}" in reason
        await until(lambda: market_events(good) > 50)
        assert good.get_health_status()["healthy"]
        assert await house.equal(good, "acme") > 50
        said = lines(caplog, "trouble")
        assert any("plugin=tickhive-trouble 1.0" in line for line in said)
        assert len(said) < 15


def test_a_package_that_fails_at_creation_is_refused_by_name(house: House) -> None:
    for hook in ("settings", "connect", "poll"):
        default_registry().refresh()
        house.trouble.raising.clear()
        house.trouble.raising[hook] = RuntimeError("out of order")
        configs = [house.config("acme"), house.config("trouble")]
        with pytest.raises(PluginError, match=f"tickhive-trouble 1.0.*its {hook} hook failed.*out of order"):
            ExchangeFactory.create_collector(configs[1])
        with pytest.raises(ConfigurationError, match=r"tickhive-trouble 1\.0"):
            ExchangeFactory.create_multiple_collectors(configs)
        [collector] = ExchangeFactory.create_multiple_collectors(configs, skip_invalid=True)
        assert collector.exchange == "acme"


# Blocking


@pytest.mark.parametrize("hook", ["parse", "subscribe", "connect"])
async def test_a_plugin_that_blocks_the_loop_is_stopped_and_the_others_miss_nothing(house: House, hook: str) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", blocked_seconds=0.02, blocked_times=3))
    good = ExchangeFactory.create_collector(house.config("acme"))
    async with running(good, bad):
        await until(lambda: market_events(bad) > 10)
        house.trouble.blocking[hook] = 0.05
        for change in (bad.add, bad.remove, bad.add, bad.remove, bad.add):
            if bad.status == "running" and hook != "parse":
                await change(symbols=["ETH-USDT"])
        await until(lambda: bad.status == "error")
        status = bad.get_status()
        assert "it blocked the event loop 3 times, for 0." in status["reason"]
        assert f"s in {hook}" in status["reason"]
        assert "(tickhive-trouble 1.0)" in status["reason"]
        assert status["plugin"]["blocks"] == 3
        assert status["plugin"]["blocked_in"].keys() == {hook}
        assert status["health"]["needs_operator"] is True
        seen = market_events(good)
        await until(lambda: market_events(good) > seen + 10)
        assert good.get_health_status()["healthy"]
        assert await house.equal(good, "acme") > seen


async def test_a_hook_that_blocks_the_very_start_ends_it(house: House) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", blocked_seconds=0.02, blocked_times=1))
    house.trouble.blocking["limits"] = 0.05
    with pytest.raises(CollectorError, match=r"it blocked the event loop once, for 0\.\d s in limits"):
        await bad.start()
    assert bad.status == "error"
    house.trouble.blocking.clear()
    async with running(bad):
        await until(lambda: market_events(bad) > 5)
        assert bad.get_status()["status"] == "running", "mended and started again"


async def test_a_block_that_comes_seldom_is_counted_and_forgiven(house: House) -> None:
    bad = ExchangeFactory.create_collector(house.config("trouble", blocked_seconds=0.02, blocked_times=3))
    house.trouble.blocking["memory"] = 0.05
    async with running(bad):
        await until(lambda: market_events(bad) > 5)
        status = bad.get_status()
        assert status["status"] == "running"
        assert status["plugin"]["blocks"] == 1
        assert "its memory hook held the event loop for 0." in status["recent_errors"][0]["error"]
        assert status["plugin"]["hook_seconds"] > 0.05
        assert await house.equal(bad, "trouble") > 5


async def test_the_manager_leaves_a_blocking_plugin_to_the_operator(house: House) -> None:
    manager = CollectorManager()
    try:
        bad = ExchangeFactory.create_collector(house.config("trouble", blocked_seconds=0.02, blocked_times=1))
        good = ExchangeFactory.create_collector(house.config("acme"))
        for each in (bad, good):
            manager.add_collector(each)
        await manager.start_all()
        house.trouble.blocking["parse"] = 0.05
        await until(lambda: bad.status == "error")
        entry = manager.get_status()["collectors"][bad.name]
        await until(lambda: manager.get_status()["collectors"][bad.name]["needs_operator"])
        assert manager.get_status()["collectors"][good.name]["healthy"], entry
    finally:
        await manager.stop_all()
        CollectorManager._forget_instance()


async def test_while_a_hook_blocks_the_watchdog_says_which_and_where(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watchdog, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(WATCHDOG, "stalled_seconds", 0.1)
    bad = ExchangeFactory.create_collector(house.config("trouble"))
    said_while_blocked = threading.Event()

    def sleep_until_named(_seconds: float) -> None:
        """Hold the loop until the watchdog has spoken: no other thing can say it."""
        for _ in range(200):
            if any("does not turn" in each.getMessage() for each in caplog.records):
                said_while_blocked.set()
                return
            time.sleep(0.05)

    async with running(bad):
        await until(lambda: market_events(bad) > 5)
        monkeypatch.setattr(house.trouble, "sleep", sleep_until_named)
        house.trouble.blocking["parse"] = 1.0
        await until(said_while_blocked.is_set)
        house.trouble.blocking.clear()
        [line] = [each.getMessage() for each in caplog.records if "does not turn" in each.getMessage()][:1]
        assert "held_by=the parse hook of the exchange plugin 'trouble' (tickhive-trouble 1.0)" in line
        assert "tickhive_trouble.py" in line
        assert " in act" in line
        await until(lambda: any("turns again" in each.getMessage() for each in caplog.records))


async def test_the_watchdog_lives_from_the_first_collector_to_the_last(house: House) -> None:
    def threads() -> int:
        return sum(each.name == "tickhive watchdog" for each in threading.enumerate())

    first, second = (ExchangeFactory.create_collector(house.config(name)) for name in ("acme", "trouble"))
    assert threads() == 0
    await first.start()
    await second.start()
    assert threads() == 1
    await first.stop()
    assert threads() == 1
    await second.stop()
    await until(lambda: threads() == 0)
