"""Symbols and data types come and go on a running collector; patterns follow what the venue lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tickhive.channels import Channel, DataType, InstrumentTable
from tickhive.collector import listings
from tickhive.collector.wanted import resolve
from tickhive.errors import BookNotLive, ConfigurationError
from tickhive.events import InstrumentUpdate, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig


async def until(predicate: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def asked(venue: Any, op: str = "sub") -> list[str]:
    return sorted(f"{request['t']} {request['s']}" for request in venue.requests if request["op"] == op)


async def test_a_symbol_is_added_and_given_up_while_others_run(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    seen: list[Trade] = []
    collector.add_data_callback(DataType.TRADE, seen.append)
    await collector.start()
    await venue.until_requests(1)
    await collector.add(symbols=["ethusdt"])
    await venue.until_requests(2)
    assert asked(venue) == ["trade btcusdt", "trade ethusdt"]
    assert len(venue.connections) == 1
    await venue.send(e="trade", s="ethusdt", n=1, p="1", q="1")
    await until(lambda: seen)
    assert seen[0].symbol == "ETH-USDT"
    await collector.remove(symbols=["ethusdt"])
    await venue.until_requests(3)
    assert asked(venue, "unsub") == ["trade ethusdt"]
    await until(lambda: len(collector.get_status()["subscriptions"]) == 1)
    assert collector.get_status()["symbols"] == ["BTC-USDT"]
    await venue.send(e="trade", s="btcusdt", n=1, p="1", q="1")
    await until(lambda: len(seen) == 2)
    assert len(venue.connections) == 1


async def test_a_data_type_and_a_poll_are_added_and_given_up(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    tickers: list[Any] = []
    collector.add_data_callback(DataType.TICKER, tickers.append)
    await collector.start()
    await collector.add(data_types=["ticker", DataType.ORDERBOOK])
    await until(lambda: tickers)
    await venue.until_requests(2)
    assert asked(venue) == ["orderbook btcusdt", "trade btcusdt"]
    await venue.send(e="book", s="btcusdt", n=1, b=[["1", "1"]], a=[["2", "1"]])
    await until(lambda: collector.book("BTC-USDT").live)
    view = collector.book("BTC-USDT")
    await collector.remove(data_types=["ticker", "orderbook"])
    await venue.until_requests(3)
    await until(lambda: len(collector.get_status()["subscriptions"]) == 1)
    with pytest.raises(BookNotLive):
        view.best_bid()
    assert not [name for name in collector.get_status()["tasks"] if "poll" in str(name)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"symbols": ["NOPE-NOPE"]}, "NOPE-NOPE"),
        ({"symbols": ["a b"]}, "without spaces"),
        ({"data_types": ["trades"]}, "did you mean 'trade'"),
    ],
)
async def test_what_cannot_be_added_changes_nothing(
    make_collector: Any, venue: Any, change: dict[str, Any], says: str
) -> None:
    collector = make_collector("trade")
    await collector.start()
    before = collector.get_status()["symbols"], collector.get_status()["data_types"]
    with pytest.raises(ConfigurationError, match=says):
        await collector.add(**change)
    assert (collector.get_status()["symbols"], collector.get_status()["data_types"]) == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"symbols": ["ETH-USDT"]}, "does not collect ETH-USDT"),
        ({"symbols": ["BTC-USDT"]}, "nothing would be left"),
        ({"data_types": ["trade"]}, "nothing would be left"),
        ({"data_types": ["quote"]}, "does not collect quote"),
    ],
)
async def test_what_cannot_be_given_up_changes_nothing(make_collector: Any, change: dict[str, Any], says: str) -> None:
    collector = make_collector("trade")
    await collector.start()
    with pytest.raises(ConfigurationError, match=says):
        await collector.remove(**change)
    assert [str(channel) for channel in collector.channels()] == ["trade BTC-USDT"]


async def test_a_stopped_collector_takes_it_up_when_it_starts(make_collector: Any, venue: Any) -> None:
    collector = make_collector("trade")
    await collector.add(symbols=["ETH-USDT"])
    await collector.start()
    await venue.until_requests(2)
    assert asked(venue) == ["trade btcusdt", "trade ethusdt"]


async def test_a_pattern_follows_listings_and_delistings(
    make_collector: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LISTING_SECONDS", 0.02)
    collector = make_collector("trade", symbols=["*-USDT"])
    updates: list[InstrumentUpdate] = []
    collector.add_data_callback(DataType.INSTRUMENT, updates.append)
    await collector.start()
    await venue.until_requests(2)
    assert asked(venue)[-2:] == ["trade btcusdt", "trade ethusdt"]
    venue.listed.append(("SOL", "USDT"))
    venue.listed.append(("SOL", "EUR"))
    await until(lambda: "trade solusdt" in asked(venue))
    assert "trade soleur" not in asked(venue)
    venue.listed.remove(("SOL", "USDT"))
    await until(lambda: "trade solusdt" in asked(venue, "unsub"))
    assert "SOL-USDT" not in [channel.symbol for channel in collector.channels()]
    assert len(venue.connections) == 1
    assert len([request for request in asked(venue) if request.startswith("instrument")]) == 1
    assert updates == [], "nobody asked for instruments"


async def test_a_pattern_that_matches_nothing_yet_waits(
    make_collector: Any, venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "LISTING_SECONDS", 0.02)
    collector = make_collector("trade", symbols=["SOL-*"])
    await collector.start()
    assert "lists nothing that matches" in collector.get_status()["set_aside"]["SOL-*"]
    venue.listed.append(("SOL", "USDT"))
    await until(lambda: "trade solusdt" in asked(venue))
    assert collector.get_status()["set_aside"] == {}


def test_patterns_where_the_venue_gives_no_list_are_set_aside() -> None:
    config = ExchangeCollectorConfig(exchange="acme", symbols=["*-USDT", "btcusdt"], data_types=["trade"])
    wanted = resolve(config, InstrumentTable("acme"))
    assert list(wanted.channels) == [Channel("btcusdt", "btcusdt", DataType.TRADE)]
    assert "need a list of instruments" in wanted.set_aside["*-USDT"]
