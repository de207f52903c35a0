"""Sockets are replaced without a hole: on a notice, before they grow too old, and when an operator restarts."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from tickhive.clock import ManualClock
from tickhive.collector.link import SETTLE_SECONDS, WISH_SECONDS
from tickhive.collector.symptoms import Symptoms
from tickhive.collector.telemetry import CollectorStatus
from tickhive.events import BookDelta, BookSnapshot, Gap, MarketEvent, Trade

SETTLE = 10.0


async def until(predicate: Callable[[], Any]) -> None:
    """Wait for something another task brings about; a wrong program ends in TimeoutError, never in luck."""
    async with asyncio.timeout(SETTLE):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Market:
    """Trades with rising ids, said on every open socket as fast as the sockets take them, until it is left."""

    def __init__(self, venue: Any, *symbols: str) -> None:
        self.venue = venue
        self.symbols = symbols or ("btcusdt",)
        self.last = 0
        self._task: asyncio.Task[None] | None = None

    async def _trade(self) -> None:
        for number in itertools.count(1):
            for symbol in self.symbols:
                await self.venue.broadcast(e="trade", s=symbol, n=number, p="1", q="1")
            self.last = number
            await asyncio.sleep(0.001)

    async def __aenter__(self) -> Market:
        self._task = asyncio.create_task(self._trade())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def ids(seen: list[MarketEvent], symbol: str = "BTC-USDT") -> list[int]:
    return [int(event.id) for event in seen if isinstance(event, Trade) and event.symbol == symbol and event.id]


def assert_whole(seen: list[MarketEvent], *symbols: str) -> None:
    """Every trade once, none late, no gap."""
    for symbol in symbols or ("BTC-USDT",):
        got = ids(seen, symbol)
        assert got == list(range(got[0], got[-1] + 1)) if got else False
    assert not [event for event in seen if isinstance(event, Gap)]
    assert not [event for event in seen if isinstance(event, Trade) and event.late]


@pytest.fixture
async def running(make_collector: Any, venue: Any) -> Any:
    async def run(*data_types: str, **options: Any) -> tuple[Any, list[MarketEvent]]:
        collector = make_collector(*data_types, **options)
        seen: list[MarketEvent] = []
        collector.add_data_callback(None, lambda event: seen.append(event) if isinstance(event, MARKET) else None)
        await collector.start()
        sockets = options.get("redundancy", 1)
        await venue.until_requests(len(options.get("symbols", ["BTC-USDT"])) * len(data_types or ["trade"]) * sockets)
        return collector, seen

    return run


MARKET = (Trade, Gap, BookSnapshot, BookDelta)


def link(collector: Any, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = collector.get_status()["connections"][index]
    return found


async def test_a_goodbye_leaves_neither_a_gap_nor_a_double(running: Any, venue: Any) -> None:
    collector, seen = await running("trade", symbols=["BTC-USDT", "ETH-USDT"])
    async with Market(venue, "btcusdt", "ethusdt") as market:
        await until(lambda: market.last > 20)
        await venue.send(e="bye", why="maintenance")
        await until(lambda: link(collector)["rollovers"] == 1 and len(venue.open) == 1)
        before = market.last
        await until(lambda: ids(seen)[-1] > before + 20)
    assert_whole(seen, "BTC-USDT", "ETH-USDT")
    status = link(collector)
    assert (status["state"], status["connects"], status["failures"], status["rolling"]) == ("open", 2, 0, None)
    assert len(venue.connections) == 2
    assert collector.get_health_status()["healthy"]


async def test_a_restart_of_a_running_collector_is_seamless(running: Any, venue: Any) -> None:
    collector, seen = await running()
    async with Market(venue) as market:
        await until(lambda: len(seen) > 20)
        statuses: list[CollectorStatus] = []
        collector.add_data_callback(None, lambda _: statuses.append(collector.status))
        await collector.restart()
        assert len(venue.connections) == 2
        assert len(venue.open) == 1
        before = market.last
        await until(lambda: ids(seen)[-1] > before)
    assert_whole(seen)
    assert set(statuses) == {CollectorStatus.RUNNING}
    assert collector.get_status()["restarts"] == 1
    assert link(collector)["rollovers"] == 1


async def test_a_book_stays_live_over_a_restart(running: Any, venue: Any) -> None:
    collector, seen = await running("orderbook")
    levels = {"b": [["9", "1"]], "a": [["10", "1"]]}
    await venue.broadcast(e="book", s="btcusdt", n=1, **levels)
    book = collector.book("BTC-USDT")
    await until(lambda: book.live)
    restart = asyncio.create_task(collector.restart())
    await venue.until_requests(2)
    assert link(collector)["rolling"] == "restart"
    assert len(venue.open) == 2, "the other socket is kept until the book has begun on this one"
    await venue.broadcast(e="book", s="btcusdt", n=2, prev=1, b=[["9.5", "1"]], a=[])
    await until(lambda: str((book.best_bid() or [0])[0]) == "9.5")
    await venue.connections[1].send(_json(e="book", s="btcusdt", n=2, b=[["9.5", "1"], ["9", "1"]], a=[["10", "1"]]))
    await restart
    assert book.live
    await venue.broadcast(e="book", s="btcusdt", n=3, prev=2, b=[["9.7", "1"]], a=[])
    await until(lambda: str((book.best_bid() or [0])[0]) == "9.7")
    assert not [event for event in seen if isinstance(event, Gap)]
    assert len(venue.open) == 1


async def test_before_its_lifetime_ends_a_socket_is_replaced(
    running: Any, venue: Any, make_collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = make_collector().stack.call
    connect = plugin.connect
    monkeypatch.setattr(plugin, "connect", lambda **asked: [evolve(dial, lifetime=0.5) for dial in connect(**asked)])
    collector, seen = await running()
    async with Market(venue) as market:
        await until(lambda: link(collector)["rollovers"] >= 1)
        before = market.last
        await until(lambda: ids(seen)[-1] > before)
    assert_whole(seen)
    assert not collector.get_status()["recent_errors"]


async def test_a_successor_that_cannot_be_dialled_is_tried_again_while_the_other_lives(
    running: Any, venue: Any
) -> None:
    collector, seen = await running()
    async with Market(venue) as market:
        venue.closing = True
        await venue.send(e="bye", why="maintenance")
        await until(lambda: link(collector)["failures"] >= 2)
        assert link(collector)["state"] == "open"
        assert collector.get_health_status()["healthy"]
        venue.closing = False
        await until(lambda: link(collector)["rollovers"] == 1)
        before = market.last
        await until(lambda: ids(seen)[-1] > before)
    assert_whole(seen)


async def test_when_the_other_dies_first_the_next_socket_takes_its_place_at_once(running: Any, venue: Any) -> None:
    collector, seen = await running()
    await venue.broadcast(e="trade", s="btcusdt", n=1, p="1", q="1")
    await until(lambda: seen)
    await venue.send(e="bye", why="maintenance")
    venue.connections[0].transport.abort()
    await venue.until_requests(2)
    await venue.send(e="trade", s="btcusdt", n=2, p="1", q="1")
    await until(lambda: len(seen) == 2)
    assert_whole(seen)
    assert link(collector)["state"] == "open"


async def test_a_successor_that_dies_before_it_carries_anything_changes_nothing(running: Any, venue: Any) -> None:
    collector, seen = await running("orderbook")
    await venue.broadcast(e="book", s="btcusdt", n=1, b=[["9", "1"]], a=[["10", "1"]])
    await until(lambda: seen)
    restart = asyncio.create_task(collector.restart())
    await venue.until_requests(2)
    venue.connections[1].transport.abort()
    await venue.until_requests(3)
    assert len(venue.open) == 2
    assert collector.book("BTC-USDT").live
    await venue.connections[2].send(_json(e="book", s="btcusdt", n=1, b=[["9", "1"]], a=[["10", "1"]]))
    await restart
    assert venue.open == [venue.connections[2]]
    assert collector.status is CollectorStatus.RUNNING


@pytest.mark.parametrize(("announced", "open_after"), [(True, [1]), (False, [0])])
async def test_patience_with_a_successor_ends(
    venue: Any, make_collector: Any, stack: Any, announced: bool, open_after: list[int]
) -> None:
    from tickhive.collector.plugin_collector import PluginCollector
    from tickhive.plugin import ExchangeSettings

    clock = ManualClock()
    config = make_collector("orderbook").config
    collector = PluginCollector(stack, config, ExchangeSettings(**venue.settings), clock=clock)
    starting = asyncio.create_task(collector.start())
    await clock.run_until(lambda: len(venue.requests) == 1 and starting.done(), io_seconds=0.01)
    await venue.broadcast(e="book", s="btcusdt", n=1, b=[["9", "1"]], a=[["10", "1"]])
    await until(lambda: collector.book("BTC-USDT").live)
    if announced:
        await venue.send(e="bye", why="maintenance")
    else:
        collector._connections.links[0].roll_over("a wish")  # type: ignore[union-attr]
    begun = clock.monotonic()
    await clock.run_until(lambda: len(venue.requests) == 2, io_seconds=0.01)
    await clock.run_until(
        lambda: [index for index, each in enumerate(venue.connections) if each in venue.open] == open_after,
        io_seconds=0.02,
        limit_seconds=50,
    )
    waited = clock.monotonic() - begun
    patience = SETTLE_SECONDS if announced else WISH_SECONDS
    assert patience <= waited < patience + 5
    assert collector.get_status()["connections"][0]["rollovers"] == int(announced)
    stopping = asyncio.create_task(collector.stop())
    await clock.run_until(stopping.done, io_seconds=0.01)


async def test_restarting_what_was_stopped_by_a_refusal_starts_anew(venue: Any, make_collector: Any) -> None:
    venue.refuse["btcusdt"] = {"why": "wrong key", "kind": "credentials"}
    collector = make_collector()
    await collector.start()
    await until(lambda: not collector.get_health_status()["healthy"])
    await until(lambda: collector.status is CollectorStatus.ERROR or link(collector)["state"] == "failed")
    venue.refuse.clear()
    await collector.restart()
    await until(lambda: collector.get_health_status()["healthy"])
    assert link(collector)["state"] == "open"


async def test_an_unhealthy_collector_is_restarted_from_scratch_when_fresh_sockets_did_not_help(
    running: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector, _ = await running()
    monkeypatch.setattr(collector, "_symptoms", lambda: Symptoms(["a defect"]))
    first = collector._connections
    await collector.restart()
    assert collector._connections is first
    await collector.restart()
    assert collector._connections is not first
    assert collector.status is CollectorStatus.RUNNING


async def test_a_stop_during_a_restart_stays_a_stop(running: Any, venue: Any) -> None:
    collector, _ = await running("orderbook")
    restart = asyncio.create_task(collector.restart())
    await venue.until_requests(2)
    await collector.stop()
    await asyncio.wait_for(restart, SETTLE)
    assert collector.status is CollectorStatus.STOPPED
    assert collector.get_status()["tasks"]["running"] == {}


async def test_tasks_and_descriptors_do_not_grow_over_200_reconnects(
    running: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tickhive.collector.pace import Pace

    monkeypatch.setattr(Pace, "_hold", lambda self, seconds: 0.0)
    collector, _ = await running()
    link = collector._connections.links[0]

    def used() -> tuple[int, int, int]:
        folder = "/proc/self/fd"
        return len(asyncio.all_tasks()), len(os.listdir(folder)) if os.path.isdir(folder) else 0, len(link.legs)

    async def reconnect(number: int) -> None:
        leg = link.leg
        if number % 2:
            await venue.send(e="bye", why="maintenance")
        else:
            venue.open[-1].transport.abort()
        await until(lambda: link.replaced(leg) and link.rolling is None and len(venue.open) == 1)
        await until(lambda: link.leg.session.settled)

    for number in range(10):
        await reconnect(number)
    before = used()
    for number in range(190):
        await reconnect(number)
    tasks, descriptors, legs = used()
    assert (tasks, legs) <= (before[0], before[2])
    assert descriptors <= before[1] + 2


def _json(**message: Any) -> str:
    return json.dumps(message)
