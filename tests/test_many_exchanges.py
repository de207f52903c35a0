"""One process collects from every installed exchange at once, each from its own simulated venue over real sockets.

What arrived is compared with what each venue says it sent, per symbol and data type. A further exchange that raises on
every frame, and one that blocks the loop, run beside them and change nothing for the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import Factory, define

from tickhive import BaseDataCollector, CollectorManager, DataType, ExchangeCollectorConfig, ExchangeFactory
from tickhive.cli.tally import Tally
from tickhive.errors import PluginError
from tickhive.plugin import (
    Channel,
    Dial,
    ExchangeSettings,
    Reply,
    Request,
    Send,
    SimulatedVenue,
    VenueLog,
    VenueOptions,
    hookimpl,
)
from tickhive.plugin.registry import default_registry

NEEDED = ("okx", "binance", "coinbase")
ENOUGH = 50


@define
class Market:
    """One exchange: its venue behind a server, and what its collector handed out."""

    venue: SimulatedVenue
    server: Any
    collector: BaseDataCollector
    tally: Tally = Factory(Tally)

    def differences(self) -> list[str]:
        """Streams whose numbers differ between the venue's account and ours.

        A book that is fetched comes by another line than its changes: one that was on its way meanwhile is handed out
        or known already, whichever comes first, and the venue cannot know which.
        """
        sent, received = self.venue.log.sent, self.tally.by_stream()
        crossing = 1 if default_registry().load(self.collector.exchange).offers("snapshot") else 0
        return [
            f"{symbol} {data_type}: sent {sent.get((symbol, data_type), 0)}, received {count}"
            for symbol, data_type in {*sent, *received}
            if (count := received.get((symbol, data_type), 0)) - sent.get((symbol, data_type), 0)
            not in (range(crossing + 1) if data_type is DataType.ORDERBOOK else (0,))
        ]


class Nuisance:
    """An exchange whose ``parse`` raises, or holds the loop, whatever comes; every frame is answered with another."""

    def __init__(self, naps: float = 0.0) -> None:
        self.naps = naps
        self.frames = 0

    @hookimpl
    def connect(self, channels: Sequence[Channel], settings: ExchangeSettings) -> Sequence[Dial]:
        return [Dial("main", [f"{settings.url}/nuisance"], channels)]

    @hookimpl
    def subscribe(self, session: Any, channels: Sequence[Channel]) -> Any:
        return [Request("go on", channels, session.next_id())]

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        self.frames += 1
        if not self.naps:
            raise RuntimeError("out of order")
        time.sleep(self.naps)
        return [Reply("go on")]


class Chatter(SimulatedVenue):
    """Says something every few milliseconds to whoever is there."""

    symbols = ("A-B",)
    subscriptions = ("trade",)

    def __init__(self) -> None:
        self.log = VenueLog()
        self.connections: list[int] = []
        self.waiting: list[Any] = []

    def opened(self, connection: int, path: str, at: int) -> None:
        self.connections.append(connection)

    def received(self, connection: int, frame: str | bytes, at: int) -> None: ...

    def closed(self, connection: int, at: int) -> None:
        self.connections.remove(connection)

    def request(self, *arguments: Any) -> Any:
        raise AssertionError("it has no REST")

    def advance(self, at: int) -> int | None:
        self.waiting += [Send(connection, "chatter") for connection in self.connections]
        return at + 10_000_000

    def outgoing(self) -> Any:
        taken, self.waiting = self.waiting, []
        return taken


@pytest.fixture
def manager() -> Iterator[CollectorManager]:
    yield CollectorManager()
    CollectorManager._forget_instance()


@pytest.fixture
def nuisances() -> Iterator[dict[str, Nuisance]]:
    plugins = {"nuisance-raising": Nuisance(), "nuisance-blocking": Nuisance(naps=0.05)}
    for name, plugin in plugins.items():
        ExchangeFactory.register(name, plugin)
    yield plugins
    for name in plugins:
        ExchangeFactory.unregister(name)


def exchanges() -> list[str]:
    """Every installed exchange that can be used and brings a simulated venue."""
    registry = default_registry()
    found = []
    for name in registry.available():
        try:
            if registry.load(name).offers("venue"):
                found.append(name)
        except PluginError:
            continue
    return found


def make(exchange: str, beside_us: Any) -> Market:
    """A collector of everything an exchange's simulated venue has to show in public."""
    venue = default_registry().load(exchange).call.venue(options=VenueOptions(seed=3, start=time.time_ns()))
    server = beside_us.serve(venue)
    config = ExchangeCollectorConfig(
        exchange=exchange,
        symbols=venue.symbols[:3],
        data_types=venue.subscriptions,
        settings={"url": server.url, "rest_url": server.rest_url},
    )
    market = Market(venue, server, ExchangeFactory.create_collector(config))
    market.collector.add_tap(market.tally.take)
    return market


async def until(predicate: Any, what: Any, seconds: float = 15.0) -> None:
    """Wait until something is so, within a bound."""
    ends = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < ends, what()
        await asyncio.sleep(0.02)


async def test_all_exchanges_at_once_beside_two_that_do_harm(
    beside_us: Any, manager: CollectorManager, nuisances: dict[str, Nuisance]
) -> None:
    names = exchanges()
    missing = [name for name in NEEDED if name not in names]
    if missing:
        pytest.skip(f"not installed, or without a simulated venue: {', '.join(missing)}")
    markets = {name: make(name, beside_us) for name in names}
    harmful = {}
    for name in nuisances:
        settings = {"url": beside_us.serve(Chatter()).url}
        config = ExchangeCollectorConfig(
            exchange=name, symbol="A-B", data_types=["trade"], settings=settings, blocked_seconds=0.02
        )
        harmful[name] = ExchangeFactory.create_collector(config)
    for collector in [*(market.collector for market in markets.values()), *harmful.values()]:
        manager.add_collector(collector)
    try:
        await manager.start_all()
        await until(
            lambda: all(sum(market.tally.by_type().values()) >= ENOUGH for market in markets.values()),
            lambda: {name: dict(market.tally.by_type()) for name, market in markets.items()},
        )
        raising, blocking = harmful.values()
        await until(lambda: blocking.status == "error", blocking.get_health_status)
        assert "it blocked the event loop 3 times" in blocking.get_status()["reason"]
        await until(lambda: not raising.get_health_status()["healthy"], raising.get_health_status)
        assert "RuntimeError: out of order" in raising.get_health_status()["reasons"][0]
        for market in markets.values():
            beside_us._loop.call_soon_threadsafe(market.server.pause)
        await until(
            lambda: not any(market.differences() for market in markets.values()),
            lambda: {name: market.differences() for name, market in markets.items()},
        )
        status = manager.get_status()["collectors"]
        for market in markets.values():
            assert status[market.collector.name]["state"] == "running"
            statistics = market.collector.get_status()["statistics"]
            assert statistics["malformed"] == statistics["hook_errors"] == 0
    finally:
        await manager.stop_all()
