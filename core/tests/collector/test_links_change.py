"""Other channels on a running manager: on the open sockets where the venue knows how, else on fresh ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from tickhive.budget import Budget
from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.clock import SystemClock
from tickhive.collector.connection import ConnectionManager
from tickhive.collector.telemetry import CollectorStateAndTelemetry
from tickhive.events import MarketEvent
from tickhive.plugin import Dial, ExchangeSettings, hookimpl
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.feed import Feed
from tickhive.session.session import Session
from tickhive.tasks import AsyncTaskManager

SETTLE = 10.0


def channels(*names: str) -> list[Channel]:
    return [Channel(name, name, DataType.TRADE) for name in names]


async def until(predicate: Callable[[], Any]) -> None:
    async with asyncio.timeout(SETTLE):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Owner:
    """The least a collector is to its links."""

    def __init__(self, stack: ExchangeStack) -> None:
        self.stack = stack
        self.feed = Feed(stack, "acme", ExchangeSettings(), InstrumentTable("acme"))
        self.seen: list[MarketEvent] = []

    def make_session(self, dial: Dial) -> Session:
        return Session(self.stack, dial, self.feed)

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        self.seen += session.receive(frames, at)

    def deliver(self, events: list[MarketEvent]) -> None:
        self.seen += events


class Running:
    """A manager over a venue's real sockets."""

    def __init__(self, venue: Any, stack: ExchangeStack, redundancy: int) -> None:
        clock = SystemClock()
        self.venue = venue
        self.url = f"ws://127.0.0.1:{venue.port}/feed"
        self.owner = Owner(stack)
        self.tasks = AsyncTaskManager("test")
        telemetry = CollectorStateAndTelemetry("test", "acme", clock)
        self.manager = ConnectionManager(
            self.owner, telemetry, self.tasks, clock, Budget([], clock), _no_fetch, redundancy=redundancy
        )

    def dial(self, *names: str, key: str = "main", url: str | None = None) -> Dial:
        return Dial(key, [url or self.url], channels(*names))

    def have(self, *dials: Dial) -> None:
        self.manager.set_dials(dials)

    @property
    def carried(self) -> list[list[str]]:
        return [
            sorted(channel.symbol for channel in link.leg.session.channels)
            for link in self.manager.links
            if link.leg is not None and link.leg.session is not None
        ]

    @property
    def states(self) -> dict[str, str]:
        return {entry.channel.symbol: entry.state.value for entry in self.owner.feed.ledger}

    def asked(self) -> list[tuple[str, str]]:
        return [(request["op"], request["s"]) for request in self.venue.requests]


async def _no_fetch(fetch: Any) -> Any:
    raise AssertionError("nothing is fetched here")


@pytest.fixture
async def run(venue: Any, stack: ExchangeStack) -> AsyncIterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(redundancy: int = 1, on: ExchangeStack | None = None) -> Running:
        made.append(Running(venue, on or stack, redundancy))
        return made[-1]

    yield start
    for each in made:
        await each.manager.stop()
        await each.tasks.cancel_all_tasks()


@pytest.mark.parametrize("redundancy", [1, 2])
async def test_channels_come_and_go_on_the_open_sockets(run: Any, venue: Any, redundancy: int) -> None:
    running = run(redundancy)
    running.have(running.dial("a", "b"))
    await venue.until_requests(2 * redundancy)
    await until(lambda: running.states == {"a": "acknowledged", "b": "acknowledged"})
    running.have(running.dial("b", "c"))
    await venue.until_requests(4 * redundancy)
    await until(lambda: running.states == {"b": "acknowledged", "c": "acknowledged"})
    assert sorted(running.asked()[2 * redundancy :]) == sorted([("sub", "c"), ("unsub", "a")] * redundancy)
    assert running.carried == [["b", "c"]] * redundancy
    assert len(venue.connections) == redundancy
    venue.open[0].transport.abort()
    await venue.until_requests(6 * redundancy - (2 if redundancy == 2 else 0))
    assert sorted(running.asked()[-2:]) == [("sub", "b"), ("sub", "c")]


