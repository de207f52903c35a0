"""Two sockets for everything: whichever is killed, every trade is delivered once, in time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from attrs import evolve

from tickhive.errors import ConfigurationError
from tickhive.events import BookDelta, BookSnapshot, Gap, MarketEvent, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig

SETTLE = 10.0
SYMBOLS = ("btcusdt", "ethusdt")


async def until(predicate: Callable[[], Any]) -> None:
    """Wait for something another task brings about; a wrong program ends in TimeoutError, never in luck."""
    async with asyncio.timeout(SETTLE):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


class Market:
    """The last trade that was said on every open socket."""

    last = 0


@contextlib.asynccontextmanager
async def trading(venue: Any) -> AsyncIterator[Market]:
    market = Market()

    async def trade() -> None:
        for number in itertools.count(1):
            for symbol in SYMBOLS:
                await venue.broadcast(e="trade", s=symbol, n=number, p="1", q="1")
            market.last = number
            await asyncio.sleep(0.001)

    task = asyncio.create_task(trade())
    try:
        yield market
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def numbers(seen: list[MarketEvent], symbol: str = "BTC-USDT") -> list[int]:
    return [int(event.id) for event in seen if isinstance(event, Trade) and event.symbol == symbol and event.id]


@pytest.fixture
async def twins(make_collector: Any, venue: Any) -> Any:
    async def run(*data_types: str, **options: Any) -> tuple[Any, list[MarketEvent]]:
        symbols = ["BTC-USDT", "ETH-USDT"]
        collector = make_collector(*data_types, symbols=symbols, redundancy=2, **options)
        seen: list[MarketEvent] = []
        market = (Trade, Gap, BookSnapshot, BookDelta)
        collector.add_data_callback(None, lambda event: seen.append(event) if isinstance(event, market) else None)
        await collector.start()
        await venue.until_requests(4)
        await until(lambda: all(link.leg and link.leg.session for link in collector._connections.links))
        return collector, seen

    return run


def links(collector: Any) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in collector.get_status()["connections"]}


@pytest.mark.parametrize("victim", [0, 1])
async def test_killing_either_socket_loses_nothing(twins: Any, venue: Any, victim: int) -> None:
    collector, seen = await twins("trade")
    async with trading(venue) as market:
        for kills in range(1, 4):
            before = market.last
            await until(lambda before=before: numbers(seen) and numbers(seen)[-1] > before + 10)
            venue.open[victim].transport.abort()
            await venue.until_requests(4 + 2 * kills)
            await until(lambda: len(venue.open) == 2 and all(s["state"] == "open" for s in links(collector).values()))
        before = market.last
        await until(lambda: numbers(seen)[-1] > before)
    for symbol in ("BTC-USDT", "ETH-USDT"):
        got = numbers(seen, symbol)
        assert got == list(range(got[0], got[-1] + 1))
    assert not [event for event in seen if isinstance(event, Gap) or (isinstance(event, Trade) and event.late)]
    assert sum(each["connects"] for each in links(collector).values()) == 5


async def test_links_of_one_dial_are_told_apart(twins: Any) -> None:
    collector, _ = await twins("trade")
    assert [(each["key"], each["state"]) for each in links(collector).values()] == [
        ("main", "open"),
        ("main/2", "open"),
    ]
    assert [dial.key for dial in collector._connections.dials] == ["main"]


async def test_each_is_at_an_address_of_its_own(
    twins: Any, venue: Any, make_collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = make_collector().stack.call
    connect = plugin.connect
    urls = [f"ws://127.0.0.1:{venue.port}/feed", f"ws://localhost:{venue.port}/feed"]
    monkeypatch.setattr(plugin, "connect", lambda **asked: [evolve(dial, urls=urls) for dial in connect(**asked)])
    collector, _ = await twins("trade")
    hosts = {f"127.0.0.1:{venue.port}", f"localhost:{venue.port}"}
    assert {each["host"] for each in links(collector).values()} == hosts
    await collector.restart()
    assert {each["host"] for each in links(collector).values()} == hosts
    for requests in (10, 12):
        venue.open[0].transport.abort()
        await venue.until_requests(requests)
        await until(lambda: all(each["state"] == "open" for each in links(collector).values()))
        assert {each["host"] for each in links(collector).values()} == hosts


async def test_they_never_roll_over_at_the_same_moment(twins: Any, venue: Any) -> None:
    collector, seen = await twins("trade")
    most = 0

    def look(_: MarketEvent) -> None:
        nonlocal most
        most = max(most, len(venue.open))

    collector.add_data_callback(None, look)
    async with trading(venue):
        await until(lambda: len(seen) > 20)
        await collector.restart()
    assert [each["rollovers"] for each in links(collector).values()] == [1, 1]
    assert len(venue.connections) == 4
    assert most == 3
    got = numbers(seen)
    assert got == list(range(got[0], got[-1] + 1))


async def test_a_book_lives_on_with_the_other_socket(twins: Any, venue: Any) -> None:
    collector, seen = await twins("orderbook")
    await venue.broadcast(e="book", s="btcusdt", n=1, b=[["9", "1"]], a=[["10", "1"]])
    book = collector.book("BTC-USDT")
    await until(lambda: book.live)
    for number, victim in ((2, 0), (3, 0), (4, 0)):
        await venue.broadcast(e="book", s="btcusdt", n=number, prev=number - 1, b=[[f"9.{number}", "1"]], a=[])
        await until(lambda number=number: book.live and str(book.best_bid()[0]) == f"9.{number}")
        gone = venue.open[victim]
        requests = len(venue.requests)
        gone.transport.abort()
        await venue.until_requests(requests + 2)
        await until(lambda: all(each["state"] == "open" for each in links(collector).values()))
        assert book.live
        bids = [[f"9.{each}", "1"] for each in range(number, 1, -1)] + [["9", "1"]]
        await venue.send(e="book", s="btcusdt", n=number, b=bids, a=[["10", "1"]])
    assert not [event for event in seen if isinstance(event, Gap)]
    deltas = [event.sequence for event in seen if isinstance(event, BookDelta)]
    assert deltas == [2, 3, 4]


async def test_a_missing_spare_is_seen_and_is_no_reason_to_restart(twins: Any, venue: Any) -> None:
    collector, _ = await twins("trade")
    venue.closing = True
    venue.open[1].transport.abort()
    await until(lambda: links(collector)["main/2"]["failures"] >= 2 or links(collector)["main"]["failures"] >= 2)
    states = sorted(each["state"] for each in links(collector).values())
    assert "open" in states
    assert states != ["open", "open"]
    assert collector.get_health_status()["healthy"]
    venue.open[0].transport.abort()
    await until(lambda: not collector.get_health_status()["healthy"])


@pytest.mark.parametrize("redundancy", [0, 3, True, "2", 1.5])
def test_redundancy_is_one_or_two(redundancy: Any) -> None:
    with pytest.raises(ConfigurationError, match="redundancy: expected 1 or 2"):
        ExchangeCollectorConfig(exchange="acme", symbol="X", data_types=["trade"], redundancy=redundancy)