async def test_the_same_dials_change_nothing(run: Any, venue: Any) -> None:
    running = run()
    running.have(running.dial("a"))
    await venue.until_requests(1)
    leg = running.manager.links[0].leg
    running.have(running.dial("a"))
    assert running.manager.links[0].leg is leg
    assert running.manager.links[0].rolling is None
    assert running.asked() == [("sub", "a")]


async def test_another_address_takes_over_without_a_hole(run: Any, venue: Any) -> None:
    running = run()
    running.have(running.dial("a"))
    await venue.until_requests(1)
    await venue.broadcast(e="trade", s="a", n=1, p="1", q="1")
    await until(lambda: running.owner.seen)
    running.have(running.dial("a", "b", url=f"ws://localhost:{venue.port}/feed"))
    await until(lambda: running.manager.links[0].journal.rollovers == 1 and len(venue.open) == 1)
    assert running.asked() == [("sub", "a"), ("sub", "a"), ("sub", "b")]
    assert running.carried == [["a", "b"]]
    assert running.manager.status()[0]["host"] == f"localhost:{venue.port}"


async def test_where_no_request_subscribes_a_fresh_socket_does(run: Any, venue: Any) -> None:
    running = run(on=ExchangeStack.from_plugin("acme", _InTheAddress()))
    running.have(running.dial("a", "b", url=f"{running.url}?a,b"))
    await until(lambda: running.states == {"a": "acknowledged", "b": "acknowledged"})
    running.have(running.dial("b", "c", url=f"{running.url}?b,c"))
    await until(lambda: running.manager.links[0].journal.rollovers == 1 and len(venue.open) == 1)
    assert running.states == {"b": "acknowledged", "c": "acknowledged"}
    assert running.carried == [["b", "c"]]
    assert running.asked() == []


async def test_sockets_are_added_and_closed(run: Any, venue: Any) -> None:
    running = run()
    running.have(running.dial("a"), running.dial("b", key="other"))
    await venue.until_requests(2)
    running.have(running.dial("b", key="other"), running.dial("c", key="third"))
    await until(lambda: running.states == {"b": "acknowledged", "c": "acknowledged"} and len(venue.open) == 2)
    running.have(running.dial("a"), running.dial("b", key="other"), running.dial("c", key="third"))
    running.have(running.dial("b", key="other"))
    running.have(running.dial("a"), running.dial("b", key="other"))
    await until(lambda: running.states == {"a": "acknowledged", "b": "acknowledged"} and len(venue.open) == 2)
    assert [link.key for link in running.manager.links] == ["other", "main"]


async def test_a_change_while_dialling_counts_for_the_socket_that_is_on_its_way(run: Any, venue: Any) -> None:
    running = run()
    running.have(running.dial("a"))
    async with asyncio.timeout(SETTLE):
        while running.manager.links[0].state != "dialling":  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.have(running.dial("b"))
    await venue.until_requests(1)
    await until(lambda: running.carried == [["b"]])
    assert running.asked() == [("sub", "b")]
    assert len(venue.connections) == 1


async def test_a_change_while_rolling_over_reaches_both_sockets(run: Any, venue: Any) -> None:
    running = run()
    book = Channel("book", "book", DataType.ORDERBOOK)
    dial = evolve(running.dial("a"), channels=[*channels("a"), book])
    running.have(dial)
    await venue.until_requests(2)
    running.manager.links[0].roll_over("a test")
    await venue.until_requests(4)
    running.have(evolve(dial, channels=[*channels("a", "b"), book]))
    await venue.until_requests(6)
    assert running.asked()[4:] == [("sub", "b"), ("sub", "b")]
    await venue.broadcast(e="book", s="book", n=1, b=[["9", "1"]], a=[["10", "1"]])
    await until(lambda: len(venue.open) == 1)
    assert running.carried == [["a", "b", "book"]]
    assert running.manager.links[0].journal.rollovers == 1


class _InTheAddress:
    """The venue's channels are part of its address; nothing is asked for."""

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> list[Dial]:
        return []

    @hookimpl
    def parse(self, session: Any, frame: bytes, at: int) -> list[Any]:
        return []
